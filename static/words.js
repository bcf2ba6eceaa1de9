// Refusals in words that people understand.

const FIELDS = {
  email: "This is not an email address.",
  password: "A password has 8 to 1024 characters.",
  new_password: "A password has 8 to 1024 characters.",
  title: "A title has 1 to 255 characters, one of them visible.",
};
const STATUSES = {
  401: "The email or the password is wrong.",
  404: "It was deleted elsewhere.",
  413: "It is too long for the server.",
  414: "It is too long for the server.",
};

/** Say why there is no answer, or why it is a refusal. */
export function reason({ status, headers, body }) {
  if (status === 0) return navigator.onLine ? "The server cannot be reached." : "You are offline.";
  if (status >= 500) return "The server is in trouble.";
  if (status === 429) {
    const seconds = headers.get("Retry-After") ?? 60;
    return `Too many tries. Try again in ${seconds} seconds.`;
  }
  const detail = body?.detail;
  const wrong = Array.isArray(detail) && FIELDS[detail[0]?.loc?.at(-1)];
  if (wrong || STATUSES[status]) return wrong || STATUSES[status];
  return typeof detail === "string" ? `${detail}.` : `The server refused it (${status}).`;
}

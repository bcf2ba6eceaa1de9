// Requests to the API: they bear the token, renew it when it has ended, and go on until answered.

const SESSION = "todo.session";

export const tell = (name, detail) => dispatchEvent(new CustomEvent(name, { detail }));

/** The login that all tabs share: {email, access_token, refresh_token}, or null. */
export const session = () => JSON.parse(localStorage.getItem(SESSION));

const keep = (value) => localStorage.setItem(SESSION, JSON.stringify(value));

/** Wait so many seconds, or until the network is back. */
export const pause = (seconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
    addEventListener("online", resolve, { once: true });
  });

/** Send until the server answers, and give notice while it does not. */
async function reach(path, init) {
  for (let seconds = 1; ; seconds = Math.min(2 * seconds, 8)) {
    try {
      const signal = AbortSignal.timeout(20_000);
      const response = await fetch(path, { cache: "no-store", ...init, signal });
      const { ok, status, headers } = response;
      const body = JSON.parse((await response.text()) || null);
      tell("notice", status === 503 ? "The server is busy." : "");
      if (status !== 503) return { ok, status, headers, body };
    } catch {
      tell("notice", navigator.onLine ? "The server cannot be reached." : "You are offline.");
    }
    await pause(seconds);
  }
}

/** Send a change as JSON; one that is under way goes on when the page is left. */
const send = (method, path, fields, headers) =>
  reach(path, {
    method,
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(fields),
    keepalive: true,
  });

/** Make a request with the token; once it has ended, with the next. */
async function request(make, last = false) {
  const token = session()?.access_token;
  const answer = await make({ Authorization: `Bearer ${token}` });
  const gone = answer.body?.detail === "User not found";
  if (answer.status !== 401 && !gone) return answer;
  if (!gone && !last && (await renew(token))) return request(make, true);
  end(token);
  throw new Error("The session is over");
}

export const read = (path, headers) =>
  request((token) => reach(path, { headers: { ...token, ...headers } }));

export const write = (method, path, fields, headers) =>
  request((token) => send(method, path, fields, { ...token, ...headers }));

/** Get the next token, unless another tab has; if two do at once, the server gives it to both. */
async function renew(ended) {
  const { access_token, refresh_token } = session() ?? {};
  if (access_token !== ended) return Boolean(access_token);
  const answer = await send("POST", "/auth/token", { grant_type: "refresh_token", refresh_token });
  if (answer.ok && session()) keep({ ...session(), ...answer.body });
  return answer.ok;
}

function end(token) {
  if (session()?.access_token === token) localStorage.removeItem(SESSION);
  tell("session");
}

export async function logIn(email, password) {
  const answer = await send("POST", "/auth/token", { username: email, password });
  if (answer.ok) keep({ email, ...answer.body });
  return answer;
}

export const register = (email, password) => send("POST", "/auth/register", { email, password });

/** Forget the login here, then have the server forget it. */
export function logOut() {
  const { access_token, refresh_token } = session();
  end(access_token);
  send("POST", "/auth/revoke", { token: refresh_token });
}

/** Say why the server refused. */
export function reason({ status, headers, body: { detail } }) {
  if (status === 429) return `${detail}. Try again in ${headers.get("Retry-After")} seconds.`;
  if (typeof detail === "string") return `${detail}.`;
  return detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}.`).join(" ");
}

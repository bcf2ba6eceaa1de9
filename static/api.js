// Requests to the API: they bear the token, renew it when it has ended, and wait while nobody answers.

const SESSION = "todo.session";
const FORM = "application/x-www-form-urlencoded";

export const tell = (name, detail) => dispatchEvent(new CustomEvent(name, { detail }));

/** The login that all tabs share: {email, access_token, refresh_token}, or null. */
export const session = () => JSON.parse(localStorage.getItem(SESSION));

const keep = (value) => localStorage.setItem(SESSION, JSON.stringify(value));

/** Have one tab at a time do some work; browsers have locks on HTTPS and on localhost. */
export const alone = async (name, options, work) =>
  navigator.locks ? navigator.locks.request(name, options, (lock) => lock && work()) : work();

/** Wait so many seconds, or until the network is back. */
const pause = (seconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
    addEventListener("online", resolve, { once: true });
  });

/** Send until the server answers, and give notice while it does not. */
async function reach(path, init) {
  for (let seconds = 1; ; seconds = Math.min(2 * seconds, 8)) {
    let wait = seconds;
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(20_000), init.signal ?? []].flat());
      const response = await fetch(path, { cache: "no-store", ...init, signal });
      const { ok, status, headers } = response;
      const text = await response.text();
      if (status !== 503) {
        tell("notice", "");
        const json = headers.get("Content-Type") === "application/json" && text;
        return { ok, status, headers, body: json ? JSON.parse(text) : null };
      }
      wait = Number(headers.get("Retry-After")) || seconds;
      tell("notice", "The server is busy.");
    } catch {
      init.signal?.throwIfAborted();
      tell("notice", navigator.onLine ? "The server cannot be reached." : "You are offline.");
    }
    await pause(wait);
  }
}

const post = (path, type, body, init) =>
  reach(path, { method: "POST", headers: { "Content-Type": type }, body, ...init });
const postForm = (path, fields, init) => post(path, FORM, new URLSearchParams(fields), init);

/** Send a request with the token; once it has ended, with the next; tell when there is none. */
export async function request(path, init = {}, last = false) {
  const token = session()?.access_token;
  const headers = { ...init.headers, Authorization: `Bearer ${token}` };
  if (init.body) headers["Content-Type"] = "application/json";
  const answer = await reach(path, { ...init, headers });
  const gone = answer.status === 404 && answer.body?.detail === "User not found";
  if (answer.status !== 401 && !gone) return answer;
  if (!gone && !last && (await renew(token))) return request(path, init, true);
  end(token);
  throw new Error("The session is over");
}

/** Get the next token, unless another tab has; a refresh token is good for one use. */
const renew = (ended) =>
  alone(SESSION, {}, async () => {
    const { access_token, refresh_token } = session() ?? {};
    if (access_token !== ended) return Boolean(access_token);
    const answer = await postForm("/auth/token", { grant_type: "refresh_token", refresh_token });
    if (answer.ok && session()) keep({ ...session(), ...answer.body });
    return answer.ok;
  });

function end(token) {
  if (session()?.access_token === token) localStorage.removeItem(SESSION);
  tell("session");
}

export async function logIn(email, password) {
  const answer = await postForm("/auth/token", { username: email, password });
  if (answer.ok) keep({ email, ...answer.body });
  return answer;
}

export const register = (email, password) =>
  post("/auth/register", "application/json", JSON.stringify({ email, password }));

/** Forget the login here, then have the server forget it. */
export function logOut() {
  const { access_token, refresh_token } = session();
  end(access_token);
  return postForm("/auth/revoke", { token: refresh_token }, { keepalive: true });
}

/** Say why the server refused. */
export function reason({ status, headers, body }) {
  if (status === 429) return `Too many attempts. Try again in ${headers.get("Retry-After")} seconds.`;
  const detail = body?.detail ?? `The server answered ${status}`;
  if (typeof detail === "string") return `${detail}.`;
  const sentence = ({ loc, msg }) => {
    const name = loc.at(-1) === "username" ? "email" : String(loc.at(-1));
    const said = /pattern/.test(msg) ? "is not complete" : msg.replace(/^(String|Input|Value) /, "");
    return `${name[0].toUpperCase()}${name.slice(1)} ${said}.`;
  };
  return detail.map(sentence).join(" ");
}

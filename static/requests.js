// Requests to the API: they bear the token, renew it when it has ended, and end in good time.

const SESSION = "todo.session";
const PATIENCE = 20_000; // milliseconds until a request counts as not answered

export const tell = (name, detail) => dispatchEvent(new CustomEvent(name, { detail }));
export const stored = (name) => JSON.parse(localStorage.getItem(name));
export const store = (name, value) => localStorage.setItem(name, JSON.stringify(value));

/** The login that all tabs share: {id, email, access_token, refresh_token}, or null. */
export const session = () => stored(SESSION);
export const keepSession = (change) => store(SESSION, { ...session(), ...change });
export const isSession = (name) => name === SESSION || name === null;

// --- One request, one answer: {status, headers, body}, where status 0 means that none came --------

export const bearer = (token) => ({ Authorization: `Bearer ${token}` });
export const noAnswer = () => ({ status: 0, headers: new Headers(), body: null });
const loggedOut = () => ({ ...noAnswer(), status: 401, over: true });

/** Whether the server may well answer later: it did not, or failed. */
export const isAway = ({ status }) => status === 0 || status >= 500;

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page
  }
}

/** Ask once, without a token. */
export async function ask(method, path, { fields, headers, keepalive } = {}) {
  const type = fields && { "Content-Type": "application/json" };
  const signal = AbortSignal.timeout(PATIENCE);
  const body = JSON.stringify(fields);
  const init = { method, body, keepalive, signal, cache: "no-store" };
  try {
    const response = await fetch(path, { ...init, headers: { ...headers, ...type } });
    const answer = { ...noAnswer(), status: response.status, headers: response.headers };
    answer.body = parse(await response.text());
    const isForeign = [200, 201, 404].includes(answer.status) && !answer.body;
    return isForeign ? noAnswer() : answer;
  } catch {
    return noAnswer();
  }
}

/** Make a request with the token; once it has ended, with the next. */
export async function request(method, path, options = {}) {
  for (let renewals = 0; ; renewals += 1) {
    const token = session()?.access_token;
    if (!token) return loggedOut();
    const headers = { ...options.headers, ...bearer(token) };
    const answer = await ask(method, path, { ...options, headers });
    const said = answer.body?.detail;
    if (answer.status === 404 && said === "User not found") return end(token);
    if (answer.status !== 401 || said !== "Invalid token" || renewals > 1) return answer;
    const renewed = await renew(token);
    if (renewed.status !== 200) return renewed;
  }
}

/** Get the next token, unless another tab has; if two do at once, the server gives it to both. */
async function renew(ended) {
  const { access_token, refresh_token } = session() ?? {};
  if (access_token !== ended) return { ...noAnswer(), status: 200 };
  const fields = { grant_type: "refresh_token", refresh_token };
  const answer = await ask("POST", "auth/token", { fields });
  if (answer.status === 200 && session()) keepSession(answer.body);
  return answer.body?.detail && [400, 401, 404].includes(answer.status) ? end(ended) : answer;
}

/** Forget the login, unless another has begun. */
export function end(token) {
  if (session()?.access_token === token) localStorage.removeItem(SESSION);
  tell("session");
  return loggedOut();
}

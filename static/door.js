// The door: logging in, creating an account, logging out. All is tried once, as only the person knows
// whether to try again.

import { ask, bearer, end, isAway, keepSession, request } from "./requests.js";
import { session, store, stored, tell } from "./requests.js";
import { reason } from "./words.js";

const REVOKED = "todo.revoked";
const at = (id) => document.getElementById(id);

export async function logIn(email, password) {
  const answer = await ask("POST", "auth/token", { fields: { username: email, password } });
  if (answer.status !== 200) return answer;
  const account = await ask("GET", "auth/me", { headers: bearer(answer.body.access_token) });
  if (account.status === 200) keepSession({ ...answer.body, ...account.body });
  return account;
}

/** Create an account and log in; one whose answer was lost before is simply logged in to. */
async function register(email, password) {
  const answer = await ask("POST", "auth/register", { fields: { email, password } });
  if (answer.status === 201) return logIn(email, password);
  if (answer.status !== 400) return answer;
  const login = await logIn(email, password);
  return login.status === 200 ? login : answer;
}

/** Complete a login of the first edition, which lacks the id of its account. */
export async function completeSession() {
  const account = await request("GET", "auth/me");
  if (account.status === 200) keepSession(account.body);
  return account;
}

/** Forget the login here, then have the server forget it. */
export function logOut() {
  const { access_token, refresh_token } = session();
  store(REVOKED, [...(stored(REVOKED) ?? []), refresh_token]);
  end(access_token);
  revoke();
}

/** Have the server forget the logins that were ended while it was away. */
export async function revoke() {
  for (const token of stored(REVOKED) ?? []) {
    const answer = await ask("POST", "auth/revoke", { fields: { token }, keepalive: true });
    if (isAway(answer)) return;
    store(REVOKED, stored(REVOKED).filter((other) => other !== token));
  }
}

/** Show the door, to whom it knows with the reason why. */
export function show(email, why) {
  document.documentElement.className = "out";
  at("why").textContent = why;
  const isTyping = at("email").value && at("door").contains(document.activeElement);
  at("email").value ||= email;
  if (!isTyping) at(at("email").value ? "password" : "email").focus();
}

let trying = false;

at("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (trying) return;
  trying = true;
  at("door").ariaBusy = "true";
  at("problem").textContent = "";
  const account = [at("email").value.trim(), at("password").value];
  const answer = await (event.submitter?.value ? register : logIn)(...account);
  trying = false;
  at("door").ariaBusy = "false";
  if (answer.status !== 200) {
    at("problem").textContent = `${reason(answer)}${isAway(answer) ? " Try again." : ""}`;
    return at("password").focus();
  }
  at("password").value = at("why").textContent = "";
  await import("./app.js");
  tell("session");
});

if (!session()) show("", "");
addEventListener("online", revoke);
revoke();

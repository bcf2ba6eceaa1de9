// The account: its password, its keys for scripts, logging out, deleting it.

import { at } from "./draw.js";
import { open } from "./list.js";
import { changes } from "./queue.js";
import { logIn, logOut } from "./door.js";
import { request, session, tell } from "./requests.js";
import { reason } from "./words.js";

const CURRENT = `<label>Password <input name="password" type="password" autocomplete="current-password" required></label>`;
const MARKUP = `
  <form method="dialog"><button class="quiet" aria-label="Close" title="Close">×</button></form>
  <h2 id="account-head"></h2>
  <p class="buttons"><button class="primary" name="out">Log out</button></p>
  <p class="problem" role="alert"></p>
  <p class="note" role="status"></p>
  <h3>Keys for scripts</h3>
  <p class="soft">A key lets a script use your tasks, until you delete it.</p>
  <ul></ul>
  <form data-act="key">
    <label>Name <input name="name" maxlength="100" autocomplete="off" required></label>
    <label>It may <select name="scope">
      <option value="tasks:read tasks:write">read and change tasks</option>
      <option value="tasks:read">only read tasks</option>
    </select></label>
    <button>Make a key</button>
  </form>
  <details><summary>Change the password</summary>
    <form data-act="change">
      ${CURRENT}
      <label>New password <input name="new" type="password" autocomplete="new-password" minlength="8" required></label>
      <p class="soft">Every other login and every key ends.</p>
      <button>Change the password</button>
    </form></details>
  <details><summary>Log out everywhere</summary>
    <form data-act="everywhere">${CURRENT}
      <p class="soft">Every login ends, here too, and every key.</p>
      <button>Log out everywhere</button></form></details>
  <details><summary>Delete the account</summary>
    <form data-act="remove">${CURRENT}
      <p class="soft">The account and all its tasks are gone for ever.</p>
      <button class="danger">Delete the account</button></form></details>`;

const dialog = document.createElement("dialog");
dialog.setAttribute("aria-labelledby", "account-head");
dialog.innerHTML = MARKUP;
document.body.append(dialog);
const [problem, note, keys] = [".problem", ".note", "ul"].map((name) => dialog.querySelector(name));

function tellOf(answer, good, text) {
  const isGood = answer.status === good;
  problem.textContent = isGood ? "" : reason(answer);
  note.textContent = isGood ? text : "";
  return isGood;
}

export function showAccount() {
  at("account-head").textContent = session().email;
  for (const form of dialog.querySelectorAll("form")) form.reset();
  problem.textContent = note.textContent = "";
  dialog.showModal();
  loadKeys();
}

// --- Keys -----------------------------------------------------------------------------------------

async function loadKeys() {
  const answer = await request("GET", "auth/keys");
  if (tellOf(answer, 200, note.textContent)) keys.replaceChildren(...answer.body.map(lineOf));
}

function lineOf({ id, name, scope, created }) {
  const [line, text, button] = ["li", "span", "button"].map((tag) => document.createElement(tag));
  const day = new Date(created).toLocaleDateString(undefined, { dateStyle: "medium" });
  const may = scope.includes("write") ? "reads and changes" : "only reads";
  text.textContent = `${name}: ${may}, since ${day}`;
  Object.assign(button, { textContent: "Delete", ariaLabel: `Delete the key ${name}` });
  button.addEventListener("click", async () => {
    const answer = await request("DELETE", `auth/keys/${id}`);
    if (tellOf(answer, 204, `The key ${name} is deleted.`)) loadKeys();
  });
  line.append(text, button);
  return line;
}

/** Show a new key, this once. */
function showKey({ name, key }) {
  const [code, button] = [document.createElement("code"), document.createElement("button")];
  code.textContent = key;
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(key);
    button.textContent = "Copied";
  });
  note.replaceChildren(`This is the key ${name}. It is shown only now: `, code, button);
}

// --- What the forms do ----------------------------------------------------------------------------

/** Leave, and leave nothing of the account here. */
function leave() {
  const { id } = session() ?? {};
  dialog.close();
  open(null);
  sessionStorage.clear();
  const isOf = (name) => name === `todo.list ${id}` || name.startsWith(`todo.change ${id} `);
  Object.keys(localStorage).filter(isOf).forEach((name) => localStorage.removeItem(name));
  tell("left");
  if (session()) logOut();
}

const acts = {
  async key({ name, scope }) {
    const fields = { name: name.value.trim(), scope: scope.value };
    const answer = await request("POST", "auth/keys", { fields });
    if (!tellOf(answer, 201, "")) return;
    await loadKeys();
    showKey(answer.body);
  },
  async change({ password, new: next }) {
    const { email } = session();
    const fields = { password: password.value, new_password: next.value };
    const answer = await request("PUT", "auth/me/password", { fields });
    if (!tellOf(answer, 204, "The password is changed.")) return;
    await logIn(email, next.value);
    tell("session"); // which another request may have taken for over meanwhile
    loadKeys();
  },
  async everywhere({ password }) {
    const fields = { password: password.value, new_password: password.value };
    const answer = await request("PUT", "auth/me/password", { fields });
    if (tellOf(answer, 204, "")) leave();
  },
  async remove({ password }) {
    const answer = await request("DELETE", "auth/me", { fields: { password: password.value } });
    if (tellOf(answer, 204, "")) leave();
  },
};

dialog.addEventListener("submit", async (event) => {
  const act = acts[event.target.dataset.act];
  if (!act) return;
  event.preventDefault();
  await act(event.target.elements);
  if (!problem.textContent) event.target.reset();
});

dialog.querySelector("[name=out]").addEventListener("click", () => {
  const lost = changes().filter(({ sent }) => !sent).length;
  if (!lost || confirm(`${lost} changes are not sent yet. Log out and lose them?`)) leave();
});

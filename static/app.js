// The page: what its user does becomes a change, and what changes is drawn.

import { logIn, logOut, reason, register, session } from "./api.js";
import * as list from "./tasks.js";

const UNDO = 8000; // milliseconds to take something back
const LOOK = 3000; // milliseconds from one look at the server to the next
const at = (id) => document.getElementById(id);
const copy = (id) => at(id).content.firstElementChild.cloneNode(true);

// --- Messages ---

let undo, fading;

/** Say something for a while, to the eye too unless it is quiet, and offer to take it back. */
function say(text, { quiet, back } = {}) {
  if (quiet && undo) return;
  undo = back;
  at("message").textContent = text;
  at("undo").hidden = !back;
  at("toast").classList.toggle("shown", Boolean(text) && !quiet);
  clearTimeout(fading);
  if (text) fading = setTimeout(say, UNDO, "");
}

function takeBack() {
  undo?.();
  say("Undone.");
}

at("undo").addEventListener("click", takeBack);
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox])") && event.target.value;
  if (!undo || typing || event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  takeBack();
});

addEventListener("notice", ({ detail }) => {
  const notice = detail && `${detail} What you change is kept here and sent later.`;
  if (at("notice").textContent !== notice) at("notice").textContent = notice;
});

const channel = new BroadcastChannel("todo"); // any tab may have sent a change that is refused
channel.onmessage = ({ data }) => say(data);
addEventListener("refused", ({ detail: { kind, title, why } }) => {
  say(`${title ? `“${title}”` : "That"} was not saved. ${why}`);
  channel.postMessage(at("message").textContent);
  if (kind === "add") at("new").value ||= title;
});

// --- Drawing ---

const rows = new Map();

/** A day, so many after today, as YYYY-MM-DD in the time zone of the user. */
function day(after = 0) {
  const now = new Date();
  const noon = new Date(Date.UTC(now.getFullYear(), now.getMonth(), now.getDate() + after, 12));
  return noon.toISOString().slice(0, 10);
}

function written(due) {
  const near = { [day(-1)]: "Yesterday", [day()]: "Today", [day(1)]: "Tomorrow" };
  const year = due.slice(0, 4) === day().slice(0, 4) ? undefined : "numeric";
  const options = { weekday: "short", day: "numeric", month: "short", year, timeZone: "UTC" };
  return near[due] ?? new Date(due).toLocaleDateString("en-GB", options);
}

function draw() {
  const tasks = list.tasks();
  const shown = new Set(tasks.map(({ id }) => id));
  const focused = document.activeElement;
  for (const [id, row] of rows) {
    if (shown.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  tasks.forEach((task, place) => {
    if (!rows.has(task.id)) rows.set(task.id, copy("row"));
    const [row, there] = [rows.get(task.id), at("tasks").children[place]];
    drawRow(row, task);
    if (row !== there) at("tasks").insertBefore(row, there);
  });
  if (focused.isConnected) focused.focus({ preventScroll: true }); // a row that moves loses it
  drawAround(tasks);
}

function drawRow(row, task) {
  const [box, title, due, remove] = row.children;
  const late = Boolean(task.due) && !task.done && task.due < day();
  for (const [name, is] of Object.entries({ late, done: task.done, pending: task.pending ?? false }))
    row.classList.toggle(name, is);
  row.task = task;
  box.checked = task.done;
  box.ariaLabel = task.title;
  if (title.textContent !== task.title) title.textContent = task.title;
  due.textContent = task.due ? `${late ? "Overdue: " : ""}${written(task.due)}` : "Set date";
  due.classList.toggle("none", !task.due);
  due.ariaLabel = `${due.textContent}, due date of ${task.title}`;
  remove.ariaLabel = `Delete ${task.title}`;
  const form = row.querySelector("form");
  if (form?.conflict !== task.conflict?.key) close(row);
  if (task.conflict && form?.conflict !== task.conflict.key) showConflict(row, task.conflict);
}

const NOTHING = {
  all: ["A clear page", "Write down the first thing on your mind and press Enter."],
  open: ["All done", "Nothing is open. Enjoy the quiet."],
  done: ["Nothing done yet", "What you tick off stays here until you clear it."],
};

function drawAround(tasks) {
  const { show, q, sort } = list.view();
  for (const link of document.querySelectorAll("[data-show]")) {
    link.href = list.address({ show: link.dataset.show });
    link.ariaCurrent = link.dataset.show === show ? "page" : null;
  }
  at("sort").value = sort;
  if (document.activeElement !== at("search")) at("search").value = q;
  at("tasks").ariaBusy = list.loading();
  at("clear").hidden = !tasks.some(({ done }) => done);
  at("more").hidden = !list.hasMore();
  at("empty").hidden = tasks.length > 0 || list.loading() || list.hasMore();
  const [head, text] = q ? ["No match", `No title here has “${q}” in it.`] : (NOTHING[show] ?? NOTHING.all);
  at("empty").children[0].textContent = head;
  at("empty").children[1].textContent = text;
  const today = { weekday: "long", day: "numeric", month: "long" };
  at("today").textContent = new Date().toLocaleDateString("en-GB", today);
}

// --- Editing in place ---

function edit(row, field, values = row.task) {
  const form = copy("edit");
  form.seen = { due: null, ...row.task };
  form.elements.title.value = values.title;
  form.elements.due.value = values.due ?? "";
  row.classList.add("editing");
  row.append(form);
  form.elements[field].focus();
  return form;
}

function showConflict(row, { key, fields, newer }) {
  const form = edit(row, "title", { ...newer, ...fields });
  const due = newer.due ? `, due ${written(newer.due)}` : "";
  form.conflict = key;
  form.seen = newer;
  form.querySelector(".conflict").textContent =
    `This task was changed elsewhere. It now reads “${newer.title}”${due}. Yours, above, is not saved.`;
  form.elements.save.textContent = "Save mine";
  form.elements.cancel.textContent = "Keep the newer";
}

function close(row) {
  const form = row.querySelector("form");
  const focused = form?.contains(document.activeElement);
  form?.remove();
  row.classList.remove("editing");
  if (focused) row.querySelector(".title").focus();
  if (form?.conflict) list.drop(form.conflict);
}

function saveEdit(form) {
  const row = form.closest("li");
  const { title, due } = form.elements;
  const typed = Object.entries({ title: title.value.trim(), due: due.value || null });
  if (!title.value.trim()) return title.focus();
  const fields = Object.fromEntries(typed.filter(([name, value]) => value !== form.seen[name]));
  close(row);
  if (Object.keys(fields).length) list.make("edit", { id: row.task.id, fields, seen: form.seen });
}

// --- What the user does ---

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const title = at("new").value.trim();
  at("new").value = "";
  at("new").focus();
  if (title) rows.get(list.make("add", { title }))?.scrollIntoView({ block: "nearest" });
});

addEventListener("added", ({ detail: { key, task } }) => {
  if (rows.has(key)) rows.set(task.id, rows.get(key));
  rows.delete(key);
  const end = list.hasMore();
  say(`Added “${task.title}”${end ? " at the end of the list" : ""}.`, { quiet: !end });
});

/** Move the focus from a row that goes to the one after it, or before. */
function step(row) {
  const near = row.nextElementSibling ?? row.previousElementSibling;
  (near?.querySelector("input") ?? at("new")).focus();
}

function tick(row, done) {
  const { id, title } = row.task;
  if (list.view().show !== "all") {
    const back = () => list.make("edit", { id, fields: { done: !done } });
    step(row);
    say(`“${title}” is ${done ? "done" : "open"}.`, { back });
  }
  list.make("edit", { id, fields: { done } });
}

function remove(row) {
  const { id, title } = row.task;
  step(row);
  const key = list.make("remove", { id, until: Date.now() + UNDO });
  say(`Deleted “${title}”.`, { back: () => list.drop(key) });
}

const clicks = {
  title: (row) => edit(row, "title"),
  due: (row) => edit(row, "due"),
  delete: remove,
  cancel: close,
  undate(row) {
    const { due } = row.querySelector("form").elements;
    due.value = "";
    due.focus();
  },
};

at("tasks").addEventListener("click", ({ target }) => {
  const row = target.closest("li");
  if (target.type === "checkbox") tick(row, target.checked);
  else if (target.matches("button")) (clicks[target.name] ?? clicks[target.classList[0]])?.(row);
});
at("tasks").addEventListener("submit", (event) => {
  event.preventDefault();
  saveEdit(event.target);
});
at("tasks").addEventListener("keydown", ({ key, target }) => {
  if (key === "Escape" && target.form) close(target.closest("li"));
});

at("clear").addEventListener("click", () => {
  const key = list.make("clear", { until: Date.now() + UNDO });
  at("new").focus();
  say("Cleared the done tasks.", { back: () => list.drop(key) });
});

at("sort").addEventListener("change", ({ target }) => {
  location.hash = list.address({ sort: target.value });
});

let typing;
at("search").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const step = list.view().q ? "replaceState" : "pushState"; // one step back for a whole search
    history[step](null, "", list.address({ q: target.value }));
    turnTo();
  }, 200);
});

// --- Going on: the address, the network, other tabs ---

function turnTo() {
  list.reset();
  draw();
}

let looking = false;
async function look() {
  if (looking || document.hidden || !session()) return;
  looking = true;
  await list.deliver();
  looking = false;
}

const watcher = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && list.more(), {
  rootMargin: "600px",
});
watcher.observe(at("more"));
at("more").addEventListener("click", list.more);
addEventListener("tasks", draw);
addEventListener("hashchange", turnTo);
addEventListener("pagehide", list.hurry);
addEventListener("visibilitychange", look);
setInterval(look, LOOK);
addEventListener("storage", ({ key, newValue }) => {
  if (key === null || key === "todo.session") enter();
  else if (newValue) draw();
  else list.refresh();
});

// --- Logging in and out ---

let owner;

/** Show the list, or without a login the way in; what was typed stays for who comes back. */
function enter() {
  const email = session()?.email;
  if (email && email === owner && at("door").hidden) return;
  at("door").hidden = Boolean(email);
  at("board").hidden = !email;
  if (!email) {
    at("why").textContent = owner ? "Your session is over. Log in to go on: what you typed is kept." : "";
    at("email").value = owner ?? "";
    at(owner ? "password" : "email").focus();
    return;
  }
  if (owner !== email) leave();
  owner = email;
  at("who").textContent = email;
  at("password").value = "";
  draw();
  look();
  at("new").focus();
}

function leave() {
  owner = null;
  at("new").value = "";
  list.forget();
  draw();
}

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password } = event.target.elements;
  const account = [email.value.trim(), password.value];
  let answer = event.submitter?.value ? await register(...account) : { ok: true };
  if (answer.ok) answer = await logIn(...account);
  at("problem").textContent = answer.ok ? "" : reason(answer);
  if (answer.ok) enter();
  else password.focus();
});

at("log-out").addEventListener("click", () => {
  list.hurry();
  const waiting = list.unsent();
  if (waiting.length && !confirm("Some changes are not sent yet. Log out and lose them?")) return;
  waiting.forEach(({ key }) => list.drop(key));
  leave();
  logOut();
});

addEventListener("session", enter);
enter();

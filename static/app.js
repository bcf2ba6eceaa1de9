// The page: what its user does becomes a change, and what changes is drawn.

import { logIn, logOut, pause, reason, register, session } from "./api.js";
import * as list from "./tasks.js";

const UNDO = 8000; // milliseconds to take a deletion back
const LOOK = 3000; // milliseconds from one look at the server to the next
const at = (id) => document.getElementById(id);
const copy = (id) => at(id).content.firstElementChild.cloneNode(true);

// --- Messages ------------------------------------------------------------------------------------

let undo, fading;

/** Say something for a while, and offer to take it back. */
function say(text, back) {
  undo = back;
  at("message").textContent = text;
  at("undo").hidden = !back;
  clearTimeout(fading);
  if (text) fading = setTimeout(say, UNDO, "");
}

function takeBack() {
  undo();
  say("Undone.");
}

at("undo").addEventListener("click", takeBack);
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox])") && event.target.value;
  if (undo && !typing && event.key === "z" && (event.ctrlKey || event.metaKey)) takeBack();
});

addEventListener("notice", ({ detail }) => {
  const notice = detail && `${detail} Changes are kept here and sent as soon as it answers.`;
  if (at("notice").textContent !== notice) at("notice").textContent = notice;
});

addEventListener("refused", ({ detail: { kind, title, why } }) => {
  say(`That was not saved. ${why}`);
  if (kind === "add") at("new").value ||= title;
});

// --- Drawing -------------------------------------------------------------------------------------

const rowOf = (id) => at(`task-${id}`);

/** A day, so many after today, as YYYY-MM-DD in the time zone of the user. */
function day(after = 0) {
  const date = new Date();
  date.setDate(date.getDate() + after);
  return date.toLocaleDateString("sv");
}

function written(due) {
  const near = { [day(-1)]: "Yesterday", [day()]: "Today", [day(1)]: "Tomorrow" };
  const year = due.slice(0, 4) === day().slice(0, 4) ? undefined : "numeric";
  const options = { weekday: "short", day: "numeric", month: "short", year, timeZone: "UTC" };
  return near[due] ?? new Date(due).toLocaleDateString("en-GB", options);
}

function draw() {
  const tasks = list.tasks();
  const shown = new Set(tasks.map(({ id }) => `task-${id}`));
  const focused = document.activeElement;
  for (const row of [...at("tasks").children]) if (!shown.has(row.id)) row.remove();
  tasks.forEach((task, place) => {
    const row = rowOf(task.id) ?? copy("row");
    const there = at("tasks").children[place];
    if (row !== there) at("tasks").insertBefore(row, there);
    drawRow(row, task);
  });
  if (focused.isConnected) focused.focus({ preventScroll: true }); // a row that moves loses it
  drawAround(tasks);
}

function drawRow(row, task) {
  const [box, title, due, remove] = row.children;
  const late = Boolean(task.due) && !task.done && task.due < day();
  row.id = `task-${task.id}`;
  row.task = task;
  row.classList.toggle("late", late);
  row.classList.toggle("pending", Boolean(task.pending));
  box.checked = task.done;
  box.ariaLabel = task.title;
  if (title.textContent !== task.title) title.textContent = task.title;
  due.textContent = task.due ? `${late ? "Overdue: " : ""}${written(task.due)}` : "Set date";
  due.classList.toggle("none", !task.due);
  due.ariaLabel = `${due.textContent}, due date of ${task.title}`;
  title.disabled = due.disabled = typeof task.id === "string"; // not yet on the server
  remove.ariaLabel = `Delete ${task.title}`;
}

const NOTHING = {
  all: ["A clear page", "Write down the first thing on your mind and press Enter."],
  open: ["All done", "Nothing is open. Enjoy the quiet."],
  done: ["Nothing done yet", "What you tick off stays here until you clear it."],
};

function drawAround(tasks) {
  const { show, sort, q } = list.view();
  for (const link of document.querySelectorAll("[data-show]")) {
    link.href = list.address({ show: link.dataset.show });
    link.ariaCurrent = link.dataset.show === show ? "page" : null;
  }
  at("sort").value = sort;
  if (document.activeElement !== at("search")) at("search").value = q;
  at("clear").hidden = !tasks.some(({ done }) => done);
  at("more").hidden = !list.hasMore();
  at("empty").hidden = tasks.length > 0 || list.loading() || list.hasMore();
  const [head, text] = q ? ["No match", `No title here has “${q}” in it.`] : NOTHING[show];
  at("empty").children[0].textContent = head;
  at("empty").children[1].textContent = text;
  const today = { weekday: "long", day: "numeric", month: "long" };
  at("today").textContent = new Date().toLocaleDateString("en-GB", today);
}

// --- Editing in place ----------------------------------------------------------------------------

function edit(row, field) {
  const form = copy("edit");
  form.seen = { due: null, ...row.task };
  form.elements.title.value = form.seen.title;
  form.elements.due.value = form.seen.due ?? "";
  row.append(form);
  form.elements[field].focus();
}

function close(row) {
  const form = row.querySelector("form");
  const focused = form.contains(document.activeElement);
  form.remove();
  if (focused) row.querySelector(".title").focus();
}

/** Save what was typed; where it was changed elsewhere meanwhile, show that and let choose. */
async function saveEdit(form) {
  const row = form.closest("li");
  const { title, due, save, cancel } = form.elements;
  const typed = { title: title.value.trim(), due: due.value || null };
  const answer = await list.edit(row.task.id, typed, form.seen).catch(() => null);
  if (!answer) return; // the session is over: what was typed stays
  if (answer.ok) return close(row);
  const problem = form.querySelector(".problem");
  if (answer.status !== 412) return (problem.textContent = reason(answer));
  form.seen = { due: null, ...answer.body };
  const date = form.seen.due ? `, due ${written(form.seen.due)}` : "";
  problem.textContent = `Changed elsewhere to “${form.seen.title}”${date}. Yours is not saved.`;
  save.textContent = "Save mine";
  cancel.textContent = "Keep the newer";
}

// --- What the user does --------------------------------------------------------------------------

/** Hear an event on an element, and do as told instead of what the browser would. */
const on = (id, type, act) =>
  at(id).addEventListener(type, (event) => {
    if (type === "submit") event.preventDefault();
    act(event.target, event);
  });

on("composer", "submit", () => {
  const title = at("new").value.trim();
  at("new").value = "";
  at("new").focus();
  if (!title) return;
  rowOf(list.make("add", { title }))?.scrollIntoView({ block: "nearest" });
  if (list.hasMore()) say(`Added “${title}” at the end of the list.`);
});

addEventListener("added", ({ detail: { key, id } }) => {
  if (!rowOf(key)) return;
  rowOf(id)?.remove(); // where a look at the server has brought it before its answer came
  rowOf(key).id = `task-${id}`;
});

/** Move the focus from a row that goes to the one after it, or before. */
function step(row) {
  const near = row.nextElementSibling ?? row.previousElementSibling;
  (near?.querySelector("input") ?? at("new")).focus();
}

const clicks = {
  tick(row) {
    const { id, done } = row.task;
    if (list.view().show !== "all") step(row);
    list.make("tick", { id, done: !done });
  },
  title: (row) => edit(row, "title"),
  due: (row) => edit(row, "due"),
  cancel: close,
  delete(row) {
    step(row);
    const key = list.make("remove", { id: row.task.id, until: Date.now() + UNDO });
    say(`Deleted “${row.task.title}”.`, () => list.drop(key));
  },
};

on("tasks", "click", (target) => clicks[target.name]?.(target.closest("li")));
on("tasks", "submit", saveEdit);
on("tasks", "keydown", (target, { key }) => {
  if (key === "Escape" && target.form) close(target.closest("li"));
});
on("clear", "click", () => {
  at("new").focus();
  if (confirm("Delete all tasks that are done?")) list.make("clear");
});
on("sort", "change", ({ value }) => {
  location.hash = list.address({ sort: value });
});
on("search", "input", ({ value }) => {
  history.replaceState(null, "", list.address({ q: value }));
  list.turn();
});

// --- Going on: the address, the network, other tabs ----------------------------------------------

let looking = false;
async function look() {
  if (looking || document.hidden || !session()) return;
  looking = true;
  await list.deliver();
  looking = false;
}

const watcher = new IntersectionObserver(([end]) => end.isIntersecting && list.more());
watcher.observe(at("more"));
setInterval(look, LOOK);
addEventListener("tasks", draw);
addEventListener("hashchange", list.turn);
addEventListener("pagehide", list.hurry);
addEventListener("visibilitychange", look);
addEventListener("storage", ({ key }) => ["todo.session", null].includes(key) && enter());

// --- Logging in and out --------------------------------------------------------------------------

let owner; // whose tasks the page has

/** Show the list, or without a login the way in; what was typed stays for who comes back. */
function enter() {
  const email = session()?.email;
  if (email && owner && email !== owner) return location.reload();
  if (email && owner && at("door").hidden) return;
  at("door").hidden = Boolean(email);
  at("board").hidden = at("log-out").hidden = !email;
  at("who").textContent = email ?? "";
  if (!email) {
    at("why").textContent = owner ? "Your session is over. What you typed is kept." : "";
    at("email").value = owner ?? "";
    return at(owner ? "password" : "email").focus();
  }
  owner = email;
  at("password").value = "";
  draw();
  look();
  at("new").focus();
}

on("door", "submit", async (form, { submitter }) => {
  const account = [at("email").value.trim(), at("password").value];
  let answer = submitter.value ? await register(...account) : { ok: true };
  if (answer.ok) answer = await logIn(...account);
  at("problem").textContent = answer.ok ? "" : reason(answer);
  if (answer.ok) enter();
  else at("password").focus();
});

on("log-out", "click", async () => {
  await Promise.race([list.hurry(), pause(2)]);
  const lost = list.changes().filter(({ sent }) => !sent);
  if (lost.length && !confirm("Some changes are not sent yet. Log out and lose them?")) return;
  lost.forEach(({ key }) => list.drop(key));
  logOut();
  location.reload();
});

addEventListener("session", enter);
enter();

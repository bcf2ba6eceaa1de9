// What the person does: it becomes a change in the queue, and the screen is drawn again.

import { at, draw, keep, tab, take, withModule } from "./draw.js";
import { begin, goOn, lookNow, open, pause, tasks } from "./list.js";
import { HOLD, make } from "./queue.js";
import { isSession, session } from "./requests.js";

const LONGEST = 255; // characters of a title

/** Hear an event on an element, and do as told instead of what the browser would. */
export const on = (id, type, act) =>
  at(id).addEventListener(type, (event) => {
    if (type === "submit") event.preventDefault();
    act(event.target, event);
  });

export function show() {
  draw();
  goOn();
}

const length = (title) => [...title].length; // in characters, as the server counts

/** Why a title cannot be one, or nothing. */
export const fault = (title) =>
  length(title) > LONGEST ? `${length(title)} characters; a title has at most ${LONGEST}.` : "";

/** Keep what is of a task itself. */
const taskOf = ({ title, done, due }) => ({ title, done, due: due ?? null });

/** Change fields of a task, as it is shown now. */
export function edit(task, fields, text) {
  say(text, make("edit", { id: task.id, task: taskOf(task), fields }));
  show();
}

export function add(...titles) {
  const made = titles.map(({ title, due }) => make("add", { title, due: due || undefined }));
  if (tab.q) keep({ pinned: [...tab.pinned, ...made.map(({ key }) => key)] });
  if (made.length > 1) say(`Added ${made.length} tasks.`, ...made);
  show();
  document.querySelector(`[data-name="${made.at(-1).key}"]`)?.scrollIntoView({ block: "nearest" });
}

function remove(gone, text) {
  const what = gone.map((task) => ({ ...taskOf(task), id: task.id }));
  say(text, make("delete", { tasks: what, count: 0, until: Date.now() + HOLD }));
  show();
}

/** Say what was done, with a way to take it back. */
const say = (text, ...made) => withModule("messages", (messages) => messages.say(text, made));

// --- The new task ---------------------------------------------------------------------------------

let composer; // the module that reads dates and pasted lines

const drawTyped = () => withModule("composer", (found) => (composer = found).drawTyped());

on("new", "input", ({ value }) => {
  keep({ title: value });
  drawTyped();
});

on("composer", "submit", () => {
  const { title, due } = composer?.typed() ?? { title: at("new").value.trim() };
  if (fault(title)) return;
  at("new").value = "";
  keep({ title: "", due: null });
  composer?.drawTyped();
  at("new").focus();
  if (title) add({ title, due });
});

// --- The list -------------------------------------------------------------------------------------

/** Move the focus from a row that goes to the one after it, or before. */
function step(row) {
  const near = row.nextElementSibling ?? row.previousElementSibling;
  (near?.querySelector("input") ?? at("new")).focus();
}

function openEdit(row, field) {
  const { name, ...task } = row.task;
  keep({ edits: { ...tab.edits, [name]: { name, task: { ...task, name }, title: task.title, due: task.due ?? "", field } } });
  draw();
}

const clicks = {
  tick(row) {
    const { title, done } = row.task;
    step(row);
    edit(row.task, { done: !done }, done ? `Open again: “${title}”.` : `Done: “${title}”.`);
  },
  title: (row) => openEdit(row, "title"),
  due: (row) => openEdit(row, "due"),
  delete(row) {
    step(row);
    remove([row.task], `Deleted “${row.task.title}”.`);
  },
};

on("board", "click", (target) => {
  const control = target.closest("li > [name]");
  if (control) clicks[control.name]?.(control.closest("li"));
});

on("clear", "click", () => {
  const done = tasks(tab).filter((task) => task.done);
  at("new").focus();
  remove(done, `Cleared ${done.length} done.`);
});

on("done", "toggle", ({ open: unfolded }) => {
  if (tab.q || unfolded === tab.unfolded) return;
  keep({ unfolded });
  draw();
});

on("sort", "change", ({ value }) => {
  keep({ sort: value });
  draw();
});

on("search", "input", ({ value }) => {
  keep({ q: value, pinned: [] });
  draw();
});

// --- Who is here ----------------------------------------------------------------------------------

let owner = null; // the login whose tasks the page has

/** Show the list, or without a login the door; what was typed stays for who comes back. */
async function enter() {
  let login = session();
  if (login && !login.id) {
    await (await import("./door.js")).completeSession();
    login = session();
    if (login && !login.id) return setTimeout(enter, 5000);
  }
  document.documentElement.className = login ? "in" : "out";
  if (!login) {
    pause();
    const door = await import("./door.js");
    return door.show(owner?.email ?? "", owner ? "Your session is over. What you typed is kept." : "");
  }
  at("account").textContent = login.email;
  if (login.id === owner?.id) return lookNow();
  owner = login;
  dispatchEvent(new Event("account"));
  take(login.id);
  open(login.id);
  draw();
  if (tab.title) drawTyped();
  if (!at("board").contains(document.activeElement)) at("new").focus();
}

on("account", "click", async () => (await import("./account.js")).showAccount());
addEventListener("list", draw);
addEventListener("session", enter);
addEventListener("left", () => {
  owner = null;
  take(null);
  at("email").value = "";
});
addEventListener("storage", ({ key }) => isSession(key) && enter());
navigator.serviceWorker?.register("service-worker.js").catch(() => {}); // not on plain HTTP

const LATER = ["composer", "edit", "links", "messages", "refused", "send", "state"];

/** Have at hand what is needed later: the network may be away then. */
function fetchRest() {
  for (const name of LATER) withModule(name, () => {});
}

function addLink(rel, href) {
  document.head.append(Object.assign(document.createElement("link"), { rel, href }));
}

/** Settled by the first paint, which a hidden page does not wait for. */
const painted = new Promise((resolve) => {
  if (document.hidden) resolve();
  else new PerformanceObserver(resolve).observe({ type: "paint", buffered: true });
});

enter().then(() => painted).then(() => {
  begin();
  fetchRest();
  addLink("stylesheet", "static/later.css");
  addLink("manifest", "static/manifest.webmanifest");
});
addEventListener("online", fetchRest);

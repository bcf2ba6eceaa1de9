// Drawing: the screen is made of the list, of the queue over it, and of what this tab shows and holds.

import { isLoading, isRefused, isServerAway, tasks } from "./list.js";
import { changes } from "./queue.js";

export const at = (id) => document.getElementById(id);
export const copy = (id) => at(id).content.firstElementChild.cloneNode(true);
export const write = (element, text) => element.textContent !== text && (element.textContent = text);

const modules = {};

/** Do something with a module that is not loaded at first, at once if it is here. */
export function withModule(name, act) {
  if (modules[name]) act(modules[name]);
  else import(`./${name}.js`).then((found) => act((modules[name] = found)), () => {});
}

// --- What this tab shows, and what is typed in it: a reload finds it again ------------------------

const TAB = "todo.tab";
const VIEW = "todo.view"; // of the next tab
const blank = () => ({ sort: "new", unfolded: false, q: "", pinned: [], title: "", due: null, edits: {} });
export const tab = {};

export function keep(change) {
  Object.assign(tab, change);
  sessionStorage.setItem(TAB, JSON.stringify(tab));
  if ("sort" in change || "unfolded" in change)
    localStorage.setItem(VIEW, JSON.stringify({ sort: tab.sort, unfolded: tab.unfolded }));
}

/** Take up what this tab had for an account, or begin anew. */
export function take(owner) {
  const kept = JSON.parse(sessionStorage.getItem(TAB));
  const view = JSON.parse(localStorage.getItem(VIEW));
  Object.assign(tab, blank(), view, kept?.owner === owner ? kept : { owner });
  at("new").value = tab.title ||= tab.owner && at("new").value; // typed before there was a module
  at("search").value = tab.q;
}

// --- Dates in the person's own format -------------------------------------------------------------

const formatOf = (options) => new Intl.DateTimeFormat(undefined, { timeZone: "UTC", ...options });
const SHORT = formatOf({ weekday: "short", day: "numeric", month: "short" });
const LONG = formatOf({ day: "numeric", month: "short", year: "numeric" });
const HEAD = formatOf({ weekday: "long", day: "numeric", month: "long" });

/** A day, so many after today, as YYYY-MM-DD in the time zone of the person. */
export function day(after = 0) {
  const date = new Date();
  date.setDate(date.getDate() + after);
  return date.toLocaleDateString("sv");
}

export function written(due) {
  const near = { [day(-1)]: "Yesterday", [day()]: "Today", [day(1)]: "Tomorrow" };
  const format = due.slice(0, 4) === day().slice(0, 4) ? SHORT : LONG;
  return near[due] ?? format.format(new Date(due));
}

// --- Rows -----------------------------------------------------------------------------------------

const rows = new Map(); // by the names of their tasks
const LISTS = [...document.querySelectorAll("[data-group] > ul")];
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const LASTING = { duration: 150, easing: "ease-out" };

function newRow({ name }) {
  const row = copy("row");
  row.dataset.name = name;
  rows.set(name, row);
  return row;
}

function drawRow(row, task, today) {
  row.task = task;
  if (row.querySelector("form") || tab.edits[task.name])
    withModule("edit", ({ drawEdit }) => drawEdit(row));
  const { title, done, due, waiting } = task;
  const drawn = JSON.stringify([title, done, due, waiting, today]);
  if (row.drawn === drawn) return;
  row.drawn = drawn;
  const [box, name, links, date, remove] = row.children;
  const isLate = due && !done && due < today;
  row.className = `${isLate ? "late " : ""}${waiting ? "waiting" : ""}`;
  box.checked = done;
  box.ariaLabel = name.textContent = title;
  if (links.textContent || title.includes("://"))
    withModule("links", ({ drawLinks }) => drawLinks(links, title));
  const when = due ? written(due) : "Set date";
  date.replaceChildren(due ? when : at("icon").content.cloneNode(true));
  date.classList.toggle("none", !due);
  date.ariaLabel = `${isLate ? "Overdue: " : ""}${when}, due date of ${title}`;
  remove.ariaLabel = `Delete ${title}`;
}

const staying = (row) => (row?.inert ? staying(row.nextElementSibling) : row);

/** Put the rows of a list in order, with as few moves as may be: a row that moves may lose the caret. */
function order(list, tasks, today, isNews) {
  let there = staying(list.firstElementChild);
  for (const task of tasks) {
    const known = rows.get(task.name);
    const row = known ?? newRow(task);
    const next = there && staying(there.nextElementSibling);
    if (row === next) there = next; // the one before it has its place further down
    if (row === there) there = staying(row.nextElementSibling);
    else move(list, row, there ?? null);
    drawRow(row, task, today);
    if (!known && isNews && !calm.matches) row.animate({ opacity: [0.3, 1] }, LASTING);
  }
}

function move(list, row, there) {
  const focused = row.contains(document.activeElement) && document.activeElement;
  if (row.isConnected && list.moveBefore) return list.moveBefore(row, there);
  list.insertBefore(row, there);
  if (focused) focused.focus({ preventScroll: true });
}

/** Let a row go, drawn as its task is now. */
async function leave(row, task, today) {
  rows.delete(row.task.name);
  if (row.contains(at("messages"))) at("refused").before(at("messages"));
  if (task) drawRow(row, task, today);
  if (row.contains(document.activeElement)) at("new").focus();
  row.inert = true;
  const away = { opacity: [1, 0], transform: ["none", "translateX(.75rem)"] };
  if (!calm.matches) await row.animate(away, LASTING).finished.catch(() => {});
  row.remove();
}

// --- All of it ------------------------------------------------------------------------------------

let isNews = false; // whether a new row is one that was not there before

/** The list in which a task is shown; one that is typed in stays where it was. */
function groupOf(task, today) {
  const { done, due } = tab.edits[task.name]?.task ?? task;
  if (done) return "done";
  if (tab.sort !== "due" || !due) return "open";
  return due < today ? "late" : due > today ? "later" : "today";
}

export function draw() {
  const today = day();
  const all = tasks(tab, Object.values(tab.edits).map(({ task }) => task));
  const groups = Object.groupBy(all, (task) => groupOf(task, today));
  const { done = [], open = [] } = groups;
  const isOpen = tab.unfolded || Boolean(tab.q);
  groups.done = isOpen ? done : [];
  const shown = new Set(Object.values(groups).flat().map(({ name }) => name));
  for (const [name, row] of rows)
    if (!shown.has(name)) leave(row, done.find((task) => task.name === name), today);
  for (const list of LISTS) {
    const part = list.parentElement;
    const { group } = part.dataset;
    order(list, groups[group] ?? [], today, isNews);
    part.hidden = !(group === "done" ? done : groups[group] ?? []).length;
  }
  isNews = !isLoading();
  at("done").open = isOpen;
  const count = all.length - done.length;
  at("undated").hidden = open.length === count;
  drawAround(count, done.length);
}

let isStateShown = false; // or was, and may have to go

const EMPTY = {
  search: ["No match", "No title here has all of these words in it."],
  done: ["All done", "Nothing is open. Enjoy the quiet."],
  none: ["A clear page", "Write down the first thing on your mind and press Enter."],
};

function drawAround(open, done) {
  const found = tab.q ? open + done : open;
  write(at("today"), HEAD.format(new Date(day())));
  write(at("count"), found ? `${found} ${tab.q ? "found" : "open"}` : "");
  document.title = open ? `Todo (${open})` : "Todo";
  write(at("done").firstElementChild, `Done (${done})`);
  write(at("clear"), tab.q ? "Clear these" : "Clear done");
  at("sort").value = tab.sort;
  document.querySelector(".tools").hidden = !open && !done && !tab.q;
  at("empty").hidden = found > 0 || isLoading();
  EMPTY[tab.q ? "search" : done ? "done" : "none"].forEach((text, place) =>
    write(at("empty").children[place], text),
  );
  const made = changes();
  if (made.length || isServerAway() || isRefused() || isStateShown)
    withModule("state", ({ drawState }) => (isStateShown = drawState(made)));
}

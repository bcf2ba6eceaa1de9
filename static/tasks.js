// The list: pages as the server gave them and, over them, the changes that it has yet to confirm.

import { read, reason, session, tell, write } from "./api.js";

// --- The view: kept in the address, as in #show=open&q=milk&sort=due -----------------------------

export function view() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const one = (name, ...known) => known.find((value) => value === asked.get(name)) ?? known[0];
  const [show, sort] = [one("show", "all", "open", "done"), one("sort", "id", "due")];
  return { show, sort, q: asked.get("q") ?? "" };
}

export const address = (change) => `#${new URLSearchParams({ ...view(), ...change })}`;

function firstPage() {
  const { show, sort, q } = view();
  const query = new URLSearchParams({ sort, q });
  if (show !== "all") query.set("done", show === "done");
  return `/tasks?${query}`;
}

// --- Pages ---------------------------------------------------------------------------------------

let pages = []; // each {url, etag, tasks, next}
let wanted = 1; // how many of them
let loads = 0;

/** Load the pages that are wanted; those that are as before cost a 304. */
async function load() {
  const fresh = [];
  const number = ++loads;
  const sent = changes().filter((change) => change.sent);
  for (let url = firstPage(); url && fresh.length < wanted; url = fresh.at(-1).next) {
    const old = pages.find((page) => page.url === url);
    const answer = await read(url, old && { "If-None-Match": old.etag });
    const { ok, status, headers, body } = answer;
    if (number !== loads) return; // a later one is under way
    if (!ok && status !== 304) return tell("notice", reason(answer));
    const [, next] = /<([^>]*)>; rel="next"/.exec(headers.get("Link")) ?? [];
    fresh.push(ok ? { url, etag: headers.get("ETag"), tasks: body, next } : old);
  }
  pages = fresh;
  sent.forEach(({ key }) => forgo(key));
  tell("tasks");
}

const over = () => {}; // the session is, and `api.js` has told so
export const refresh = () => load().catch(over);

export function more() {
  wanted = pages.length + 1;
  refresh();
}

/** Go to another view; what is known of it is shown until its first page comes. */
export function turn() {
  wanted = 1;
  tell("tasks");
  refresh();
}

export const loading = () => !pages.length;
export const hasMore = () => Boolean(pages.at(-1)?.next);

/** The tasks to show, as they will be once the server has confirmed the changes. */
export function tasks() {
  const { show, sort, q } = view();
  const known = new Map(pages.flatMap((page) => page.tasks).map((task) => [task.id, task]));
  changes().forEach((change) => foresee[change.kind](known, change));
  const due = (task) => (sort === "due" && task.due) || "9999-99-99";
  const place = ({ id }) => (typeof id === "number" ? id : Infinity);
  return [...known.values()]
    .filter(({ done }) => show === "all" || done === (show === "done"))
    .filter(({ title }) => title.toLowerCase().includes(q.toLowerCase()))
    .sort((a, b) => due(a).localeCompare(due(b)) || place(a) - place(b) || 0);
}

// --- Changes: kept where a reload and other tabs find them, sent one after the other -------------

const foresee = {
  add(known, { key, id = key, title, sent }) {
    if (!known.has(id)) known.set(id, { id, title, done: false, pending: !sent });
  },
  tick(known, { id, done, sent }) {
    if (known.has(id)) known.set(id, { ...known.get(id), done, pending: !sent });
  },
  remove: (known, { id }) => known.delete(id),
  clear: (known) => known.forEach(({ id, done }) => done && known.delete(id)),
};

const send = {
  add: ({ key, title }) => write("POST", "/tasks", { title }, { "Idempotency-Key": key }),
  tick: ({ id, done }) => write("PATCH", `/tasks/${id}`, { done }),
  remove: ({ id }) => write("DELETE", `/tasks/${id}`),
  clear: () => write("DELETE", "/tasks?done=true"),
};

const prefix = () => `todo.change ${session()?.email} `;
const save = (change) => localStorage.setItem(prefix() + change.key, JSON.stringify(change));
const forgo = (key) => localStorage.removeItem(prefix() + key);
const held = ({ until }) => until > Date.now();
const ready = (change) => !change.sent && !held(change);

/** All changes, in the order in which they were made. */
export function changes() {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix()));
  return names.sort().map((name) => JSON.parse(localStorage.getItem(name)));
}

/** Make a change, on the screen at once; until the time `until` it is held and can be dropped. */
export function make(kind, change) {
  const key = `${Date.now()}-${crypto.getRandomValues(new Uint32Array(1))}`;
  save({ ...change, kind, key });
  tell("tasks");
  deliver();
  return key;
}

export function drop(key) {
  forgo(key);
  tell("tasks");
}

/** Have one tab at a time do some work; browsers have locks on HTTPS and on localhost. */
const alone = async (name, options, work) =>
  navigator.locks ? navigator.locks.request(name, options, (lock) => lock && work()) : work();

/** Send the changes in order, and load the list. */
export const deliver = () =>
  alone("todo.changes", { ifAvailable: true }, async () => {
    for (let change; (change = changes().find(ready)); tell("tasks")) {
      const answer = await send[change.kind](change);
      if (changes().some(({ key }) => key === change.key)) settle(change, answer);
    }
  }).then(refresh, over);

/** Drop a change that was refused; mark one that was made, until a load has brought it. */
function settle(change, answer) {
  const { kind, key } = change;
  const { ok, status, body } = answer;
  if (!ok && !(kind === "remove" && status === 404)) {
    forgo(key);
    return tell("refused", { ...change, why: reason(answer) });
  }
  save({ ...body, ...change, sent: true });
  if (kind !== "add") return;
  const later = changes().filter(({ id }) => id === key);
  later.forEach((one) => save({ ...one, id: body.id }));
  tell("added", { key, id: body.id });
}

/** Send all, also what is still held, as the page or its user goes. */
export function hurry() {
  const sent = changes().filter(held).map((one) => send.remove(one).then(() => forgo(one.key)));
  return Promise.all(sent).then(deliver, over);
}

/** Change a task, unless what is to change is not as it was seen: then answer 412. */
export async function edit(id, typed, seen) {
  const path = `/tasks/${id}`;
  const now = await read(path); // lists tell no ETag, and what was seen may be days old
  const names = Object.keys(typed).filter((name) => typed[name] !== seen[name]);
  const fields = Object.fromEntries(names.map((name) => [name, typed[name]]));
  const known = (name) => [seen[name], typed[name]].includes(now.body[name] ?? null);
  if (now.ok && !names.every(known)) return { ...now, ok: false, status: 412 };
  if (!now.ok) return now;
  const answer = await write("PATCH", path, fields, { "If-Match": now.headers.get("ETag") });
  if (answer.status === 412) return edit(id, typed, seen);
  await load();
  return answer;
}

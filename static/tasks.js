// The list: pages as the server gave them and, over them, the changes that it has yet to confirm.

import { alone, reason, request, session, tell } from "./api.js";

// --- The view: kept in the address, as in #show=open&q=milk&sort=due ---

const DONE = { open: false, done: true };
const PLAIN = { show: "all", q: "", sort: "id" };

export const view = () => ({ ...PLAIN, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });

export function address(change) {
  const named = Object.entries({ ...view(), ...change }).filter(([name, value]) => value !== PLAIN[name]);
  return `#${new URLSearchParams(named)}`;
}

function firstPage() {
  const { show, q, sort } = view();
  const query = new URLSearchParams({ sort: sort === "due" ? sort : "id" });
  if (show in DONE) query.set("done", DONE[show]);
  if (q) query.set("q", q);
  return `/tasks?${query}`;
}

// --- Pages: each {url, etag, tasks, next} ---

let pages = [];
let wanted = 1;
let loader = new AbortController(); // a change, or a later load, makes what is under way stale

/** Load until there are as many pages as wanted; those that are as before cost a 304. */
async function load(fresh, url) {
  loader.abort();
  loader = new AbortController();
  const { signal } = loader;
  while (url && fresh.length < wanted) {
    const old = pages.find((page) => page.url === url && page.etag);
    const answer = await request(url, { signal, headers: old && { "If-None-Match": old.etag } });
    signal.throwIfAborted();
    if (!answer.ok && answer.status !== 304) return tell("notice", reason(answer));
    const [, next] = /<([^>]*)>; rel="next"/.exec(answer.headers.get("Link")) ?? [];
    fresh.push(answer.ok ? { url, etag: answer.headers.get("ETag"), tasks: answer.body, next } : old);
    url = fresh.at(-1).next;
  }
  pages = fresh;
  tell("tasks");
}

const stopped = () => {}; // by a later load, or by the end of the session: both go on elsewhere

export const refresh = () => load([], firstPage()).catch(stopped);

/** Load one more page, the one that `Link` names. */
export function more() {
  wanted = pages.length + 1;
  return load([...pages], pages.at(-1).next).catch(stopped);
}

/** Go to another view; what is known of it is shown until its first page comes. */
export function reset() {
  if (pages.length) pages = [{ tasks: pages.flatMap(({ tasks }) => tasks) }];
  wanted = 1;
  return refresh();
}

export function forget() {
  loader.abort();
  pages = [];
  wanted = 1;
}

export const loading = () => !pages.length;
export const hasMore = () => Boolean(pages.at(-1)?.next);

/** The tasks to show, as they will be once the server has confirmed the changes. */
export function tasks() {
  const { show, q, sort } = view();
  const known = new Map(pages.flatMap((page) => page.tasks).map((task) => [task.id, task]));
  unsent().forEach((change) => foresee[change.kind](known, change));
  const due = (task) => (sort === "due" && task.due) || "9999-99-99";
  const place = ({ id }) => (typeof id === "number" ? id : Infinity);
  return [...known.values()]
    .filter(({ done }) => done === (DONE[show] ?? done))
    .filter(({ title }) => title.toLowerCase().includes(q.toLowerCase()))
    .sort((a, b) => due(a).localeCompare(due(b)) || place(a) - place(b) || 0);
}

// --- Changes: kept where a reload and other tabs find them, sent one after the other ---

const foresee = {
  add: (known, { key, title }) => known.set(key, { id: key, title, done: false, pending: true }),
  edit(known, { id, key, fields, newer }) {
    const changed = newer ? { conflict: { key, fields, newer } } : { ...fields, pending: true };
    if (known.has(id)) known.set(id, { ...known.get(id), ...newer, ...changed });
  },
  remove: (known, { id }) => known.delete(id),
  clear: (known) => known.forEach(({ id, done }) => done && known.delete(id)),
};

const write = (method, path, body, headers) =>
  request(path, { method, headers, keepalive: true, body: body && JSON.stringify(body) });

const send = {
  add: ({ key, title }) => write("POST", "/tasks", { title }, { "Idempotency-Key": key }),
  remove: ({ id }) => write("DELETE", `/tasks/${id}`),
  clear: () => write("DELETE", "/tasks?done=true"),
  async edit({ id, fields, seen }) {
    const path = `/tasks/${id}`;
    if (!seen) return write("PATCH", path, fields);
    const now = await request(path); // lists tell no ETag, and what was seen may be days old
    const same = (those) => Object.keys(fields).every((name) => (now.body[name] ?? null) === those[name]);
    if (!now.ok || same(fields)) return now;
    if (!same(seen)) return { ...now, status: 412 };
    const answer = await write("PATCH", path, fields, { "If-Match": now.headers.get("ETag") });
    return answer.status === 412 ? send.edit({ id, fields, seen }) : answer;
  },
};

const prefix = () => `todo.change ${session()?.email} `;
const save = (change) => localStorage.setItem(change.at, JSON.stringify(change));
const forgo = (change) => change && localStorage.removeItem(change.at);
const held = ({ until }) => until > Date.now();

export function unsent() {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix()));
  return names.sort().map((name) => JSON.parse(localStorage.getItem(name)));
}

/** Make a change, on the screen at once; until the time `until` it is held and can be dropped. */
export function make(kind, change) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const at = prefix() + (performance.timeOrigin + performance.now()).toFixed(3);
  if (change.fields?.done) unsent().filter(held).forEach((one) => save({ ...one, until: 0 }));
  save({ ...change, kind, key, at });
  tell("tasks");
  deliver();
  if (change.until) setTimeout(deliver, change.until - Date.now() + 10);
  return key;
}

export function drop(key) {
  forgo(unsent().find((change) => change.key === key));
  tell("tasks");
}

/** Send the changes in order; one that is refused is dropped, and the screen goes back. */
export const deliver = () =>
  alone("todo.changes", { ifAvailable: true }, async () => {
    const ready = (change) => !change.newer && !held(change);
    for (let change; (change = unsent().find(ready)); ) {
      const answer = await send[change.kind](change);
      if (answer.status === 412) save({ ...change, newer: { due: null, ...answer.body } });
      else settle(change, answer);
      tell("tasks");
    }
  }).then(refresh, stopped);

function settle(change, answer) {
  const { kind, key, id, title = change.fields?.title } = change;
  const { ok, body } = answer;
  loader.abort();
  forgo(change);
  if (!ok && !(kind === "remove" && answer.status === 404))
    return tell("refused", { kind, title, why: reason(answer) });
  const goes = (task) => (kind === "clear" ? task.done : kind === "remove" && task.id === id);
  for (const page of pages) {
    page.etag = null;
    page.tasks = page.tasks.filter((task) => !goes(task)).map((task) => (task.id === body?.id ? body : task));
  }
  if (kind !== "add") return;
  unsent().filter((one) => one.id === key).forEach((one) => save({ ...one, id: body.id }));
  if (!hasMore()) pages.at(-1)?.tasks.push(body);
  tell("added", { key, task: body });
}

/** Send what is still held, as the page goes. */
export function hurry() {
  for (const change of unsent().filter(held)) {
    send[change.kind](change).catch(stopped);
    forgo(change);
  }
}

// The list: what the server said of the account's tasks, and asking it for what has changed since.

import { changes, foreseen, isChange, nameOf, nextDue, useQueueOf } from "./queue.js";
import { isAway, request, session, tell } from "./requests.js";

const POLL = 40_000; // milliseconds between two looks without a stream
const [FIRST, LONGEST] = [1000, 60_000]; // between two tries while the server is away
const SOON = 1000; // until the list is kept for the next start

let account; // whose list it is
let known = new Map(); // tasks by id, as the server gave them
let since = 0; // the number of the last change in them
let isKnown = false; // whether they are all
let trouble = null; // the answer to the last look or change, if it was none or a refusal

export const isLoading = () => !isKnown && !known.size;
export const isRefused = () => Boolean(trouble && !isAway(trouble));
export const isServerAway = () => Boolean(trouble && isAway(trouble));

// --- What to show ---------------------------------------------------------------------------------

const place = ({ id }) => (typeof id === "number" ? id : Infinity);
const byAge = (a, b) => place(b) - place(a) || (a.name < b.name ? 1 : -1);
const byDate = (a, b) => (a.due ?? "~").localeCompare(b.due ?? "~") || byAge(a, b);
const fold = (text) => text.normalize().toUpperCase(); // so that STRASSE finds Straße

/** The tasks as they will be once the server has confirmed the changes; then those that are gone. */
export function tasks({ sort, q, pinned }, edited = []) {
  const words = fold(q).split(/\s+/).filter(Boolean);
  const has = (title) => words.every((word) => title.includes(word));
  const all = [...foreseen(known, since).values()].map((task) => ({ name: nameOf(task.id), ...task }));
  const names = new Set(all.map(({ name }) => name));
  const gone = edited.filter(({ name }) => !names.has(name)).map((task) => ({ ...task, isGone: true }));
  const kept = [...pinned, ...edited.map(({ name }) => name)];
  return [...all, ...gone]
    .filter(({ title, name }) => !words.length || has(fold(title)) || kept.includes(name))
    .sort(sort === "due" ? byDate : byAge);
}

// --- What the server says -------------------------------------------------------------------------

/** Take in an answer that goes on from a number known here; an older one tells nothing. */
function take(from, { tasks: changed, deleted, since: to }) {
  if (from > since) return lookNow();
  if (to <= since) return;
  for (const task of changed) known.set(task.id, task);
  for (const id of deleted) known.delete(id);
  since = to;
  keepSoon();
  tell("list");
}

/** Ask for what has changed, page by page; from the beginning where the server knows less. */
async function look() {
  const [owner, before] = [account, since];
  let [at, fresh] = [since, null];
  for (let more = true; more; ) {
    const answer = await request("GET", `tasks/changes?since=${at}&limit=1000`);
    const { status, body } = answer;
    if (account !== owner) return null;
    if (status === 409 && at) [at, fresh] = [0, new Map()];
    else if (status !== 200) return answer;
    else {
      if (fresh) body.tasks.forEach((task) => fresh.set(task.id, task));
      else take(at, body);
      [at, more] = [body.since, body.more];
    }
  }
  if (fresh) [known, since] = [fresh, at];
  if (since > before && isKnown) stream?.doubt();
  isKnown = true;
  return null;
}

let saving;

/** Keep the list for a start without a network; where it has no room, do without. */
function keepList() {
  clearTimeout(saving);
  saving = null;
  const list = { since, tasks: [...known.values()] };
  try {
    localStorage.setItem(`todo.list ${account}`, JSON.stringify(list));
  } catch {
    localStorage.removeItem(`todo.list ${account}`);
  }
}

const keepSoon = () => (saving ??= setTimeout(keepList, SOON));

/** Turn to the list of an account, as it was known last; null is nobody's. */
export function open(id) {
  if (saving) keepList();
  account = id;
  useQueueOf(id);
  const kept = JSON.parse(localStorage.getItem(`todo.list ${id}`));
  known = new Map(kept?.tasks.map((task) => [task.id, task]));
  [since, isKnown, trouble] = [kept?.since ?? 0, Boolean(kept), null];
  pause();
  lookNow();
}

export const pause = () => stream?.stop();

// --- One request after the other ------------------------------------------------------------------

let [sender, stream] = [null, null]; // the modules that send and listen, once they are here
let refusal = null; // of the last look
let [isStale, lastLook] = [true, 0]; // whether to look before it is time to
let [wake, isWoken, isResting] = [() => {}, false, false];

/** Wait until there is something to do, or for so long. */
async function wait(milliseconds) {
  const pause = isWoken ? 0 : milliseconds;
  await new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, pause);
  });
  isWoken = false;
}

/** Send what is new, but not before its time while the server is away. */
export function goOn(isUrgent = false) {
  if (isResting && !isUrgent) return;
  isWoken = true;
  wake();
}

export function lookNow() {
  isStale = true;
  goOn();
}

/** Look, listen and send; return the last answer if it was none or a refusal. */
async function work() {
  isStale ||= !stream?.isLive() && Date.now() >= lastLook + POLL;
  if (isStale && !document.hidden) {
    refusal = await look();
    if (refusal?.status === 0 || refusal?.over) return refusal;
    isStale = Boolean(refusal && isAway(refusal));
    lastLook = Date.now();
    tell("list");
  }
  if (isKnown && !document.hidden) {
    stream ??= await import("./stream.js").catch(() => {});
    stream?.listen(account, () => since, take, lookNow);
  }
  if (changes().length) sender ??= await import("./send.js").catch(() => {});
  for (let answer; (answer = await sender?.sendNext(known, since)); tell("list"))
    if (isAway(answer) || answer.over) return answer;
  return refusal;
}

async function run() {
  for (let tries = 0; ; ) {
    const answer = account && session()?.id === account ? await work() : null;
    tries = answer && isAway(answer) ? tries + 1 : 0;
    trouble = answer?.over ? null : answer;
    tell("list");
    isResting = tries > 0;
    const times = [nextDue(), stream?.nextTry() ?? 0].map((time) => time - Date.now());
    const next = Math.min(POLL, ...times.filter((time) => time > 0));
    await wait(isResting ? Math.min(FIRST * 2 ** (tries - 1), LONGEST) : next);
  }
}

/** Begin, once for a page. */
export function begin() {
  addEventListener("online", () => goOn(true));
  addEventListener("offline", pause);
  addEventListener("pagehide", () => {
    sender?.hurry();
    if (saving) keepList();
  });
  addEventListener("visibilitychange", () => (document.hidden ? pause() : lookNow()));
  addEventListener("storage", ({ key }) => {
    if (!isChange(key)) return;
    tell("list");
    goOn();
  });
  run();
}

// The queue: changes that the server has yet to confirm, kept where a reload and other tabs find them.
// A change is {kind, key, tab} and: add {title, due, done}; edit {id, task, fields}, where `task` is
// what its person had seen; delete {tasks, until}, which is held so long. It becomes {sent, number} when
// the server has confirmed it, and {why} when the server has refused it.

const KEPT = 60_000; // milliseconds for which all tabs still see a change that was confirmed
const GRACE = 30_000; // after which others send what a tab holds and did not send
export const TAB = crypto.getRandomValues(new Uint32Array(2)).join("");
export const HOLD = 8000; // milliseconds to take a deletion back

let account; // whose queue it is
const ids = new Map(); // of added tasks, by the keys by which the person knows them
const names = new Map(); // and back

export const idOf = (name) => ids.get(name) ?? name;
export const learn = (key, id) => ids.set(key, id) && names.set(id, key);
export const nameOf = (id) => names.get(id) ?? String(id);
export const useQueueOf = (id) => (account = id);
const prefix = () => `todo.change ${account} `;
export const isChange = (name) => name?.startsWith(prefix());

// --- Keeping them ---------------------------------------------------------------------------------

export const find = (key) => JSON.parse(localStorage.getItem(prefix() + key));
export const drop = (key) => localStorage.removeItem(prefix() + key);

export function save(change) {
  const write = () => localStorage.setItem(prefix() + change.key, JSON.stringify(change));
  try {
    write();
  } catch {
    localStorage.removeItem(`todo.list ${account}`); // which the server has; this it has not
    write();
  }
}

const targets = ({ id, tasks = [] }) => [id, ...tasks.map((task) => task.id)];

/** All changes, in the order in which they were made; what was sent long ago goes. */
export function changes() {
  const stored = Object.keys(localStorage).filter(isChange).sort();
  const all = stored.map((name) => JSON.parse(localStorage.getItem(name))).filter(Boolean);
  const needed = new Set(all.filter(({ sent }) => !sent).flatMap(targets));
  return all.filter(({ kind, key, id, sent }) => {
    if (kind === "add" && sent) learn(key, id);
    const isOld = Boolean(sent) && sent < Date.now() - KEPT && !needed.has(key);
    if (isOld) drop(key);
    return !isOld;
  });
}

let last = 0;

export function make(kind, what) {
  last = Math.max(Date.now(), last + 1);
  const change = { ...what, kind, key: `${last}-${TAB}`, tab: TAB };
  save(change);
  return change;
}

// --- What the list will be ------------------------------------------------------------------------

/** Whether the list tells by itself what this change did. */
const isHeard = ({ sent, number }, since) => sent && number <= since;

const foresee = {
  add(tasks, change, since, taken) {
    if (isHeard(change, since)) return;
    const { key, title, due, done = false, sent } = change;
    const task = { name: key, id: change.id ?? key, title, due, done, waiting: !sent };
    const early = !sent && findEarly(tasks, change, taken); // the list came before the answer did
    if (early) taken.add(early.id);
    tasks.set(early?.id ?? task.id, early ? { ...early, name: key } : task);
  },
  edit(tasks, change, since) {
    const task = tasks.get(idOf(change.id));
    if (!task || isHeard(change, since)) return;
    tasks.set(task.id, { ...task, ...change.fields, waiting: task.waiting || !change.sent });
  },
  delete: (tasks, change) => change.tasks.forEach(({ id }) => tasks.delete(idOf(id))),
};

function findEarly(tasks, { title, newest }, taken) {
  const isNew = ({ id, title: other }) =>
    id > newest && other === title && !names.has(id) && !taken.has(id);
  return newest !== undefined && [...tasks.values()].find(isNew);
}

/** Put the changes that count over the list that the server gave. */
export function foreseen(known, since, counts = ({ why }) => !why) {
  const [tasks, taken] = [new Map(known), new Set()];
  for (const change of changes().filter(counts)) foresee[change.kind](tasks, change, since, taken);
  return tasks;
}

// --- What is to be sent, and when -----------------------------------------------------------------

const dueOf = ({ until = 0, tab }) => until && until + (tab === TAB ? 0 : GRACE);
const isHeld = (change) => Date.now() < dueOf(change);
const isOpen = ({ sent, why }) => !sent && !why;
const isNamed = (change) => targets({ id: 0, ...change }).every((id) => typeof idOf(id) === "number");

export const isWaiting = (change) => isOpen(change) && !isHeld(change);
export const isReady = (change) => isWaiting(change) && isNamed(change);
/** When the next deletion that is held becomes due. */
export const nextDue = () =>
  Math.min(...changes().filter((change) => isOpen(change) && isHeld(change)).map(dueOf));

// Taking changes back, and deciding on those that the server refused.

import { changes, drop, find, make, save } from "./queue.js";

const pick = (task, fields) =>
  Object.fromEntries(Object.keys(fields).map((name) => [name, task[name] ?? null]));

const addAgain = ({ title, due, done }) => make("add", { title, due, done });

const inverse = {
  add: ({ key, title }) => make("delete", { tasks: [{ id: key, title, done: false }], count: 0 }),
  edit({ id, task, fields }) {
    make("edit", { id, task: { ...task, ...fields }, fields: pick(task, fields) });
  },
  delete(change) {
    const now = find(change.key);
    const isUnderWay = now && !now.sent;
    const gone = isUnderWay ? now.tasks.slice(0, now.count + 1) : (now ?? change).tasks;
    if (isUnderWay) save({ ...now, tasks: gone });
    gone.forEach(addAgain);
  },
};

/** Make the change that takes another one back; what the server did not do is dropped. */
export function takeBack(change) {
  const now = find(change.key);
  if (!now && change.why) return; // it was refused, and then discarded
  const { started, why, count = 0, tasks } = now ?? { started: true };
  if (started && !why) return inverse[change.kind](change);
  discard(change);
  if (count) tasks.slice(0, count).forEach(addAgain);
}

/** Try a refused change again; where it met another's change, over that one. */
export function retry({ why, now, ...change }) {
  const seen = why !== 412 ? {} : change.tasks ? { tasks: [now] } : { task: now };
  save({ ...change, ...seen });
}

/** Drop a refused change, and what was done to a task that it does not add. */
export function discard({ key }) {
  drop(key);
  for (const change of changes()) {
    const { id, tasks = [] } = change;
    const left = tasks.filter((task) => task.id !== key);
    if (id === key || (tasks.length && !left.length)) drop(change.key);
    else if (left.length < tasks.length) save({ ...change, tasks: left });
  }
}

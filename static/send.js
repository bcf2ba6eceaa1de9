// Sending the changes: one after the other, one tab at a time, each as often as it takes.

import { changes, find, foreseen, idOf, isReady, isWaiting, make, save, TAB } from "./queue.js";
import { noAnswer, request } from "./requests.js";

const TURN = 5000; // milliseconds after which a tab takes the turn of another

const numberOf = ({ headers }) => Number(/\d+/.exec(headers.get("ETag")));
const sentNow = (answer) => ({ sent: Date.now(), number: numberOf(answer) });

const send = {
  async add(change) {
    const { key, title, due, done } = change;
    const headers = { "Idempotency-Key": key };
    const answer = await request("POST", "tasks", { fields: { title, due, done }, headers });
    if (answer.status !== 201) return answer;
    const { id } = answer.body;
    save({ ...change, id, title: answer.body.title, ...sentNow(answer) });
    for (const other of changes()) // that were made before the task had an id
      if (other.id === key) save({ ...other, id });
      else if (other.tasks?.some((task) => task.id === key))
        save({ ...other, tasks: other.tasks.map((task) => ({ ...task, id: idOf(task.id) })) });
    return answer;
  },

  async edit(change) {
    const { task, fields } = change;
    const [path, asked] = [`tasks/${idOf(change.id)}`, Object.keys(fields)];
    const isIn = (now, other) => (name) => (now[name] ?? null) === (other[name] ?? null);
    let now;
    for (let tries = 0; tries < 4; tries += 1) {
      now = await request("GET", path);
      if (now.status !== 200) return now;
      if (asked.every(isIn(now.body, fields))) return done(change, now);
      const isSeen = (name) => isIn(now.body, task)(name) || isIn(now.body, fields)(name);
      if (!asked.every(isSeen)) break;
      const headers = { "If-Match": now.headers.get("ETag") };
      const answer = await request("PATCH", path, { fields, headers });
      if (answer.status === 200) return done(change, answer);
      if (answer.status !== 412) return answer;
    }
    return { ...now, status: 412 };
  },

  async delete(change, seen) {
    const task = change.tasks[change.count];
    const there = seen.get(idOf(task.id));
    const isChanged = there && (there.title !== task.title || there.done !== task.done);
    if (isChanged) make("delete", { tasks: [task], count: 0, why: 412, now: there });
    const answer = isChanged ? { status: 204 } : await request("DELETE", `tasks/${idOf(task.id)}`);
    if (![204, 404].includes(answer.status)) return answer;
    const now = find(change.key) ?? change; // may have been cut short, or sent further by another tab
    const isThis = ({ id }) => idOf(id) === idOf(task.id);
    const tasks = isChanged ? now.tasks.filter((other) => !isThis(other)) : now.tasks;
    const count = Math.max(now.count, tasks.findIndex(isThis) + 1);
    save({ ...change, tasks, count, sent: count < tasks.length ? undefined : Date.now() });
    return { ...answer, status: 204 }; // gone is gone
  },
};

function done(change, answer) {
  save({ ...change, ...sentNow(answer) });
  return answer;
}

/** Have one tab at a time do this; one that is frozen, or waits for the network, loses its turn. */
async function alone(work) {
  if (!navigator.locks) return work();
  let hasBegun = false;
  const begin = () => work((hasBegun = true));
  const turn = (options) => navigator.locks.request("todo.send", options, begin);
  try {
    return await turn({ signal: AbortSignal.timeout(TURN) });
  } catch {
    return hasBegun ? noAnswer() : turn({ steal: true }).catch(noAnswer);
  }
}

/** Send the next change; return the answer, or null where there was nothing to send. */
export const sendNext = (known, since) =>
  alone(async () => {
    const next = changes().find(isReady);
    if (!next) return null;
    const newest = next.newest ?? Math.max(0, ...known.keys());
    const change = { ...next, started: true, newest };
    save(change);
    const answer = await send[change.kind](change, foreseen(known, since, ({ sent }) => sent));
    const isRefused = answer.status >= 400 && answer.status < 500 && !answer.over;
    const now = find(change.key);
    if (isRefused && now && !now.sent) // it stays, and what was typed, until its person decides
      save({ ...now, why: answer.status, now: answer.body });
    return answer;
  });

/** Send the deletions that this tab holds, as it is left, unless others wait before them. */
export function hurry() {
  if (changes().some(isWaiting)) return;
  for (const change of changes().filter(({ tab, until }) => tab === TAB && until > Date.now())) {
    save({ ...change, until: 0, started: true });
    for (const { id } of change.tasks.slice(0, 20))
      if (typeof idOf(id) === "number") request("DELETE", `tasks/${idOf(id)}`, { keepalive: true });
  }
}

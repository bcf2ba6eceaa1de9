// The stream of changes: server-sent events, read with the token that an EventSource cannot bear.

import { bearer, session } from "./requests.js";

const LASTING = 600_000; // milliseconds for which a good stream lasts, if the server is not restarted
const [FIRST, LAST] = [1000, 300_000]; // until the next after a good one, and after many that were not
const SILENCE = 45_000; // milliseconds until a stream has ended, which speaks every 15 seconds

/** Fail after a time in which the stream said nothing. */
const silence = () =>
  new Promise((_, fail) => AbortSignal.timeout(SILENCE).addEventListener("abort", fail));

/** Hand over each answer until the stream ends; return its status, 0 if there was no answer. */
async function follow(since, signal, open, take) {
  const end = new AbortController();
  let status = 0;
  if (!session()) return status;
  try {
    const headers = { ...bearer(session().access_token), Accept: "text/event-stream" };
    const init = { headers, signal: AbortSignal.any([signal, end.signal]), cache: "no-store" };
    const asked = fetch(`tasks/changes?since=${since}&limit=1000`, init);
    const response = await Promise.race([asked, silence()]);
    ({ status } = response);
    const type = response.headers.get("Content-Type") ?? "";
    if (status !== 200 || !type.startsWith("text/event-stream")) return status;
    open();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { value, done } = await Promise.race([reader.read(), silence()]);
      if (done) return status;
      const events = (text + value).split(/\r?\n\r?\n/);
      text = events.pop();
      events.map(dataOf).filter(Boolean).forEach((data) => take(JSON.parse(data)));
    }
  } catch {
    return status;
  } finally {
    end.abort();
  }
}

const dataOf = (event) => [...event.matchAll(/^data: ?(.*)$/gm)].map(([, line]) => line).join("\n");

// --- One tab of a browser listens, and tells the others -------------------------------------------

const tabs = globalThis.BroadcastChannel && new BroadcastChannel("todo");
let control = null; // what ends the stream that is open or waited for
let isOpen = false;
let isDoubted = false; // whether the tab that listens did not tell of something
let [next, pause] = [0, FIRST];

export const isLive = () => isOpen;
export const nextTry = () => (control ? 0 : next);
export const stop = () => control?.abort();

/** A look has found what no other tab told of: it may be frozen. */
export function doubt() {
  if (!control || isOpen) return;
  isDoubted = true;
  stop();
}

/** Listen for an account's changes, or wait for a turn to; call `ended` when it has ended. */
export async function listen(owner, since, take, ended) {
  if (tabs) tabs.onmessage = ({ data }) => data.owner === owner && take(data.from, data.answer);
  if (control || Date.now() < next) return;
  const { signal } = (control = new AbortController());
  let [from, began] = [0, Infinity];
  const opened = () => ([isOpen, began] = [true, Date.now()]);
  const hear = (answer) => {
    if (signal.aborted) return;
    take(from, answer);
    tabs?.postMessage({ owner, from, answer });
    from = answer.since;
  };
  const work = () => follow((from = since()), signal, opened, hear);
  const options = isDoubted ? { steal: true } : { signal };
  isDoubted = false;
  const turn = navigator.locks?.request("todo.stream", options, work) ?? work();
  const status = await turn.catch(stop); // another tab has taken it over
  pause = Date.now() - began > LASTING ? FIRST : Math.min(LAST, 2 * pause);
  next = signal.aborted ? 0 : Date.now() + (status > 400 && status !== 401 ? LAST : pause);
  [control, isOpen] = [null, false];
  ended();
}

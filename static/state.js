// How the changes are doing, in a word.

import { at, draw, withModule, write } from "./draw.js";
import { isRefused, isServerAway } from "./list.js";
import { isWaiting } from "./queue.js";

const SLOW = 1500; // milliseconds until a change waits visibly

let next; // when to look at the state again
let isTold = false; // whether it was said that changes wait

/** Say in a word how the changes are doing; return whether there is something to say. */
export function drawState(made) {
  const waiting = made.filter(isWaiting);
  const isSlow = waiting.some(({ key }) => Number.parseInt(key, 10) < Date.now() - SLOW);
  const away = isServerAway() && (navigator.onLine ? "No server" : "Offline");
  const count = (away || isSlow) && waiting.length > 0 && `${waiting.length} waiting`;
  const words = [away, count].filter(Boolean).join(", ") || (isRefused() && "Not up to date");
  isTold ||= Boolean(count);
  const isSaved = isTold && !words && !waiting.length;
  write(at("state"), words || (isSaved ? "Saved" : ""));
  document.body.classList.toggle("away", Boolean(count));
  clearTimeout(next);
  if (isSaved) next = setTimeout(draw, 2 * SLOW, (isTold = false));
  else if (waiting.length && !count) next = setTimeout(draw, SLOW);
  const refused = made.filter(({ why }) => why);
  if (refused.length || at("refused").childElementCount)
    withModule("refused", ({ drawRefused }) => drawRefused(refused));
  return made.length > 0 || Boolean(words) || isSaved;
}

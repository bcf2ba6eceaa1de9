// What the server refused: it stays, with what was typed, until its person decides.

import { discard, retry } from "./decide.js";
import { at, draw, written } from "./draw.js";
import { goOn } from "./list.js";
import { find, make } from "./queue.js";
import { reason } from "./words.js";

const isLost = ({ kind, why }) => kind === "edit" && why === 404;

function describe(change) {
  const { kind, fields = {}, task, tasks, now, why } = change;
  const title = fields.title ?? task?.title ?? change.title ?? tasks?.[0]?.title;
  const more = tasks?.length > 1 ? ` and ${tasks.length - 1} more` : "";
  const due = fields.due ? `, due ${written(fields.due)},` : "";
  const what = { add: "was not added", edit: "was not saved", delete: "was not deleted" }[kind];
  if (why !== 412)
    return `“${title}”${more}${due} ${what}. ${reason({ status: why, headers: new Headers(), body: now })}`;
  const until = now.due ? `, due ${written(now.due)}` : "";
  return `“${title}”${more}${due} ${what}. It was changed elsewhere to “${now.title}”${until}.`;
}

function choices(change) {
  if (isLost(change)) return ["Add again", "Discard"];
  if (change.why !== 412) return ["Try again", "Discard"];
  return change.kind === "edit" ? ["Save mine", "Keep theirs"] : ["Delete it", "Keep it"];
}

function decide({ key }, isMine) {
  const change = find(key);
  if (!change?.why) return draw(); // another tab has decided
  if (isMine && !isLost(change)) retry(change);
  else discard(change);
  if (isMine && isLost(change)) make("add", { ...change.task, ...change.fields });
  at("new").focus();
  draw();
  goOn();
}

/** Draw one line for each, with the two things that can be done about it. */
export function drawRefused(refused) {
  const keys = refused.map(({ key, why }) => `${key} ${why}`).join();
  if (at("refused").dataset.keys === keys) return;
  at("refused").dataset.keys = keys;
  const lines = refused.map((change) => {
    const line = document.createElement("li");
    const text = Object.assign(document.createElement("p"), { textContent: describe(change) });
    text.role = "alert";
    const [mine, other] = choices(change).map((label, place) => {
      const button = Object.assign(document.createElement("button"), { textContent: label });
      button.addEventListener("click", () => decide(change, place === 0));
      return button;
    });
    line.append(text, mine, other);
    return line;
  });
  at("refused").replaceChildren(...lines);
}

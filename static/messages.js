// Messages of what was done, taking it back, and the keys for it and for the two fields.

import { show } from "./app.js";
import { takeBack } from "./decide.js";
import { at } from "./draw.js";
import { find, HOLD } from "./queue.js";
import { session } from "./requests.js";

const undos = []; // the newest last

/** Nobody takes back what another account did. */
addEventListener("account", () => {
  undos.length = 0;
  at("messages").replaceChildren();
});

/** Know what became of each change: the queue forgets it, a while after it was sent. */
addEventListener("list", () => {
  for (const undo of undos) undo.made = undo.made.map((one) => (one.sent ? one : find(one.key) ?? one));
});

function announce(text) {
  at("said").textContent = text;
}

/** Say what was done, near what has the focus, and offer to take it back. */
export function say(text, made) {
  const message = document.createElement("div");
  const [words, button] = [document.createElement("p"), document.createElement("button")];
  [words.textContent, button.textContent] = [text, "Undo"];
  message.append(words, button);
  const undo = { made, message };
  undos.push(undo);
  button.addEventListener("click", () => takeOneBack(undo));
  const home = document.activeElement?.closest("li:not(.leaving)");
  if (home) home.append(at("messages"));
  at("messages").append(message);
  while (at("messages").childElementCount > 3) at("messages").firstElementChild.remove();
  announce(`${text} Undo with Control Z.`);
  const fade = () => (message.matches(":hover, :focus-within") ? setTimeout(fade, HOLD) : message.remove());
  setTimeout(fade, HOLD);
}

function takeOneBack(undo) {
  undos.splice(undos.indexOf(undo), 1);
  if (undo.message.contains(document.activeElement)) at("new").focus();
  undo.message.remove();
  for (const one of undo.made.toReversed()) takeBack(one);
  announce("Undone.");
  show();
}

addEventListener("keydown", (event) => {
  const { target, key } = event;
  const isTyping = target.matches("input:not([type=checkbox]), textarea, select");
  const isUndo = key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
  if (isUndo && undos.length && !(isTyping && target.value)) takeOneBack(undos.at(-1));
  else if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !session()) return;
  else if (key === "n") at("new").focus();
  else if (key === "/") at("search").focus();
  else return;
  event.preventDefault();
});

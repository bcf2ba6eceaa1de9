// The new task while it is typed: a date in its last words, dates to pick, several lines at once.

import { add, fault, on } from "./app.js";
import { find, pick } from "./dates.js";
import { at, keep, tab, written } from "./draw.js";

let isDeclined = false; // whether the words at the end are no date
let lines = []; // that were pasted

/** What is typed makes: a title, and a date if there is one. */
export function typed() {
  const title = at("new").value.trim();
  const found = !tab.due && !isDeclined && find(title);
  return found || { title, due: tab.due };
}

export function drawTyped() {
  if (!tab.title) [isDeclined, lines, tab.due] = [false, [], null];
  const { due } = typed();
  at("when").hidden = !tab.title;
  at("chip").hidden = !due;
  document.querySelector("#when .picks").hidden = Boolean(due) || lines.length > 0;
  at("chip").textContent = due ? `${written(due)} ×` : "";
  at("chip").ariaLabel = due ? `Due ${written(due)}; remove` : null;
  at("several").hidden = !lines.length;
  at("several").textContent = `Add as ${lines.length} tasks`;
  at("long").textContent = fault(tab.title.trim());
}

on("new", "paste", (_, { clipboardData }) => {
  const text = clipboardData.getData("text").split(/[\r\n]+/);
  lines = text.map((line) => line.trim()).filter(Boolean);
  if (lines.length < 2 || lines.some(fault)) lines = [];
});

const clicks = {
  pick: ({ value }) => keep({ due: pick(value) }),
  chip() {
    isDeclined = true;
    keep({ due: null });
  },
  several() {
    at("new").value = "";
    const titles = lines.map((title) => ({ title }));
    keep({ title: "", due: null });
    add(...titles);
  },
};

on("composer", "click", (target) => {
  if (!clicks[target.name]) return;
  clicks[target.name](target);
  drawTyped();
  at("new").focus();
});

// Editing in place: a row that is typed in stays, and says what has happened to its task elsewhere.

import { add, edit as change, fault } from "./app.js";
import { draw, keep, tab, written } from "./draw.js";
import { pick } from "./dates.js";
import { learn, nameOf } from "./queue.js";

const MARKUP = `
  <textarea name="title" aria-label="Title" rows="1" dir="auto" enterkeyhint="done"></textarea>
  <p class="picks">
    <input type="date" name="due" aria-label="Due" max="9999-12-31">
    <button type="button" name="pick" value="today">Today</button>
    <button type="button" name="pick" value="tomorrow">Tomorrow</button>
    <button type="button" name="pick" value="next week">Next week</button>
    <button type="button" name="pick" value="">No date</button>
  </p>
  <p class="problem" role="alert"></p>
  <p class="buttons">
    <button class="primary" name="save">Save</button>
    <button class="quiet" type="button" name="cancel">Cancel</button>
  </p>`;

const editOf = (row) => tab.edits[row.task.name];

/** Keep the id that a new task got: after a reload, nothing else tells which one is edited. */
function identify({ name, id, isGone }, edit) {
  if (id !== edit.task.id) keep({ edits: { ...tab.edits, [name]: { ...edit, task: { ...edit.task, id } } } });
  if (!isGone || typeof id !== "number" || nameOf(id) === name) return;
  learn(name, id);
  setTimeout(draw);
}

/** Draw the form of a row, or take it away once its edit is closed. */
export function drawEdit(row) {
  const form = row.querySelector("form");
  const edit = editOf(row);
  if (edit) identify(row.task, edit);
  if (edit) return drawNote(row, form ?? newForm(row, edit), edit);
  if (!form) return;
  const isFocused = form.contains(document.activeElement);
  form.remove();
  if (isFocused) row.querySelector(".title").focus();
}

function newForm(row, edit) {
  const form = document.createElement("form");
  form.innerHTML = MARKUP;
  const { title, due } = form.elements;
  [title.value, due.value] = [edit.title, edit.due];
  row.append(form);
  form.addEventListener("input", () => type(row, { title: title.value, due: due.value }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(row, form);
  });
  form.addEventListener("click", ({ target }) => {
    if (target.name === "cancel") close(row);
    if (target.name !== "pick") return;
    due.value = target.value && pick(target.value);
    type(row, { due: due.value });
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close(row);
    if (event.key !== "Enter" || event.isComposing || event.target !== title || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit();
  });
  if (edit.field) form.elements[edit.field].focus();
  return form;
}

function type(row, what) {
  keep({ edits: { ...tab.edits, [row.task.name]: { ...editOf(row), ...what } } });
}

function close(row) {
  const { [row.task.name]: _, ...edits } = tab.edits;
  keep({ edits });
  draw();
}

const isSame = (a, b) => (a ?? null) === (b ?? null);

/** Say how the task differs from what the person began with. */
function drawNote(row, form, { task: seen }) {
  const { task } = row;
  const { save, cancel } = form.elements;
  const isOther = ["title", "due"].some((name) => !isSame(task[name], seen[name]));
  const due = isSame(task.due, seen.due) ? "" : task.due ? `, due ${written(task.due)}` : ", without a date";
  const note = task.isGone
    ? "Deleted elsewhere."
    : isOther
      ? `Changed elsewhere to “${task.title}”${due}.`
      : task.done && !seen.done
        ? "Ticked off elsewhere."
        : "";
  const problem = form.querySelector(".problem");
  if (problem.textContent !== note && (note || !problem.dataset.own)) problem.textContent = note;
  save.textContent = task.isGone ? "Add again" : isOther ? "Save mine" : "Save";
  cancel.textContent = task.isGone ? "Discard" : isOther ? "Keep theirs" : "Cancel";
}

function save(row, form) {
  const { task } = row;
  const { task: seen, title: text, due } = editOf(row);
  const typed = { title: text.trim(), due: due || null };
  const why = typed.title ? fault(typed.title) : "A title has at least one character.";
  const problem = form.querySelector(".problem");
  problem.dataset.own = why;
  if (why) return (problem.textContent = why);
  const names = Object.keys(typed).filter((name) => !isSame(typed[name], seen[name]));
  const fields = Object.fromEntries(names.map((name) => [name, typed[name]]));
  const isNew = names.some((name) => !isSame(typed[name], task[name]));
  close(row);
  if (task.isGone) return add(typed);
  if (isNew) change(task, fields, `Changed “${typed.title}”.`);
}

// Before the first paint: the list for who is logged in, else the way in. Then the modules of it.

const isIn = Boolean(localStorage.getItem("todo.session"));
document.documentElement.className = isIn ? "in" : "out";

let early = null; // what was sent off before there was anything to hear it
const wait = (event) => {
  event.preventDefault();
  early = event;
};
addEventListener("submit", wait);

const names = isIn ? ["app", "draw", "list", "queue", "requests"] : ["door"];
Promise.all(names.map((name) => import(`./${name}.js`))).then(() => {
  removeEventListener("submit", wait);
  early?.target.requestSubmit(early.submitter);
});

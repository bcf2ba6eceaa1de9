"""Two tabs of the page at random, while the network, a proxy and the server fail, and what is left.

`make random` runs it, for about two minutes, each time with another seed. SEED chooses one, and LOG
names a file for all that was done, asked and kept.
"""

import os
import random
import re
import time
from collections import Counter
from contextlib import ExitStack

from tests.browser import Account, add, browser, log_in
from tests.support import free_port, serving, wait_for

__all__ = ["browser"]  # a fixture
STEPS = 500
LOG = os.environ.get("LOG")
SHOWN = """() => [...document.querySelectorAll("li[data-name]:not([inert])")].map((row) =>
    [row.task.title, row.task.done, row.task.due ?? null])"""
CLEAR = """() => {
    if (!document.querySelector("#done li[data-name]:not([inert])")) return [];
    const before = Object.keys(localStorage);
    document.getElementById("clear").click();
    const isNew = (name) => name.startsWith("todo.change ") && !before.includes(name);
    const change = JSON.parse(localStorage.getItem(Object.keys(localStorage).find(isNew)));
    return change.tasks.map(({ title, id }) => [title, id]);
}"""
READY = """() => Promise.all(
    ["edit", "messages"].map((name) => import(`/static/${name}.js`))
).then(() => true)"""
ACT = """async ([title, control, values]) => {
    const rows = [...document.querySelectorAll("li[data-name]:not([inert])")];
    const row = rows.find((row) => row.task.title === title && !row.querySelector("form"));
    if (!row) return null;
    const { id } = row.task;
    row.querySelector(control).click();
    const later = () => new Promise((resolve) => setTimeout(resolve, 10));
    while (Object.keys(values).length && !row.querySelector("form")) await later();
    const form = row.querySelector("form");
    for (const [name, value] of Object.entries(values)) {
        form.elements[name].value = value;
        form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
    }
    const { isGone = false } = row.task; // which adds it again
    form?.requestSubmit();
    return [id, isGone];
}"""
TRY_AGAIN = """() => {
    const [line] = document.querySelectorAll("#refused li");
    const key = document.getElementById("refused").dataset.keys?.split(" ")[0];
    const name = Object.keys(localStorage).find((name) => name.endsWith(` ${key}`));
    const change = line && name && JSON.parse(localStorage.getItem(name));
    if (!change?.why) return null;
    const { tasks = [], task, title } = change;
    const words = line.innerText;
    line.querySelector("button").click();
    const titles = tasks.length ? tasks.map(({ title }) => title) : [task?.title ?? title];
    return [words, titles, tasks.map(({ id }) => id)];
}"""
KEPT = """() => {
    const { setItem, removeItem } = Storage.prototype;
    const isChange = (name) => name.startsWith("todo.change ");
    Storage.prototype.setItem = function (name, text) {
        if (isChange(name)) console.debug("keep", Date.now(), name, text);
        return setItem.call(this, name, text);
    };
    Storage.prototype.removeItem = function (name) {
        if (isChange(name)) console.debug("drop", Date.now(), name);
        return removeItem.call(this, name);
    };
}"""


class Story:
    """The tabs, what was entered in them, and what was deleted since it was last touched.

    A task is known by the first word of its title, and what may be there twice, since a deletion
    that is undone adds it again, by its id: as long as it has none, by the key of its addition.
    """

    def __init__(self, browser, directory, seed):
        self.seed, self.random = seed, random.Random(seed)
        self.directory, self.port = directory, free_port()
        self.server, self.errors, self.answer = ExitStack(), [], None
        self.ids, self.flying, self.tabs = {}, set(), []  # ids by keys; requests without an answer
        self.serve()
        self.account = Account(self.running)
        context = browser.new_context(
            base_url=self.running.url,
            reduced_motion="reduce",
            service_workers="block",
        )
        context.clock.install()
        context.set_default_timeout(15_000)
        context.on("request", self.see_request)
        context.on("response", self.see_response)
        context.on("requestfinished", lambda request: self.flying.discard(request))
        context.on("requestfailed", self.see_failure)
        if LOG:
            context.add_init_script(f"({KEPT})()")
            context.on("console", lambda said: self.note(said.page, said.text))
        context.on("weberror", lambda found: self.errors.append(str(found.error)))
        context.route(re.compile(r"/tasks(/\d+)?$"), self.intercept)
        self.context = context
        self.tabs = [log_in(context.new_page(), self.account.email), context.new_page()]
        self.tabs[1].goto("/")
        for tab in self.tabs:
            tab.evaluate(READY)
        self.entered, self.deleted, self.done = set(), set(), {tab: [] for tab in self.tabs}
        self.gone, self.again, self.is_offline = set(), set(), False

    def serve(self):
        self.running = self.server.enter_context(serving(self.directory, port=self.port))

    def note(self, page, *what):
        """Write down what happened in a tab."""
        if LOG:
            tab = self.tabs.index(page) if page in self.tabs else "-"
            with open(LOG, "a") as log:
                print(f"{time.monotonic():.3f} {tab}", *what, file=log)

    def see_request(self, request):
        if "/tasks" in request.url and "event-stream" not in request.headers.get("accept", ""):
            self.flying.add(request)
            self.note(request.frame.page, request.method, request.url, request.post_data or "")

    def see_failure(self, request):
        self.flying.discard(request)
        self.note(request.frame.page, "no answer", request.method, request.url)

    def see_response(self, response):
        request = response.request
        self.note(request.frame.page, response.status, request.method, request.url)
        if response.status == 201:
            key = request.headers["idempotency-key"]
            self.ids[key] = int(response.headers["location"].split("/")[-1])

    def intercept(self, route):
        if self.answer is None or self.random.random() < 0.5:
            return route.fallback()
        return route.fulfill(status=self.answer, content_type="text/html", body="<html>No</html>")

    # What a person does in a tab; a task is known by the first word of its title.

    def rows(self, tab, kind):
        found = [title for title, done, _ in tab.evaluate(SHOWN) if done == (kind == "done")]
        return found and self.random.choice(found)

    def touch(self, tab, shown, name, control, **values):
        """Press a control in the row of a task, unless it has just gone, and fill in its form."""
        found = shown and tab.evaluate(ACT, [shown, control, values])
        if not found:
            return
        task, (task_id, is_gone) = shown.split()[0], found
        self.note(tab, name, shown, task_id, values, "again" if is_gone else "")
        was_deleted = task in self.deleted  # and is shown by a list that is behind, or was refused
        self.deleted.discard(task)
        self.forgive([task_id])
        if is_gone:
            self.again.add(task)
        else:
            self.done[tab].append((name, [task], [task_id], was_deleted))
        if name == "delete":
            self.deleted.add(task)
            self.gone.add(task_id)

    def forgive(self, task_ids):
        """Let these tasks be there, although they were deleted."""
        known = {self.ids.get(name, name) for name in task_ids}
        self.gone = {name for name in self.gone if self.ids.get(name, name) not in known}

    def add(self, tab, step):
        self.entered.add(f"t{step}")
        add(tab, f"t{step}")

    def tick(self, tab, step):
        kind = self.random.choice(["open", "open", "done"])
        self.touch(tab, self.rows(tab, kind), "tick", "[name=tick]")

    def delete(self, tab, step):
        self.touch(tab, self.rows(tab, "open"), "delete", ".delete")

    def edit(self, tab, step):
        if title := self.rows(tab, "open"):
            edited = f"{title.split()[0]} edited {step}"
            self.touch(tab, title, "edit", ".title", title=edited)

    def date(self, tab, step):
        due = f"{self.random.randrange(2100, 9999)}-12-31"  # never the one that it has
        self.touch(tab, self.rows(tab, "open"), "date", ".due", due=due)

    def clear(self, tab, step):
        if cleared := tab.evaluate(CLEAR):
            tasks = [title.split()[0] for title, _ in cleared]
            task_ids = [task_id for _, task_id in cleared]
            self.note(tab, "clear", cleared)
            self.deleted |= set(tasks)
            self.gone |= set(task_ids)
            self.done[tab].append(("delete", tasks, task_ids, False))

    def undo(self, tab, step):
        if self.done[tab]:
            tab.get_by_label("New task").press("Control+z")
            name, tasks, task_ids, was_deleted = self.done[tab].pop()
            self.note(tab, "undo", name, tasks, task_ids)
            if was_deleted:  # also by the other tab, before this one knew of it
                self.deleted |= set(tasks)
            elif name == "delete":
                self.deleted -= set(tasks)
            if name == "delete":
                self.forgive(task_ids)

    # What happens around them.

    def offline(self, tab, step):
        self.is_offline = not self.is_offline
        self.note(tab, "offline" if self.is_offline else "online")
        self.context.set_offline(self.is_offline)

    def fail(self, tab, step):
        self.answer = self.random.choice([403, 500, None, None])
        self.note(tab, "a proxy answers", self.answer)

    def wait(self, tab, step):
        for each in self.tabs:
            each.clock.fast_forward(self.random.choice([2000, 12_000]))

    def reload(self, tab, step):
        if not self.is_offline:
            tab.reload()
            tab.evaluate(READY)
            self.done[tab].clear()

    def restart(self):
        """Stop the server, do ten things without it, and start it again."""
        self.server.close()
        for number in range(10):
            act = self.random.choice([self.add, self.edit, self.tick, self.delete])
            act(self.random.choice(self.tabs), f"{number}r{self.random.randrange(10**6)}")
        self.serve()

    def step(self, number):
        acts = {self.add: 10, self.tick: 5, self.edit: 5, self.date: 4, self.delete: 4}
        acts |= {self.undo: 4, self.clear: 1, self.wait: 3, self.offline: 2, self.fail: 2}
        acts[self.reload] = 1
        (act,) = self.random.choices(list(acts), acts.values())
        act(self.random.choice(self.tabs), number)

    # What is left.

    def settle(self):
        """Let all be well again, have what was refused tried again, and wait until all is sent."""
        self.answer = None
        self.context.set_offline(False)
        self.flying.clear()  # a page that was left does not tell of its requests
        tab = self.tabs[0]

        def is_settled():
            stored = tab.evaluate("""() => Object.entries(localStorage)
                .filter(([name]) => name.startsWith("todo.change "))
                .filter(([, text]) => !JSON.parse(text).sent).length""")
            if self.flying:  # which would end without an answer
                return False
            for each in self.tabs:
                each.clock.fast_forward(65_000)
            again = tab.evaluate(TRY_AGAIN)
            words, titles, task_ids = again or ("", [], [])
            self.note(tab, words, titles, task_ids)
            tasks = {title.split()[0] for title in titles}
            if "Add again" in words:  # to an edit that was refused before its task was deleted
                self.deleted -= tasks
                self.again |= tasks  # and once more for each such edit
            if "was not deleted" in words:  # and now is, although it was touched since
                self.deleted |= tasks
                self.gone |= set(task_ids)
            return not stored and again is None

        wait_for(is_settled, seconds=120, what=f"the end of the queue, SEED={self.seed},")

    def listed(self):
        """The tasks on the server."""
        tasks = [(task["title"], task["done"], task.get("due")) for task in self.account.tasks()]
        return sorted(tasks, key=repr)

    def shown(self, tab):
        """The tasks in a tab."""
        if not self.flying:
            tab.clock.fast_forward(65_000)
        return sorted((tuple(task) for task in tab.evaluate(SHOWN)), key=repr)


def test_at_random_tabs_and_server_agree_and_nothing_is_lost(browser, tmp_path):
    seed = int(os.environ.get("SEED") or random.randrange(10**9))
    story = Story(browser, tmp_path, seed)
    try:
        for tab in story.tabs:
            add(tab, "t")  # so that there is something to unfold
            tab.get_by_role("checkbox", name="t", exact=True).first.click()
            if tab.locator("#done").get_attribute("open") is None:
                tab.locator("#done > summary").click()
        for number in range(STEPS):
            story.step(number)
            if number % 125 == 100:
                story.restart()
        story.settle()
        wait_for(
            lambda: all(story.shown(tab) == story.listed() for tab in story.tabs),
            what=f"SEED={seed}",
        )
        there = Counter(title.split()[0] for title, _, _ in story.listed())
        lost = story.entered - story.deleted - set(there)
        twice = {task for task, count in there.items() if count > 1} - story.again - {"t"}
        gone = {story.ids.get(name, name) for name in story.gone}
        kept = [task for task in story.account.tasks() if task["id"] in gone]
        assert (lost, twice, kept) == (set(), set(), []), f"SEED={seed}"
        assert story.errors == [], f"SEED={seed}"
    finally:
        story.context.close()
        story.server.close()

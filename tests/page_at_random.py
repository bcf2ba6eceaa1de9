"""Two tabs of the page at random, while the network, a proxy and the server fail, and what is left.

`make random` runs it, for about two minutes, each time with another seed.
"""

import random
import re
from collections import Counter
from contextlib import ExitStack

from tests.browser import Account, add, browser, log_in
from tests.support import free_port, serving, wait_for

__all__ = ["browser"]  # a fixture
STEPS = 500
SHOWN = """() => [...document.querySelectorAll("li[data-name]:not([inert])")].map((row) =>
    [row.task.title, row.task.done, row.task.due ?? null])"""
READY = """() => Promise.all(
    ["edit", "messages"].map((name) => import(`/static/${name}.js`))
).then(() => true)"""
ACT = """async ([title, control, values]) => {
    const rows = [...document.querySelectorAll("li[data-name]:not([inert])")];
    const row = rows.find((row) => row.task.title === title && !row.querySelector("form"));
    if (!row) return false;
    row.querySelector(control).click();
    const later = () => new Promise((resolve) => setTimeout(resolve, 10));
    while (Object.keys(values).length && !row.querySelector("form")) await later();
    const form = row.querySelector("form");
    for (const [name, value] of Object.entries(values)) {
        form.elements[name].value = value;
        form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
    }
    form?.requestSubmit();
    return true;
}"""
TRY_AGAIN = """() => {
    const [line] = document.querySelectorAll("#refused li");
    const changes = Object.entries(localStorage)
        .filter(([name]) => name.startsWith("todo.change ")).sort()
        .map(([, text]) => JSON.parse(text)).filter(({ why }) => why);
    if (!line || !changes.length) return null;
    const { tasks, task, title } = changes[0];
    const words = line.innerText;
    line.querySelector("button").click();
    return [words, tasks ? tasks.map(({ title }) => title) : [task?.title ?? title]];
}"""


class Story:
    """The tabs, what was entered in them, and what was deleted since it was last touched."""

    def __init__(self, browser, directory, seed):
        self.random, self.directory, self.port = random.Random(seed), directory, free_port()
        self.server, self.errors, self.answer = ExitStack(), [], None
        self.serve()
        self.account = Account(self.running)
        context = browser.new_context(
            base_url=self.running.url,
            reduced_motion="reduce",
            service_workers="block",
        )
        context.clock.install()
        context.set_default_timeout(15_000)
        context.on("weberror", lambda found: self.errors.append(str(found.error)))
        context.route(re.compile(r"/tasks(/\d+)?$"), self.intercept)
        self.context = context
        self.tabs = [log_in(context.new_page(), self.account.email), context.new_page()]
        self.tabs[1].goto("/")
        for tab in self.tabs:
            tab.evaluate(READY)
        self.entered, self.deleted, self.done = set(), set(), {tab: [] for tab in self.tabs}
        self.is_offline, self.again = False, set()

    def serve(self):
        self.running = self.server.enter_context(serving(self.directory, port=self.port))

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
        if not shown or not tab.evaluate(ACT, [shown, control, values]):
            return
        task = shown.split()[0]
        self.deleted.discard(task)
        self.done[tab].append((name, [task]))
        if name == "delete":
            self.deleted.add(task)

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
        titles = [title for title, done, _ in tab.evaluate(SHOWN) if done]
        if titles:
            tab.evaluate("document.getElementById('clear').click()")
            tasks = [title.split()[0] for title in titles]
            self.deleted |= set(tasks)
            self.done[tab].append(("delete", tasks))

    def undo(self, tab, step):
        if self.done[tab]:
            tab.get_by_label("New task").press("Control+z")
            name, tasks = self.done[tab].pop()
            if name == "delete":
                self.deleted -= set(tasks)

    # What happens around them.

    def offline(self, tab, step):
        self.is_offline = not self.is_offline
        self.context.set_offline(self.is_offline)

    def fail(self, tab, step):
        self.answer = self.random.choice([403, 500, None, None])

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
        tab = self.tabs[0]

        def is_settled():
            for each in self.tabs:
                each.clock.fast_forward(65_000)
            again = tab.evaluate(TRY_AGAIN)
            words, titles = again or ("", [])
            tasks = {title.split()[0] for title in titles}
            if "Add again" in words:  # to an edit that was refused before its task was deleted
                self.deleted -= tasks
                self.again |= tasks  # and once more for each such edit
            if "was not deleted" in words:  # and now is, although it was touched since
                self.deleted |= tasks
            stored = tab.evaluate("""() => Object.entries(localStorage)
                .filter(([name]) => name.startsWith("todo.change "))
                .filter(([, text]) => !JSON.parse(text).sent).length""")
            return not stored and again is None

        wait_for(is_settled, seconds=120, what="the end of the queue")

    def listed(self):
        """The tasks on the server."""
        tasks = [(task["title"], task["done"], task.get("due")) for task in self.account.tasks()]
        return sorted(tasks, key=repr)

    def shown(self, tab):
        """The tasks in a tab."""
        tab.clock.fast_forward(65_000)
        return sorted((tuple(task) for task in tab.evaluate(SHOWN)), key=repr)


def test_at_random_tabs_and_server_agree_and_nothing_is_lost(browser, tmp_path):
    seed = random.randrange(10**9)
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
        wait_for(lambda: all(story.shown(tab) == story.listed() for tab in story.tabs), what=seed)
        there = Counter(title.split()[0] for title, _, _ in story.listed())
        lost = story.entered - story.deleted - set(there)
        twice = {task for task, count in there.items() if count > 1} - story.again - {"t"}
        assert (lost, twice) == (set(), set()), seed
        assert story.errors == [], seed
    finally:
        story.context.close()
        story.server.close()

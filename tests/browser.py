"""What the tests of the page share: a real Chromium, accounts, and what people do there."""

import json
import os
import re
from uuid import uuid4

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support import PASSWORD, call, need, serving

FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
FLAGS += " disable-component-update disable-sync"
FAILED = "Failed to load resource: "
STATUS = f"{FAILED}the server responded with a status of "
OFFLINE = f"{FAILED}net::ERR_INTERNET_DISCONNECTED"
AWAY = {f"{FAILED}net::ERR_FAILED", f"{FAILED}net::ERR_CONNECTION_REFUSED", OFFLINE}
AWAY |= {f"{FAILED}net::ERR_INCOMPLETE_CHUNKED_ENCODING", f"{FAILED}net::ERR_EMPTY_RESPONSE"}
AWAY |= {f"{FAILED}net::ERR_CONNECTION_RESET", f"{FAILED}net::ERR_NETWORK_CHANGED"}
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("CHROMIUM") or need("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[f"--{flag}" for flag in FLAGS.split()]
        )
        yield browser
        browser.close()


@pytest.fixture
def expected():
    """The lines of the browser's own that a test expects on the console; all others fail it."""
    blocked = "Autofocus processing was blocked because a document already has a focused element."
    return {"Service Worker registration blocked by Playwright", blocked}


@pytest.fixture
def new_context(browser, server, expected):
    """Make browser profiles in which no error, CSP report or foreign request goes unseen."""
    contexts, lines, foreign = [], [], []

    def see(request):
        if not request.url.startswith(f"{server.url}/"):
            foreign.append(request.url)

    def hear(message):
        if message.type not in ("debug", "verbose"):  # hints for developers
            lines.append(message.text)

    def make(clock=True, **options):
        options = {"reduced_motion": "reduce", "service_workers": "block"} | options
        context = browser.new_context(base_url=server.url, **options)
        context.set_default_timeout(15_000)
        if clock:
            context.clock.install()  # a test can let time pass at once
        context.on("console", hear)
        context.on("weberror", lambda found: lines.append(str(found.error)))
        context.on("request", see)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        for page in context.pages:
            page.evaluate("0")  # what was said before has come in
        context.close()
    unexpected = set(lines) - expected
    assert not unexpected, unexpected
    assert not foreign, foreign


@pytest.fixture
def context(new_context):
    return new_context()


class Account:
    """An account, as another client of the API sees it."""

    def __init__(self, server):
        self.server, self.email = server, f"{uuid4().hex[:8]}@example.com"
        account = {"email": self.email, "password": PASSWORD}
        assert server.call("POST", "/auth/register", account)[0] == 201
        token = server.call("POST", "/auth/token", account)[1]["access_token"]
        self.bearer = {"Authorization": f"Bearer {token}"}

    def call(self, method, path="/tasks", body=None):
        status, answer, _ = call(self.server.port, method, path, body, **self.bearer)
        assert status < 300, answer
        return answer

    def add(self, title, **fields):
        return self.call("POST", body={"title": title, **fields})

    def change(self, task, **fields):
        return self.call("PATCH", f"/tasks/{task['id']}", fields)

    def delete(self, task):
        self.call("DELETE", f"/tasks/{task['id']}")

    def tasks(self):
        return self.call("GET", "/tasks?limit=1000")

    def titles(self):
        return [task["title"] for task in self.tasks()]


@pytest.fixture
def ada(server):
    return Account(server)


LATER = ["composer", "edit", "links", "messages", "refused", "send", "state"]
LOAD = "names => Promise.all(names.map(name => import(new URL(`static/${name}.js`, location))))"


def log_in(page, email, button="Log in"):
    page.goto("/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_label("New task")).to_be_focused()
    expect(page.locator("link[rel=manifest]")).to_be_attached()
    page.evaluate(f"async names => {{ await ({LOAD})(names) }}", LATER)  # as it does by itself
    return page


@pytest.fixture
def page(context, ada):
    """Ada's list."""
    return log_in(context.new_page(), ada.email)


def row(page, title):
    return page.locator("li[data-name]").filter(
        has=page.locator(".title", has_text=re.compile(f"^{re.escape(title)}$"))
    )


def see(page, *titles):
    """Expect these tasks on the screen, in this order."""
    expect(page.locator("li[data-name] .title:visible")).to_have_text(list(titles))


def see_done(page, *titles):
    expect(page.locator("#done li[data-name] .title")).to_have_text(list(titles))


def add(page, title):
    page.get_by_label("New task").fill(title)
    page.keyboard.press("Enter")


def tick(page, title):
    page.get_by_role("checkbox", name=title, exact=True).click()


def open_edit(page, title):
    row(page, title).locator(".title").click()
    return page.get_by_label("Title")


def delete(page, title):
    page.get_by_role("button", name=f"Delete {title}", exact=True).click()


def undo(page):
    page.get_by_role("button", name="Undo").last.click()


def unfold(page):
    page.locator("#done > summary").click()


def pass_time(page, seconds=10):
    """Let time pass at once; ten seconds are longer than a deletion is held."""
    page.clock.fast_forward(seconds * 1000)


def queued(page):
    """The changes that the server has not confirmed, as all tabs see them."""
    stored = page.evaluate("Object.entries(localStorage)")
    found = [json.loads(text) for name, text in stored if name.startswith("todo.change ")]
    return [change for change in found if not change.get("sent")]


def until_sent(page, seconds=15):
    """Wait until the server has confirmed all changes."""
    page.wait_for_function(
        """() => Object.entries(localStorage).every(
            ([name, text]) => !name.startsWith("todo.change ") || JSON.parse(text).sent)""",
        timeout=seconds * 1000,
    )


def session_of(page):
    return json.loads(page.evaluate("localStorage.getItem('todo.session')"))

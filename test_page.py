"""The page of static/ in Chromium, against gunicorn: what a person does, sees and hears of."""

import re
import time
import urllib.parse
import urllib.request
from datetime import date, timedelta
from itertools import count

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from test_todo import HERE, PASSWORD, call, serving

CHROMIUM = "/usr/bin/chromium"
QUIET = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
QUIET += " disable-component-update disable-sync"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    place = tmp_path_factory.mktemp("page")
    with serving(place, workers=1, APP_DATABASE_URL=f"sqlite:///{place}/todo.db") as (port, _):
        yield port


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        flags = [f"--{flag}" for flag in QUIET.split()]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


class Person:
    """Somebody with an account, a script that knows its password, and tabs of one browser."""

    number = count()

    def __init__(self, port, browser, **options):
        self.port = port
        self.email = f"person{next(self.number)}@example.com"
        self.context = browser.new_context(base_url=f"http://127.0.0.1:{port}", **options)
        self.context.set_default_timeout(10_000)
        self.noise, self.expected = [], set()
        self.token = None

    def sign_up(self):
        account = {"email": self.email, "password": PASSWORD}
        assert call(self.port, "POST", "/auth/register", account)[0] == 201
        self.token = call(self.port, "POST", "/auth/token", account)[1]["access_token"]

    def api(self, method, path, body=None):
        status, answer, _ = call(
            self.port, method, path, body, Authorization=f"Bearer {self.token}"
        )
        assert status < 300, answer
        return answer

    def tab(self, address="/"):
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.noise.append(str(error)))
        page.on("console", self.hear)
        page.goto(address)
        return page

    def hear(self, message):
        """Note what the console says: for an answer from 400 up, its status and path."""
        path = urllib.parse.urlsplit(message.location["url"]).path
        status = re.search(r"a status of (\d+)", message.text)
        lost = re.search(r"net::ERR_(INTERNET_DISCONNECTED|FAILED)", message.text)
        brief = f"{status[1]} {path}" if status else lost[0] if lost else message.text
        if brief not in self.expected:
            self.noise.append(brief)

    def log_in(self, page, password=PASSWORD, button="Log in"):
        page.get_by_label("Email").fill(self.email)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name=button).click()

    def enter(self, *titles, address="/"):
        """Sign up, add these tasks, and open the list in a tab."""
        self.sign_up()
        for title in titles:
            self.api("POST", "/tasks", {"title": title})
        page = self.tab(address)
        self.log_in(page)
        sees(page, *titles)
        return page


@pytest.fixture
def person(port, browser):
    person = Person(port, browser)
    yield person
    person.context.close()
    assert person.noise == []


def sees(page, *titles):
    expect(page.locator(".title")).to_have_text(list(titles))
    expect(page.locator("#tasks")).to_have_attribute("aria-busy", "false")


def add(page, title):
    page.get_by_label("New task").fill(title)
    page.keyboard.press("Enter")


def row(page, title):
    return page.locator("li").filter(has=page.get_by_role("button", name=title, exact=True))


def saved(person, *titles):
    """Wait until these are the tasks that the server has; return their ids."""
    deadline = time.monotonic() + 10
    while True:
        found = person.api("GET", "/tasks")
        if tuple(task["title"] for task in found) == titles:
            return [task["id"] for task in found]
        assert time.monotonic() < deadline, found
        person.context.pages[0].wait_for_timeout(50)


# --- A day with the list --------------------------------------------------------------------------


def test_from_a_new_account_to_a_reload(person):
    page = person.tab()
    person.log_in(page, button="Create account")
    expect(page.get_by_role("heading", name="A clear page")).to_be_visible()
    add(page, "Write")
    add(page, "Read")
    sees(page, "Write", "Read")
    page.get_by_role("checkbox", name="Read").check()
    row(page, "Write").locator(".title").click()
    page.get_by_label("Title").fill("Write to Ada")
    page.get_by_label("Due", exact=True).fill("2000-01-02")
    page.keyboard.press("Enter")
    expect(row(page, "Write to Ada")).to_contain_text("Overdue: Sun, 2 Jan 2000")
    expect(page.locator("li.pending")).to_have_count(0)
    page.reload()
    sees(page, "Write to Ada", "Read")
    expect(page.get_by_role("checkbox", name="Read")).to_be_checked()
    page.get_by_role("button", name="Overdue").click()
    page.get_by_role("button", name="No date").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".late")).to_have_count(0)
    page.get_by_role("button", name="Clear done").click()
    sees(page, "Write to Ada")
    page.get_by_role("button", name="Undo").click()
    sees(page, "Write to Ada", "Read")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_logging_out_ends_the_session(person):
    page = person.enter()
    kept = page.evaluate("JSON.parse(localStorage['todo.session'])")
    with page.expect_response("**/auth/revoke") as revoked:
        page.get_by_role("button", name="Log out").click()
    assert revoked.value.status == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
    assert call(person.port, "POST", "/auth/token", refresh)[0] in (400, 401)


@pytest.mark.parametrize(
    ("button", "password", "said"),
    [
        ("Log in", "wrong horse", "Invalid credentials."),
        ("Create account", "short", "Password should have at least 8 characters."),
        ("Create account", PASSWORD, "Email already exists."),
    ],
)
def test_a_refused_login_says_why(person, button, password, said):
    person.sign_up()
    person.expected = {"401 /auth/token", "422 /auth/register", "400 /auth/register"}
    page = person.tab()
    person.log_in(page, password, button)
    expect(page.get_by_role("alert").first).to_have_text(said)


def test_too_many_logins_are_told_when_to_come_again(person):
    page = person.tab()
    person.expected = {"401 /auth/token", "429 /auth/token"}
    for _ in range(10):
        with page.expect_response("**/auth/token"):
            person.log_in(page, "wrong horse")
    person.log_in(page, "wrong horse")
    expect(page.get_by_text(re.compile(r"Try again in \d+ seconds"))).to_be_visible()


def test_views_are_in_the_address(person):
    page = person.enter("Pear", "Apple", "Pea")
    days = [date.today() + timedelta(days) for days in (9, 1)]
    for number, day in zip(saved(person, "Pear", "Apple", "Pea"), days, strict=False):
        person.api("PATCH", f"/tasks/{number}", {"due": str(day)})
    page.get_by_role("checkbox", name="Pea", exact=True).check()
    page.get_by_role("link", name="Open").click()
    sees(page, "Pear", "Apple")
    page.get_by_label("Sort").select_option("due")
    sees(page, "Apple", "Pear")
    page.get_by_label("Search").fill("PEA")
    sees(page, "Pear")
    page.reload()
    sees(page, "Pear")
    expect(page.get_by_role("link", name="Open")).to_have_attribute("aria-current", "page")
    expect(page.get_by_label("Search")).to_have_value("PEA")
    page.go_back()
    sees(page, "Apple", "Pear")
    page.go_back()
    page.go_back()
    sees(page, "Pear", "Apple", "Pea")
    page.get_by_label("Search").fill("zebra")
    expect(page.get_by_text("No title here has “zebra” in it.")).to_be_visible()


def test_scrolling_follows_the_links(person):
    person.sign_up()
    for number in range(230):
        person.api("POST", "/tasks", {"title": f"Task {number}"})
    page = person.tab()
    person.log_in(page)
    rows = page.locator("li")
    expect(rows).to_have_count(100)
    for _ in range(2):
        rows.last.scroll_into_view_if_needed()
        page.mouse.wheel(0, 20_000)
        expect(rows).not_to_have_count(100)
    expect(rows).to_have_count(230)
    expect(rows.last).to_contain_text("Task 229")
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_deleting_can_be_undone(person):
    page = person.enter("Keep", "Drop")
    page.clock.install()
    for undo in (
        page.get_by_role("button", name="Undo").click,
        lambda: page.keyboard.press("Control+z"),
    ):
        row(page, "Drop").hover()
        page.get_by_role("button", name="Delete Drop").click()
        sees(page, "Keep")
        undo()
        sees(page, "Keep", "Drop")
    page.get_by_role("button", name="Delete Drop").click()
    page.clock.run_for(9000)
    saved(person, "Keep")


def test_titles_are_text(person):
    page = person.enter(HOSTILE)
    add(page, HOSTILE + "2")
    sees(page, HOSTILE, HOSTILE + "2")
    row(page, HOSTILE).locator(".title").click()
    expect(page.get_by_label("Title")).to_have_value(HOSTILE)
    page.keyboard.press("Escape")
    row(page, HOSTILE).hover()
    row(page, HOSTILE).get_by_text("×").click()
    expect(page.locator("#message")).to_have_text(f"Deleted “{HOSTILE}”.")
    assert page.locator("#board img[src=x], #toast img, li script").count() == 0


# --- Sessions, tabs, networks ---------------------------------------------------------------------


def test_two_tabs_agree(person):
    first = person.enter("One")
    second = person.tab()
    sees(second, "One")
    add(second, "Two")
    sees(first, "One", "Two")
    person.api("POST", "/tasks", {"title": "From a script"})
    sees(first, "One", "Two", "From a script")
    sees(second, "One", "Two", "From a script")
    with first.expect_response(lambda answer: "/tasks?" in answer.url) as looked:
        pass
    assert looked.value.status == 304


def test_an_ended_token_is_renewed_once_for_all_tabs(person):
    page = person.enter("One")
    other = person.tab()
    sees(other, "One")
    person.expected = {"401 /tasks"}
    renewed = []
    person.context.on(
        "response", lambda r: r.url.endswith("/auth/token") and renewed.append(r.status)
    )
    page.evaluate(
        """() => {
            const session = JSON.parse(localStorage["todo.session"]);
            localStorage["todo.session"] = JSON.stringify({ ...session, access_token: "x.y.z" });
        }"""
    )
    add(page, "Two")
    sees(page, "One", "Two")
    expect(page.locator("li.pending")).to_have_count(0)
    sees(other, "One", "Two")
    assert renewed == [200]


def test_a_session_that_is_over_keeps_what_was_typed(person):
    page = person.enter("One")
    row(page, "One").locator(".title").click()
    page.get_by_label("Title").fill("One and a half")
    page.get_by_label("New task").fill("Half a thou")
    person.expected = {"401 /tasks", "401 /auth/token", "400 /auth/token"}
    change = {"password": PASSWORD, "new_password": PASSWORD}
    status, *_ = call(
        person.port, "PUT", "/auth/me/password", change, Authorization=f"Bearer {person.token}"
    )
    assert status == 204
    expect(page.get_by_text("Your session is over")).to_be_visible()
    expect(page.get_by_label("Email")).to_have_value(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("New task")).to_have_value("Half a thou")
    expect(page.get_by_label("Title")).to_have_value("One and a half")


def test_a_refused_task_is_taken_back(person):
    page = person.enter("One")
    person.expected = {"422 /tasks"}
    add(page, "x" * 256)
    expect(page.locator("#message")).to_contain_text("Title should have at most 255 characters.")
    sees(page, "One")
    expect(page.get_by_label("New task")).to_have_value("x" * 256)


def test_offline_a_task_is_added_once(person):
    page = person.enter("One")
    person.expected = {"net::ERR_INTERNET_DISCONNECTED", "net::ERR_FAILED"}
    keys = []

    def lose_the_answer(route):
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # the server adds the task, and the page never hears of it
            route.abort()
        else:
            route.continue_()

    page.route(lambda url: url.endswith("/tasks"), lose_the_answer)
    page.context.set_offline(True)
    add(page, "Two")
    expect(page.get_by_text("You are offline.")).to_be_visible()
    sees(page, "One", "Two")
    page.context.set_offline(False)
    expect(page.locator("li.pending")).to_have_count(0)
    expect(page.get_by_text("You are offline.")).to_be_hidden()
    saved(person, "One", "Two")
    sees(page, "One", "Two")
    assert len(keys) > 1
    assert len(set(keys)) == 1


def test_a_busy_server_is_asked_again(person):
    page = person.enter("One")
    person.expected = {"503 /tasks"}
    answers = iter([503])

    def once(route):
        status = next(answers, None)
        headers = {"Retry-After": "1"}
        route.fulfill(status=status, headers=headers) if status else route.continue_()

    page.route(lambda url: url.endswith("/tasks"), once)
    add(page, "Two")
    expect(page.get_by_text("The server is busy.")).to_be_visible()
    saved(person, "One", "Two")
    expect(page.get_by_text("The server is busy.")).to_be_hidden()


@pytest.mark.parametrize(("button", "title"), [("Save mine", "Mine"), ("Keep the newer", "Theirs")])
def test_an_edit_conflict_is_told(person, button, title):
    page = person.enter("One")
    (task,) = saved(person, "One")
    row(page, "One").locator(".title").click()
    page.get_by_label("Title").fill("Mine")
    person.api("PATCH", f"/tasks/{task}", {"title": "Theirs"})
    page.keyboard.press("Enter")
    expect(page.get_by_text("It now reads “Theirs”")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Mine")
    page.get_by_role("button", name=button).click()
    sees(page, title)
    saved(person, title)


def test_a_race_between_the_look_and_the_change_is_a_conflict(person):
    page = person.enter("One")
    (task,) = saved(person, "One")
    person.expected = {f"412 /tasks/{task}"}

    late = [True]

    def be_late(route):
        if route.request.method == "PATCH" and late:
            late.pop()
            person.api("PATCH", f"/tasks/{task}", {"title": "Theirs"})
        route.continue_()

    page.route("**/tasks/*", be_late)
    row(page, "One").locator(".title").click()
    page.get_by_label("Title").fill("Mine")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It now reads “Theirs”")).to_be_visible()


# --- For everyone ---------------------------------------------------------------------------------


def test_the_keyboard_does_everything(person):
    person.sign_up()
    page = person.tab()
    keys = page.keyboard
    keys.type(person.email)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_label("New task")).to_be_focused()
    for title in ("One", "Two"):
        keys.type(title)
        keys.press("Enter")
    sees(page, "One", "Two")
    page.get_by_role("checkbox", name="One").focus()
    keys.press("Space")
    expect(page.get_by_role("checkbox", name="One")).to_be_checked()
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_label("Title")).to_be_focused()
    keys.press("End")
    keys.type(" more")
    keys.press("Enter")
    sees(page, "One more", "Two")
    expect(page.get_by_role("button", name="One more", exact=True)).to_be_focused()
    keys.press("Enter")
    keys.type("!")
    keys.press("Escape")
    sees(page, "One more", "Two")
    keys.press("Tab")
    keys.press("Tab")
    expect(page.get_by_role("button", name="Delete One more")).to_be_focused()
    keys.press("Enter")
    sees(page, "Two")
    expect(page.get_by_role("checkbox", name="Two")).to_be_focused()
    keys.press("Control+z")
    sees(page, "One more", "Two")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(port, browser, theme):
    person = Person(port, browser, color_scheme=theme, reduced_motion="reduce")
    person.expected = {"401 /auth/token", "net::ERR_INTERNET_DISCONNECTED"}
    axe = Axe()

    def check(state):
        found = axe.run(page)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"

    page = person.tab()
    check("login")
    person.log_in(page, "wrong horse")
    expect(page.get_by_text("Invalid credentials.")).to_be_visible()
    check("refused login")
    page.route("**/tasks?*", lambda route: None)
    person.log_in(page, button="Create account")
    expect(page.locator("#tasks")).to_have_attribute("aria-busy", "true")
    check("loading")
    page.unroute("**/tasks?*")
    page.reload()
    expect(page.get_by_role("heading", name="A clear page")).to_be_visible()
    check("empty")
    for title in ("Late", "Done", "Open"):
        add(page, title)
    row(page, "Late").locator(".title").click()
    page.get_by_label("Due", exact=True).fill("2000-01-02")
    check("edit")
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Done").check()
    expect(page.locator("li.pending")).to_have_count(0)
    check("list")
    row(page, "Open").hover()
    page.get_by_role("button", name="Delete Open").click()
    check("undo")
    page.context.set_offline(True)
    add(page, "Later")
    expect(page.get_by_text("You are offline.")).to_be_visible()
    check("offline")
    person.context.close()
    assert person.noise == []


def test_the_policy_lets_nothing_else_in(port):
    for path in ("/", "/static/app.js", "/static/app.css"):
        status, headers = fetch_headers(port, path)
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


def fetch_headers(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.status, answer.headers


def test_the_page_weighs_little():
    names = ("index.html", "app.css", "app.js", "api.js", "tasks.js", "icon.svg")
    assert sum((HERE / "static" / name).stat().st_size for name in names) < 36 * 1024

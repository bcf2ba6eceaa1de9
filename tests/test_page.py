"""The page at / in a real Chromium, against the Procfile's gunicorn; CHROMIUM names another."""

import json
import os
import re
import time
from datetime import date, timedelta
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tests.support import PASSWORD, call, serving

FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
FLAGS += " disable-component-update disable-sync"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FAILED = "Failed to load resource: "
STATUS = f"{FAILED}the server responded with a status of "
UNAUTHORIZED = f"{STATUS}401 (UNAUTHORIZED)"
UNPROCESSABLE = f"{STATUS}422 (UNPROCESSABLE ENTITY)"
expect.set_options(timeout=15_000)

# --- Fixtures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    path = tmp_path_factory.mktemp("page")
    with serving(path) as server:
        yield server.port


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[f"--{flag}" for flag in FLAGS.split()]
        )
        yield browser
        browser.close()


@pytest.fixture
def expected():
    """The lines of the browser's own that a test expects on the console; all others fail it."""
    return set()


@pytest.fixture
def new_context(browser, port, expected):
    """Make browser profiles in which no error, CSP report or foreign request goes unseen."""
    origin = f"http://127.0.0.1:{port}"
    contexts, lines, foreign = [], [], []

    def see(request):
        if not request.url.startswith(f"{origin}/"):
            foreign.append(request.url)

    def make():
        context = browser.new_context(base_url=origin, reduced_motion="reduce")
        context.set_default_timeout(15_000)
        context.clock.install()  # a test can let time pass at once
        context.on("console", lambda message: lines.append(message.text))
        context.on("weberror", lambda found: lines.append(str(found.error)))
        context.on("request", see)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        for page in context.pages:
            page.evaluate("0")  # what was said before has come in
        context.close()
    assert set(lines) <= expected
    assert foreign == []


@pytest.fixture
def context(new_context):
    return new_context()


class Account:
    """An account, as another client of the API sees it."""

    def __init__(self, port):
        self.port, self.email = port, f"{uuid4().hex[:8]}@example.com"
        account = {"email": self.email, "password": PASSWORD}
        assert call(port, "POST", "/auth/register", account)[0] == 201
        token = call(port, "POST", "/auth/token", account)[1]["access_token"]
        self.bearer = {"Authorization": f"Bearer {token}"}

    def call(self, method, path="/tasks", body=None):
        status, answer, _ = call(self.port, method, path, body, **self.bearer)
        assert status < 300, answer
        return answer

    def add(self, title, **fields):
        return self.call("POST", body={"title": title, **fields})

    def titles(self):
        return [task["title"] for task in self.call("GET")]


@pytest.fixture
def ada(port):
    return Account(port)


def log_in(page, email, button="Log in"):
    page.goto("/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_label("New task")).to_be_focused()
    return page


@pytest.fixture
def page(context, ada):
    """Ada's list."""
    return log_in(context.new_page(), ada.email)


def row(page, title):
    return page.get_by_role("listitem").filter(has=page.get_by_role("button", name=title).first)


def see(page, *titles):
    """Expect these tasks, in this order."""
    expect(page.get_by_role("listitem").locator(".title")).to_have_text(list(titles))


def add(page, title):
    page.get_by_label("New task").fill(title)
    page.keyboard.press("Enter")


def pass_time(page):
    """Let ten seconds pass: longer than from one look at the server to the next, or for an undo."""
    page.clock.fast_forward(10_000)


def until_settled(page, title):
    """Expect a task that the server has confirmed."""
    expect(row(page, title)).not_to_have_class(re.compile("pending"))


def stored_session(page):
    return json.loads(page.evaluate("localStorage.getItem('todo.session')"))


def spoil_access_token(page):
    """Make the access token one that has expired, as far as the page can tell."""
    spoiled = json.dumps(stored_session(page) | {"access_token": "expired"})
    page.evaluate("session => localStorage.setItem('todo.session', session)", spoiled)


# --- The story ------------------------------------------------------------------------------------


def test_the_whole_story(context):
    email = f"{uuid4().hex[:8]}@example.com"
    page = log_in(context.new_page(), email, button="Create account")
    expect(page.get_by_role("heading", name="A clear page")).to_be_visible()
    for title in ("Buy milk", "Call Ann", "Water the plants"):
        add(page, title)
    see(page, "Buy milk", "Call Ann", "Water the plants")

    page.get_by_role("checkbox", name="Buy milk").check()
    page.get_by_role("button", name="Call Ann").first.click()
    expect(page.get_by_label("Title")).to_be_focused()
    page.get_by_label("Title").fill("Call Anna")
    page.keyboard.press("Enter")
    see(page, "Buy milk", "Call Anna", "Water the plants")

    row(page, "Water").get_by_role("button", name="due date").click()
    page.get_by_label("Due", exact=True).fill("2999-12-31")
    page.get_by_role("button", name="Save").click()
    expect(row(page, "Water")).to_contain_text("31 Dec 2999")
    page.get_by_label("Sort").select_option("By date")
    see(page, "Water the plants", "Buy milk", "Call Anna")
    row(page, "Water").get_by_role("button", name="due date").click()
    page.get_by_label("Due", exact=True).fill("")
    page.get_by_role("button", name="Save").click()
    expect(row(page, "Water")).to_contain_text("Set date")
    see(page, "Buy milk", "Call Anna", "Water the plants")

    page.get_by_role("link", name="Open").click()
    see(page, "Call Anna", "Water the plants")
    page.get_by_role("link", name="Done").click()
    see(page, "Buy milk")
    page.get_by_role("link", name="All").click()
    page.get_by_label("Search").fill("THE")
    see(page, "Water the plants")
    page.get_by_label("Search").fill("")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear done").click()
    see(page, "Call Anna", "Water the plants")
    page.get_by_role("link", name="Open").click()
    page.get_by_label("Search").fill("call")
    see(page, "Call Anna")

    page.reload()
    see(page, "Call Anna")
    expect(page.get_by_text(email)).to_be_visible()
    expect(page.get_by_role("link", name="Open")).to_have_attribute("aria-current", "page")
    expect(page.get_by_label("Sort")).to_have_value("due")
    expect(page.get_by_label("Search")).to_have_value("call")
    page.get_by_label("Search").fill("")
    page.get_by_role("link", name="All").click()
    see(page, "Call Anna", "Water the plants")


def test_the_keyboard_does_everything(context, ada):
    page = context.new_page()
    page.goto("/")
    keys = page.keyboard
    keys.type(ada.email)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_label("New task")).to_be_focused()
    for title in ("First", "Second", "Third"):
        keys.type(title)
        keys.press("Enter")
    see(page, "First", "Second", "Third")

    def tab_to(target):
        for _ in range(30):
            if target.evaluate("element => element === document.activeElement"):
                return
            keys.press("Tab")
        expect(target).to_be_focused()

    tab_to(page.get_by_role("checkbox", name="First"))
    keys.press("Space")
    expect(page.get_by_role("checkbox", name="First")).to_be_checked()
    tab_to(row(page, "Second").locator(".title"))
    keys.press("Enter")
    expect(page.get_by_label("Title")).to_be_focused()
    keys.press("End")
    keys.type(" draft")
    keys.press("Escape")
    expect(row(page, "Second").locator(".title")).to_be_focused()
    keys.press("Enter")
    keys.press("End")
    keys.type(" try")
    keys.press("Enter")
    see(page, "First", "Second try", "Third")
    tab_to(page.get_by_role("button", name="Delete Second try"))
    keys.press("Enter")
    see(page, "First", "Third")
    expect(page.get_by_role("checkbox", name="Third")).to_be_focused()
    keys.press("Control+z")
    see(page, "First", "Second try", "Third")
    page.get_by_label("New task").focus()
    tab_to(page.get_by_role("link", name="Done"))
    keys.press("Enter")
    see(page, "First")
    tab_to(page.get_by_role("button", name="Clear done"))
    page.once("dialog", lambda dialog: dialog.accept())
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Nothing done yet")).to_be_visible()
    page.get_by_label("New task").focus()
    keys.press("Shift+Tab")
    keys.press("Enter")
    expect(page.get_by_label("Email")).to_be_focused()


# --- With others ----------------------------------------------------------------------------------


def test_a_second_tab_and_another_browser_agree(page, context, new_context, ada):
    tab, phone = context.new_page(), log_in(new_context().new_page(), ada.email)
    tab.goto("/")
    add(page, "From the first")
    until_settled(page, "From the first")
    pass_time(phone)
    for other in (tab, phone):
        see(other, "From the first")
    phone.get_by_role("checkbox", name="From the first").check()
    until_settled(phone, "From the first")
    pass_time(page)
    for other in (tab, page):
        expect(other.get_by_role("checkbox", name="From the first")).to_be_checked()


def test_an_unchanged_list_costs_a_304(page, ada):
    ada.add("Steady")
    see(page, "Steady")
    with page.expect_response(lambda answer: "/tasks?" in answer.url and answer.status == 304):
        pass_time(page)
    see(page, "Steady")


@pytest.mark.parametrize(("choice", "title"), [("Save mine", "Mine"), ("Keep the newer", "Theirs")])
def test_an_edit_conflict_lets_choose(page, ada, choice, title):
    path = f"/tasks/{ada.add('Original')['id']}"
    row(page, "Original").locator(".title").click()
    page.get_by_label("Title").fill("Mine")
    ada.call("PATCH", path, {"title": "Theirs"})
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="“Theirs”")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Mine")
    page.get_by_role("button", name=choice).click()
    see(page, title)
    until_settled(page, title)
    assert ada.titles() == [title]


def test_edits_of_two_fields_do_not_conflict(page, ada):
    path = f"/tasks/{ada.add('Original')['id']}"
    row(page, "Original").locator(".title").click()
    page.get_by_label("Title").fill("Mine")
    ada.call("PATCH", path, {"due": "2999-12-31"})
    page.keyboard.press("Enter")
    see(page, "Mine")
    expect(row(page, "Mine")).to_contain_text("31 Dec 2999")


# --- The session ----------------------------------------------------------------------------------


def test_an_expired_token_is_renewed_silently_in_all_tabs(page, context, expected, ada):
    expected.add(UNAUTHORIZED)
    tab = context.new_page()
    tab.goto("/")
    see(tab)
    renewals = []
    context.on("request", lambda sent: "/auth/token" in sent.url and renewals.append(sent))
    spoil_access_token(page)
    add(page, "One")
    add(tab, "Two")
    for each in (page, tab):
        expect(each.get_by_role("listitem")).to_have_count(2)
        until_settled(each, "One")
        until_settled(each, "Two")
    assert len(renewals) in (1, 2)  # both tabs may do it at once
    assert sorted(ada.titles()) == ["One", "Two"]


def test_a_session_revoked_elsewhere_ends_with_the_typed_text_kept(page, port, expected, ada):
    expected.add(UNAUTHORIZED)
    ada.add("Still here")
    see(page, "Still here")
    page.get_by_label("New task").fill("Half a thou")
    call(port, "POST", "/auth/revoke", {"token": stored_session(page)["refresh_token"]})
    pass_time(page)
    expect(page.get_by_text("Your session is over")).to_be_visible()
    expect(page.get_by_text("Still here")).to_be_hidden()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    see(page, "Still here")
    expect(page.get_by_label("New task")).to_have_value("Half a thou")


def test_log_out_revokes_in_all_tabs_and_the_next_user_sees_nothing(page, context, port, ada):
    tab = context.new_page()
    tab.goto("/")
    add(page, "Secret")
    see(tab, "Secret")
    page.get_by_label("New task").fill("Half a thou")
    access = stored_session(page)["access_token"]
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Email")).to_be_focused()
    deadline = time.monotonic() + 15
    while call(port, "GET", "/tasks", Authorization=f"Bearer {access}")[0] != 401:
        assert time.monotonic() < deadline
    expect(tab.get_by_label("Password")).to_be_visible()
    log_in(page, Account(port).email)
    see(page)
    expect(page.get_by_text("Secret")).to_have_count(0)
    expect(page.get_by_label("New task")).to_have_value("")


# --- Trouble --------------------------------------------------------------------------------------


def test_offline_and_back(page, context, expected, ada):
    expected.add(f"{FAILED}net::ERR_INTERNET_DISCONNECTED")
    add(page, "Before")
    until_settled(page, "Before")
    context.set_offline(True)
    add(page, "Meanwhile")
    page.get_by_role("checkbox", name="Before").check()
    expect(page.get_by_text("You are offline")).to_be_visible()
    expect(row(page, "Meanwhile")).to_have_class(re.compile("pending"))
    context.set_offline(False)
    expect(page.get_by_text("You are offline")).to_be_hidden()
    until_settled(page, "Meanwhile")
    until_settled(page, "Before")
    assert [(task["title"], task["done"]) for task in ada.call("GET")] == [
        ("Before", True),
        ("Meanwhile", False),
    ]


def test_a_task_that_the_list_brings_before_its_own_answer_is_shown_once(page, ada):
    held = []
    page.route("**/tasks", lambda route: held.append(route))
    add(page, "Once")
    expect(row(page, "Once")).to_have_count(1)
    while not held:
        page.wait_for_timeout(10)
    answer = held[0].fetch()
    pass_time(page)
    expect(row(page, "Once")).to_have_count(2)  # the server's, and one that may be another
    held[0].fulfill(response=answer)
    see(page, "Once")
    until_settled(page, "Once")
    assert ada.titles() == ["Once"]


def test_a_task_whose_answer_was_lost_is_added_once(page, expected, ada):
    expected.add(f"{FAILED}net::ERR_FAILED")
    keys = []

    def lose_the_first(route):
        if route.request.method != "POST":
            return route.fallback()
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return route.fallback()
        route.fetch()
        return route.abort()

    page.route("**/tasks", lose_the_first)
    add(page, "Once")
    see(page, "Once")
    until_settled(page, "Once")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert ada.titles() == ["Once"]


def test_a_change_survives_a_reload_before_it_is_sent(page, expected, ada):
    expected.add(f"{FAILED}net::ERR_FAILED")
    page.route("**/tasks", lambda route: route.abort())
    add(page, "Later")
    expect(page.get_by_text("cannot be reached")).to_be_visible()
    page.unroute("**/tasks")
    page.reload()
    see(page, "Later")
    until_settled(page, "Later")
    assert ada.titles() == ["Later"]


def test_what_the_server_refuses_is_rolled_back_with_a_message(page, expected, ada):
    expected.add(UNPROCESSABLE)
    ada.add("Short")
    add(page, "x" * 256)
    expect(page.get_by_text("title: String should have at most 255 characters")).to_be_visible()
    see(page, "Short")
    expect(page.get_by_label("New task")).to_have_value("x" * 256)
    row(page, "Short").locator(".title").click()
    page.get_by_label("Title").fill("y" * 256)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("at most 255 characters")
    expect(page.get_by_label("Title")).to_have_value("y" * 256)
    page.keyboard.press("Escape")
    see(page, "Short")


def test_a_refused_login_says_why(context, port, expected, ada):
    expected |= {f"{STATUS}429 (TOO MANY REQUESTS)", f"{STATUS}400 (BAD REQUEST)"}
    expected.add(UNAUTHORIZED)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Email").fill(ada.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert")).to_have_text("Email already exists.")
    page.get_by_label("Password").fill("wrong horse")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Invalid credentials.")
    expect(page.get_by_label("Password")).to_be_focused()
    wrong = {"email": ada.email, "password": "wrong horse"}
    for _ in range(9):
        call(port, "POST", "/auth/token", wrong)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "Too many failed logins. Try again in 60 seconds."
    )


# --- The list -------------------------------------------------------------------------------------


def test_a_delete_can_be_undone_and_else_is_done(page, ada):
    for title in ("Keep", "Drop"):
        ada.add(title)
    page.get_by_role("button", name="Delete Keep").click()
    see(page, "Drop")
    page.get_by_role("button", name="Undo").click()
    see(page, "Keep", "Drop")
    with page.expect_response(lambda answer: answer.status == 204):
        page.get_by_role("button", name="Delete Drop").click()
        pass_time(page)
    see(page, "Keep")
    assert ada.titles() == ["Keep"]


def test_a_delete_is_sent_when_the_page_goes(page, expected, ada):
    expected.add(f"{STATUS}404 (NOT FOUND)")  # as it goes, and once more later to be sure
    ada.add("Drop")
    page.get_by_role("button", name="Delete Drop").click()
    page.reload()
    expect(page.get_by_role("heading", name="A clear page")).to_be_visible()
    assert ada.titles() == []


def test_what_is_overdue_says_so(page, ada):
    late, today = date.today() - timedelta(days=3), date.today()
    ada.add("Late", due=str(late))
    ada.add("Late but done", due=str(late), done=True)
    ada.add("Today", due=str(today))
    expect(row(page, "Today")).not_to_contain_text("Overdue")
    expect(row(page, "Late but done")).not_to_contain_text("Overdue")
    expect(page.get_by_role("button", name=re.compile("Overdue.*due date of Late"))).to_be_visible()
    expect(page.get_by_text("Overdue")).to_have_count(1)


def test_scrolling_brings_the_next_page(page, ada):
    for number in range(120):
        ada.add(f"Task {number}")
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(100)
    page.mouse.wheel(0, 10_000)
    expect(page.get_by_role("listitem")).to_have_count(120)
    add(page, "The last")
    expect(page.get_by_role("listitem").last).to_contain_text("The last")


def test_a_hostile_title_is_text(page):
    title = '"><img src=x onerror=alert(1)><script>alert(2)</script> & \u202e'
    add(page, title)
    see(page, title)
    expect(page.locator("#tasks img, #tasks script")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status").filter(has_text="<img")).to_be_visible()
    expect(page.locator("#toast img")).to_have_count(0)


def test_a_row_that_moves_keeps_the_focus(page, ada):
    ada.add("First")
    path = f"/tasks/{ada.add('Second')['id']}"
    page.get_by_label("Sort").select_option("By date")
    see(page, "First", "Second")
    title = row(page, "Second").locator(".title")
    title.focus()
    ada.call("PATCH", path, {"due": "2999-12-31"})
    pass_time(page)
    see(page, "Second", "First")
    expect(title).to_be_focused()


# --- Accessibility --------------------------------------------------------------------------------


def test_axe_finds_nothing_in_any_state(context, expected, ada):
    expected |= {UNAUTHORIZED, f"{FAILED}net::ERR_INTERNET_DISCONNECTED"}
    page, found = context.new_page(), []

    def check(state):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for rule in Axe().run(page, options={"runOnly": TAGS}).response["violations"]:
                found.append((state, scheme, rule["id"], [n["target"] for n in rule["nodes"]]))

    page.goto("/")
    page.get_by_label("Email").fill(ada.email)
    check("login")
    page.get_by_label("Password").fill("wrong horse")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Invalid credentials.")
    check("error")
    log_in(page, ada.email)
    expect(page.get_by_role("heading", name="A clear page")).to_be_visible()
    check("empty")
    ada.add("Done", done=True)
    original = ada.add("Late", due="2020-02-02")
    ada.add("Open")
    expect(page.get_by_role("listitem")).to_have_count(3)
    page.get_by_role("button", name="Delete Open").click()
    check("list")
    page.get_by_role("button", name="Undo").click()
    row(page, "Late").locator(".title").click()
    page.get_by_label("Title").fill("Mine")
    check("editing")
    ada.call("PATCH", f"/tasks/{original['id']}", {"title": "Theirs"})
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="“Theirs”")).to_be_visible()
    check("conflict")
    context.set_offline(True)
    add(page, "Meanwhile")
    expect(page.get_by_text("You are offline")).to_be_visible()
    check("offline")
    assert found == []

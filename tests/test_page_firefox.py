"""The main stories of the page at / in a real Firefox, against the Procfile's gunicorn."""

from contextlib import suppress
from datetime import date, timedelta
from uuid import uuid4

import pytest

from tests.browser import Account, ada, server
from tests.firefox import Tab, running
from tests.support import PASSWORD, free_port, serving, wait_for

__all__ = ["ada", "server"]  # fixtures
TITLES = """[...document.querySelectorAll("li[data-name] .title")]
    .filter((title) => title.checkVisibility()).map((title) => title.innerText)"""
FOCUSED = "document.activeElement.ariaLabel ?? document.activeElement.textContent"
QUEUED = """Object.entries(localStorage).filter(
    ([name, text]) => name.startsWith("todo.change ") && !JSON.parse(text).sent).length"""


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("firefox")) as firefox:
        yield firefox


@pytest.fixture
def profile(firefox):
    """A profile of its own, in which no error or warning on the console goes unseen."""
    firefox.said.clear()
    profile = firefox.tell("browser.createUserContext")["userContext"]
    yield profile
    firefox.tell("browser.removeUserContext", userContext=profile)
    said = [entry["text"] for entry in firefox.said if entry["level"] in ("error", "warn")]
    assert not said, said


@pytest.fixture
def new_tab(firefox, profile, server):
    """Open a tab, or a window, of that profile at the page."""

    def make(kind="tab", url=server.url):
        tab = Tab(firefox, profile, kind)
        tab.goto(f"{url}/")
        return tab

    return make


@pytest.fixture
def network(firefox, profile):
    """Take the network away from that profile, and give it back."""

    def switch(on):
        conditions = None if on else {"type": "offline"}
        where = {"networkConditions": conditions, "userContexts": [profile]}
        firefox.tell("emulation.setNetworkConditions", **where)

    return switch


@pytest.fixture
def tab(new_tab, ada):
    """Ada's list."""
    return log_in(new_tab(), ada.email)


# --- What people do -------------------------------------------------------------------------------


def until(read, expected, seconds=15):
    """Wait until something is read as expected."""
    with suppress(AssertionError):
        wait_for(lambda: read() == expected, seconds)
    assert read() == expected


def until_focused(tab, name):
    until(lambda: tab.read(FOCUSED), name)


def log_in(tab, email, button="Log in"):
    tab.click("textbox", "Email")
    tab.type(email)
    tab.press("Tab")
    tab.type(PASSWORD)
    tab.click("button", button)
    until_focused(tab, "New task")
    return tab


def see(tab, *titles):
    """Expect these tasks on the screen, in this order."""
    until(lambda: tab.read(TITLES), list(titles))


def add(tab, title):
    tab.click("textbox", "New task")
    tab.type(title)
    tab.press("Enter")


def until_sent(tab):
    """Wait until the server has confirmed all changes."""
    until(lambda: tab.read(QUEUED), 0, seconds=30)


def tick(tab, title):
    tab.click("checkbox", title)


def delete(tab, title):
    tab.click("button", f"Delete {title}")


def open_edit(tab, title):
    tab.click("button", title)
    until_focused(tab, "Title")


def tab_to(tab, name, most=30):
    """Go on by the Tab key until the focus is there."""
    for _ in range(most):
        if tab.read(FOCUSED) == name:
            return
        tab.press("Tab")
    until_focused(tab, name)


def see_state(tab, text):
    until(lambda: tab.read("document.getElementById('state').textContent"), text)


def until_kept(tab, title):
    """Wait until the page and the list are kept for a start without a server."""
    assert tab.read("navigator.serviceWorker.ready.then(() => true)")
    kept = "Object.entries(localStorage).find(([name]) => name.startsWith('todo.list '))?.[1] ?? ''"
    wait_for(lambda: title in tab.read(kept), what=f"{title} in the list that is kept")


def log_out(tab, email):
    tab.click("button", email)
    tab.click("button", "Log out")
    until(lambda: tab.read("document.activeElement.id"), "email")


# --- The story ------------------------------------------------------------------------------------


def test_the_whole_story(new_tab, server):
    email = f"{uuid4().hex[:8]}@example.com"
    tab = log_in(new_tab(), email, button="Create account")
    tab.find("heading", "A clear page")
    add(tab, "Buy milk")
    add(tab, "Call Ann")
    tab.type("Water the plants tomorrow")
    tab.find("button", "Due Tomorrow; remove")
    tab.press("Enter")
    see(tab, "Water the plants", "Call Ann", "Buy milk")
    tab.find("button", "Tomorrow, due date of Water the plants")

    tick(tab, "Buy milk")
    see(tab, "Water the plants", "Call Ann")
    open_edit(tab, "Call Ann")
    tab.press("End")
    tab.type("a")
    tab.press("Enter")
    see(tab, "Water the plants", "Call Anna")
    delete(tab, "Call Anna")
    see(tab, "Water the plants")
    tab.press("Control", "z")
    see(tab, "Water the plants", "Call Anna")
    until_sent(tab)

    tab.reload()
    see(tab, "Water the plants", "Call Anna")
    tomorrow = str(date.today() + timedelta(days=1))
    account = {"username": email, "password": PASSWORD}
    token = server.call("POST", "/auth/token", account)[1]["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    tasks = server.call("GET", "/tasks", **bearer)[1]
    assert [(task["title"], task["done"], task.get("due")) for task in tasks] == [
        ("Buy milk", True, None),
        ("Call Anna", False, None),
        ("Water the plants", False, tomorrow),
    ]
    tab.find("button", email)


def test_the_keyboard_does_everything(new_tab, ada):
    tab = new_tab()
    until(lambda: tab.read("document.activeElement.id"), "email")
    tab.type(ada.email)
    tab.press("Tab")
    tab.type(PASSWORD)
    tab.press("Enter")
    until_focused(tab, "New task")
    for title in ("Third", "Second", "First"):
        tab.type(title)
        tab.press("Enter")
    see(tab, "First", "Second", "Third")
    tab_to(tab, "First")
    tab.press("Space")
    see(tab, "Second", "Third")
    until_focused(tab, "Second")
    tab.find("button", "Undo")
    tab_to(tab, "Undo", most=5)
    tab.press("Enter")
    see(tab, "First", "Second", "Third")
    tab_to(tab, "Delete First")
    tab.press("Tab")
    tab.press("Tab")
    until_focused(tab, "Second")
    tab.press("Enter")
    until_focused(tab, "Title")
    tab.press("End")
    tab.type(" draft")
    tab.press("Escape")
    until_focused(tab, "Second")
    tab.press("Enter")
    until_focused(tab, "Title")
    tab.press("End")
    tab.type(" try")
    tab.press("Enter")
    see(tab, "First", "Second try", "Third")
    tab_to(tab, "Delete Second try")
    tab.press("Enter")
    see(tab, "First", "Third")
    until_focused(tab, "Third")
    tab.press("Control", "z")
    see(tab, "First", "Second try", "Third")
    tab.press("/")
    until_focused(tab, "Search")
    tab.type("third")
    see(tab, "Third")
    tab.press("Escape")
    see(tab, "First", "Second try", "Third")
    tab_to(tab, "Third")
    tab.press("n")
    until_focused(tab, "New task")
    tab.press("Shift", "Tab")
    tab.press("Enter")
    tab.find("dialog", ada.email)
    tab_to(tab, "Log out")
    tab.press("Enter")
    until(lambda: tab.read("document.activeElement.id"), "email")


# --- Others who change the list -------------------------------------------------------------------


def test_what_another_client_changes_appears_by_itself(tab, ada):
    task = ada.add("From a script")
    until(lambda: tab.read(TITLES), ["From a script"], seconds=2)
    ada.change(task, title="From another")
    until(lambda: tab.read(TITLES), ["From another"], seconds=2)
    ada.delete(task)
    until(lambda: tab.read(TITLES), [], seconds=2)


@pytest.mark.parametrize("kind", ["tab", "window"])
def test_two_tabs_agree(tab, new_tab, ada, kind):
    other = new_tab(kind)
    add(other, "Second")
    see(other, "Second")
    see(tab, "Second")
    tab.activate()
    add(tab, "First")
    for each in (tab, other):
        see(each, "First", "Second")
    other.activate()
    tick(other, "First")
    for each in (tab, other):
        see(each, "Second")
    tab.activate()
    delete(tab, "Second")
    for each in (tab, other):
        see(each)
    tab.click("button", "Undo")
    for each in (tab, other):
        see(each, "Second")
    until_sent(tab)
    assert [(task["title"], task["done"]) for task in ada.tasks()] == [
        ("Second", False),
        ("First", True),
    ]


def test_a_page_that_is_come_back_to_goes_on(tab, ada, server):
    ada.add("Before")
    see(tab, "Before")
    tab.goto(f"{server.url}/docs")
    ada.add("Meanwhile")
    tab.tell("browsingContext.traverseHistory", delta=-1)
    see(tab, "Meanwhile", "Before")
    ada.add("After")
    see(tab, "After", "Meanwhile", "Before")
    add(tab, "By hand")
    see(tab, "By hand", "After", "Meanwhile", "Before")
    until_sent(tab)
    assert ada.titles() == ["Before", "Meanwhile", "After", "By hand"]


# --- Nothing typed is lost ------------------------------------------------------------------------


def test_what_is_half_typed_survives_a_reload(tab, ada):
    ada.add("Call Ann")
    open_edit(tab, "Call Ann")
    tab.press("End")
    tab.type(" about")
    tab.click("textbox", "New task")
    tab.type("Half a thou")
    tab.reload()
    tab.find("textbox", "Title")
    fields = """[...document.querySelectorAll("#new, textarea")].map(({ value }) => value)"""
    until(lambda: tab.read(fields), ["Half a thou", "Call Ann about"])


def test_a_search_and_an_order_are_there_after_a_reload(tab, ada):
    ada.add("Undated milk")
    ada.add("Dated milk", due="2999-12-31")
    ada.add("Bread")
    tab.click("searchbox", "Search")
    tab.type("milk")
    see(tab, "Dated milk", "Undated milk")
    tab.press("Tab")
    until_focused(tab, "Order")
    tab.type("b")
    fields = """["search", "sort"].map((id) => document.getElementById(id).value)"""
    until(lambda: tab.read(fields), ["milk", "due"])
    tab.reload()
    see(tab, "Dated milk", "Undated milk")
    until(lambda: tab.read(fields), ["milk", "due"])


def test_a_date_is_typed_in_its_field(tab, ada):
    ada.add("Pay the rent")
    tab.click("button", "Set date, due date of Pay the rent")
    until_focused(tab, "Due")
    tab.type("12312999")
    tab.press("Enter")
    tab.find("button", "Dec 31, 2999, due date of Pay the rent")
    until_sent(tab)
    assert [task["due"] for task in ada.tasks()] == ["2999-12-31"]


# --- Without a server -----------------------------------------------------------------------------


def test_what_is_added_while_the_server_is_away_survives_a_reload_and_arrives(new_tab, tmp_path):
    port = free_port()
    with serving(tmp_path, port=port) as first:
        ada = Account(first)
        tab = log_in(new_tab(url=first.url), ada.email)
        add(tab, "Before")
        until_sent(tab)
        until_kept(tab, "Before")
    add(tab, "Meanwhile")
    tick(tab, "Before")
    see_state(tab, "No server, 2 waiting")
    tab.reload()
    see(tab, "Meanwhile")
    see_state(tab, "No server, 2 waiting")
    with serving(tmp_path, port=port):
        until_sent(tab)
        assert [(task["title"], task["done"]) for task in ada.tasks()] == [
            ("Before", True),
            ("Meanwhile", False),
        ]
        see_state(tab, "")
        ada.add("After")
        see(tab, "After", "Meanwhile")


def test_the_page_opens_without_a_network(tab, new_tab, ada, network):
    add(tab, "Before")
    until_sent(tab)
    until_kept(tab, "Before")
    network(False)
    tab.reload()
    see(tab, "Before")
    other = new_tab()
    see(other, "Before")
    add(other, "Offline")
    see(tab, "Offline", "Before")
    see_state(other, "Offline, 1 waiting")
    network(True)
    until_sent(other)
    assert ada.titles() == ["Before", "Offline"]


# --- Leaving --------------------------------------------------------------------------------------


def test_who_logs_out_leaves_nothing_in_any_tab(tab, new_tab, ada, server):
    add(tab, "Secret")
    until_sent(tab)
    refresh = tab.read("JSON.parse(localStorage.getItem('todo.session')).refresh_token")
    other = new_tab()
    see(other, "Secret")
    log_out(other, ada.email)
    for each in (tab, other):
        until(lambda each=each: each.read("document.documentElement.className"), "out")
        each.reload()
        each.find("textbox", "Email")
        assert "Secret" not in each.read("document.body.innerText")
        assert "Secret" not in each.read("JSON.stringify([localStorage, sessionStorage])")
    fields = {"grant_type": "refresh_token", "refresh_token": refresh}
    assert server.call("POST", "/auth/token", fields)[0] == 401


def test_who_logs_out_without_a_network_is_out(tab, ada, server, network):
    ada.add("Kept")
    until_kept(tab, "Kept")
    network(False)
    refresh = tab.read("JSON.parse(localStorage.getItem('todo.session')).refresh_token")
    log_out(tab, ada.email)
    tab.reload()
    tab.find("textbox", "Email")
    network(True)
    tab.reload()
    fields = {"grant_type": "refresh_token", "refresh_token": refresh}
    until(lambda: tab.read("localStorage.getItem('todo.revoked')"), "[]")
    assert server.call("POST", "/auth/token", fields)[0] == 401

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
def tab(new_tab, ada):
    """Ada's list."""
    return log_in(new_tab(), ada.email)


# --- What people do -------------------------------------------------------------------------------


def until(read, expected, seconds=15):
    """Wait until something is read as expected."""
    with suppress(AssertionError):
        wait_for(lambda: read() == expected, seconds)
    assert read() == expected


def focused(tab, role, name):
    """Wait until the focus is there."""
    element = tab.find(role, name)
    until(lambda: tab.all_focused(), [element])


def log_in(tab, email, button="Log in"):
    tab.click("textbox", "Email")
    tab.type(email)
    tab.press("Tab")
    tab.type(PASSWORD)
    tab.click("button", button)
    until(lambda: tab.read("document.activeElement.ariaLabel"), "New task")
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

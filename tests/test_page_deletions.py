"""A deletion is carried out, or its refusal is shown, and Undo brings back once what it took."""

import pytest

from tests.browser import (
    AWAY,
    STATUS,
    ada,
    add,
    browser,
    context,
    delete,
    expected,
    log_in,
    new_context,
    page,
    pass_time,
    see,
    see_done,
    server,
    tick,
    until_sent,
)
from tests.support import wait_for

__all__ = ["ada", "browser", "context", "expected", "new_context", "page", "server"]  # fixtures
HEARD = """text => Object.entries(localStorage)
    .some(([name, list]) => name.startsWith("todo.list") && list.includes(text))"""
NONE_KEPT = """() =>
    !Object.keys(localStorage).some((name) => name.startsWith("todo.change"))"""


class Proxy:
    """A proxy that answers one kind of request with a page of its own, while `status` is set."""

    def __init__(self, page, method, status):
        self.method, self.status = method, status
        page.context.route("**/tasks**", self.answer)
        page.context.route("**/tasks/*", self.answer)

    def answer(self, route):
        if not self.status or route.request.method != self.method:
            return route.fallback()
        return route.fulfill(status=self.status, content_type="text/html", body="<h1>No</h1>")


def refused(page):
    return page.locator("#refused li")


def decide(page, choice):
    refused(page).get_by_role("button", name=choice, exact=True).click()
    refused(page).wait_for(state="detached")


@pytest.fixture(autouse=True)
def answers(expected):
    """The browser's lines on the proxy's answers."""
    expected |= {f"{STATUS}403 (Forbidden)", f"{STATUS}404 (Not Found)", f"{STATUS}404 (NOT FOUND)"}
    expected |= {f"{STATUS}500 (Internal Server Error)"}


def test_to_discard_a_refused_task_leaves_the_deletion_of_others(page, ada):
    ada.add("Old", done=True)
    ada.add("Keep")
    see(page, "Keep")
    proxy = Proxy(page, "POST", 500)
    add(page, "New")
    tick(page, "New")
    page.get_by_text("Done (2)").click()
    see_done(page, "New", "Old")
    page.get_by_role("button", name="Clear done").click()
    see_done(page)
    proxy.status = 403
    pass_time(page, 60)
    refused(page).wait_for()
    decide(page, "Discard")
    pass_time(page)
    until_sent(page)
    assert ada.titles() == ["Keep"]
    see_done(page)


def test_to_take_back_new_tasks_leaves_the_deletion_of_others(new_context, expected, ada):
    expected |= AWAY
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = log_in(context.new_page(), ada.email)
    ada.add("Old", done=True)
    ada.add("Keep")
    see(page, "Keep")
    context.set_offline(True)
    page.evaluate("navigator.clipboard.writeText('One\\nTwo')")
    page.get_by_label("New task").press("Control+v")
    page.get_by_role("button", name="Add as 2 tasks").click()
    see(page, "Two", "One", "Keep")
    tick(page, "One")
    page.get_by_text("Done (2)").click()
    page.get_by_role("button", name="Clear done").click()
    see(page, "Two", "Keep")
    page.locator("#messages > div", has_text="Added 2").get_by_role("button").click()
    see(page, "Keep")
    context.set_offline(False)
    pass_time(page)
    until_sent(page)
    assert ada.titles() == ["Keep"]


def test_undo_of_a_deletion_that_was_refused_and_discarded_adds_nothing(page, ada):
    ada.add("Keep")
    Proxy(page, "DELETE", 403)
    delete(page, "Keep")
    see(page)
    pass_time(page)
    refused(page).wait_for()
    decide(page, "Discard")
    see(page, "Keep")
    page.keyboard.press("Control+z")
    until_sent(page)
    see(page, "Keep")
    assert ada.titles() == ["Keep"]


def test_undo_after_a_minute_adds_no_task_that_was_kept(page, context, ada):
    ada.add("Gone", done=True)
    kept = ada.add("Kept", done=True)
    page.get_by_text("Done (2)").click()
    page.get_by_role("button", name="Clear done").click()
    see_done(page)
    ada.change(kept, title="Kept, as they want it")
    page.wait_for_function(HEARD, arg="as they want it")
    pass_time(page)
    refused(page).wait_for()
    decide(page, "Keep it")
    see_done(page, "Kept, as they want it")
    pass_time(page, 70)
    page.wait_for_function(NONE_KEPT)
    page.keyboard.press("Control+z")
    see_done(page, "Gone", "Kept, as they want it")
    until_sent(page)
    assert sorted(ada.titles()) == ["Gone", "Kept, as they want it"]


def test_a_proxy_that_does_not_know_the_service_takes_no_task_for_deleted(page, ada):
    ada.add("Gone")
    proxy = Proxy(page, "DELETE", 404)
    delete(page, "Gone")
    see(page)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        pass_time(page)
    page.get_by_text("No server").wait_for()
    proxy.status = None
    pass_time(page, 60)
    until_sent(page)
    assert ada.titles() == []
    see(page)


def test_a_deletion_is_sent_although_a_module_did_not_come_at_first(context, expected, ada):
    expected |= AWAY
    asked = []

    def cut_once(route):
        asked.append(route.request)
        return route.abort() if len(asked) == 1 else route.fallback()

    context.route("**/static/stream.js", cut_once)
    ada.add("Gone")
    page = log_in(context.new_page(), ada.email)
    see(page, "Gone")
    wait_for(lambda: page.evaluate("1") and asked, what="the stream's module")
    delete(page, "Gone")
    pass_time(page)
    until_sent(page)
    assert ada.titles() == []

"""A frontend of another origin, in Chromium: what it may do when listed, and nothing otherwise."""

import functools
import os
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Error, sync_playwright

from tests.support import free_port, need, serving

FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
STORY = """
async ([url, account]) => {
  const json = { "Content-Type": "application/json" };
  const send = (method, path, headers, body) =>
    fetch(url + path, { method, headers: { ...json, ...headers }, body: JSON.stringify(body) });
  const registered = await send("POST", "/auth/register", {}, account);
  const { access_token } = await (await send("POST", "/auth/token", {}, account)).json();
  const bearer = { Authorization: `Bearer ${access_token}` };
  const keyed = { ...bearer, "Idempotency-Key": "one" };
  const added = [];
  for (let at = 0; at < 2; at++) added.push(await send("POST", "/tasks", keyed, { title: "x" }));
  await send("POST", "/tasks", bearer, { title: "y" });
  const list = await send("GET", "/tasks?limit=1", bearer);
  const task = (await added[0].json()).id;
  const matched = { ...bearer, "If-Match": added[0].headers.get("ETag") };
  const changed = await send("PATCH", `/tasks/${task}`, matched, { done: true });
  const again = await send("PATCH", `/tasks/${task}`, matched, { done: false });
  const removed = await send("DELETE", `/tasks/${task}`, bearer);
  return {
    statuses: [registered, ...added, list, changed, again, removed].map((it) => it.status),
    location: added[1].headers.get("Location"),
    link: list.headers.get("Link"),
    tag: list.headers.get("ETag"),
    request: list.headers.get("X-Request-Id"),
  };
}
"""


@contextmanager
def frontend(directory):
    """Serve an empty page from an origin of its own; yield that."""
    (directory / "index.html").write_text("<!doctype html><title>Frontend</title>")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=directory)
    with ThreadingHTTPServer(("127.0.0.1", free_port()), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page():
    """A page of Chromium."""
    chromium = os.environ.get("CHROMIUM") or need("chromium", "chromium")
    with sync_playwright() as playwright:
        flags = [f"--{flag}" for flag in FLAGS.split()]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser.new_page()
        browser.close()


ACCOUNT = {"email": "ada@example.com", "password": "correct horse"}


def test_a_listed_origin_may_do_all_that_a_token_may(tmp_path, page):
    (pages := tmp_path / "pages").mkdir()
    with frontend(pages) as origin:
        origins = f"https://todo.example.com, {origin}"
        with serving(tmp_path, APP_CORS_ORIGINS=origins) as server:
            page.goto(origin)
            found = page.evaluate(STORY, [server.url, ACCOUNT])
    assert found["statuses"] == [201, 201, 201, 200, 200, 412, 204]
    assert (found["location"], found["tag"]) == ("/tasks/1", '"2"')
    assert found["link"].endswith('; rel="next"')
    assert found["request"]


def test_an_origin_that_is_not_listed_gets_nothing(tmp_path, page):
    (pages := tmp_path / "pages").mkdir()
    with (
        frontend(pages) as origin,
        serving(tmp_path, APP_CORS_ORIGINS="https://todo.example.com") as server,
    ):
        page.goto(origin)
        with pytest.raises(Error, match="Failed to fetch"):
            page.evaluate(STORY, [server.url, ACCOUNT])
        preflight = {"Origin": origin, "Access_Control_Request_Method": "POST"}
        headers = server.call("OPTIONS", "/auth/register", **preflight)[2]
    assert not [name for name in headers if name.startswith("Access-Control")]

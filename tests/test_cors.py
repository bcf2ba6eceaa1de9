"""A frontend of another origin, in a real Chromium: it uses the API if it is listed, and else cannot."""

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import sync_playwright

from tests.support import ACCOUNT, need, serving

FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"

STORY = """
async ([api, account]) => {
    const send = async (method, path, body, headers = {}) => {
        const answer = await fetch(api + path, {
            method, headers: {'Content-Type': 'application/json', ...headers},
            body: body && JSON.stringify(body),
        });
        const text = await answer.text();
        return {status: answer.status, headers: answer.headers, body: text && JSON.parse(text)};
    };
    await send('POST', '/auth/register', account);
    const token = (await send('POST', '/auth/token', account)).body.access_token;
    const bearer = {Authorization: `Bearer ${token}`};
    const keyed = {...bearer, 'Idempotency-Key': 'one'};
    const made = await send('POST', '/tasks', {title: 'one'}, keyed);
    const again = await send('POST', '/tasks', {title: 'one'}, keyed);
    await send('POST', '/tasks', {title: 'two'}, bearer);
    const page = await send('GET', '/tasks?limit=1', null, bearer);
    const tag = {...bearer, 'If-Match': made.headers.get('ETag')};
    const changed = await send('PATCH', `/tasks/${made.body.id}`, {done: true}, tag);
    const late = await send('PATCH', `/tasks/${made.body.id}`, {done: false}, tag);
    const gone = await send('DELETE', `/tasks/${made.body.id}`, null, bearer);
    const stream = await fetch(`${api}/tasks/changes`, {
        headers: {...bearer, Accept: 'text/event-stream', 'Last-Event-ID': '1'},
    });
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('data:')) text += (await reader.read()).value;
    await reader.cancel();
    const refused = await send('GET', '/tasks');
    return {
        statuses: [made, again, page, changed, late, gone, refused].map(one => one.status),
        same: made.body.id === again.body.id,
        location: made.headers.get('Location'),
        link: page.headers.get('Link'),
        tags: [made, changed].map(one => one.headers.get('ETag')),
        id: refused.headers.get('X-Request-Id').length,
        detail: refused.body.detail,
        events: text.includes('"deleted":[1]'),
    };
}
"""
TRY = (
    "async api => { try { return (await fetch(api)).status } catch (error) { return error.name } }"
)


class Page(BaseHTTPRequestHandler):
    """An empty page, on which the script of a frontend runs."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A frontend</title>")

    def log_message(self, *_):
        pass


@contextmanager
def frontend():
    """Serve the page; yield its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("CHROMIUM") or need("chromium", "chromium")
    with sync_playwright() as playwright:
        flags = [f"--{flag}" for flag in FLAGS.split()]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


def test_a_listed_frontend_uses_the_whole_api(browser, tmp_path):
    with frontend() as origin, serving(tmp_path, APP_CORS_ORIGINS=origin) as server:
        page = browser.new_page()
        page.goto(origin)
        said = page.evaluate(STORY, [server.url, ACCOUNT])
        page.close()
    link = said.pop("link")
    assert link.startswith("</tasks?")
    assert link.endswith('>; rel="next"')
    assert said == {
        "statuses": [201, 201, 200, 200, 412, 204, 401],
        "same": True,
        "location": "/tasks/1",
        "tags": ['"1"', '"3"'],
        "id": 32,
        "detail": "Not authenticated",
        "events": True,
    }


@pytest.mark.parametrize("settings", [{}, {"APP_CORS_ORIGINS": "https://app.example.com"}])
def test_a_frontend_that_is_not_listed_reads_nothing(browser, tmp_path, settings):
    with frontend() as origin, serving(tmp_path, **settings) as server:
        page = browser.new_page()
        page.goto(origin)
        assert page.evaluate(TRY, f"{server.url}/health") == "TypeError"
        page.goto(f"{server.url}/docs")  # as the service's own pages do
        assert page.evaluate(TRY, f"{server.url}/health") == 200
        page.close()

"""Debian's nginx before the service, as docs/deployment.md sets it."""

import gzip
import json
import random
import re
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import expect, sync_playwright

from tests.deployment import block
from tests.support import ACCOUNT, PASSWORD, WRONG, free_port, log_in, need, serving, wait_for

COMPRESSED = "gzip on; gzip_types application/json;"
CACHED = """
    proxy_cache_path {directory}/cache keys_zone=one:1m;
    proxy_cache one;
    proxy_cache_valid any 1m;
    add_header X-Cache $upstream_cache_status always;
"""
AROUND = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
    {more}
    {printed}
}}
"""
PREFIXED = block("    proxy_set_header X-Forwarded-Prefix /todo;")


@contextmanager
def nginx(port, more="", prefixed=False):
    """Run nginx before the service at a port, with lines of its own; yield its port and its log."""
    program, own = need("nginx", "nginx-light"), free_port()
    printed = block("upstream todo")
    if prefixed:
        replaced = r'    proxy_set_header X-Forwarded-Prefix "";\n\n    location / {.*?\n    }\n'
        printed, count = re.subn(replaced, lambda _: PREFIXED, printed, flags=re.DOTALL)
        assert count == 1
    for old, new in [("127.0.0.1:8000", f"127.0.0.1:{port}"), ("80;", f"127.0.0.1:{own};")]:
        assert f" {old}" in printed
        printed = printed.replace(f" {old}", f" {new}")
    with tempfile.TemporaryDirectory() as name:
        (directory := Path(name)).chmod(0o755)
        more = more.replace("{directory}", name)
        text = AROUND.format(directory=directory, more=more, printed=printed)
        (directory / "nginx.conf").write_text(text)
        command = [program, "-e", directory / "error.log", "-c", directory / "nginx.conf"]
        process = subprocess.Popen(command)

        def answers():
            with suppress(ConnectionRefusedError):
                return Client(own).send("GET", "/")

        try:
            wait_for(answers, what="nginx")
            yield own, directory / "error.log"
        finally:
            process.terminate()
            process.wait(30)


class Client:
    """One who keeps a connection, from any address of this machine."""

    def __init__(self, port, source="127.0.0.1", **headers):
        self.connection = HTTPConnection("127.0.0.1", port, 30, (source, 0))
        self.headers = headers

    def ask(self, method, path, body=None, **headers):
        """Send a request; return the answer, not yet read."""
        given = self.headers | {"Content-Type": "application/json"} | headers
        sent = {name.replace("_", "-"): value for name, value in given.items()}
        self.connection.request(method, path, json.dumps(body) if body else None, sent)
        return self.connection.getresponse()

    def send(self, method, path, body=None, **headers):
        """Send a request; return status, body and headers."""
        answer = self.ask(method, path, body, **headers)
        text = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            text = gzip.decompress(text)
        return answer.status, text.decode(), answer.headers


def test_every_conditional_call_works_through_compression(tmp_path):
    with serving(tmp_path) as server, nginx(server.port, COMPRESSED) as (port, _):
        client = Client(port, Accept_Encoding="gzip", **log_in(server.port))
        client.send("POST", "/tasks", {"title": "A title of some length"})

        def tag(path):
            status, _, headers = client.send("GET", path)
            assert (status, headers["Content-Encoding"]) == (200, "gzip")
            assert headers["ETag"].startswith("W/")
            return headers["ETag"]

        for path in ("/tasks", "/tasks/1", "/tasks?done=false"):
            assert client.send("GET", path, If_None_Match=tag(path))[0] == 304
        for method, body, status in [("PATCH", {"done": True}, 200), ("DELETE", None, 204)]:
            old = tag("/tasks/1")
            assert client.send("PATCH", "/tasks/1", {"due": "2026-11-30"}, If_Match=old)[0] == 200
            assert client.send(method, "/tasks/1", body, If_Match=old)[0] == 412
            assert client.send("GET", "/tasks/1", If_None_Match=old)[0] == 200
            assert client.send(method, "/tasks/1", body, If_Match=tag("/tasks/1"))[0] == status


def test_a_shared_cache_gives_no_account_to_another(tmp_path):
    with serving(tmp_path) as server, nginx(server.port, CACHED) as (port, _):
        people = {}
        for name in ("ada", "bob"):
            email = f"{name}@example.com"
            people[name] = Client(port, **log_in(server.port, email))
            people[name].send("POST", "/tasks", {"title": f"{name}'s"})
            people[name].send("POST", "/auth/keys", {"name": f"{name}'s"})
        for path in ("/tasks", "/tasks?done=false", "/tasks/changes", "/auth/me", "/auth/keys"):
            for name in ("ada", "bob", "ada", "bob"):
                status, text, headers = people[name].send("GET", path)
                assert (status, headers["X-Cache"]) == (200, "MISS"), path
                assert name in text
                assert {"ada": "bob", "bob": "ada"}[name] not in text
        assert Client(port).send("GET", "/tasks")[0] == 401


def test_a_path_prefix_holds_together(tmp_path):
    proxies = {"APP_TRUSTED_PROXIES": "1"}
    with serving(tmp_path, **proxies) as server, nginx(server.port, prefixed=True) as (port, _):
        root = f"http://127.0.0.1:{port}"
        client = Client(port, **log_in(server.port))

        def get(base, reference):
            """Follow a reference as a browser does; it has to stay below the prefix."""
            path = urljoin(f"{root}{base}", reference).removeprefix(root)
            assert path.startswith("/todo/")
            status, text, headers = client.send("GET", path)
            assert status == 200, path
            return text, headers

        for page in ("/todo/", "/todo/docs"):
            text, _ = get(page, page)
            references = re.findall(r'(?:href|src)="([^"#:]+)"', text)
            assert references
            for reference in references:
                get(page, reference)
        (server_of_calls,) = json.loads(get("/", "/todo/openapi.json")[0])["servers"]
        assert (
            urljoin(f"{root}/todo/openapi.json", server_of_calls["url"]).rstrip("/")
            == f"{root}/todo"
        )

        for title in ("one", "two"):
            status, text, headers = client.send("POST", "/todo/tasks", {"title": title})
            assert status == 201
            assert get("/todo/tasks", headers["Location"])[0] == text
        _, headers = get("/", "/todo/tasks?limit=1")
        text, _ = get("/todo/tasks", re.match("<(.+?)>", headers["Link"])[1])
        assert [task["title"] for task in json.loads(text)] == ["two"]


def test_a_browser_finds_everything_below_a_prefix(tmp_path):
    chromium, asked, answers = need("chromium", "chromium"), [], []
    with (
        serving(tmp_path, APP_TRUSTED_PROXIES="1") as server,
        nginx(server.port, prefixed=True) as (port, _),
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        root = f"http://127.0.0.1:{port}/todo/"
        page = browser.new_page()
        page.context.on("request", lambda request: asked.append(request.url))
        page.context.on("response", lambda answer: answers.append((answer.status, answer.url)))
        page.goto(root)
        page.get_by_label("Email").fill("browser@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        page.get_by_label("New task").fill("Below a prefix")
        page.get_by_label("New task").press("Enter")
        expect(page.get_by_role("listitem").first).to_contain_text("Below a prefix")
        page.goto(f"{root}docs")
        expect(page.get_by_text("/tasks/changes").first).to_be_visible()
    assert [url for url in asked if not url.startswith((root, "data:"))] == []
    assert [(status, url) for status, url in answers if status >= 400] == []


def test_a_prefix_or_an_address_that_a_client_invents_is_not_believed(tmp_path):
    with serving(tmp_path, APP_TRUSTED_PROXIES="1") as server, nginx(server.port) as (port, _):
        invented = {"X_Forwarded_Prefix": "/evil", "X_Forwarded_Host": "evil.example.com"}
        client = Client(port, **log_in(server.port), **invented)
        assert client.send("POST", "/tasks", {"title": "x"})[2]["Location"] == "/tasks/1"
        assert "evil" not in client.send("GET", "/openapi.json")[1]
        statuses = [
            client.send("POST", "/auth/token", WRONG, X_Forwarded_For=f"198.51.100.{number}")[0]
            for number in range(11)
        ]
        assert statuses == [401] * 10 + [429]
        other = Client(port, "127.0.0.2")
        assert other.send("POST", "/auth/token", WRONG)[0] == 401
        assert other.send("POST", "/auth/token", ACCOUNT)[0] == 200


def test_events_pass_at_once(tmp_path):
    with serving(tmp_path) as server, nginx(server.port, COMPRESSED) as (port, _):
        bearer = log_in(server.port)
        listener = Client(port, Accept="text/event-stream", Accept_Encoding="gzip", **bearer)
        events = listener.ask("GET", "/tasks/changes")
        assert events.headers["Content-Encoding"] is None
        for number in range(3):
            assert server.call("POST", "/tasks", {"title": f"Task {number}"}, **bearer)[0] == 201
            line = b""
            while not line.startswith(b"data: "):
                line = events.readline()  # fails where nothing comes
                assert line
            assert f"Task {number}" in line.decode()


def test_no_request_meets_a_closing_connection(tmp_path):
    """As it would where the service closed a connection that nginx keeps, which it does for 60 s."""
    with serving(tmp_path, workers=2) as server, nginx(server.port) as (port, log):
        bearer = log_in(server.port)
        idle, began = Client(server.port, **bearer), time.monotonic()
        assert idle.send("GET", "/tasks")[0] == 200

        def ask_now_and_then(_):
            client = Client(port, **bearer)
            statuses = []
            for _ in range(10):
                statuses.append(client.send("POST", "/tasks", {"title": "x"})[0])
                time.sleep(random.uniform(0, 5))  # the pauses are what is tried
            return statuses

        with ThreadPoolExecutor(40) as pool:
            found = list(pool.map(ask_now_and_then, range(40)))
        assert found == [[201] * 10] * 40
        assert "upstream" not in log.read_text()
        time.sleep(began + 61 - time.monotonic())
        assert idle.send("GET", "/tasks")[0] == 200

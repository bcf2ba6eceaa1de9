"""HTTP as it comes over a connection: bodies in parts, answers before the body, headers of proxies."""

import json
import runpy
import socket
from contextlib import suppress
from http.client import HTTPResponse

import pytest

from tests.support import ACCOUNT, FORM, HERE, JSON, PASSWORD, log_in, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("connections")) as server:
        yield server
    assert "Traceback" not in server.said()


@pytest.fixture(scope="module")
def bearer(server):
    """The header of a token of all scopes, and of one that only reads."""
    full = log_in(server.port)["Authorization"]
    reading = server.call("POST", "/auth/token", ACCOUNT | {"scope": "tasks:read"})[1]
    return {"full": full, "reading": f"Bearer {reading['access_token']}", "none": "Basic eDp5"}


class Connection:
    """One connection, over which requests go as they are written."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, method, path, body=b"", **headers):
        """Send a request, and return the status, the JSON and whether the answer says that it ends."""
        head = {"Host": "x"} | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        with suppress(OSError):  # the answer may come, and the connection end, before all is sent
            self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return self.answer()

    def answer(self):
        answer = HTTPResponse(self.socket)
        answer.begin()
        return answer.status, json.loads(answer.read()), answer.will_close


def plain(size):
    return {"Content_Length": str(size)}, b'{"title": "x"}'.ljust(size)


def chunked(size):
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b'{"title": "x"}'.ljust(size))
    return {"Transfer_Encoding": "chunked"}, body


SIZES = [20, 2**16, 2**16 + 1, 3 * 2**20]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", [plain, chunked])
@pytest.mark.parametrize(
    ("status", "method", "path", "who", "sent"),
    [
        (401, "POST", "/tasks", "none", {"Content_Type": JSON}),
        (403, "POST", "/tasks", "reading", {"Content_Type": JSON}),
        (404, "POST", "/nothing", "full", {"Content_Type": JSON}),
        (404, "PATCH", "/tasks/abc", "full", {"Content_Type": JSON}),
        (405, "PUT", "/tasks", "full", {"Content_Type": JSON}),
        (415, "POST", "/tasks", "full", {"Content_Type": "text/plain"}),
        (415, "POST", "/tasks", "full", {"Content_Type": JSON, "Content_Encoding": "gzip"}),
        (422, "POST", "/tasks?x=1", "full", {"Content_Type": JSON}),
        (201, "POST", "/tasks", "full", {"Content_Type": JSON}),
    ],
)
def test_an_answer_keeps_its_word_about_the_connection(
    server, bearer, status, method, path, who, sent, form, size
):
    """It serves the next request, or the answer said that it ends."""
    headers, body = form(size)
    with Connection(server.port) as connection:
        sent = headers | sent | {"Authorization": bearer[who]}
        found, _, ends = connection.ask(method, path, body, **sent)
        too_large = [413] if size > 2**16 else []
        assert found in ([status, *too_large] if status < 420 else [status, 422, *too_large])
        assert found != 201 or size <= 2**16
        if not ends:
            found, answer, _ = connection.ask("GET", "/health")
            assert (found, answer) == (200, {"status": "ok"})


@pytest.mark.parametrize("form", [plain, chunked])
@pytest.mark.parametrize(
    ("size", "status"), [(20, 201), (2**16, 201), (2**16 + 1, 413), (3 * 2**20, 413)]
)
def test_a_body_has_at_most_64_kib(server, bearer, form, size, status):
    headers, body = form(size)
    headers |= {"Authorization": bearer["full"], "Content_Type": JSON}
    with Connection(server.port) as connection:
        assert connection.ask("POST", "/tasks", body, **headers)[0] == status


@pytest.mark.parametrize(
    ("headers", "body", "detail"),
    [
        (*chunked(20), None),
        ({"Transfer_Encoding": "chunked"}, b'14\r\n{"title": "short"}', "Bad Request"),
        ({"Transfer_Encoding": "chunked"}, b"ZZ\r\n{}\r\n", "Bad Request"),
        ({"Content_Length": "50"}, b'{"title": "short"}', "Incomplete body"),
    ],
)
def test_a_body_is_taken_whole_or_not_at_all(server, bearer, headers, body, detail):
    before = server.call("GET", "/tasks/changes", Authorization=bearer["full"])[1]["since"]
    with Connection(server.port) as connection:
        sent = headers | {"Authorization": bearer["full"], "Content_Type": JSON}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
        head = f"POST /tasks HTTP/1.1\r\nHost: x\r\n{lines}\r\n"
        connection.socket.sendall(head.encode() + body)
        connection.socket.shutdown(socket.SHUT_WR)
        status, answer, _ = connection.answer()
    assert status == (400 if detail else 201)
    assert answer.get("detail") == detail
    after = server.call("GET", "/tasks/changes", Authorization=bearer["full"])[1]["since"]
    assert after == before + (detail is None)


def test_a_form_may_come_in_chunks(server, bearer):
    form = f"username={ACCOUNT['email']}&password={PASSWORD}".replace(" ", "+").encode()
    sent = {"Content_Type": FORM, "Transfer_Encoding": "chunked"}
    for filling, status in [(b"", 200), (b"&x=" + b"y" * 2**16, 413)]:
        data = form + filling
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
        with Connection(server.port) as connection:
            assert connection.ask("POST", "/auth/token", body, **sent)[0] == status


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "SCRIPT-NAME", "Script-Name"])
@pytest.mark.parametrize("value", ["/tasks", "/x", "x", "/", "/%00", "http://other.example.com"])
def test_no_header_moves_the_paths(server, bearer, name, value):
    with Connection(server.port) as connection:
        head = f"GET /tasks?limit=1 HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n"
        head += f"Authorization: {bearer['full']}\r\n\r\n"
        connection.socket.sendall(head.encode())
        status, answer, _ = connection.answer()
    assert status == 200
    assert isinstance(answer, list)


def test_a_host_that_a_client_names_is_nowhere_in_an_answer(server, bearer):
    headers = {"Host": "other.example.com", "X_Forwarded_Host": "other.example.com"}
    headers |= {"X_Forwarded_Prefix": "/other", "Authorization": bearer["full"]}
    for path in ("/tasks?limit=1", "/docs//swagger-ui.css", "/tasks/", "//tasks"):
        _, _, sent = server.call("GET", path, **headers)
        assert "other" not in str(sent)


def test_a_connection_is_kept_for_longer_than_a_balancer_keeps_it():
    assert runpy.run_path(str(HERE / "gunicorn.conf.py"))["keepalive"] > 100


def test_many_requests_share_a_connection(server, bearer):
    with Connection(server.port) as connection:
        for _ in range(30):
            status, _, ends = connection.ask("GET", "/tasks?limit=1", Authorization=bearer["full"])
            assert (status, ends) == (200, False)
            headers, body = plain(20)
            headers |= {"Authorization": bearer["full"], "Content_Type": JSON}
            status, _, ends = connection.ask("POST", "/tasks", body, **headers)
            assert (status, ends) == (201, False)

"""The contract of todo.py as tables, on SQLite and on PostgreSQL, and its races against gunicorn.

TEST_POSTGRES_URL names a PostgreSQL server that may create databases; without it, the one on this
machine is tried. Where none answers, its half of the tests is skipped.
"""

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask_jwt_extended import create_access_token, create_refresh_token

import todo

HERE = Path(__file__).parent
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1/postgres")
KEY = "a key of thirty-two bytes or more"
PASSWORD = "correct horse"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# --- Fixtures -------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/todo.db"
        return
    name = f"todo_test_{secrets.token_hex(6)}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server")
    with server:
        server.execute(f"CREATE DATABASE {name}")
        yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def app(database):
    app = todo.create_app(todo.Settings(secret_key=KEY, database_url=database, bcrypt_rounds=4))
    yield app
    with app.app_context():
        todo.db.engine.dispose()


@pytest.fixture
def client(app):
    return app.test_client()


def sign_up(app, email):
    """Return a client that is logged in to a new account."""
    client = app.test_client()
    account = {"email": email, "password": PASSWORD}
    assert client.post("/auth/register", json=account).status_code == 201
    token = client.post("/auth/token", json=account).json["access_token"]
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def ada(app):
    return sign_up(app, "ada@example.com")


@pytest.fixture
def bob(app):
    return sign_up(app, "bob@example.com")


def add(client, title="Write", **fields):
    answer = client.post("/tasks", json={"title": title, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def titles(client, query=""):
    answer = client.get(f"/tasks{query}")
    assert answer.status_code == 200, answer.text
    return [task["title"] for task in answer.json]


def where(answer):
    """The places that a 422 names."""
    assert all(set(problem) == {"type", "loc", "msg"} for problem in answer.json["detail"])
    return [problem["loc"] for problem in answer.json["detail"]]


# --- Accounts and tokens --------------------------------------------------------------------------


def test_the_whole_story(client):
    account = {"email": "me@example.com", "password": PASSWORD}
    assert client.get("/tasks").status_code == 401
    answer = client.post("/auth/register", json=account)
    assert (answer.status_code, answer.json) == (201, {"id": 1, "email": "me@example.com"})
    answer = client.post("/auth/token", data={"username": "me@example.com", "password": PASSWORD})
    assert answer.json.keys() == {"access_token", "token_type", "expires_in"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("bearer", 1800)
    assert answer.headers["Cache-Control"] == "no-store"
    bearer = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert client.get("/tasks", headers=bearer).json == []
    answer = client.post("/tasks", headers=bearer, json={"title": "API review"})
    assert (answer.status_code, answer.headers["Location"]) == (201, "/tasks/1")
    assert answer.text.strip() == '{"id":1,"title":"API review","done":false}'
    assert client.get("/tasks", headers=bearer).json == [answer.json]
    assert client.get("/auth/me", headers=bearer).json == {"id": 1, "email": "me@example.com"}


EMAIL, SECRET = ["body", "email"], ["body", "password"]


@pytest.mark.parametrize(
    ("email", "password", "places"),
    [
        ("me@home.local", PASSWORD, None),
        ("a@" + "b" * 252, PASSWORD, None),
        ("ключ@почта.example.com", PASSWORD, None),
        ("me@example.com", "8 chars!", None),
        ("me@example.com", "\0" * 8, None),
        ("me@example.com", "ü" * 1024, None),
        ("a@" + "b" * 253, PASSWORD, [EMAIL]),
        ("", PASSWORD, [EMAIL]),
        ("me", PASSWORD, [EMAIL]),
        ("@example.com", PASSWORD, [EMAIL]),
        ("me@", PASSWORD, [EMAIL]),
        ("me@you@example.com", PASSWORD, [EMAIL]),
        ("me @example.com", PASSWORD, [EMAIL]),
        ("me@example.com\n", PASSWORD, [EMAIL]),
        ("me\0@example.com", PASSWORD, [EMAIL]),
        (None, PASSWORD, [EMAIL]),
        (["me@example.com"], PASSWORD, [EMAIL]),
        ("me@example.com", "7 chars", [SECRET]),
        ("me@example.com", "x" * 1025, [SECRET]),
        ("me@example.com", 12345678, [SECRET]),
        (1, None, [EMAIL, SECRET]),
    ],
)
def test_what_an_account_may_be(client, email, password, places):
    answer = client.post("/auth/register", json={"email": email, "password": password})
    if places:
        assert (answer.status_code, where(answer)) == (422, places)
        assert str(password) not in answer.text
    else:
        assert answer.status_code == 201
        login = client.post("/auth/token", json={"email": email, "password": password})
        assert login.status_code == 200


def test_an_email_has_one_account_whatever_its_case(client):
    for email, status in [
        ("Me@Example.com", 201),
        ("me@example.com", 400),
        ("ME@EXAMPLE.COM", 400),
    ]:
        answer = client.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == status
    assert answer.json == {"detail": "Email already exists"}
    login = {"username": "mE@eXample.com", "password": PASSWORD}
    assert client.post("/auth/token", data=login).status_code == 200


@pytest.mark.parametrize("length", [72, 73, 1024])
def test_every_character_of_a_password_counts(client, length):
    account = {"email": "me@example.com", "password": "x" * length}
    client.post("/auth/register", json=account)
    assert client.post("/auth/token", json=account).status_code == 200
    wrong = account | {"password": "x" * (length - 1) + "y"}
    assert client.post("/auth/token", json=wrong).status_code == 401


def test_a_wrong_password_and_an_unknown_email_are_answered_alike(client, ada, monkeypatch):
    hashed = []
    real = todo.bcrypt.generate_password_hash, todo.bcrypt.check_password_hash
    monkeypatch.setattr(
        todo.bcrypt, "generate_password_hash", lambda p: hashed.append(1) or real[0](p)
    )
    monkeypatch.setattr(
        todo.bcrypt, "check_password_hash", lambda h, p: hashed.append(1) or real[1](h, p)
    )
    answers = []
    for email in ("ada@example.com", "nobody@example.com", "no email", ""):
        hashed.clear()
        answer = client.post("/auth/token", json={"username": email, "password": "wrong horse"})
        answers.append(
            (answer.status_code, answer.json, answer.headers["WWW-Authenticate"], len(hashed))
        )
    body = {"detail": "Invalid credentials", "error": "invalid_grant"}
    assert answers == [(401, body, "Bearer", 1)] * 4  # one hash each, so the same time


GOOD = {"username": "ada@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    ("send", "status", "error"),
    [
        ({"json": GOOD}, 200, None),
        ({"json": {"email": "ada@example.com", "password": PASSWORD}}, 200, None),
        ({"json": GOOD | {"grant_type": "password", "client_id": "x", "nonsense": [1]}}, 200, None),
        ({"data": GOOD}, 200, None),
        (
            {"data": GOOD | {"grant_type": "password", "client_secret": "x", "nonsense": "1"}},
            200,
            None,
        ),
        ({"data": GOOD, "headers": {"Authorization": "Basic eDp5"}}, 200, None),
        ({"data": GOOD, "headers": {"Authorization": "Bearer nonsense"}}, 200, None),
        ({"json": GOOD | {"password": PASSWORD + " "}}, 401, "invalid_grant"),
        ({"json": GOOD | {"grant_type": "client_credentials"}}, 400, "unsupported_grant_type"),
        ({"data": GOOD | {"grant_type": "nonsense"}}, 400, "unsupported_grant_type"),
        ({"json": {"username": "ada@example.com"}}, 422, "invalid_request"),
        ({"data": {"password": PASSWORD}}, 422, "invalid_request"),
        (
            {"data": {"username": ["a@b", "ada@example.com"], "password": PASSWORD}},
            422,
            "invalid_request",
        ),
        ({"data": {"username": "a\0@b", "password": PASSWORD}}, 422, "invalid_request"),
        ({"json": {"username": None, "password": {}}}, 422, "invalid_request"),
        ({"json": []}, 422, "invalid_request"),
        ({"data": b"{", "content_type": JSON}, 422, "invalid_request"),
        ({"data": b"username=%ff&password=%ff%00", "content_type": FORM}, 401, "invalid_grant"),
        ({"data": b"", "content_type": FORM}, 422, "invalid_request"),
        ({"data": b"x"}, 415, "invalid_request"),
        ({"data": GOOD, "content_type": "multipart/form-data"}, 415, "invalid_request"),
    ],
)
def test_the_token_endpoint(client, ada, send, status, error):
    answer = client.post("/auth/token", **send)
    assert (answer.status_code, answer.json.get("error")) == (status, error)
    assert ("detail" in answer.json) == (status != 200)
    assert PASSWORD not in answer.text


def tokens(app):
    """Tokens that open nothing, by what is wrong with them."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    other = todo.Settings(secret_key=KEY[::-1], database_url=url)
    with app.app_context():
        good = create_access_token("1")
        yield from [good[:-2], good + "x", good.replace(".", "", 1), "x", "...", "é", "a b"]
        yield create_refresh_token("1")
        yield create_access_token("1", expires_delta=todo.timedelta(seconds=-1))
        yield create_access_token("one")
        yield create_access_token("1" + "0" * 30)
        yield "eyJhbGciOiJub25lIn0." + good.split(".")[1] + "."
        yield "W" * 6000 + ".x.x"  # base64 of deeply nested JSON
    with todo.create_app(other).app_context():
        yield create_access_token("1")


def test_a_bad_token_is_invalid(app, ada):
    for token in tokens(app):
        answer = app.test_client().get("/tasks?x=1", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json) == (401, {"detail": "Invalid token"}), token
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "x", "Token x"])
def test_without_a_token_nothing_is_told(app, header):
    client = app.test_client()
    headers = {} if header is None else {"Authorization": header}
    for method, path in [
        ("GET", "/tasks"),
        ("POST", "/tasks"),
        ("DELETE", "/tasks"),
        ("GET", "/auth/me"),
    ]:
        answer = client.open(path + "?x=1", method=method, headers=headers, data="{")
        assert (answer.status_code, answer.json) == (401, {"detail": "Not authenticated"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for method in ("GET", "PATCH", "DELETE"):
        assert client.open("/tasks/nonsense", method=method, headers=headers).status_code == 401


def test_the_scheme_has_no_case(client, ada):
    token = ada.environ_base["HTTP_AUTHORIZATION"].split()[1]
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert (
            client.get("/tasks", headers={"Authorization": f"{scheme} {token}"}).status_code == 200
        )


def test_a_token_outlives_its_user_but_opens_nothing(app, ada):
    add(ada)
    with app.app_context():
        todo.execute(sa.delete(todo.User).returning(todo.User.id))
    carl = sign_up(app, "carl@example.com")
    assert carl.get("/auth/me").json["id"] == 2  # an id is never given twice
    assert titles(carl) == []
    calls = [("GET", "/auth/me"), ("GET", "/tasks"), ("GET", "/tasks/1"), ("DELETE", "/tasks/1")]
    calls += [("POST", "/tasks"), ("PATCH", "/tasks/1"), ("DELETE", "/tasks?done=true")]
    for method, path in calls:
        answer = ada.open(path, method=method, json={"title": "x"})
        assert (answer.status_code, answer.json) == (404, {"detail": "User not found"}), path


# --- Tasks ----------------------------------------------------------------------------------------

TITLE, DONE, DUE = ["body", "title"], ["body", "done"], ["body", "due"]
MADE = {"id": 1, "done": False}


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ({"title": "x"}, {"title": "x"}),
        ({"title": "x", "done": True}, {"title": "x", "done": True}),
        ({"title": "x", "due": "2026-11-30"}, {"title": "x", "due": "2026-11-30"}),
        ({"title": "x", "due": "0001-01-01"}, {"title": "x", "due": "0001-01-01"}),
        ({"title": "x", "due": "9999-12-31"}, {"title": "x", "due": "9999-12-31"}),
        ({"title": "x", "due": None}, {"title": "x"}),
        ({"title": " \t x \n"}, {"title": "x"}),
        ({"title": "é" * 255}, {"title": "é" * 255}),
        ({"title": " " * 300 + "x"}, {"title": "x"}),
        (
            {"title": "<b>'; DROP TABLE tasks; -- \u202e🎉\n\x01"},
            {"title": "<b>'; DROP TABLE tasks; -- \u202e🎉\n\x01"},
        ),
    ],
)
def test_a_good_task_is_kept_as_it_is(ada, sent, made):
    answer = ada.post("/tasks", json=sent)
    assert (answer.status_code, answer.json) == (201, MADE | made)
    assert ada.get(answer.headers["Location"]).json == MADE | made
    assert ada.get("/tasks").json == [MADE | made]


@pytest.mark.parametrize(
    ("sent", "places"),
    [
        ({}, [TITLE]),
        ({"title": ""}, [TITLE]),
        ({"title": " \n "}, [TITLE]),
        ({"title": "x" * 256}, [TITLE]),
        ({"title": "x\0"}, [TITLE]),
        ({"title": None}, [TITLE]),
        ({"title": 1}, [TITLE]),
        ({"title": ["x"]}, [TITLE]),
        ({"title": 10**30}, [TITLE]),
        ({"title": "x", "done": "true"}, [DONE]),
        ({"title": "x", "done": 1}, [DONE]),
        ({"title": "x", "done": None}, [DONE]),
        ({"title": "x", "done": []}, [DONE]),
        ({"title": "x", "due": ""}, [DUE]),
        ({"title": "x", "due": 0}, [DUE]),
        ({"title": "x", "due": "0"}, [DUE]),
        ({"title": "x", "due": "tomorrow"}, [DUE]),
        ({"title": "x", "due": "2026-02-29"}, [DUE]),
        ({"title": "x", "due": "2026-1-1"}, [DUE]),
        ({"title": "x", "due": "20260101"}, [DUE]),
        ({"title": "x", "due": "10000-01-01"}, [DUE]),
        ({"title": "x", "due": "0000-01-01"}, [DUE]),
        ({"title": "x", "due": "2026-01-01T00:00:00Z"}, [DUE]),
        ({"title": "x", "due": True}, [DUE]),
        ({"title": "x", "id": 7}, [["body", "id"]]),
        ({"title": "x", "user_id": 7}, [["body", "user_id"]]),
        (
            {"title": "x", "secret": "hunter2hunter2", "more": 1},
            [["body", "secret"], ["body", "more"]],
        ),
        ([], [["body"]]),
        (None, [["body"]]),
        ("x", [["body"]]),
        (1, [["body"]]),
    ],
)
def test_a_bad_task_changes_nothing(ada, sent, places):
    number = add(ada, "before")
    for send, path in [(ada.post, "/tasks"), (ada.patch, f"/tasks/{number}")]:
        if sent or send == ada.post:
            answer = send(path, data=json.dumps(sent), content_type=JSON)
            assert (answer.status_code, sorted(where(answer))) == (422, sorted(places))
            assert "hunter2" not in answer.text
    assert titles(ada) == ["before"]


BROKEN = [
    b"", b"{", b'{"title": "x"', b"{'title': 'x'}", b"title=x", b'{"title": "x",}', b'{"title": "x"} x',
    b"[" * 30000, b'{"title":' * 7000, b'{"title": "\\ud800"}', b'{"title": "\\udc00\\ud800"}',
    b'{"title": "\xff"}', b'\xff\xfe{', b'\xef\xbb\xbf{"title": "x"}', b'{"title": "a\nb"}', b"\0",
    b'{"title": 1' + b"0" * 6000 + b"}",
]  # fmt: skip
REFUSED = [b"NaN", b'{"title": NaN}', b'{"title": 1e400}', b'{"title": "x", "done": Infinity}']


@pytest.mark.parametrize("body", BROKEN + REFUSED, ids=lambda body: str(body[:20]))
def test_broken_json_is_a_422(ada, body):
    for send in (ada.post, ada.patch):
        answer = send("/tasks/1" if send == ada.patch else "/tasks", data=body, content_type=JSON)
        assert answer.status_code == 422
        assert where(answer)[0][0] == "body"
        assert (answer.json["detail"][0]["type"] == "json_invalid") == (body in BROKEN)
    assert ada.get("/tasks").json == []


def test_a_hundred_thousand_brackets_are_too_large(ada):
    answer = ada.post("/tasks", data=b"[" * 100_000, content_type=JSON)
    assert (answer.status_code, answer.json) == (413, {"detail": "Request Entity Too Large"})


def raw(port, head, body=b""):
    """Send bytes as they are, then nothing more; return the status line and the JSON of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(head.encode() + b"Host: x\r\nConnection: close\r\n\r\n" + body)
        s.shutdown(socket.SHUT_WR)
        head, _, body = b"".join(iter(lambda: s.recv(65536), b"")).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_body_is_taken_whole_or_not_at_all(tmp_path):
    with serving(tmp_path, workers=1, APP_DATABASE_URL=f"sqlite:///{tmp_path}/todo.db") as (
        port,
        log,
    ):
        account = {"email": "ada@example.com", "password": PASSWORD}
        call(port, "POST", "/auth/register", account)
        token = call(port, "POST", "/auth/token", account)[1]["access_token"]
        head = f"POST /tasks HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: {JSON}\r\n"
        chunked = head + "Transfer-Encoding: chunked\r\n"

        def chunk(size):
            data = b'{"title": "x"}'.ljust(size)
            return b"%x\r\n%s\r\n" % (size, data)

        end = b"0\r\n\r\n"
        assert raw(port, chunked, chunk(20) + end)[0] == 201
        assert raw(port, chunked, chunk(2**16) + end)[0] == 201
        assert raw(port, chunked, chunk(2**16 + 1) + end)[0] == 413
        assert raw(port, chunked, chunk(2**20) + end)[0] == 413
        assert raw(port, chunked, chunk(20)) == (400, {"detail": "Bad Request"})
        assert raw(port, chunked, b"ZZ\r\n{}\r\n") == (400, {"detail": "Bad Request"})
        short = head + "Content-Length: 50\r\n"
        assert raw(port, short, b'{"title": "short"}') == (400, {"detail": "Incomplete body"})
        form = chunked.replace(JSON, FORM).replace("/tasks", "/auth/token")
        data = f"username=ada@example.com&password={PASSWORD}".replace(" ", "+").encode()
        long = data + b"&x=" + b"y" * 2**16
        assert raw(port, form, b"%x\r\n%s\r\n" % (len(data), data) + end)[0] == 200
        assert raw(port, form, b"%x\r\n%s\r\n" % (len(long), long) + end)[0] == 413
        bearer = {"Authorization": f"Bearer {token}"}
        assert len(call(port, "GET", "/tasks", **bearer)[1]) == 2
        assert call(port, "GET", "/tasks/1%0aforged%00", **bearer)[0] == 404
    assert "Traceback" not in log.read_text()
    assert "GET /tasks/1%0Aforged%00 404" in log.read_text()
    assert (tmp_path / "todo.db").stat().st_mode & 0o777 == 0o600


def test_of_a_key_that_comes_twice_the_last_counts(ada):
    answer = ada.post("/tasks", data=b'{"title": "a", "title": "b"}', content_type=JSON)
    assert (answer.status_code, answer.json["title"]) == (201, "b")


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("POST", "/tasks", JSON, 201),
        ("POST", "/tasks", "application/json; charset=utf-8", 201),
        ("POST", "/tasks", "Application/JSON", 201),
        ("POST", "/tasks", "application/merge-patch+json", 415),
        ("POST", "/tasks", FORM, 415),
        ("POST", "/tasks", "text/plain", 415),
        ("POST", "/tasks", None, 415),
        ("PATCH", "/tasks/1", JSON, 200),
        ("PATCH", "/tasks/1", "application/merge-patch+json", 200),
        ("PATCH", "/tasks/1", "application/json-patch+json", 415),
        ("POST", "/auth/register", FORM, 415),
    ],
)
def test_the_content_type_is_asked_for(ada, method, path, content_type, status):
    add(ada)
    answer = ada.open(path, method=method, data=b'{"title": "x"}', content_type=content_type)
    assert answer.status_code == status
    assert status != 415 or answer.json["detail"].startswith(
        "Content-Type must be application/json"
    )


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({}, {"title": "x", "done": False, "due": "2026-11-30"}),
        ({"done": True}, {"title": "x", "done": True, "due": "2026-11-30"}),
        ({"title": " y "}, {"title": "y", "done": False, "due": "2026-11-30"}),
        ({"due": "2027-01-01"}, {"title": "x", "done": False, "due": "2027-01-01"}),
        ({"due": None}, {"title": "x", "done": False}),
    ],
)
def test_a_patch_changes_what_was_sent(ada, change, after):
    number = add(ada, "x", due="2026-11-30")
    answer = ada.patch(f"/tasks/{number}", json=change)
    assert (answer.status_code, answer.json) == (200, {"id": number} | after)
    assert ada.get(f"/tasks/{number}").json == answer.json
    assert (answer.headers["ETag"] == '"1"') == (change == {})


@pytest.mark.parametrize(
    "number", ["2", "0", "-1", "01", "1.0", "1_0", "abc", "%00", "é", "9" * 18, str(10**30)]
)
def test_an_id_that_is_nobodys_is_not_found(ada, number):
    add(ada)
    for method in ("GET", "PATCH", "DELETE"):
        answer = ada.open(f"/tasks/{number}", method=method, json={})
        assert (answer.status_code, answer.json) == (404, {"detail": "Task not found"})


def test_a_stolen_id_is_not_found(ada, bob):
    number = add(ada, "secret")
    headers = {"If-Match": '"1"', "If-None-Match": '"1"'}
    for method in ("GET", "PATCH", "DELETE"):
        for sent in ({}, headers):
            answer = bob.open(f"/tasks/{number}", method=method, json={"title": "y"}, headers=sent)
            assert (answer.status_code, answer.json) == (404, {"detail": "Task not found"})
    assert titles(bob) == []
    assert bob.delete("/tasks?done=true").status_code == 204
    assert titles(ada) == ["secret"]


def test_delete_is_for_good(ada):
    first = add(ada)
    answer = ada.delete(f"/tasks/{first}")
    assert (answer.status_code, answer.data, answer.content_type) == (204, b"", None)
    assert ada.delete(f"/tasks/{first}").status_code == 404
    assert add(ada) == first + 1  # an id is never given twice


def test_clearing_takes_the_done_ones_of_the_caller(ada, bob):
    add(ada, "open"), add(ada, "done", done=True), add(bob, "bob's", done=True)
    for query, place in [
        ("", "done"),
        ("?done=false", "done"),
        ("?done=", "done"),
        ("?all=true", "done"),
    ]:
        answer = ada.delete(f"/tasks{query}")
        assert answer.status_code == 422
        assert ["query", place] in where(answer)
    assert ada.delete("/tasks?done=true").status_code == 204
    assert ada.delete("/tasks?done=true").status_code == 204
    assert (titles(ada), titles(bob)) == (["open"], ["bob's"])


# --- Lists ----------------------------------------------------------------------------------------


@pytest.fixture
def four(ada, bob):
    """Ada with four tasks: a to d."""
    add(ada, "a Öl", due="2026-03-01")
    add(bob, "bob's")
    add(ada, "b 100%", done=True)
    add(ada, "c _x\\", due="2026-01-01", done=True)
    add(ada, "d ölig", due="2026-02-01")
    return ada


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abcd"),
        ("?done=true", "bc"),
        ("?done=false", "ad"),
        ("?q=öl", "ad"),
        ("?q=ÖL", "ad"),
        ("?q=%25", "b"),
        ("?q=_", "c"),
        ("?q=%5C", "c"),
        ("?q=/", ""),
        ("?q=", "abcd"),
        ("?q=100%25", "b"),
        ("?due_before=2026-03-01", "cd"),
        ("?due_after=2026-01-01", "ad"),
        ("?due_after=2026-01-01&due_before=2026-03-01", "d"),
        ("?sort=due", "cdab"),
        ("?sort=due&done=true", "cb"),
        ("?sort=due&q=öl&due_after=2026-01-01&done=false", "da"),
        ("?limit=1000", "abcd"),
    ],
)
def test_lists(four, query, found):
    assert "".join(title[0] for title in titles(four, query)) == found
    for limit in (1, 2, 3):  # pages one after the other give the same
        walked, path = "", f"/tasks?limit={limit}&{query[1:]}" if "limit" not in query else None
        while path:
            answer = four.get(path)
            assert len(answer.json) <= limit
            walked += "".join(task["title"][0] for task in answer.json)
            link = answer.headers.get("Link")
            path = link and re.fullmatch(r'<(/tasks\?[^>]+)>; rel="next"', link)[1]
        assert walked == found or "limit" in query


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("done=1", "done"),
        ("done=True", "done"),
        ("done=", "done"),
        ("done=true&done=true", "done"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        (f"limit={10**30}", "limit"),
        ("sort=title", "sort"),
        ("due_before=0", "due_before"),
        ("due_before=2026-02-30", "due_before"),
        ("due_after=", "due_after"),
        ("q=%00", "q"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=é", "cursor"),
        ("cursor=a&cursor=b", "cursor"),
        ("cursor=W10=", "cursor"),
        ("cursor=WyIyMDI2LTAxLTAxIiwgMTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0=", "cursor"),
        ("page=2", "page"),
    ],
)
def test_a_bad_query_is_a_422(ada, query, place):
    answer = ada.get(f"/tasks?{query}")
    assert answer.status_code == 422
    assert {tuple(loc[:2]) for loc in where(answer)} == {("query", place)}


@pytest.mark.parametrize("path", ["/auth/me", "/tasks/1", "/health", "/auth/register"])
def test_a_query_that_nobody_reads_is_a_422(ada, path):
    add(ada)
    method = "POST" if path == "/auth/register" else "GET"
    answer = ada.open(f"{path}?x=1", method=method, json={"email": "a@b", "password": PASSWORD})
    assert (answer.status_code, where(answer)) == (422, [["query", "x"]])


@pytest.mark.parametrize("sort", ["id", "due"])
def test_a_cursor_is_right_under_inserts_and_deletes(ada, sort):
    days = [None, "2026-01-02", None, "2026-01-01", "2026-01-01", "9999-12-31"]
    numbers = [add(ada, str(at), **({"due": day} if day else {})) for at, day in enumerate(days)]
    order = sorted(range(6), key=lambda at: (days[at] or "9999-12-31", at) if sort == "due" else at)
    page = ada.get(f"/tasks?sort={sort}&limit=3&q=")
    assert [task["title"] for task in page.json] == [str(at) for at in order[:3]]
    ada.delete(f"/tasks/{numbers[order[2]]}")  # the one that the cursor stands on
    ada.delete(f"/tasks/{numbers[order[3]]}")
    add(ada, "first by date", due="2025-01-01")
    add(ada, "last")
    rest = ada.get(re.match("<(.+?)>", page.headers["Link"])[1])
    seen = [task["title"] for task in rest.json]
    assert seen == [str(order[4]), str(order[5]), {"id": "first by date", "due": "last"}[sort]]
    assert f"sort={sort}" in page.headers["Link"]
    assert "q=" in page.headers["Link"]


def test_every_page_is_served_by_an_index(app, ada):
    with app.app_context():
        todo.g.caller = 1
        wanted = [todo.TaskQuery(), todo.TaskQuery(sort="due")]
        wanted += [query.model_copy(update={"done": True}) for query in wanted]
        wanted += [query.model_copy(update={"cursor": (todo.date.max, 5)}) for query in wanted]
        for query in wanted:
            with todo.db.engine.connect() as connection:
                if connection.dialect.name == "sqlite":
                    explain = "EXPLAIN QUERY PLAN "
                else:
                    explain = "EXPLAIN "
                    for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                        connection.exec_driver_sql(f"SET {setting} = off")
                compiled = todo.page(query).compile(
                    connection, compile_kwargs={"render_postcompile": True}
                )
                sql = explain + str(compiled)
                parameters = compiled.params
                rows = connection.exec_driver_sql(
                    sql,
                    tuple(parameters[name] for name in compiled.positiontup)
                    if compiled.positional
                    else parameters,
                ).all()
                plan = "\n".join(str(row) for row in rows)
            assert "ix_tasks" in plan
            assert "TEMP B-TREE" not in plan
            assert "Sort" not in plan


# --- Retries and races ----------------------------------------------------------------------------


def test_an_idempotency_key_makes_one_task(ada, bob):
    send = {"json": {"title": "once"}, "headers": {"Idempotency-Key": "k" * 255}}
    first = ada.post("/tasks", **send)
    ada.patch("/tasks/1", json={"done": True})
    again = ada.post("/tasks", **send)
    assert (again.status_code, again.headers["Location"]) == (201, first.headers["Location"])
    assert again.json == first.json | {"done": True}
    other = ada.post("/tasks", **send | {"json": {"title": "twice"}})
    assert (other.status_code, where(other)) == (422, [["body"]])
    assert bob.post("/tasks", **send | {"json": {"title": "bob's"}}).json["title"] == "bob's"
    for key in ("", "k" * 256):
        answer = ada.post("/tasks", json={"title": "x"}, headers={"Idempotency-Key": key})
        assert (answer.status_code, where(answer)) == (422, [["header", "Idempotency-Key"]])
    assert titles(ada) == ["once"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"2"', 200),
        ("*", 200),
        ('"1", "2"', 200),
        ('W/"1","2"', 200),
        ('"1"', 412),
        ('W/"2"', 412),
        ('"3"', 412),
        ('"x"', 412),
        ('""', 412),
        ("", 412),
        ("nonsense", 412),
        ('"' + "9" * 40 + '"', 412),
    ],
)
def test_if_match_guards_a_change(ada, header, status):
    number = add(ada)
    etag = ada.patch(f"/tasks/{number}", json={"title": "changed"}).headers["ETag"]
    assert etag == ada.get(f"/tasks/{number}").headers["ETag"] == '"2"'
    changed = ada.patch(f"/tasks/{number}", json={"done": True}, headers={"If-Match": header})
    assert changed.status_code == status
    assert ada.get(f"/tasks/{number}").json["done"] == (status == 200)
    wanted = {'"2"': '"3"', '"1", "2"': '"3"', 'W/"1","2"': '"3"'}.get(header, header)
    gone = ada.delete(f"/tasks/{number}", headers={"If-Match": wanted})
    assert gone.status_code == (204 if status == 200 else 412)
    assert ada.patch("/tasks/99", json={}, headers={"If-Match": header}).status_code == 404


def test_if_none_match_saves_the_answer(ada):
    for path in ("/tasks", f"/tasks/{add(ada)}", "/tasks?limit=1", "/auth/me"):
        etag = ada.get(path).headers["ETag"]
        assert re.fullmatch('"[0-9a-f]+"', etag)
        for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            answer = ada.get(path, headers={"If-None-Match": header})
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
        assert ada.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
        assert ada.get(path, headers={"If-Match": '"x"'}).status_code == 200  # guards changes only
    etag = ada.get("/tasks?limit=1").headers["ETag"]
    add(ada)  # the page is the same, but another follows now
    answer = ada.get("/tasks?limit=1", headers={"If-None-Match": etag})
    assert (answer.status_code, "Link" in answer.headers) == (200, True)


# --- Around ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nothing", 404, "Not Found"),
        ("GET", "/tasks/", 404, "Not Found"),
        ("GET", "/auth/register", 405, "Method Not Allowed"),
        ("PUT", "/tasks/1", 405, "Method Not Allowed"),
    ],
)
def test_what_flask_refuses_has_our_shape(client, method, path, status, detail):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json) == (status, {"detail": detail})
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_bug_is_logged_and_not_told(app, ada, monkeypatch, caplog):
    monkeypatch.setattr(todo, "page", lambda query: 1 / 0)
    answer = ada.get("/tasks")
    assert (answer.status_code, answer.json) == (500, {"detail": "Internal Server Error"})
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-1.2:3_4", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a b", False),
        ("é", False),
        ("", False),
    ],
)
def test_every_answer_has_a_request_id_and_is_not_sniffed(client, sent, kept):
    for path in ("/health", "/tasks", "/nothing"):
        answer = client.get(path, headers={"X-Request-Id": sent})
        given = answer.headers["X-Request-Id"]
        assert (given == sent) if kept else re.fullmatch("[0-9a-f]{32}", given)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_create_user_reads_a_password(app, client):
    run = app.test_cli_runner().invoke
    made = run(args=["create-user", "Me@example.com"], input=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    login = {"username": "me@example.com", "password": PASSWORD}
    assert client.post("/auth/token", data=login).status_code == 200
    for email, password, said in [
        ("me@example.com", PASSWORD, "Email already exists"),
        ("you@example.com", "short", "at least 8 characters"),
        ("nonsense", PASSWORD, "email"),
    ]:
        refused = run(args=["create-user", email], input=f"{password}\n")
        assert refused.exit_code == 1
        assert said in refused.output
        assert password not in refused.output


def test_two_apps_live_in_one_process(tmp_path):
    apps = []
    for name in "ab":
        settings = todo.Settings(
            secret_key=KEY + name, database_url=f"sqlite:///{tmp_path}/{name}.db", bcrypt_rounds=4
        )
        apps.append(todo.create_app(settings))
    ada = sign_up(apps[0], "ada@example.com")
    sign_up(apps[1], "bob@example.com")
    assert ada.get("/auth/me").json["email"] == "ada@example.com"
    bearer = {"Authorization": ada.environ_base["HTTP_AUTHORIZATION"]}
    assert apps[1].test_client().get("/auth/me", headers=bearer).json == {"detail": "Invalid token"}


# --- The server: gunicorn by the Procfile ---------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(port, method, path, body=None, **headers):
    """Send JSON over a connection of its own; return status, body and headers."""
    sent = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    for name, value in headers.items():
        sent.add_header(name.replace("_", "-"), value)
    if body is not None:
        sent.add_header("Content-Type", JSON)
        sent.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or "null"), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read() or "null"), answer.headers


def command(tmp_path):
    """Copy the service into a directory of its own and return the Procfile's command."""
    for name in ("todo.py", "Procfile"):
        shutil.copy(HERE / name, tmp_path)
    return (HERE / "Procfile").read_text().removeprefix("web: ").strip()


def environment(port, **settings):
    """The environment of a platform, without this one's settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("APP_", "FLASK_", "DATABASE_"))
    }
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    bind = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"}
    return kept | bind | {"PATH": path, "APP_SECRET_KEY": KEY, "APP_BCRYPT_ROUNDS": "4"} | settings


@contextmanager
def serving(tmp_path, workers=4, **settings):
    """Serve with the Procfile's command; yield the port and the log so far."""
    port = free_port()
    log = tmp_path / f"{port}.log"
    env = environment(port, WEB_CONCURRENCY=str(workers), **settings)
    with log.open("w") as out:
        server = subprocess.Popen(
            ["sh", "-c", f"exec {command(tmp_path)}"], cwd=tmp_path, env=env, stdout=out, stderr=out
        )
    try:
        for _ in range(600):
            try:
                if call(port, "GET", "/health")[0] == 200:
                    break
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.05)
        yield port, log
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)


def racing(count, send):
    """Run count calls at once and return their results."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


def test_races_have_one_winner(database, tmp_path):
    with serving(tmp_path, APP_DATABASE_URL=database) as (port, log):
        account = {"email": "ada@example.com", "password": PASSWORD}
        statuses = racing(16, lambda _: call(port, "POST", "/auth/register", account)[0])
        assert sorted(statuses) == [201] + [400] * 15
        bearer = {
            "Authorization": f"Bearer {call(port, 'POST', '/auth/token', account)[1]['access_token']}"
        }

        keyed = bearer | {"Idempotency_Key": "one"}
        made = racing(16, lambda _: call(port, "POST", "/tasks", {"title": "once"}, **keyed))
        assert {status for status, _, _ in made} == {201}
        (number,) = {task["id"] for _, task, _ in made}
        assert len(call(port, "GET", "/tasks", **bearer)[1]) == 1

        guarded = bearer | {"If_Match": '"1"'}
        path = f"/tasks/{number}"
        patched = racing(16, lambda at: call(port, "PATCH", path, {"title": f"by {at}"}, **guarded))
        assert sorted(status for status, _, _ in patched) == [200] + [412] * 15
        (winner,) = [task for status, task, _ in patched if status == 200]
        assert call(port, "GET", path, **bearer)[1] == winner

        changed = racing(16, lambda at: call(port, "PATCH", path, {"done": True}, **bearer)[0])
        assert changed == [200] * 16  # without a condition nobody loses
        assert call(port, "GET", path, **bearer)[2]["ETag"] == '"18"'
        guarded = bearer | {"If_Match": '"18"'}
        gone = racing(16, lambda at: call(port, "DELETE", path, **guarded)[0])
        assert sorted(gone) == [204] + [404] * 15
    assert "Traceback" not in log.read_text()


def log_in(port):
    """Return the header of a new account."""
    account = {"email": "ada@example.com", "password": PASSWORD}
    assert call(port, "POST", "/auth/register", account)[0] == 201
    token = call(port, "POST", "/auth/token", account)[1]["access_token"]
    return {"Authorization": f"Bearer {token}"}


def test_killed_workers_lose_nothing_that_was_acknowledged(database, tmp_path):
    """Eight clients add tasks and try again by key, while ten times a worker gets SIGKILL."""
    with serving(tmp_path, workers=3, APP_DATABASE_URL=database) as (port, log):
        bearer, killing = log_in(port), threading.Event()

        def add_until_told(client):
            acknowledged = {}
            while not killing.is_set() or len(acknowledged) < 20:
                title = f"{client}-{len(acknowledged)}"
                with suppress(OSError, http.client.HTTPException):  # the worker was killed: again
                    keyed = bearer | {"Idempotency_Key": title}
                    status, task, _ = call(port, "POST", "/tasks", {"title": title}, **keyed)
                    assert status == 201, task
                    acknowledged[title] = task["id"]
            return acknowledged

        with ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(add_until_told, client) for client in range(8)]
            master = re.search(r"\[(\d+)\] \[INFO\] Listening", log.read_text())[1]
            children = Path(f"/proc/{master}/task/{master}/children")
            for kill in range(10):
                before = children.read_text().split()
                os.kill(int(before[kill % len(before)]), signal.SIGKILL)
                while len(set(children.read_text().split()) - set(before)) == 0:
                    time.sleep(0.05)  # until another has taken its place
                time.sleep(0.2)
            killing.set()
            acknowledged = {}
            for client in clients:
                acknowledged |= client.result()
        found, path = [], "/tasks?limit=1000"
        while path:
            _, tasks, headers = call(port, "GET", path, **bearer)
            found += [(task["title"], task["id"]) for task in tasks]
            path = re.match("<(.+?)>", headers["Link"])[1] if "Link" in headers else None
    assert sorted(found) == sorted(acknowledged.items())  # all of them, none twice
    assert "Traceback" not in log.read_text()


def test_slow_clients_do_not_stop_the_others(tmp_path):
    url = f"sqlite:///{tmp_path}/todo.db"
    with serving(tmp_path, workers=1, APP_DATABASE_URL=url) as (port, _), ExitStack() as slow:
        bearer = log_in(port)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        for client in clients:
            slow.enter_context(client)
            client.sendall(b"GET /tasks HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for _ in range(5):
            for client in clients:
                client.sendall(b"x")
            assert call(port, "GET", "/tasks", **bearer)[0] == 200


def test_four_workers_start_on_an_empty_database(database, tmp_path):
    for start in range(4):
        with serving(tmp_path, APP_DATABASE_URL=database) as (port, log):
            account = {"email": f"{start}@example.com", "password": PASSWORD}
            assert (
                racing(8, lambda _, a=account: call(port, "POST", "/auth/register", a)[0]).count(
                    201
                )
                == 1
            )
        assert not re.search("Traceback|ERROR|already exists|locked", log.read_text())
        assert log.read_text().count("Database: ") == 1


def test_hosts_may_start_at_once_on_an_empty_database(database, tmp_path):
    """Twelve processes create the tables together, as workers without --preload would."""
    code = "import sys, todo; sys.stdin.readline(); todo.create_app()"
    env = environment(0, APP_DATABASE_URL=database, PYTHONPATH=str(HERE))
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hosts = [subprocess.Popen([sys.executable, "-c", code], env=env, **pipes) for _ in range(12)]
    for host in hosts:
        host.stdin.write("go\n")
        host.stdin.flush()
    errors = [host.communicate(timeout=60)[1] for host in hosts]
    assert [host.returncode for host in hosts] == [0] * 12, errors


def test_the_log_names_requests_and_keeps_secrets(database, tmp_path):
    with serving(tmp_path, workers=1, APP_DATABASE_URL=database) as (port, log):
        account = {"email": "ada@example.com", "password": "very secret horse"}
        call(port, "POST", "/auth/register", account)
        call(port, "POST", "/auth/register", account | {"password": "short"})
        token = call(port, "POST", "/auth/token", account, X_Request_Id="login-1")[1][
            "access_token"
        ]
        call(
            port,
            "GET",
            "/tasks?q=very+private",
            Authorization=f"Bearer {token}",
            X_Request_Id="list-1",
        )
        call(port, "GET", "/tasks", Authorization=f"Bearer {token}x")
    text = log.read_text()
    assert re.search(r"list-1 GET /tasks 200 \d+ms", text)
    assert re.search(r"[0-9a-f]{32} POST /auth/register 422", text)
    for secret in (
        "secret horse",
        "short",
        "private",
        token,
        KEY,
        sa.make_url(database).password or "nothing",
    ):
        assert secret not in text


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"APP_SECRET_KEY": ""}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_SECRET_KEY": "hunter2"}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_SECRET_KEY": "x" * 31}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_SECRET_KEY": "change-me"}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_BCRYPT_ROUNDS": "hunter2"}, "APP_BCRYPT_ROUNDS must be 4 to 20"),
        ({"APP_BCRYPT_ROUNDS": "3"}, "APP_BCRYPT_ROUNDS must be 4 to 20"),
        (
            {"APP_ACCESS_TOKEN_EXPIRE_MINUTES": "0"},
            "APP_ACCESS_TOKEN_EXPIRE_MINUTES must be 1 to 525600",
        ),
        (
            {"APP_DATABASE_URL": "mysql://u:hunter2@h/d"},
            "APP_DATABASE_URL must be sqlite:///FILE or postgresql://",
        ),
        (
            {"APP_DATABASE_URL": "sqlite:///:memory:"},
            "APP_DATABASE_URL must be sqlite:///FILE or postgresql://",
        ),
        (
            {"APP_DATABASE_URL": "hunter2"},
            "APP_DATABASE_URL must be sqlite:///FILE or postgresql://",
        ),
        (
            {"APP_DATABASE_URL": "postgres://u:p@h:hunter2/d"},
            "APP_DATABASE_URL must be sqlite:///FILE or postgresql://",
        ),
        (
            {"APP_DATABASE_URL": "sqlite:////nowhere/hunter2.db"},
            "APP_DATABASE_URL cannot be used: unable to open",
        ),
        (
            {"APP_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"},
            "APP_DATABASE_URL cannot be used: ",
        ),
        ({"APP_DATABASE_URL": "postgresql://u:x/hunter2@127.0.0.1/d"}, "APP_DATABASE_URL "),
        ({"DATABASE_URL": "hunter2"}, "APP_DATABASE_URL must be sqlite:///FILE or postgresql://"),
    ],
)
def test_a_start_that_cannot_work_says_why_in_one_line(tmp_path, settings, line):
    port = free_port()
    env = environment(port, WEB_CONCURRENCY="2", FLASK_APP="todo.py", **settings)
    if "DATABASE_URL" not in str(settings):
        env["APP_DATABASE_URL"] = f"sqlite:///{tmp_path}/todo.db"
    for start in (f"exec {command(tmp_path)}", f"exec flask run --port {port}"):
        ended = subprocess.run(
            ["sh", "-c", start],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode != 0
        (said,) = ended.stderr.splitlines()
        assert said.startswith(line)
        assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"]
)
def test_every_platforms_url_is_understood(scheme):
    settings = todo.Settings(
        secret_key=KEY, database_url=f"{scheme}://u:s%40crét@db.example.com:5433/n?sslmode=require"
    )
    url = settings.database_url
    assert (url.drivername, url.password, url.port) == ("postgresql+psycopg", "s@crét", 5433)
    assert url.query == {"sslmode": "require"}
    assert "crét" not in f"{settings!r} {settings}"
    assert KEY not in f"{settings!r} {settings}"
    assert todo.Settings(secret_key="ключ" * 4).secret_key  # 32 bytes, though 16 characters


def test_no_connection_is_left_for_a_fork_to_share(app):
    with app.app_context():
        assert todo.db.engine.pool.checkedin() == 0
        todo.execute(sa.select(1))
        assert todo.db.engine.pool.checkedin() == 1


def test_the_platforms_own_url_is_used(tmp_path):
    with serving(tmp_path, workers=1, DATABASE_URL=f"sqlite:///{tmp_path}/platform.db"):
        assert (tmp_path / "platform.db").exists()


def test_sqlite_is_durable(tmp_path):
    app = todo.create_app(
        todo.Settings(secret_key=KEY, database_url=f"sqlite:///{tmp_path}/todo.db")
    )
    with app.app_context():
        for pragma, value in [
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("busy_timeout", 5000),
        ]:
            assert todo.execute(sa.text(f"PRAGMA {pragma}"))[0][0] == value


def test_a_lock_that_lasts_is_a_503(tmp_path, monkeypatch):
    database = tmp_path / "todo.db"
    app = todo.create_app(
        todo.Settings(secret_key=KEY, database_url=f"sqlite:///{database}", bcrypt_rounds=4)
    )
    ada = sign_up(app, "ada@example.com")
    with todo.sa.create_engine(f"sqlite:///{database}").connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        answer = ada.post("/tasks", json={"title": "x"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert ada.get("/tasks").json == []  # readers do not wait
    assert add(ada)


@pytest.fixture
def own_postgres(tmp_path):
    """A PostgreSQL server of this test's own, to be stopped; yields its URL and a function."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        pytest.skip("no PostgreSQL binaries")
    port, data = free_port(), tmp_path / "pg"
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(tmp_path, "postgres")
        for parent in [*tmp_path.parents][:3]:
            parent.chmod(parent.stat().st_mode | 0o011)

    def control(*words):
        subprocess.run(
            [*as_user, binaries[-1] / words[0], *words[1:]],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=tmp_path,
        )

    options = f"-p {port} -k '' -c listen_addresses=127.0.0.1"
    control("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N")

    def switch(on):
        control(
            "pg_ctl",
            "-D",
            data,
            "-w",
            "-l",
            data / "log",
            *(["-o", options, "start"] if on else ["-m", "immediate", "stop"]),
        )

    switch(True)
    yield f"postgres://postgres@127.0.0.1:{port}/postgres", switch
    if (data / "postmaster.pid").exists():
        switch(False)


def test_a_database_that_was_down_is_picked_up_again(own_postgres, tmp_path):
    url, switch = own_postgres
    with serving(tmp_path, workers=2, APP_DATABASE_URL=url) as (port, log):
        account = {"email": "ada@example.com", "password": PASSWORD}
        call(port, "POST", "/auth/register", account)
        bearer = {
            "Authorization": f"Bearer {call(port, 'POST', '/auth/token', account)[1]['access_token']}"
        }
        call(port, "POST", "/tasks", {"title": "kept"}, **bearer)
        switch(False)
        for method, path in [
            ("GET", "/tasks"),
            ("POST", "/tasks"),
            ("GET", "/health"),
            ("GET", "/auth/me"),
        ]:
            status, body, headers = call(port, method, path, {"title": "x"}, **bearer)
            assert (status, body) == (503, {"detail": "The database does not answer"})
            assert headers["Retry-After"] == "5"
        assert call(port, "POST", "/auth/token", account)[1]["error"] == "temporarily_unavailable"
        switch(True)
        assert racing(16, lambda _: call(port, "GET", "/tasks", **bearer)[0]) == [200] * 16
        assert call(port, "GET", "/tasks", **bearer)[1] == [
            {"id": 1, "title": "kept", "done": False}
        ]
    assert "Traceback" not in log.read_text()

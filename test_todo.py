"""The contract of todo.py as tables, on SQLite and on PostgreSQL, and its races against gunicorn.

TEST_POSTGRES_URL names a PostgreSQL server that may create databases; without it, the one on this
machine is tried. Where none answers, its half of the tests is skipped.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import product
from pathlib import Path

import psycopg
import pytest
import redis
import sqlalchemy as sa
from flask import Flask, session
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
    app.extensions.pop("database")  # and with it the connections


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
    keys = {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert answer.json.keys() == keys
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("bearer", 1800)
    assert answer.headers.get("Cache-Control") == "no-store"
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
    """Tokens that open nothing, for what is wrong with them."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    other = todo.Settings(secret_key=KEY[::-1], database_url=url)
    with app.app_context():
        rows = todo.execute(sa.select(*todo.SESSION))
        claims = dict(zip(todo.CLAIMS, rows[0], strict=True))
        good = create_access_token("1", additional_claims=claims)
        yield from [good[:-2], good + "x", good.replace(".", "", 1), "x", "...", "é", "a b"]
        yield create_refresh_token("1", additional_claims=claims)
        past = todo.timedelta(seconds=-11)
        yield create_access_token("1", expires_delta=past, additional_claims=claims)
        for wrong in ({"id": "1"}, {"id": None}, {"user_id": 1.5}, {"scope": None}):
            yield create_access_token("1", additional_claims=claims | wrong)
        yield create_access_token("1")
        yield "eyJhbGciOiJub25lIn0." + good.split(".")[1] + "."
        yield "W" * 6000 + ".x.x"  # base64 of deeply nested JSON
    with todo.create_app(other).app_context():
        yield create_access_token("1", additional_claims=claims)


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
        with suppress(OSError):  # the answer may come, and the connection end, before all is sent
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
        values = {"session": 1, "user": 1, "after_due": todo.date(2026, 1, 1), "after_id": 5}
        values |= {"rows": 101, "done": True}
        for names, sort in product([(), ("done",)], ["id", "due"]):
            with todo.db.engine.connect() as connection:
                if connection.dialect.name == "sqlite":
                    explain = "EXPLAIN QUERY PLAN "
                else:
                    explain = "EXPLAIN "
                    for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                        connection.exec_driver_sql(f"SET {setting} = off")
                page = todo.page(names, sort).params(values)
                sql = page.compile(connection, compile_kwargs={"literal_binds": True})
                rows = connection.exec_driver_sql(explain + str(sql).replace("%", "%%")).all()
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
    monkeypatch.setattr(todo, "page", lambda *_: 1 / 0)
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


def test_registration_can_be_closed(tmp_path):
    url = f"sqlite:///{tmp_path}/todo.db"
    settings = {"secret_key": KEY, "database_url": url, "bcrypt_rounds": 4}
    app = todo.create_app(todo.Settings(**settings, registration="closed"))
    account = {"email": "ada@example.com", "password": PASSWORD}
    for sent in (account, {}, account | {"email": "nonsense"}):
        answer = app.test_client().post("/auth/register", json=sent)
        assert (answer.status_code, answer.json) == (403, {"detail": "Registration is closed"})
        assert "WWW-Authenticate" not in answer.headers
    run = app.test_cli_runner().invoke
    assert run(args=["create-user", "ada@example.com"], input=f"{PASSWORD}\n").exit_code == 0
    assert app.test_client().post("/auth/token", json=account).status_code == 200
    assert app.test_client().post("/auth/register", json=account).status_code == 403


def test_set_password_ends_every_session(app, ada, bob):
    run, new = app.test_cli_runner().invoke, "battery staple"
    assert run(args=["set-password", "ADA@example.com"], input=f"{new}\n").exit_code == 0
    assert ada.get("/tasks").json == {"detail": "Invalid token"}
    assert bob.get("/tasks").status_code == 200
    for password, status in [(PASSWORD, 401), (new, 200)]:
        login = {"username": "ada@example.com", "password": password}
        assert app.test_client().post("/auth/token", data=login).status_code == status
    for email, password, said in [
        ("nobody@example.com", new, "User not found"),
        ("ada@example.com", "short", "at least 8 characters"),
    ]:
        refused = run(args=["set-password", email], input=f"{password}\n")
        assert refused.exit_code == 1
        assert said in refused.output


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


# --- Sessions: scopes, refresh tokens, taking back, throttle ----------------------------------------


def grant(client, status=200, **fields):
    """Ask for tokens with a form; return the answer's JSON."""
    answer = client.post("/auth/token", data=fields)
    assert answer.status_code == status, answer.text
    assert status != 200 or answer.headers.get("Cache-Control") == "no-store"
    return answer.json


def bearing(app, token):
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def works(app, token):
    answer = bearing(app, token).get("/tasks")
    assert answer.json == ([] if answer.status_code == 200 else {"detail": "Invalid token"})
    return answer.status_code == 200


@pytest.fixture
def pass_time(monkeypatch):
    """Let the service's clock go on by seconds."""
    return lambda seconds: monkeypatch.setattr(todo, "time", partial(added, todo.time, seconds))


def added(clock, seconds):
    return clock() + seconds


REFRESH = {"grant_type": "refresh_token"}
SCOPES = ["tasks:read", "tasks:write", "account"]
GUARDED = [
    ("GET", "/tasks", "tasks:read"),
    ("GET", "/tasks/1", "tasks:read"),
    ("POST", "/tasks", "tasks:write"),
    ("DELETE", "/tasks?done=true", "tasks:write"),
    ("PATCH", "/tasks/1", "tasks:write"),
    ("DELETE", "/tasks/1", "tasks:write"),
    ("GET", "/auth/me", "account"),
    ("PUT", "/auth/me/password", "account"),
    ("DELETE", "/auth/me", "account"),
]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_opens_the_routes_of_its_scope(app, ada, scope):
    add(ada, done=True)
    given = grant(ada, **GOOD, scope=scope)
    assert given["scope"] == scope
    narrow = bearing(app, given["access_token"])
    for method, path, needed in GUARDED:
        answer = narrow.open(path, method=method, json={"nonsense": 1})
        if scope == needed:
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert answer.status_code == 403, (method, path)
            assert answer.json == {"detail": f"The token lacks the scope {needed}"}
            challenge = answer.headers["WWW-Authenticate"]
            assert challenge == 'Bearer error="insufficient_scope"'
    guarded = {
        (method, path.partition("?")[0].replace("1", "<task_id>")) for method, path, _ in GUARDED
    }
    asking = [
        rule
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], "scope", None)
    ]
    assert guarded == {(m, r.rule) for r in asking for m in r.methods - {"HEAD", "OPTIONS"}}


def test_a_read_only_token_does_no_harm(app, ada):
    add(ada, "Keep me")
    reading = bearing(app, grant(ada, **GOOD, scope="tasks:read")["access_token"])
    assert titles(reading) == ["Keep me"]
    for method, path, scope in GUARDED:
        if scope != "tasks:read":
            assert reading.open(path, method=method, json={"title": "x"}).status_code == 403
    assert titles(ada) == ["Keep me"]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("", "tasks:read tasks:write account"),
        ("account tasks:read", "account tasks:read"),
        ("  tasks:write  ", "tasks:write"),
        ("nonsense", None),
        ("tasks:read nonsense", None),
        ("tasks", None),
        ("TASKS:READ", None),
        ("*", None),
    ],
)
def test_a_scope_is_granted_or_refused_as_a_whole(ada, asked, granted):
    answer = grant(ada, 200 if granted else 400, **GOOD, scope=asked)
    assert answer.get("scope") == granted
    assert answer.get("error") == (None if granted else "invalid_scope")


def test_a_refresh_can_only_narrow(app, ada):
    first = grant(ada, **GOOD, scope="tasks:read account")
    token = first["refresh_token"]
    for asked in ("tasks:write", "tasks:read tasks:write", "nonsense"):
        refused = grant(ada, 400, **REFRESH, refresh_token=token, scope=asked)
        assert refused["error"] == "invalid_scope"
    second = grant(ada, **REFRESH, refresh_token=token, scope="account")
    assert second["scope"] == "account"
    assert bearing(app, second["access_token"]).get("/tasks").status_code == 403
    third = grant(ada, **REFRESH, refresh_token=second["refresh_token"])
    assert third["scope"] == "tasks:read account"  # what the session has, RFC 6749 §6


def test_a_refresh_token_works_once_and_gives_the_next(app, ada, pass_time):
    seen, given = set(), grant(ada, **GOOD)
    for _ in range(4):
        assert set(given) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert (given["token_type"], given["expires_in"]) == ("bearer", 1800)
        assert works(app, given["access_token"])
        assert given["refresh_token"] not in seen
        seen.add(given["refresh_token"])
        pass_time(400)
        given = grant(ada, **REFRESH, refresh_token=given["refresh_token"])


def test_a_used_refresh_token_is_good_for_a_minute(app, ada, pass_time):
    first = grant(ada, **GOOD)
    for _ in range(3):  # lost answers, or other tabs
        again = grant(ada, **REFRESH, refresh_token=first["refresh_token"])
    last = grant(ada, **REFRESH, refresh_token=again["refresh_token"])
    pass_time(55)
    grant(ada, **REFRESH, refresh_token=first["refresh_token"])
    assert works(app, last["access_token"])
    pass_time(10)
    assert works(app, grant(ada, **REFRESH, refresh_token=last["refresh_token"])["access_token"])


@pytest.mark.parametrize("rotations", [1, 2])
def test_a_refresh_token_that_comes_late_ends_its_session(app, ada, pass_time, rotations):
    old = newest = grant(ada, **GOOD)
    for _ in range(rotations):
        newest = grant(ada, **REFRESH, refresh_token=newest["refresh_token"])
        pass_time(65)
    if rotations == 2:  # also just after the next use
        newest = grant(ada, **REFRESH, refresh_token=newest["refresh_token"])
    other = grant(ada, **GOOD)
    reused = grant(ada, 401, **REFRESH, refresh_token=old["refresh_token"])
    assert reused == {"detail": "Invalid token", "error": "invalid_grant"}
    assert not works(app, newest["access_token"])
    grant(ada, 401, **REFRESH, refresh_token=newest["refresh_token"])
    assert works(app, other["access_token"])  # another login is another session


def test_only_a_refresh_token_refreshes(app, ada):
    given = grant(ada, **GOOD)
    with app.app_context():
        claims = todo.read_token(given["refresh_token"], "refresh").model_dump(exclude={"exp"})
        past = todo.timedelta(seconds=-11)
        expired = create_refresh_token("1", expires_delta=past, additional_claims=claims)
    for token in (given["access_token"], expired, "nonsense", given["refresh_token"] + "x", ""):
        answer = grant(ada, 401, **REFRESH, refresh_token=token)
        assert answer == {"detail": "Invalid token", "error": "invalid_grant"}
    assert grant(ada, 422, **REFRESH)["error"] == "invalid_request"
    assert bearing(app, given["refresh_token"]).get("/tasks").status_code == 401
    assert works(app, given["access_token"])


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_a_revoked_session_is_over_at_once(app, ada, kind):
    one, other = grant(ada, **GOOD), grant(ada, **GOOD)
    assert works(app, one["access_token"])
    for _ in range(2):
        answer = ada.post("/auth/revoke", data={"token": one[kind], "token_type_hint": "x"})
        assert (answer.status_code, answer.json) == (200, {})
    assert not works(app, one["access_token"])
    grant(ada, 401, **REFRESH, refresh_token=one["refresh_token"])
    assert works(app, other["access_token"])


def test_revoking_tells_nothing(client):
    for token in ("nonsense", "", "a.b.c"):
        assert client.post("/auth/revoke", data={"token": token}).status_code == 200
    missing = client.post("/auth/revoke", data={"nonsense": "x"})
    assert (missing.status_code, missing.json["error"]) == (422, "invalid_request")


def test_a_new_password_ends_every_session(app, ada, bob):
    one, new = grant(ada, **GOOD), {"username": "ada@example.com", "password": "battery staple"}
    change = {"password": PASSWORD, "new_password": new["password"]}
    for wrong, status in [
        (change | {"password": "wrong horse"}, 401),
        (change | {"new_password": "short"}, 422),
        (change | {"new_password": None}, 422),
        ({"password": PASSWORD}, 422),
    ]:
        assert ada.put("/auth/me/password", json=wrong).status_code == status
    assert works(app, one["access_token"])
    assert ada.put("/auth/me/password", json=change).status_code == 204
    assert not works(app, one["access_token"])
    assert ada.get("/tasks").json == {"detail": "Invalid token"}
    grant(ada, 401, **REFRESH, refresh_token=one["refresh_token"])
    grant(ada, 401, **GOOD)
    assert works(app, grant(ada, **new)["access_token"])
    assert bob.get("/tasks").status_code == 200


@pytest.fixture
def changed_meanwhile(monkeypatch):
    """Let ada's password change after it was checked, before what was asked is done."""
    calmly = todo.calmly

    def check_then_change(*given):
        monkeypatch.undo()
        good = calmly(*given)
        todo.store_password(todo.User.email == GOOD["username"], "battery staple")
        return good

    monkeypatch.setattr(todo, "calmly", check_then_change)


def test_a_login_with_the_old_password_does_not_survive_its_change(app, ada, changed_meanwhile):
    grant(ada, 401, **GOOD)
    with app.app_context():
        assert len(todo.execute(sa.select(todo.Session.id))) == 1  # the one of before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/auth/me/password", {"password": PASSWORD, "new_password": "another horse"}),
        ("DELETE", "/auth/me", {"password": PASSWORD}),
    ],
)
def test_what_the_old_password_asked_for_is_refused(
    app, ada, method, path, body, changed_meanwhile
):
    answer = ada.open(path, method=method, json=body)
    assert (answer.status_code, answer.json) == (401, {"detail": "Invalid credentials"})
    assert grant(app.test_client(), username=GOOD["username"], password="battery staple")


def test_a_deleted_account_is_gone_with_all_it_had(app, ada, bob):
    add(ada, "Mine")
    add(bob, "His")
    given = grant(ada, **GOOD)
    for wrong, status in [({"password": "wrong horse"}, 401), ({}, 422), ({"password": 1}, 422)]:
        assert ada.delete("/auth/me", json=wrong).status_code == status
    assert titles(ada) == ["Mine"]
    assert ada.delete("/auth/me", json={"password": PASSWORD}).status_code == 204
    for path in ("/tasks", "/auth/me"):
        answer = ada.get(path)
        assert (answer.status_code, answer.json) == (404, {"detail": "User not found"})
    grant(ada, 401, **GOOD)
    grant(ada, 401, **REFRESH, refresh_token=given["refresh_token"])
    with app.app_context():
        assert todo.execute(sa.select(todo.Task.title)) == [("His",)]
        assert len(todo.execute(sa.select(todo.Session.id))) == 1
    assert titles(sign_up(app, "ada@example.com")) == []
    assert ada.get("/tasks").status_code == 404


def test_expired_sessions_go_at_the_next_login(app, ada, bob, pass_time):
    pass_time(29 * 86_400)
    given = grant(ada, **GOOD)
    with app.app_context():
        assert len(todo.execute(sa.select(todo.Session.id))) == 3
    pass_time(2 * 86_400)
    grant(ada, **GOOD)
    with app.app_context():
        assert len(todo.execute(sa.select(todo.Session.id))) == 2
    grant(ada, 401, **REFRESH, refresh_token=given["refresh_token"])  # whose exp has passed


def fail(client, times=1, email="ada@example.com", address="192.0.2.1", **headers):
    """Log in with a wrong password; return the statuses and the last answer."""
    statuses = []
    for _ in range(times):
        answer = client.post(
            "/auth/token",
            data={"username": email, "password": "wrong horse"},
            environ_overrides={"REMOTE_ADDR": address},
            headers=headers,
        )
        statuses.append(answer.status_code)
    return statuses, answer


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "ADA@example.com"])
def test_ten_failed_logins_a_minute_are_enough(client, ada, email):
    statuses, last = fail(client, 12, email)
    assert statuses == [401] * 10 + [429] * 2
    assert last.json == {"detail": "Too many failed logins", "error": "temporarily_unavailable"}
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    login = {"username": email.lower(), "password": PASSWORD}
    blocked = client.post("/auth/token", data=login, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert blocked.status_code == 429  # the right password does not help
    assert fail(client, email="bob@example.com")[0] == [401]
    assert fail(client, email=email, address="192.0.2.2")[0] == [401]
    assert ada.get("/tasks").status_code == 200


def test_successes_are_not_counted(client, ada):
    for _ in range(15):
        grant(client, **GOOD)
    for _ in range(9):
        grant(client, 401, **GOOD | {"password": "wrong horse"})
    for _ in range(5):
        grant(client, **GOOD)
    grant(client, 401, **GOOD | {"password": "wrong horse"})
    grant(client, 429, **GOOD)


def test_an_address_has_a_hundred_failures_a_minute(client):
    statuses = [fail(client, email=f"{at}@example.com")[0][0] for at in range(102)]
    assert statuses == [401] * 100 + [429] * 2
    assert fail(client, email="x@example.com", address="192.0.2.2")[0] == [401]


def test_every_check_of_a_password_is_throttled(ada):
    for _ in range(5):
        assert ada.delete("/auth/me", json={"password": "wrong horse"}).status_code == 401
        wrong = {"password": "wrong horse", "new_password": "battery staple"}
        assert ada.put("/auth/me/password", json=wrong).status_code == 401
    assert ada.delete("/auth/me", json={"password": PASSWORD}).status_code == 429
    grant(ada, 429, **GOOD)


def proxied(tmp_path, proxies):
    return todo.create_app(
        todo.Settings(
            secret_key=KEY,
            database_url=f"sqlite:///{tmp_path}/todo.db",
            bcrypt_rounds=4,
            trusted_proxies=proxies,
        )
    ).test_client()


def test_a_forged_address_is_not_believed(tmp_path):
    client = proxied(tmp_path, 0)
    for at in range(10):
        fail(client, X_Forwarded_For=f"192.0.2.{at}")
    assert fail(client, X_Forwarded_For="192.0.2.99")[0] == [429]


def test_behind_a_proxy_its_word_counts(tmp_path):
    client = proxied(tmp_path, 1)
    for at in range(10):  # what the client forged comes first, what the proxy saw last
        fail(client, X_Forwarded_For=f"192.0.2.{at}, 198.51.100.7")
    assert fail(client, X_Forwarded_For="192.0.2.99, 198.51.100.7")[0] == [429]
    assert fail(client, X_Forwarded_For="192.0.2.99, 198.51.100.8")[0] == [401]


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "redis://127.0.0.1:6379/0",
        "redis://user:pass:word@[::1]:6379",
        "rediss://:p@redis.example.com:6380/1?ssl_cert_reqs=none",
    ],
)
def test_every_usual_url_of_redis_is_understood(url):
    assert todo.Settings(secret_key=KEY, rate_limit_storage=url).rate_limit_storage == url


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
    for name in ("todo.py", "Procfile", "gunicorn.conf.py"):
        shutil.copy(HERE / name, tmp_path)
    shutil.copytree(HERE / "static", tmp_path / "static", dirs_exist_ok=True)
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
def serving(tmp_path, workers=4, before=(), **settings):
    """Serve with the Procfile's command, words before it; yield the port and the log so far."""
    port = free_port()
    log = tmp_path / f"{port}.log"
    env = environment(port, WEB_CONCURRENCY=str(workers), **settings)
    with log.open("w") as out:
        words = [*before, "sh", "-c", f"exec {command(tmp_path)}"]
        server = subprocess.Popen(words, cwd=tmp_path, env=env, stdout=out, stderr=out)
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


def test_sessions_hold_across_workers(database, tmp_path):
    """Many refresh at once by one token, and what one worker revokes is dead on all."""
    with serving(tmp_path, APP_DATABASE_URL=database) as (port, log):
        log_in(port)
        first = call(port, "POST", "/auth/token", GOOD)[1]
        again = REFRESH | {"refresh_token": first["refresh_token"]}
        given = racing(16, lambda _: call(port, "POST", "/auth/token", again))
        assert {status for status, _, _ in given} == {200}
        bearer = {"Authorization": f"Bearer {given[7][1]['access_token']}"}
        assert set(racing(16, lambda _: call(port, "GET", "/tasks", **bearer)[0])) == {200}
        revoked = {"token": given[9][1]["refresh_token"]}
        assert set(racing(16, lambda _: call(port, "POST", "/auth/revoke", revoked)[0])) == {200}
        assert set(racing(16, lambda _: call(port, "GET", "/tasks", **bearer)[0])) == {401}
    assert "Traceback" not in log.read_text()


@pytest.fixture
def own_redis(tmp_path):
    """A Redis server of our own; yields its URL and a function that starts it again."""
    if not shutil.which("redis-server"):
        pytest.skip("no Redis server")
    port = free_port()
    started = []

    def start():
        args = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (tmp_path / "redis.log").open("a") as out:
            started.append(subprocess.Popen(["redis-server", *args], cwd=tmp_path, stdout=out))
        for _ in range(200):
            with suppress(redis.ConnectionError):
                if redis.Redis(port=port).ping():
                    return started[-1]
            time.sleep(0.05)
        raise AssertionError("Redis does not answer")

    yield f"redis://127.0.0.1:{port}/0", start
    for server in started:
        server.kill()
        server.wait()


def test_servers_share_one_throttle_and_survive_its_loss(own_redis, tmp_path):
    url, start = own_redis
    server = start()
    wrong, settings = GOOD | {"password": "wrong horse"}, {"APP_RATE_LIMIT_STORAGE": url}
    settings["APP_DATABASE_URL"] = f"sqlite:///{tmp_path}/todo.db"
    with (
        serving(tmp_path, workers=2, **settings) as (one, log),
        serving(tmp_path, workers=2, **settings) as (two, _),
    ):
        log_in(one)
        statuses = [call((one, two)[at % 2], "POST", "/auth/token", wrong)[0] for at in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        assert call(two, "POST", "/auth/token", GOOD)[2]["Retry-After"] == "60"
        keys = b" ".join(redis.Redis.from_url(url).keys())
        assert keys
        assert b"ada" not in keys
        assert b"127" not in keys

        server.kill()
        server.wait()
        statuses = [call(one, "POST", "/auth/token", wrong)[0] for _ in range(40)]
        assert set(statuses) == {401, 429}
        assert 10 <= statuses.count(401) <= 20  # each of two workers counts for itself
        assert call(two, "POST", "/auth/token", GOOD)[0] == 200
        unreachable = log.read_text().count("falling back to in-memory storage")
        assert 1 <= unreachable <= 2  # once a worker
        start()
        deadline = time.monotonic() + 60
        while not redis.Redis.from_url(url).keys():
            assert time.monotonic() < deadline, log.read_text()
            assert call(one, "POST", "/auth/token", wrong)[0] in (401, 429)
            time.sleep(0.1)
    assert "Traceback" not in log.read_text()


def log_in(port):
    """Return the header of a new account."""
    account = {"email": "ada@example.com", "password": PASSWORD}
    assert call(port, "POST", "/auth/register", account)[0] == 201
    token = call(port, "POST", "/auth/token", account)[1]["access_token"]
    return {"Authorization": f"Bearer {token}"}


def trickle_head(client, _):
    client.sendall(b"GET /tasks HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    while True:
        yield client.sendall(b"x")


def trickle_body(client, bearer):
    head = f"Host: x\r\nAuthorization: {bearer}\r\nContent-Type: {JSON}\r\nContent-Length: 1000"
    client.sendall(f"POST /tasks HTTP/1.1\r\n{head}\r\n\r\n".encode())
    while True:
        yield client.sendall(b"x")


def stay_silent(_client, _):
    while True:
        yield


def never_read(client, bearer):
    """Ask for more than the system's buffers hold, and leave it there."""
    one = f"GET /tasks?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\n\r\n"
    client.sendall(one.encode() * 20)
    while True:
        yield


@pytest.mark.parametrize("bother", [trickle_head, trickle_body, stay_silent, never_read])
def test_slow_clients_do_not_stop_the_others(tmp_path, bother):
    url = f"sqlite:///{tmp_path}/todo.db"
    with serving(tmp_path, workers=1, APP_DATABASE_URL=url) as (port, log), ExitStack() as slow:
        bearer = log_in(port)
        with sa.create_engine(url).begin() as connection:
            tasks = [(1, "x" * 255, False, 1)] * 1000
            add = "INSERT INTO tasks (user_id, title, done, version) VALUES (?, ?, ?, ?)"
            connection.exec_driver_sql(add, tasks)
        clients = [slow.enter_context(socket.socket()) for _ in range(16)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
        bothers = [bother(client, bearer["Authorization"]) for client in clients]
        for step in bothers:
            next(step)
        answered, before = 0, 0
        while answered != before or (bother is never_read and not answered):  # buffers are filling
            time.sleep(1)
            answered, before = log.read_text().count("GET /tasks 200"), answered
        assert answered < 16 * 20
        for _ in range(20):
            for step in bothers:
                next(step)
            assert call(port, "GET", "/tasks?limit=1", **bearer)[0] == 200


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
    """Whatever becomes of a request: good, refused, throttled, without a column, a bug."""
    account = {"email": "ada@example.com", "password": "very secret horse"}
    engine = sa.create_engine(todo.read_url(database))
    with serving(tmp_path, workers=1, APP_DATABASE_URL=database) as (port, log):
        call(port, "POST", "/auth/register", account)
        call(port, "POST", "/auth/register", account | {"password": "short"})
        given = call(port, "POST", "/auth/token", account, X_Request_Id="login-1")[1]
        again = REFRESH | {"refresh_token": given["refresh_token"]}
        renewed = call(port, "POST", "/auth/token", again)[1]
        bearer = {"Authorization": f"Bearer {given['access_token']}"}
        call(port, "GET", "/tasks?q=very+private", **bearer, X_Request_Id="list-1")
        call(port, "GET", "/tasks", Authorization=f"{bearer['Authorization']}x")
        unknown = account | {"email": "nobody@example.com"}
        tries = [call(port, "POST", "/auth/token", unknown)[0] for _ in range(11)]
        assert tries == [401] * 10 + [429]
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE tasks RENAME COLUMN due TO gone")
        keyed = bearer | {"Idempotency_Key": "a private key", "X_Request_Id": "broken-1"}
        assert call(port, "POST", "/tasks", {"title": "private"}, **keyed)[0] in (500, 503)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE users SET password_hash = 'no hash'")
        status, body, headers = call(port, "POST", "/auth/token", account, X_Request_Id="bug-1")
        assert (status, body["detail"]) == (500, "Internal Server Error")
        assert headers["X-Request-Id"] == "bug-1"
    engine.dispose()
    text = log.read_text()
    assert re.search(r"list-1 GET /tasks 200 \d+ms", text)
    assert re.search(r"[0-9a-f]{32} POST /auth/register 422", text)
    for request in ("broken-1", "bug-1"):
        assert text.count(f"Request {request}") == 1
    assert len(re.findall(r"Request bug-1\nTraceback .*\n(  .*\n)+ValueError: ", text)) == 1
    tokens = [answer[kind] for answer in (given, renewed) for kind in answer if "_token" in kind]
    assert len(tokens) == 4
    secrets = ["secret horse", "short", "private", "$2b$", "ada@", KEY, *tokens]
    found = [secret for secret in [*secrets, sa.make_url(database).password] if secret]
    assert [secret for secret in found if secret in text] == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"APP_SECRET_KEY": ""}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_SECRET_KEY": "hunter2"}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_SECRET_KEY": "x" * 31}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_SECRET_KEY": "change-me"}, "APP_SECRET_KEY must be at least 32 random bytes"),
        ({"APP_BCRYPT_ROUNDS": "hunter2"}, "APP_BCRYPT_ROUNDS must be 4 to 20"),
        ({"APP_BCRYPT_ROUNDS": "3"}, "APP_BCRYPT_ROUNDS must be 4 to 20"),
        ({"APP_REGISTRATION": "hunter2"}, "APP_REGISTRATION must be open or closed"),
        ({"APP_TRUSTED_PROXIES": "-1"}, "APP_TRUSTED_PROXIES must be 0 to 10"),
        (
            {"APP_REFRESH_TOKEN_EXPIRE_DAYS": "0.5"},
            "APP_REFRESH_TOKEN_EXPIRE_DAYS must be 1 to 3650",
        ),
        (
            {"APP_RATE_LIMIT_STORAGE": "redis://h:hunter2"},
            "APP_RATE_LIMIT_STORAGE must be memory:// or redis://HOST:PORT",
        ),
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
    _, idle = app.extensions["database"]
    assert set(idle[False].queue + idle[True].queue) == {None}
    with app.app_context():
        todo.execute(sa.select(1))
    assert sum(lent is not None for lent in idle[False].queue) == 1


def test_each_worker_has_a_processor_and_one_that_takes_its_place_too(tmp_path):
    found = sorted(os.sched_getaffinity(0))
    with serving(tmp_path, workers=len(found)) as (_, log):
        gone = set()
        for _ in range(3):
            taken, last = [], time.monotonic() + 30
            while taken != [{number} for number in found]:
                assert time.monotonic() < last, (found, taken)
                booted = set(map(int, re.findall(r"worker with pid: (\d+)", log.read_text())))
                workers = sorted(booted - gone)
                taken = sorted(map(os.sched_getaffinity, workers), key=min)
            os.kill(workers[0], signal.SIGKILL)
            gone.add(workers[0])


def test_another_app_of_the_process_keeps_its_cookies(app):
    other = Flask("other")
    other.secret_key = KEY
    other.add_url_rule("/", view_func=lambda: session.update(seen=True) or "")
    assert "Set-Cookie" in other.test_client().get("/").headers
    assert "Set-Cookie" not in app.test_client().get("/health").headers


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


def test_a_lock_that_lasts_is_a_503(app, ada):
    lock = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN; LOCK TABLE tasks IN SHARE MODE"}
    with sa.create_engine(app.config["SQLALCHEMY_DATABASE_URI"]).connect() as other:
        other.exec_driver_sql(lock[other.dialect.name])
        answer = ada.post("/tasks", json={"title": "x"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert ada.get("/tasks").json == []  # readers do not wait
    assert add(ada)


def test_no_writer_to_a_file_waits_for_ever_for_another(tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/todo.db"
    app = todo.create_app(todo.Settings(secret_key=KEY, database_url=url, bcrypt_rounds=4))
    ada = sign_up(app, "ada@example.com")
    writers = app.extensions["database"][1][True]
    writer = writers.get()
    assert ada.post("/tasks", json={"title": "x"}).status_code == 503
    assert caplog.messages[-1].endswith(": No connection was free for five seconds")
    assert ada.get("/tasks").json == []
    writers.put(writer)
    assert add(ada)


HOLD = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); "
HOLD += "print(flush=True); sys.stdin.read()"


def test_writers_of_all_processes_take_turns_and_a_killed_one_gives_its_own_up(tmp_path):
    url = f"sqlite:///{tmp_path}/todo.db"
    app = todo.create_app(todo.Settings(secret_key=KEY, database_url=url, bcrypt_rounds=4))
    ada, bob = sign_up(app, "ada@example.com"), sign_up(app, "bob@example.com")
    hold = [sys.executable, "-c", HOLD, tmp_path]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        added = []
        post = threading.Thread(target=lambda: added.append(add(ada)))
        post.start()
        while not re.search(f"-> FLOCK .* {os.getpid()} ", Path("/proc/locks").read_text()):
            assert post.is_alive()
        assert bob.get("/tasks").status_code == 200  # readers do not wait
        writer.kill()
        post.join()
    assert added == [1]


def test_hashing_uses_any_processor_but_leaves_it_to_other_requests(ada):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(os.sched_setaffinity, 0, {min(os.sched_getaffinity(0))}).result()
        pool.submit(todo.stand_back).result()
        assert pool.submit(os.sched_getaffinity, 0).result() == os.sched_getaffinity(0)
    priority = os.getpriority, os.PRIO_PROCESS, 0  # that of the thread which asks
    assert todo.HASHING.submit(*priority).result() == 19 > priority[0](*priority[1:])


READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET default_transaction_read_only = on",
}


def test_a_database_that_only_reads_is_a_503_to_writers(app, ada):
    number = add(ada)
    for method, path in [
        ("POST", "/tasks"),
        ("PATCH", f"/tasks/{number}"),
        ("DELETE", f"/tasks/{number}"),
        ("POST", "/auth/token"),
    ]:
        engine, idle = app.extensions["database"]
        with app.app_context():
            idle[True].queue[-1] = engine.raw_connection()  # of the next writer
        idle[True].queue[-1].dbapi_connection.execute(READ_ONLY[engine.name])
        answer = ada.open(path, method=method, json=GOOD if "auth" in path else {"title": "x"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert titles(ada) == ["Write"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_that_its_server_has_ended_is_not_used_again(app, ada, database):
    assert add(ada)
    with psycopg.connect(
        todo.read_url(database).set(drivername="postgresql").render_as_string(False)
    ) as other:
        gone = other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
        assert {*gone} == {(True,)}
    assert ada.get("/tasks").status_code == 200
    assert add(ada)


@pytest.fixture
def own_postgres():
    """A PostgreSQL server of this test's own, to be stopped; yields its URL and a function."""
    with tempfile.TemporaryDirectory() as directory:  # which the server's user may enter
        yield from postgres_in(Path(directory))


def postgres_in(directory):
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        pytest.skip("no PostgreSQL binaries")
    port, data = free_port(), directory / "pg"
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(directory, "postgres")

    def control(*words):
        subprocess.run(
            [*as_user, binaries[-1] / words[0], *words[1:]],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
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

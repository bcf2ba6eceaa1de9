"""The contract as tables: HTTP in, JSON out, on SQLite and on PostgreSQL.

Of todo.py this names `create_app` and `Settings` alone; another service that keeps the contract
passes it. TEST_POSTGRES_URL names a PostgreSQL server that may create databases; without it, the
one on this machine is tried. Where none answers, its half of the tests is skipped.
"""

import json
import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from urllib.parse import quote, urlsplit

import bcrypt
import jwt
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask, session

import todo

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1/postgres")
KEY = "a key of thirty-two bytes or more"
PASSWORD = "correct horse"
ACCOUNT = {"email": "ada@example.com", "password": PASSWORD}
LOGIN = {"username": "ada@example.com", "password": PASSWORD}
WRONG = {"username": "ada@example.com", "password": "wrong horse"}
REFRESH = {"grant_type": "refresh_token"}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
SCOPES = ["tasks:read", "tasks:write", "account"]

# Every call that a token is needed for, and the scope that the token must have.
GUARDED = [
    ("GET", "/tasks", "tasks:read"),
    ("GET", "/tasks/1", "tasks:read"),
    ("GET", "/tasks/changes", "tasks:read"),
    ("POST", "/tasks", "tasks:write"),
    ("DELETE", "/tasks?done=true", "tasks:write"),
    ("PATCH", "/tasks/1", "tasks:write"),
    ("DELETE", "/tasks/1", "tasks:write"),
    ("GET", "/auth/me", "account"),
    ("PUT", "/auth/me/password", "account"),
    ("DELETE", "/auth/me", "account"),
    ("GET", "/auth/keys", "account"),
    ("POST", "/auth/keys", "account"),
    ("DELETE", "/auth/keys/1", "account"),
]
PUBLIC = ["/", "/auth/register", "/auth/revoke", "/auth/token", "/docs", "/health", "/openapi.json"]
PUBLIC += ["/service-worker.js", "/docs/swagger-ui.css", "/static/1"]

# --- Fixtures -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL database of these tests."""
    name = f"todo_test_{os.urandom(6).hex()}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server: sudo apt-get install postgresql")
    with server:
        server.execute(f"CREATE DATABASE {name}")
        yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/todo.db"
        return
    url = request.getfixturevalue("postgresql")
    yield url
    with psycopg.connect(url, autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.fixture
def make_app(database):
    """Make the service on one database, with more settings each time."""

    def make(**settings):
        given = {"secret_key": KEY, "database_url": database, "bcrypt_rounds": 4} | settings
        return todo.create_app(todo.Settings(**given))

    return make


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def ada(app):
    return sign_up(app, "ada@example.com")


@pytest.fixture
def bob(app):
    return sign_up(app, "bob@example.com")


@pytest.fixture
def rows(database):
    """Ask the database itself."""

    def ask(sql):
        url = re.sub(r"^postgresql:", "postgresql+psycopg:", database)
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            result = connection.execute(sa.text(sql))
            return [tuple(row) for row in result] if result.returns_rows else []

    return ask


@pytest.fixture
def pass_time(monkeypatch):
    """Let the service's clock go on by seconds."""

    def go_on(seconds):
        clock = time.time
        monkeypatch.setattr(time, "time", lambda: clock() + seconds)

    return go_on


# --- Words of the tests ---------------------------------------------------------------------------


def sign_up(app, email):
    """Return a client that is logged in to a new account."""
    client = app.test_client()
    account = {"email": email, "password": PASSWORD}
    assert client.post("/auth/register", json=account).status_code == 201
    return bearing(app, grant(client, **account | {"username": email})["access_token"])


def bearing(app, token):
    """Return a client that sends a token."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def token_of(client):
    return client.environ_base["HTTP_AUTHORIZATION"].split()[1]


def grant(client, status=200, **fields):
    """Ask for tokens with a form; return the answer's JSON."""
    answer = client.post("/auth/token", data=fields)
    assert answer.status_code == status, answer.text
    assert status != 200 or answer.headers["Cache-Control"] == "no-store"
    return answer.json


def works(app, token):
    """Tell whether a token opens the list; where it does not, it must be an invalid one."""
    answer = bearing(app, token).get("/tasks")
    assert answer.status_code in (200, 401), answer.text
    assert answer.status_code == 200 or answer.json == {"detail": "Invalid token"}
    return answer.status_code == 200


def signed(token, key=KEY, algorithm="HS256", **changes):
    """Return a token with other claims; those that become None are left out."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm)


def add(client, title="Write", **fields):
    answer = client.post("/tasks", json={"title": title, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def titles(client, query=""):
    answer = client.get(f"/tasks{query}")
    assert answer.status_code == 200, answer.text
    return [task["title"] for task in answer.json]


def number_of(client):
    """Return the number of an account's last change, which is the tag of its lists."""
    return int(re.fullmatch(r'"(\d+)"', client.get("/tasks").headers["ETag"])[1])


def where(answer):
    """Return the places that a 422 names."""
    assert all(set(problem) == {"type", "loc", "msg"} for problem in answer.json["detail"])
    return [problem["loc"] for problem in answer.json["detail"]]


def racing(count, send):
    """Call `send(0)` to `send(count - 1)` at once, each in a thread; return the results."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


# --- Accounts -------------------------------------------------------------------------------------


def test_the_whole_story(client):
    account = {"email": "me@example.com", "password": PASSWORD}
    assert client.get("/tasks").status_code == 401
    answer = client.post("/auth/register", json=account)
    assert (answer.status_code, answer.json) == (201, {"id": 1, "email": "me@example.com"})
    given = grant(client, username="me@example.com", password=PASSWORD)
    assert set(given) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (given["token_type"], given["expires_in"]) == ("bearer", 1800)
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
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
    grant(client, username="mE@eXample.com", password=PASSWORD)


def test_of_many_that_register_one_email_at_once_one_does(app):
    answers = racing(8, lambda _: app.test_client().post("/auth/register", json=ACCOUNT))
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7


@pytest.mark.parametrize("length", [72, 73, 1024])
def test_every_character_of_a_password_counts(client, length):
    account = {"email": "me@example.com", "password": "x" * length}
    client.post("/auth/register", json=account)
    assert client.post("/auth/token", json=account).status_code == 200
    wrong = account | {"password": "x" * (length - 1) + "y"}
    assert client.post("/auth/token", json=wrong).status_code == 401


def test_registration_can_be_closed(make_app):
    app = make_app(registration="closed", cors_origins="*")
    asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    assert app.test_client().options("/auth/register", headers=asked).status_code in (200, 204)
    for sent in (ACCOUNT, {}, ACCOUNT | {"email": "nonsense"}):
        answer = app.test_client().post("/auth/register", json=sent)
        assert (answer.status_code, answer.json) == (403, {"detail": "Registration is closed"})
        assert "WWW-Authenticate" not in answer.headers
    run = app.test_cli_runner().invoke
    assert run(args=["create-user", "ada@example.com"], input=f"{PASSWORD}\n").exit_code == 0
    grant(app.test_client(), **LOGIN)
    assert app.test_client().post("/auth/register", json=ACCOUNT).status_code == 403


def test_a_new_password_ends_every_session(app, ada, bob):
    one, new = grant(ada, **LOGIN), LOGIN | {"password": "battery staple"}
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
    assert not works(app, token_of(ada))
    grant(ada, 401, **REFRESH, refresh_token=one["refresh_token"])
    grant(ada, 401, **LOGIN)
    assert works(app, grant(ada, **new)["access_token"])
    assert works(app, token_of(bob))


def test_a_deleted_account_is_gone_with_all_it_had(app, ada, bob, rows):
    add(ada, "Mine")
    add(bob, "His")
    given = grant(ada, **LOGIN)
    for wrong, status in [({"password": "wrong horse"}, 401), ({}, 422), ({"password": 1}, 422)]:
        assert ada.delete("/auth/me", json=wrong).status_code == status
    assert titles(ada) == ["Mine"]
    assert ada.delete("/auth/me", json={"password": PASSWORD}).status_code == 204
    grant(ada, 401, **LOGIN)
    grant(ada, 401, **REFRESH, refresh_token=given["refresh_token"])
    assert rows("SELECT title FROM tasks") == [("His",)]
    assert len(rows("SELECT id FROM sessions")) == 1


def test_a_token_outlives_its_user_but_opens_nothing(app, ada):
    add(ada)
    assert ada.delete("/auth/me", json={"password": PASSWORD}).status_code == 204
    again = sign_up(app, "ada@example.com")
    assert again.get("/auth/me").json["id"] == 2  # an id is never given twice
    assert titles(again) == []
    for method, path, _ in GUARDED:
        answer = ada.open(path, method=method, json={"title": "x"})
        assert (answer.status_code, answer.json) == (404, {"detail": "User not found"}), path


def test_a_login_renews_a_hash_of_another_cost(make_app, rows):
    ada = sign_up(make_app(), "ada@example.com")
    before = grant(ada, **LOGIN)
    for rounds in (5, 4):
        app = make_app(bcrypt_rounds=rounds)
        grant(app.test_client(), 401, **WRONG)
        assert works(app, grant(app.test_client(), **LOGIN)["access_token"])
        ((hashed,),) = rows("SELECT password_hash FROM users")
        assert hashed.startswith(f"$2b$0{rounds}$")
        assert works(app, before["access_token"])
        before = grant(ada, **REFRESH, refresh_token=before["refresh_token"])


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_create_user_reads_a_password(app, client, mark):
    run = app.test_cli_runner().invoke
    made = run(args=["create-user", "Me@example.com"], input=f"{mark}{PASSWORD}\r\n")
    assert made.exit_code == 0, made.output
    grant(client, username="me@example.com", password=PASSWORD)
    for email, password, said in [
        ("me@example.com", PASSWORD, "Email already exists"),
        ("you@example.com", "short", "at least 8 characters"),
        ("nonsense", PASSWORD, "email"),
    ]:
        refused = run(args=["create-user", email], input=f"{password}\n")
        assert refused.exit_code == 1
        assert said in refused.output
        assert password not in refused.output


def test_set_password_ends_every_session(app, ada, bob):
    run, new = app.test_cli_runner().invoke, "battery staple"
    changed = run(args=["set-password", "ADA@example.com"], input=f"\ufeff{new}\n")
    assert changed.exit_code == 0, changed.output
    assert not works(app, token_of(ada))
    assert works(app, token_of(bob))
    grant(ada, 401, **LOGIN)
    grant(ada, **LOGIN | {"password": new})
    for email, password, said in [
        ("nobody@example.com", new, "User not found"),
        ("ada@example.com", "short", "at least 8 characters"),
    ]:
        refused = run(args=["set-password", email], input=f"{password}\n")
        assert refused.exit_code == 1
        assert said in refused.output


# --- The token endpoint ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("send", "status", "error"),
    [
        ({"json": LOGIN}, 200, None),
        ({"json": ACCOUNT}, 200, None),
        ({"json": LOGIN | {"grant_type": "password", "client_id": "x", "x": [1]}}, 200, None),
        ({"data": LOGIN}, 200, None),
        ({"data": LOGIN | {"grant_type": "password", "client_secret": "x", "x": "1"}}, 200, None),
        ({"data": LOGIN, "headers": {"Authorization": "Basic eDp5"}}, 200, None),
        ({"data": LOGIN, "headers": {"Authorization": "Bearer nonsense"}}, 200, None),
        ({"data": LOGIN | {"grant_type": "", "scope": "", "refresh_token": ""}}, 200, None),
        ({"json": LOGIN | {"grant_type": "", "scope": ""}}, 200, None),
        ({"data": ACCOUNT | {"username": ""}}, 200, None),
        ({"json": LOGIN | {"password": PASSWORD + " "}}, 401, "invalid_grant"),
        ({"json": LOGIN | {"grant_type": "client_credentials"}}, 400, "unsupported_grant_type"),
        ({"data": LOGIN | {"grant_type": "nonsense"}}, 400, "unsupported_grant_type"),
        ({"data": LOGIN | {"scope": "nonsense"}}, 400, "invalid_scope"),
        ({"json": {"username": "ada@example.com"}}, 422, "invalid_request"),
        ({"data": {"password": PASSWORD}}, 422, "invalid_request"),
        ({"data": LOGIN | {"username": ""}}, 422, "invalid_request"),
        ({"data": LOGIN | {"password": ""}}, 422, "invalid_request"),
        ({"data": REFRESH | {"refresh_token": ""}}, 422, "invalid_request"),
        ({"data": LOGIN | {"username": ["a@b", "ada@example.com"]}}, 422, "invalid_request"),
        ({"data": LOGIN | {"username": "a\0@b"}}, 422, "invalid_request"),
        ({"json": {"username": None, "password": {}}}, 422, "invalid_request"),
        ({"json": []}, 422, "invalid_request"),
        ({"data": b"{", "content_type": JSON}, 422, "invalid_request"),
        ({"data": b"username=%ff&password=%ff%00", "content_type": FORM}, 401, "invalid_grant"),
        ({"data": b"", "content_type": FORM}, 422, "invalid_request"),
        ({"data": b"x"}, 415, "invalid_request"),
        ({"data": LOGIN, "content_type": "multipart/form-data"}, 415, "invalid_request"),
        ({"data": LOGIN, "headers": {"Content-Encoding": "gzip"}}, 415, "invalid_request"),
    ],
)
def test_the_token_endpoint(client, ada, send, status, error):
    answer = client.post("/auth/token", **send)
    assert (answer.status_code, answer.json.get("error")) == (status, error), answer.text
    assert ("detail" in answer.json) == (status != 200)
    assert PASSWORD not in answer.text


def test_a_wrong_password_and_an_unknown_email_are_answered_alike(client, ada, monkeypatch):
    costs = []

    def watch(name):
        real = getattr(bcrypt, name)

        def call(password, salt):
            costs.append(salt[4:6])
            return real(password, salt)

        monkeypatch.setattr(bcrypt, name, call)

    watch("hashpw")
    watch("checkpw")
    answers = []
    for email in ("ada@example.com", "nobody@example.com", "no email"):
        costs.clear()
        answer = client.post("/auth/token", json={"username": email, "password": "wrong horse"})
        told = answer.headers["WWW-Authenticate"]
        answers.append((answer.status_code, answer.json, told, list(costs)))
    body = {"detail": "Invalid credentials", "error": "invalid_grant"}
    assert answers == [(401, body, "Bearer", [b"04"])] * 3  # one hash each, so the same time


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("", "tasks:read tasks:write account"),
        ("account tasks:read", "account tasks:read"),
        ("  tasks:write  ", "tasks:write"),
        ("tasks:read account tasks:read", "tasks:read account"),
        ("tasks:read " * 4200, "tasks:read"),
        ("nonsense", None),
        ("tasks:read nonsense", None),
        ("tasks", None),
        ("TASKS:READ", None),
        ("*", None),
    ],
    ids=lambda scope: str(scope)[:40],
)
def test_a_scope_is_granted_once_or_refused_as_a_whole(app, ada, asked, granted):
    answer = grant(ada, 200 if granted else 400, **LOGIN, scope=asked)
    assert answer.get("scope") == granted
    assert answer.get("error") == (None if granted else "invalid_scope")
    if granted:
        answer = grant(ada, **REFRESH, refresh_token=answer["refresh_token"], scope=asked)
        assert answer["scope"] == granted
        assert len(answer["access_token"]) + len(answer["refresh_token"]) < 2000


def test_lifetimes_are_set(make_app, pass_time):
    app = make_app(access_token_expire_minutes=5, refresh_token_expire_days=2)
    given = grant(sign_up(app, "ada@example.com"), **LOGIN)
    assert given["expires_in"] == 300
    pass_time(330)
    assert not works(app, given["access_token"])
    late = grant(app.test_client(), **REFRESH, refresh_token=given["refresh_token"])
    pass_time(3 * 86_400)
    refused = grant(app.test_client(), 401, **REFRESH, refresh_token=late["refresh_token"])
    assert refused == {"detail": "Invalid token", "error": "invalid_grant"}


# --- Who is calling -------------------------------------------------------------------------------


def test_a_bad_token_is_invalid(app, ada):
    good = token_of(ada)
    past = int(time.time()) - 3600
    bad = [good[:-2], good + "x", good.replace(".", "", 1), "x", "...", "é", "a b", "W" * 6000]
    bad += ["W" * 6000 + ".x.x", "eyJhbGciOiJub25lIn0." + good.split(".")[1] + "."]
    bad += [grant(ada, **LOGIN)["refresh_token"]]
    bad += [signed(good, exp=past), signed(good, key=KEY[::-1]), signed(good, type="nonsense")]
    assert app.test_client().get("/tasks", headers=bearer(signed(good))).status_code == 200
    for token in bad:
        answer = app.test_client().get("/tasks?x=1", headers=bearer(token))
        assert (answer.status_code, answer.json) == (401, {"detail": "Invalid token"}), token
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_an_odd_claim_of_a_signed_token_is_no_bug(app, ada):
    good = token_of(ada)
    for name in jwt.decode(good, KEY, ["HS256"]):
        for odd in ("x", 1.5, -1, 10**30, [], {}, True, "\0"):
            try:
                token = signed(good, **{name: odd})
            except (TypeError, ValueError, OverflowError):  # which no library would sign
                continue
            answer = app.test_client().get("/tasks", headers=bearer(token))
            assert answer.status_code in (200, 401, 403, 404), (name, odd, answer.text)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "x", "Token x"])
def test_without_a_token_nothing_is_told(app, header):
    headers = {} if header is None else {"Authorization": header}
    for method, path, _ in GUARDED:
        path = path.replace("1", "nonsense").partition("?")[0] + "?x=1"
        answer = app.test_client().open(path, method=method, headers=headers, data="{")
        assert (answer.status_code, answer.json) == (401, {"detail": "Not authenticated"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_every_route_that_is_not_public_wants_a_live_token(app, ada):
    dead = grant(ada, **LOGIN)["access_token"]
    ada.post("/auth/revoke", data={"token": dead})
    walked = set()
    for rule in app.url_map.iter_rules():
        path = re.sub("<.+?>", "1", re.sub("<any\\('(.+?)'.*?>", r"\1", rule.rule))
        if path in PUBLIC:
            continue
        for method in rule.methods - {"OPTIONS"}:
            walked.add((method, path))
            answer = app.test_client().open(path, method=method, json={})
            assert answer.status_code == 401, (method, path)
            answer = bearing(app, dead).open(path, method=method, json={})
            assert answer.status_code == 401, (method, path)
            told = answer.headers["WWW-Authenticate"]
            assert told == 'Bearer error="invalid_token"', (method, path)
    guarded = {(method, path.partition("?")[0]) for method, path, _ in GUARDED}
    assert {one for one in walked if one[0] != "HEAD"} == guarded


def test_the_scheme_has_no_case(client, ada):
    for scheme in ("bearer", "BEARER", "Bearer "):
        headers = {"Authorization": f"{scheme} {token_of(ada)}"}
        assert client.get("/tasks", headers=headers).status_code == 200


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_opens_the_routes_of_its_scope(app, ada, scope):
    add(ada, done=True)
    given = grant(ada, **LOGIN, scope=scope)
    assert given["scope"] == scope
    narrow = bearing(app, given["access_token"])
    for method, path, needed in GUARDED:
        answer = narrow.open(path, method=method, json={"nonsense": 1})
        if scope == needed:
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert answer.status_code == 403, (method, path)
            assert answer.json == {"detail": f"The token lacks the scope {needed}"}
            told = answer.headers["WWW-Authenticate"]
            assert told == 'Bearer error="insufficient_scope"'


def test_a_read_only_token_does_no_harm(app, ada):
    add(ada, "Keep me")
    reading = bearing(app, grant(ada, **LOGIN, scope="tasks:read")["access_token"])
    assert titles(reading) == ["Keep me"]
    for method, path, scope in GUARDED:
        if scope != "tasks:read":
            assert reading.open(path, method=method, json={"title": "x"}).status_code == 403
    assert titles(ada) == ["Keep me"]


# --- Sessions -------------------------------------------------------------------------------------


def test_a_refresh_can_only_narrow(app, ada):
    first = grant(ada, **LOGIN, scope="tasks:read account")
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
    seen, given = set(), grant(ada, **LOGIN)
    for _ in range(4):
        assert set(given) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert (given["token_type"], given["expires_in"]) == ("bearer", 1800)
        assert works(app, given["access_token"])
        assert given["refresh_token"] not in seen
        seen.add(given["refresh_token"])
        pass_time(400)
        given = grant(ada, **REFRESH, refresh_token=given["refresh_token"])


def test_a_used_refresh_token_is_good_for_a_minute(app, ada, pass_time):
    first = grant(ada, **LOGIN)
    for _ in range(3):  # lost answers, or other tabs
        again = grant(ada, **REFRESH, refresh_token=first["refresh_token"])
    last = grant(ada, **REFRESH, refresh_token=again["refresh_token"])
    pass_time(55)
    grant(ada, **REFRESH, refresh_token=first["refresh_token"])
    assert works(app, last["access_token"])
    pass_time(10)
    assert works(app, grant(ada, **REFRESH, refresh_token=last["refresh_token"])["access_token"])


def test_a_refresh_token_is_good_for_a_minute_after_its_use_though_the_next_is_used_too(
    app, ada, pass_time
):
    first = grant(ada, **LOGIN)
    pass_time(300)
    second = grant(ada, **REFRESH, refresh_token=first["refresh_token"])
    third = grant(ada, **REFRESH, refresh_token=second["refresh_token"])
    pass_time(10)
    grant(ada, **REFRESH, refresh_token=first["refresh_token"])
    assert works(app, grant(ada, **REFRESH, refresh_token=third["refresh_token"])["access_token"])


@pytest.mark.parametrize("rotations", [1, 2])
def test_a_refresh_token_that_comes_late_ends_its_session(app, ada, pass_time, rotations):
    old = newest = grant(ada, **LOGIN)
    for _ in range(rotations):
        newest = grant(ada, **REFRESH, refresh_token=newest["refresh_token"])
        pass_time(65)
    if rotations == 2:  # also just after the next use
        newest = grant(ada, **REFRESH, refresh_token=newest["refresh_token"])
    other = grant(ada, **LOGIN)
    reused = grant(ada, 401, **REFRESH, refresh_token=old["refresh_token"])
    assert reused == {"detail": "Invalid token", "error": "invalid_grant"}
    assert not works(app, newest["access_token"])
    grant(ada, 401, **REFRESH, refresh_token=newest["refresh_token"])
    assert works(app, other["access_token"])  # another login is another session


def test_only_a_refresh_token_refreshes(app, ada):
    given = grant(ada, **LOGIN)
    old = signed(given["refresh_token"], exp=int(time.time()) - 3600)
    for token in (given["access_token"], old, "nonsense", given["refresh_token"] + "x"):
        answer = grant(ada, 401, **REFRESH, refresh_token=token)
        assert answer == {"detail": "Invalid token", "error": "invalid_grant"}
    assert grant(ada, 422, **REFRESH)["error"] == "invalid_request"
    assert not works(app, given["refresh_token"])
    assert works(app, given["access_token"])


def test_many_may_refresh_by_one_token_at_once(app, ada):
    token = grant(ada, **LOGIN)["refresh_token"]
    given = racing(8, lambda _: grant(app.test_client(), **REFRESH, refresh_token=token))
    assert all(works(app, tokens["access_token"]) for tokens in given)


@pytest.mark.parametrize("expired", [False, True], ids=["live", "expired"])
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_a_revoked_session_is_over_at_once(app, ada, kind, expired):
    one, other = grant(ada, **LOGIN), grant(ada, **LOGIN)
    assert works(app, one["access_token"])
    token = signed(one[kind], exp=int(time.time()) - 3600) if expired else one[kind]
    for _ in range(2):
        answer = ada.post("/auth/revoke", data={"token": token, "token_type_hint": "x"})
        assert (answer.status_code, answer.json) == (200, {})
    assert not works(app, one["access_token"])
    grant(ada, 401, **REFRESH, refresh_token=one["refresh_token"])
    assert works(app, other["access_token"])


def test_revoking_tells_nothing_and_ends_nothing_by_a_forged_token(app, client, ada):
    for token in ("nonsense", "a.b.c", signed(token_of(ada), key=KEY[::-1])):
        assert client.post("/auth/revoke", data={"token": token}).status_code == 200
    missing = client.post("/auth/revoke", data={"nonsense": "x"})
    assert (missing.status_code, missing.json["error"]) == (422, "invalid_request")
    assert works(app, token_of(ada))


def test_expired_sessions_go_at_the_next_login(ada, bob, rows, pass_time):
    pass_time(29 * 86_400)
    grant(ada, **LOGIN)
    assert len(rows("SELECT id FROM sessions")) == 3
    pass_time(2 * 86_400)
    grant(ada, **LOGIN)
    assert len(rows("SELECT id FROM sessions")) == 2


# --- Keys -----------------------------------------------------------------------------------------


def make_key(client, name="backup", **fields):
    answer = client.post("/auth/keys", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json) == {"id", "name", "scope", "created", "key"}
    return answer.json


def test_a_key_is_shown_once_and_listed(ada, bob):
    assert ada.get("/auth/keys").json == []
    one, two = make_key(ada), make_key(ada, "cron", scope="tasks:read")
    make_key(bob, "bob's")
    shown = [{name: key[name] for name in key if name != "key"} for key in (one, two)]
    assert ada.get("/auth/keys").json == shown
    assert [(key["name"], key["scope"]) for key in shown] == [
        ("backup", "tasks:read tasks:write"),
        ("cron", "tasks:read"),
    ]


def test_a_key_opens_what_its_scope_says(app, ada):
    script = bearing(app, make_key(ada)["key"])
    add(script, "By a script")
    assert titles(script) == titles(ada) == ["By a script"]
    reader = bearing(app, make_key(ada, scope="tasks:read")["key"])
    for client, scopes in [(script, ["tasks:read", "tasks:write"]), (reader, ["tasks:read"])]:
        for method, path, needed in GUARDED:
            answer = client.open(path, method=method, json={"nonsense": 1})
            assert (answer.status_code == 403) == (needed not in scopes), (method, path)


@pytest.mark.parametrize(
    ("has", "asked", "given"),
    [
        ("", None, "tasks:read tasks:write"),
        ("", "tasks:write", "tasks:write"),
        ("", "tasks:read tasks:read", "tasks:read"),
        ("", "account", None),
        ("", "tasks:read account", None),
        ("", "nonsense", None),
        ("account tasks:read", None, "tasks:read"),
        ("account tasks:read", "tasks:read", "tasks:read"),
        ("account tasks:read", "tasks:write", None),
        ("account tasks:read", "tasks:read tasks:write", None),
        ("account", "tasks:read", None),
    ],
)
def test_a_key_is_no_wider_than_the_token_that_asked(app, ada, has, asked, given):
    client = bearing(app, grant(ada, **LOGIN, scope=has)["access_token"])
    scope = {} if asked is None else {"scope": asked}
    answer = client.post("/auth/keys", json={"name": "x", **scope})
    if given:
        assert (answer.status_code, answer.json["scope"]) == (201, given)
    else:
        assert answer.status_code in (400, 403, 422)
        assert ada.get("/auth/keys").json == []


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x\0"}, "name"),
        ({"name": None}, "name"),
        ({"name": 1}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "x", "scope": 1}, "scope"),
        ({"name": "x", "expires": 1}, "expires"),
    ],
)
def test_a_bad_key_is_a_422(ada, sent, place):
    answer = ada.post("/auth/keys", json=sent)
    assert (answer.status_code, where(answer)) == (422, [["body", place]])
    assert ada.get("/auth/keys").json == []


def test_a_key_does_not_expire(app, ada, pass_time):
    key = make_key(ada)["key"]
    pass_time(10 * 365 * 86_400)
    grant(ada, **LOGIN)  # with which expired sessions go
    assert works(app, key)


def test_a_key_is_no_refresh_token(app, ada):
    key = make_key(ada)["key"]
    grant(ada, 401, **REFRESH, refresh_token=key)
    assert works(app, key)


def test_a_deleted_key_is_dead_and_others_live(app, ada, bob):
    one, two, his = make_key(ada), make_key(ada), make_key(bob)
    assert ada.delete(f"/auth/keys/{one['id']}").status_code == 204
    assert not works(app, one["key"])
    assert [key["id"] for key in ada.get("/auth/keys").json] == [two["id"]]
    last = max(two["id"], his["id"])
    for name in [*set(range(last + 2)) - {two["id"]}, -1, "abc", "01", "%00", 10**30]:
        answer = ada.delete(f"/auth/keys/{name}")
        assert (answer.status_code, answer.json) == (404, {"detail": "Key not found"}), name
    assert works(app, two["key"])
    assert works(app, his["key"])
    assert works(app, token_of(ada))  # a login is no key


@pytest.mark.parametrize("end", ["revoke", "password", "account"])
def test_what_ends_a_session_ends_a_key(app, ada, end):
    key, other = make_key(ada)["key"], make_key(ada)["key"]
    if end == "revoke":
        assert ada.post("/auth/revoke", data={"token": key}).status_code == 200
        assert works(app, other)
    elif end == "password":
        change = {"password": PASSWORD, "new_password": "battery staple"}
        assert ada.put("/auth/me/password", json=change).status_code == 204
    else:
        assert ada.delete("/auth/me", json={"password": PASSWORD}).status_code == 204
        assert bearing(app, key).get("/tasks").json == {"detail": "User not found"}
        return
    assert not works(app, key)


def test_create_key_makes_one_on_the_server(app, ada):
    run = app.test_cli_runner().invoke
    made = run(args=["create-key", "ADA@example.com", "backup"])
    assert made.exit_code == 0, made.output
    add(bearing(app, made.output.split()[-1]))
    reader = run(args=["create-key", "ada@example.com", "reader", "--scope", "tasks:read"])
    answer = bearing(app, reader.output.split()[-1]).post("/tasks", json={"title": "x"})
    assert answer.status_code == 403
    listed = [(key["name"], key["scope"]) for key in ada.get("/auth/keys").json]
    assert listed == [("backup", "tasks:read tasks:write"), ("reader", "tasks:read")]
    for args in (
        ["nobody@example.com", "backup"],
        ["ada@example.com", ""],
        ["ada@example.com", "x", "--scope", "account"],
        ["ada@example.com", "x", "--scope", "nonsense"],
        ["\udcff@example.com", "x"],
        ["ada@example.com", "\udcff"],
    ):
        refused = run(args=["create-key", *args])
        assert refused.exit_code != 0, args
        assert "Traceback" not in refused.output
        assert isinstance(refused.exception, SystemExit)
    assert len(ada.get("/auth/keys").json) == 2


# --- The throttle ---------------------------------------------------------------------------------


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
def test_ten_failed_logins_a_minute_are_enough(client, ada, email, pass_time):
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
    pass_time(61)
    assert fail(client, email=email)[0] == [401]


def test_of_two_hundred_guesses_at_once_ten_are_checked(app, ada):
    statuses = racing(200, lambda _: fail(app.test_client())[0][0])
    assert (statuses.count(401), statuses.count(429)) == (10, 190)


def test_successes_are_not_counted(client, ada):
    for _ in range(15):
        grant(client, **LOGIN)
    for _ in range(9):
        grant(client, 401, **WRONG)
    for _ in range(5):
        grant(client, **LOGIN)
    grant(client, 401, **WRONG)
    grant(client, 429, **LOGIN)


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
    grant(ada, 429, **LOGIN)


def test_an_address_registers_a_hundred_accounts_a_minute(client, pass_time):
    def register(email, address="192.0.2.1"):
        account = {"email": email, "password": PASSWORD}
        origin = {"REMOTE_ADDR": address}
        return client.post("/auth/register", json=account, environ_overrides=origin)

    statuses = [register(f"{at}@example.com").status_code for at in range(102)]
    assert statuses == [201] * 100 + [429] * 2
    assert 1 <= int(register("x@example.com").headers["Retry-After"]) <= 60
    assert register("x@example.com", "192.0.2.2").status_code == 201
    pass_time(61)
    assert register("y@example.com").status_code == 201


def test_a_forged_address_is_not_believed(client):
    for at in range(10):
        fail(client, X_Forwarded_For=f"192.0.2.{at}")
    assert fail(client, X_Forwarded_For="192.0.2.99")[0] == [429]


@pytest.mark.parametrize(
    ("form", "other"),
    [
        ("192.0.2.{}, 198.51.100.7", "192.0.2.1, 198.51.100.8"),  # what was forged comes first
        ("198.51.100.7:4000{}", "198.51.100.8:40001"),
        ("2001:db8:0:1::{}", "2001:db8:0:2::1"),
        ("[2001:db8:0:1::{}]:40001", "[2001:db8:0:2::1]:40001"),
        ("::ffff:198.51.100.7", "::ffff:198.51.100.8"),
        ("unknown", "198.51.100.8"),
    ],
)
def test_behind_a_proxy_its_word_counts(make_app, form, other):
    client = make_app(trusted_proxies=1).test_client()
    statuses = [fail(client, X_Forwarded_For=form.format(at))[0][0] for at in range(11)]
    assert statuses == [401] * 10 + [429]
    assert fail(client, X_Forwarded_For=other)[0] == [401]


# --- One task -------------------------------------------------------------------------------------

TITLE, DONE, DUE = ["body", "title"], ["body", "done"], ["body", "due"]
MADE = {"id": 1, "done": False}
ODD = "<b>'; DROP TABLE tasks; -- \u202e🎉\n\x01"


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
        ({"title": "e\u0301"}, {"title": "e\u0301"}),
        ({"title": " " * 300 + "x"}, {"title": "x"}),
        ({"title": ODD}, {"title": ODD}),
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
        ({"title": "x", "number": 7}, [["body", "number"]]),
        ({"title": "x", "a": 1, "b": 2}, [["body", "a"], ["body", "b"]]),
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
    assert titles(ada) == ["before"]
    assert number_of(ada) == 1


BLANK = "\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b\u2028\u202e\u2060\u2800\u3000\u3164\ufe0f\ufeff"
BLANK += "\uffa0\ufff9\uffff\U0001d173\U000e0001\U000e0041"


def test_a_title_has_something_visible(ada):
    for character in [*BLANK, BLANK]:
        answer = ada.post("/tasks", json={"title": character})
        assert (answer.status_code, where(answer)) == (422, [TITLE]), ascii(character)
    add(ada, f"❤\ufe0f{BLANK}")


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
    assert ada.get("/tasks").json == [answer.json]


@pytest.mark.parametrize(
    "number", ["2", "0", "-1", "01", "1.0", "1_0", "abc", "%00", "é", "٣", "9" * 18, str(10**30)]
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


def test_clearing_heeds_the_tag_of_the_list(ada):
    add(ada, "seen", done=True)
    add(ada, "not seen", done=True)
    for tag in ('"1"', '"3"', "nonsense", ""):
        answer = ada.delete("/tasks?done=true", headers={"If-Match": tag})
        assert (answer.status_code, answer.json) == (412, {"detail": "Tasks have changed"}), tag
        assert (titles(ada), number_of(ada)) == (["seen", "not seen"], 2)
    tag = ada.get("/tasks").headers["ETag"]
    assert ada.delete("/tasks?done=true", headers={"If-Match": f"W/{tag}"}).status_code == 204
    add(ada, "done", done=True)
    assert ada.delete("/tasks?done=true", headers={"If-Match": "*"}).status_code == 204
    assert titles(ada) == []


def test_clearing_takes_the_done_ones_of_the_caller(ada, bob):
    add(ada, "open"), add(ada, "done", done=True), add(bob, "bob's", done=True)
    for query, place in [("", "done"), ("?done=false", "done"), ("?done=", "done"), ("?x=1", "x")]:
        answer = ada.delete(f"/tasks{query}")
        assert answer.status_code == 422
        assert ["query", place] in where(answer)
    for _ in range(2):
        assert ada.delete("/tasks?done=true").status_code == 204
    assert (titles(ada), titles(bob)) == (["open"], ["bob's"])


# --- Bodies ---------------------------------------------------------------------------------------

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


@pytest.mark.parametrize(("size", "status"), [(2**16, 201), (2**16 + 1, 413), (2**20, 413)])
def test_a_body_has_at_most_64_kib(ada, size, status):
    answer = ada.post("/tasks", data=b'{"title": "x"}'.ljust(size), content_type=JSON)
    assert answer.status_code == status
    assert status == 201 or answer.json == {"detail": "Request Entity Too Large"}


def test_of_a_field_that_comes_twice_the_last_counts(ada):
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
    said = "Content-Type must be application/json"
    assert status != 415 or answer.json["detail"].startswith(said)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_body_is_a_415(ada, encoding):
    add(ada)
    for method, path in [("POST", "/tasks"), ("PATCH", "/tasks/1"), ("POST", "/auth/register")]:
        answer = ada.open(
            path, method=method, json={"title": "x"}, headers={"Content-Encoding": encoding}
        )
        assert answer.status_code == 415
        assert isinstance(answer.json["detail"], str)


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
        ("done=true", "bc"),
        ("done=false", "ad"),
        ("q=öl", "ad"),
        ("q=", "abcd"),
        ("due_before=2026-03-01", "cd"),
        ("due_after=2026-01-01", "ad"),
        ("due_after=2026-01-01&due_before=2026-03-01", "d"),
        ("sort=id", "abcd"),
        ("sort=-id", "dcba"),
        ("sort=-id&done=false", "da"),
        ("sort=-id&q=ÖL&due_before=2026-03-01", "d"),
        ("sort=due", "cdab"),
        ("sort=due&done=true", "cb"),
        ("sort=due&q=öl&due_after=2026-01-01&done=false", "da"),
    ],
)
def test_lists_and_their_pages(four, query, found):
    assert "".join(title[0] for title in titles(four, f"?limit=1000&{query}")) == found
    for limit in (1, 2, 3):  # pages one after the other give the same
        walked, path = "", f"/tasks?limit={limit}&{query}"
        while path:
            answer = four.get(path)
            assert len(answer.json) <= limit
            walked += "".join(task["title"][0] for task in answer.json)
            assert len(walked) <= 4
            link = answer.headers.get("Link")
            path = link and re.fullmatch(r'<(/tasks\?[^>]+)>; rel="next"', link)[1]
        assert walked == found


def test_a_page_has_a_hundred_tasks_unless_asked(ada):
    for at in range(101):
        add(ada, str(at))
    page = ada.get("/tasks")
    assert len(page.json) == 100
    assert titles(ada, re.match("</tasks(.+?)>", page.headers["Link"])[1]) == ["100"]
    assert len(titles(ada, "?limit=101")) == 101


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
        ("limit=1_0", "limit"),
        ("limit=%205", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=٥", "limit"),
        ("limit=1&limit=2", "limit"),
        (f"limit={10**30}", "limit"),
        ("sort=title", "sort"),
        ("sort=-due", "sort"),
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


@pytest.mark.parametrize("path", ["/auth/me", "/auth/keys", "/tasks/1", "/auth/register"])
def test_a_query_that_nobody_reads_is_a_422(ada, path):
    add(ada)
    method = "POST" if path == "/auth/register" else "GET"
    answer = ada.open(f"{path}?x=1", method=method, json={"email": "a@b", "password": PASSWORD})
    assert (answer.status_code, where(answer)) == (422, [["query", "x"]])


@pytest.mark.parametrize(
    ("sort", "order", "rest"),
    [
        ("id", [0, 1, 2, 3, 4, 5], ["4", "5", "early", "late"]),
        ("-id", [5, 4, 3, 2, 1, 0], ["1", "0"]),
        ("due", [3, 4, 1, 5, 0, 2], ["0", "2", "late"]),
    ],
)
def test_a_cursor_is_right_under_inserts_and_deletes(ada, sort, order, rest):
    days = [None, "2026-01-02", None, "2026-01-01", "2026-01-01", "2026-01-03"]
    numbers = [add(ada, str(at), **({"due": day} if day else {})) for at, day in enumerate(days)]
    page = ada.get(f"/tasks?sort={sort}&limit=3&q=")
    assert [task["title"] for task in page.json] == [str(at) for at in order[:3]]
    ada.delete(f"/tasks/{numbers[order[2]]}")  # the one that the cursor stands on
    ada.delete(f"/tasks/{numbers[order[3]]}")
    add(ada, "early", due="2025-01-01")
    add(ada, "late")
    following = re.match("<(.+?)>", page.headers["Link"])[1]
    assert f"sort={sort}" in following
    assert "q=" in following
    seen = []
    while following:
        page = ada.get(following)
        seen += [task["title"] for task in page.json]
        assert len(seen) <= 8
        following = re.match("<(.+?)>|", page.headers.get("Link", ""))[1]
    assert seen == rest


# --- Search ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "asked", "found"),
    [
        ("API review", "review", True),
        ("API review", "REVIEW", True),
        ("API review", "vie", True),
        ("API review", "review api", True),
        ("API review", "  rev \t ap ", True),
        ("API review", "api\u3000review", True),
        ("API review", "api reviews", False),
        ("API review", "apireview", False),
        ("Straße", "STRASSE", True),
        ("STRASSE", "straße", True),
        ("ΠΑΣΧΑ", "ΠΑΣ", True),
        ("ΠΑΣΧΑ", "πας", True),
        ("ο Οδυσσεύς", "ΟΔΥΣΣΕΎΣ", True),
        ("Öl kaufen", "öL", True),
        ("Привет", "ПРИВЕТ", True),
        ("oﬃce", "OFFICE", True),
        ("Caf\u00e9", "cafe\u0301", True),
        ("Cafe\u0301", "CAF\u00c9", True),
        ("5 \u212b", "å", True),
        ("Cafe", "caf\u00e9", False),
        ("東京 へ", "へ 東", True),
        ("API review", "a p i " * 100, True),
        ("API review", "a p i " * 100 + "x", False),
        ("🎉 party", "🎉", True),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_search_finds_every_word_of_it_in_the_title(ada, title, asked, found):
    add(ada, title)
    add(ada, "unlike")
    assert titles(ada, f"?q={quote(asked)}") == ([title] if found else [])
    ada.patch("/tasks/1", json={"title": "unlike"})
    ada.patch("/tasks/2", json={"title": title})
    assert titles(ada, f"?q={quote(asked)}&sort=-id") == ([title] if found else [])


@pytest.mark.parametrize("asked", ["x " * 30_000, "x" * 60_000, "ß" * 30_000, "%" * 60_000])
def test_a_long_search_is_answered_or_refused(ada, asked):
    add(ada, "x")
    answer = ada.get(f"/tasks?q={quote(asked)}")
    if answer.status_code == 200:
        assert [task["title"] for task in answer.json] == (["x"] if asked[:2] == "x " else [])
    else:
        assert (answer.status_code, where(answer)) == (422, [["query", "q"]])


def test_every_sign_of_a_search_means_itself(ada):
    signs = r"""%_\/*?'"[](){}|^$.+-~&;:<>#@!,`="""
    for title in ["axb", "axxb", "ab", *(f"a{sign}b" for sign in signs)]:
        add(ada, title)
    for sign in signs:
        assert titles(ada, f"?q=A{quote(sign)}B") == [f"a{sign}b"]
        assert titles(ada, f"?q={quote(sign)}") == [f"a{sign}b"]


# --- Retries and races ----------------------------------------------------------------------------


def test_an_idempotency_key_makes_one_task(ada, bob):
    send = {"json": {"title": "once"}, "headers": {"Idempotency-Key": "k" * 255}}
    first = ada.post("/tasks", **send)
    ada.patch("/tasks/1", json={"done": True})
    number = number_of(ada)
    again = ada.post("/tasks", **send)
    assert (again.status_code, again.headers["Location"]) == (201, first.headers["Location"])
    assert again.json == first.json | {"done": True}
    for other in ({"title": "twice"}, {"title": "once", "done": True}):
        answer = ada.post("/tasks", **send | {"json": other})
        assert (answer.status_code, where(answer)) == (422, [["body"]])
    assert bob.post("/tasks", **send | {"json": {"title": "bob's"}}).json["title"] == "bob's"
    for key in ("", "k" * 256):
        answer = ada.post("/tasks", json={"title": "x"}, headers={"Idempotency-Key": key})
        assert (answer.status_code, where(answer)) == (422, [["header", "Idempotency-Key"]])
    assert titles(ada) == ["once"]
    assert number_of(ada) == number


def test_an_idempotency_key_goes_with_its_task(ada):
    send = {"json": {"title": "once"}, "headers": {"Idempotency-Key": "k"}}
    first = ada.post("/tasks", **send).json["id"]
    ada.delete(f"/tasks/{first}")
    second = ada.post("/tasks", **send | {"json": {"title": "another"}})
    assert (second.status_code, second.json["id"]) == (201, first + 1)


def test_of_many_with_one_idempotency_key_at_once_one_makes_the_task(app, ada):
    def send(_):
        client = bearing(app, token_of(ada))
        return client.post("/tasks", json={"title": "x"}, headers={"Idempotency-Key": "k"})

    assert {(answer.status_code, answer.json["id"]) for answer in racing(8, send)} == {(201, 1)}
    assert (titles(ada), number_of(ada)) == (["x"], 1)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("header", "good"),
    [
        ('"2"', True),
        ("*", True),
        ('"1", "2"', True),
        ('W/"1","2"', True),
        ('W/"2"', True),
        ('"2-gzip"', True),
        ('W/"2-gzip"', True),
        ('"1"', False),
        ('W/"1"', False),
        ('"1-gzip"', False),
        ('"3"', False),
        ('"12"', False),
        ('"22-gzip"', False),
        ('"x"', False),
        ('""', False),
        ("", False),
        ("nonsense", False),
        ("2", False),
        ('"' + "9" * 40 + '"', False),
    ],
)
def test_if_match_guards_a_change(ada, method, header, good):
    path, body = f"/tasks/{add(ada)}", {"done": True} if method == "PATCH" else None
    etag = ada.patch(path, json={"title": "changed"}).headers["ETag"]
    assert etag == ada.get(path).headers["ETag"] == '"2"'
    answer = ada.open(path, method=method, json=body, headers={"If-Match": header})
    if good:
        assert answer.status_code == {"PATCH": 200, "DELETE": 204}[method]
        assert number_of(ada) == 3
    else:
        assert (answer.status_code, answer.json) == (412, {"detail": "Task has changed"})
        assert ada.get(path).json == {"id": 1, "title": "changed", "done": False}
        assert number_of(ada) == 2
    gone = ada.open("/tasks/99", method=method, json=body, headers={"If-Match": header})
    assert gone.status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_of_many_changes_with_one_tag_one_wins(app, ada, method):
    add(ada)

    def send(at):
        body = {"title": f"by {at}"} if method == "PATCH" else None
        headers = {"If-Match": '"1"'}
        client = bearing(app, token_of(ada))
        return client.open("/tasks/1", method=method, json=body, headers=headers)

    statuses = sorted(answer.status_code for answer in racing(8, send))
    assert statuses == ([200] + [412] * 7 if method == "PATCH" else [204] + [404] * 7)
    assert number_of(ada) == 2


def test_if_none_match_saves_the_answer(ada):
    add(ada)
    for path in ("/tasks", "/tasks/1", "/tasks?limit=1", "/tasks?q=write&sort=-id"):
        etag = ada.get(path).headers["ETag"]
        for header in (
            etag, f"W/{etag}", f'"x", {etag}', "*", f'{etag[:-1]}-gzip"', f'W/{etag[:-1]}-gzip"',
        ):  # fmt: skip
            answer = ada.get(path, headers={"If-None-Match": header})
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
        for header in ('"x"', '"0"', '"0-gzip"', '""', etag.strip('"')):
            assert ada.get(path, headers={"If-None-Match": header}).status_code == 200
        assert ada.get(path, headers={"If-Match": '"x"'}).status_code == 200  # guards changes only
    etag = ada.get("/tasks?limit=1").headers["ETag"]
    add(ada)  # the page is the same, but another follows now
    answer = ada.get("/tasks?limit=1", headers={"If-None-Match": etag})
    assert (answer.status_code, "Link" in answer.headers) == (200, True)


# --- Changes --------------------------------------------------------------------------------------


def changes(client, since=0, **query):
    """Ask what changed after a number; return the answer's JSON."""
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    answer = client.get(f"/tasks/changes?since={since}{asked}")
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"tasks", "deleted", "since", "more"}
    return answer.json


def test_one_number_tells_old_from_new(ada, bob):
    """It is the tag of a list, of each task that it changed, and where to ask for changes from."""
    add(bob)
    assert number_of(ada) == 0
    one, two = (add(ada, title) for title in ("one", "two"))
    patch = ada.patch(f"/tasks/{one}", json={"done": True})
    assert patch.headers["ETag"] == ada.get(f"/tasks/{one}").headers["ETag"] == '"3"'
    assert ada.get(f"/tasks/{two}").headers["ETag"] == '"2"'
    assert number_of(ada) == changes(ada)["since"] == 3
    assert ada.get("/tasks?q=nonsense").headers["ETag"] == '"3"'
    assert ada.delete("/tasks?done=true").status_code == 204
    assert number_of(ada) == 4
    assert ada.post("/tasks", json={"title": "three"}).headers["ETag"] == '"5"'
    assert number_of(bob) == 1


def test_what_changes_nothing_leaves_the_number(ada, bob):
    number = add(ada)
    his = add(bob)
    for method, path, body, headers, status in [
        ("PATCH", f"/tasks/{number}", {}, {}, 200),
        ("PATCH", f"/tasks/{number}", {"title": ""}, {}, 422),
        ("PATCH", f"/tasks/{number}", {"done": True}, {"If-Match": '"9"'}, 412),
        ("PATCH", f"/tasks/{his}", {"done": True}, {}, 404),
        ("DELETE", f"/tasks/{number}", None, {"If-Match": '"9"'}, 412),
        ("DELETE", f"/tasks/{his}", None, {}, 404),
        ("DELETE", "/tasks?done=true", None, {}, 204),
        ("POST", "/tasks", {"title": ""}, {}, 422),
    ]:
        answer = ada.open(path, method=method, json=body, headers=headers)
        assert (answer.status_code, number_of(ada)) == (status, 1), (method, path, body)
    assert ada.get(f"/tasks/{number}").headers["ETag"] == '"1"'
    assert changes(ada, 1) == {"tasks": [], "deleted": [], "since": 1, "more": False}


def test_changes_since_a_number(ada, bob):
    nothing = {"tasks": [], "deleted": [], "since": 0, "more": False}
    assert ada.get("/tasks/changes").json == changes(ada) == nothing
    add(bob, "bob's")
    one, two, three = (add(ada, title, done=title != "one") for title in ("one", "two", "three"))
    tasks = ada.get("/tasks").json
    assert changes(ada) == {"tasks": tasks, "deleted": [], "since": 3, "more": False}
    assert changes(ada, 2)["tasks"] == tasks[2:]
    for title in ("uno", "eins"):
        ada.patch(f"/tasks/{one}", json={"title": title})
    now = ada.get(f"/tasks/{one}").json  # as it is now, and once
    assert changes(ada, 3) == {"tasks": [now], "deleted": [], "since": 5, "more": False}
    assert changes(ada, 4) == changes(ada, 3)
    ada.delete("/tasks?done=true")
    assert changes(ada, 5) | {"deleted": None} == {
        "tasks": [], "deleted": None, "since": 6, "more": False
    }  # fmt: skip
    assert sorted(changes(ada, 5)["deleted"]) == [two, three]
    assert changes(ada) == {"tasks": [now], "deleted": [], "since": 6, "more": False}
    assert changes(ada, 6) == nothing | {"since": 6}
    assert changes(bob)["since"] == 1


def test_changes_come_in_parts(ada):
    for at in range(5):
        add(ada, str(at), done=True)
    first = changes(ada, limit=2)
    assert ([task["title"] for task in first["tasks"]], first["more"]) == (["0", "1"], True)
    ada.patch("/tasks/1", json={"title": "again"})  # of what was told already
    seen, since, more = first["tasks"], first["since"], True
    while more:
        part = changes(ada, since, limit=2)
        seen, since, more = seen + part["tasks"], part["since"], part["more"]
    assert [task["title"] for task in seen] == ["0", "1", "2", "3", "4", "again"]
    ada.delete("/tasks?done=true")
    gone, more = [], True
    while more:  # one request may have deleted more than a part has
        part = changes(ada, since, limit=2)
        gone, since, more = gone + part["deleted"], part["since"], part["more"]
    assert sorted(gone) == [1, 2, 3, 4, 5]
    assert changes(ada, since - 1, limit=2)["more"] is False
    assert len(titles(ada)) == 0


def test_a_number_from_the_future_is_a_409(ada):
    add(ada)
    for headers in ({}, {"Accept": "text/event-stream"}):
        answer = ada.get("/tasks/changes?since=2", headers=headers)
        assert answer.status_code == 409
        assert "since=0" in answer.json["detail"] or " 0" in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("since=x", "since"),
        ("since=-1", "since"),
        ("since=", "since"),
        ("since=1.5", "since"),
        ("since=1&since=1", "since"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("done=true", "done"),
        ("q=x", "q"),
    ],
)
def test_a_bad_question_for_changes_is_a_422(ada, query, place):
    answer = ada.get(f"/tasks/changes?{query}")
    assert (answer.status_code, where(answer)) == (422, [["query", place]])


def test_a_number_that_no_database_holds_is_no_bug(ada):
    assert ada.get(f"/tasks/changes?since={10**30}").status_code in (409, 422)
    assert ada.get("/tasks/changes", headers={"Accept": "*/*"}).content_type == JSON


class Follower:
    """A client that knows an account's tasks from their changes alone."""

    def __init__(self, client):
        self.client, self.since, self.tasks = client, 0, {}

    def ask(self, limit):
        """Ask once; tell whether there is more."""
        said = changes(self.client, self.since, limit=limit)
        assert said["since"] > self.since or not said["more"]
        assert not {task["id"] for task in said["tasks"]} & set(said["deleted"])
        self.since = said["since"]
        self.tasks |= {task["id"]: task for task in said["tasks"]}
        for number in said["deleted"]:
            self.tasks.pop(number, None)
        return said["more"]

    def ends_with(self, tasks):
        while self.ask(1000):
            pass
        assert sorted(self.tasks.values(), key=lambda task: task["id"]) == tasks


def write_at_random(client, seed, times):
    """Add, change, delete and clear the tasks of an account."""
    dice = random.Random(seed)
    for at in range(times):
        known = [task["id"] for task in client.get("/tasks?limit=1000").json]
        number, kind = dice.choice(known or [0]), dice.random()
        if kind < 0.5 or not known:
            add(client, f"{seed} {at}", done=dice.random() < 0.2)
        elif kind < 0.75:
            client.patch(f"/tasks/{number}", json={"title": f"{seed} {at}!"})
        elif kind < 0.95:
            client.delete(f"/tasks/{number}")
        else:
            client.delete("/tasks?done=true")


@pytest.mark.parametrize("seed", range(3))
def test_who_follows_changes_ends_with_the_list(app, ada, seed):
    """Four writers at once, and followers that ask in parts, late, or begin again."""
    dice = random.Random(seed)
    steady, late = Follower(ada), Follower(bearing(app, token_of(ada)))
    with ThreadPoolExecutor(4) as pool:
        writers = [
            pool.submit(write_at_random, bearing(app, token_of(ada)), 10 * seed + at, 40)
            for at in range(4)
        ]
        while not all(writer.done() for writer in writers):
            steady.ask(dice.choice([1, 2, 3, 1000]))
            if dice.random() < 0.1:
                late.ask(dice.choice([1, 5]))
    for writer in writers:
        writer.result()
    listed = ada.get("/tasks?limit=1000").json
    for follower in (steady, late, Follower(ada)):
        follower.ends_with(listed)
        assert follower.since == number_of(ada)


# --- Changes as events ----------------------------------------------------------------------------


class Stream:
    """An open stream of events, read as in a thread of its own."""

    def __init__(self, client, query="", **headers):
        self.context = copy_context()
        sent = {"Accept": "text/event-stream"} | headers
        self.answer = self.context.run(client.get, f"/tasks/changes{query}", headers=sent)
        self.parts, self.text = iter(self.answer.response), ""

    def read(self):
        """Return the id and the data of the next event, None where the stream ended."""
        for _ in range(5):  # of what is not an event there is at most a comment each 15 seconds
            while "\n\n" not in self.text:
                part = self.context.run(next, self.parts, None)
                if part is None:
                    return None
                self.text += part.decode().replace("\r\n", "\n")
            event, _, self.text = self.text.partition("\n\n")
            lines = [line.partition(":")[::2] for line in event.split("\n")]
            fields = {name: value.removeprefix(" ") for name, value in lines if name}
            if "data" in fields:
                return int(fields["id"]), json.loads(fields["data"])
        raise AssertionError("no event came")

    def close(self):
        self.context.run(self.answer.close)


def test_changes_come_as_events(app, ada):
    add(ada, "first")
    stream = Stream(bearing(app, token_of(ada)))
    assert stream.answer.status_code == 200
    assert stream.answer.content_type.startswith("text/event-stream")
    assert stream.answer.headers["X-Accel-Buffering"] == "no"
    assert stream.read() == (1, changes(ada))
    number = add(ada, "second")
    assert stream.read() == (2, changes(ada, 1))
    ada.delete(f"/tasks/{number}")
    assert stream.read() == (3, {"tasks": [], "deleted": [number], "since": 3, "more": False})
    stream.close()


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        ("text/event-stream, */*;q=0.1", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0.5, application/json", False),
        ("*/*", False),
        ("text/html", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_events_come_to_those_who_want_them(app, ada, accept, is_stream):
    stream = Stream(bearing(app, token_of(ada)), Accept=accept)
    assert stream.answer.status_code == 200
    assert (stream.answer.mimetype == "text/event-stream") == is_stream
    stream.close()


def test_events_go_on_after_a_break(app, ada):
    for title in ("one", "two", "three"):
        add(ada, title)
    for stream in (
        Stream(bearing(app, token_of(ada)), Last_Event_ID="2"),
        Stream(bearing(app, token_of(ada)), "?since=2"),
        Stream(bearing(app, token_of(ada)), "?since=0", Last_Event_ID="2"),
    ):
        assert stream.read() == (3, changes(ada, 2))
        stream.close()
    future = Stream(bearing(app, token_of(ada)), Last_Event_ID="4")
    assert future.answer.status_code == 409
    odd = Stream(bearing(app, token_of(ada)), Last_Event_ID="x")
    assert odd.answer.status_code == 422


def test_events_come_in_parts_too(app, ada):
    for at in range(5):
        add(ada, str(at))
    stream, seen, more = Stream(bearing(app, token_of(ada)), "?limit=2"), [], True
    while more:
        number, said = stream.read()
        assert number == said["since"]
        seen, more = seen + said["tasks"], said["more"]
    assert [task["title"] for task in seen] == list("01234")
    stream.close()


@pytest.mark.parametrize("end", ["revoke", "password", "account", "time"])
def test_a_stream_ends_with_its_token(app, ada, end, pass_time):
    add(ada)
    token = grant(ada, **LOGIN)["access_token"]
    stream = Stream(bearing(app, token))
    stream.read()
    if end == "revoke":
        ada.post("/auth/revoke", data={"token": token})
    elif end == "password":
        change = {"password": PASSWORD, "new_password": "battery staple"}
        assert ada.put("/auth/me/password", json=change).status_code == 204
    elif end == "account":
        assert ada.delete("/auth/me", json={"password": PASSWORD}).status_code == 204
    else:
        pass_time(1830)
    assert stream.read() is None
    stream.close()


def test_streams_are_bounded(app, ada):
    add(ada)
    streams = []
    try:
        while (stream := Stream(bearing(app, token_of(ada)))).answer.status_code == 200:
            streams.append(stream)
            assert len(streams) < 2000
        assert stream.answer.status_code == 503
        assert int(stream.answer.headers["Retry-After"]) > 0
        assert isinstance(stream.answer.json["detail"], str)
        assert changes(ada)["since"] == 1  # asks again with `since` instead
        streams.pop().close()
        again = Stream(bearing(app, token_of(ada)))
        streams.append(again)
        assert again.answer.status_code == 200
    finally:
        for stream in streams:
            stream.close()


# --- A frontend of another origin -----------------------------------------------------------------

READABLE = {"ETag", "Link", "Location", "Retry-After", "X-Request-Id"}


def allowed(answer):
    """Return the headers by which an answer allows things to another origin."""
    return {name for name, _ in answer.headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize(
    ("origins", "origin", "told"),
    [
        ("http://localhost:5173", "http://localhost:5173", "http://localhost:5173"),
        ("https://a.example.com http://localhost:5173", "https://a.example.com", None),
        ("https://a.example.com,http://localhost:5173", "http://localhost:5173", None),
        ("https://a.example.com, http://localhost:5173", "http://localhost:5173", None),
        ("*", "http://localhost:5173", "*"),
        ("http://[::1]:5173", "http://[::1]:5173", None),
    ],
)
def test_a_listed_origin_may_call(make_app, origins, origin, told):
    app = make_app(cors_origins=origins)
    ada, told = sign_up(app, "ada@example.com"), told or origin
    asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    wanted = "authorization,content-type,if-match,idempotency-key,if-none-match,last-event-id"
    asked["Access-Control-Request-Headers"] = wanted
    for path in ("/tasks/1", "/tasks", "/auth/token", "/tasks/changes"):
        answer = app.test_client().options(path, headers=asked)
        assert answer.status_code in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] in (told, origin)
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        granted = answer.headers["Access-Control-Allow-Headers"].lower().replace(" ", "")
        assert granted == "*" or set(wanted.split(",")) <= set(granted.split(","))
    for client, method, path, status in [
        (ada, "GET", "/tasks", 200),
        (ada, "POST", "/tasks", 422),
        (ada, "GET", "/tasks/9", 404),
        (ada, "PUT", "/tasks", 405),
        (app.test_client(), "GET", "/tasks", 401),
    ]:
        answer = client.open(path, method=method, headers={"Origin": origin}, json={})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] in (told, origin)
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {name.lower() for name in READABLE} <= {name.lower() for name in exposed}
        assert "Access-Control-Allow-Credentials" not in answer.headers


LISTED = "https://app.example.com http://[::1]:3000"
NOT_LISTED = ("https://app.example.com.evil.example.com", "https://appxexample.com", "null")
NOT_LISTED += ("http://localhost:5173", "http://1:3000", "http://[::1]:30001", "http://::1:3000")


def test_a_listed_origin_reads_every_refusal(make_app):
    origin = "https://app.example.com"
    client = make_app(cors_origins=origin, registration="closed").test_client()
    for method, path, status in [
        ("GET", "/nothing", 404),
        ("GET", "/tasks/", 404),
        ("PUT", "/tasks", 405),
        ("POST", "/auth/register", 403),
    ]:
        asked = {"Access-Control-Request-Method": method, "Origin": origin}
        before = client.options(path, headers=asked)
        assert before.status_code in (200, 204)
        assert before.headers["Access-Control-Allow-Origin"] == origin
        assert method in before.headers["Access-Control-Allow-Methods"]
        answer = client.open(path, method=method, json={}, headers={"Origin": origin})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (
            status,
            origin,
        )


@pytest.mark.parametrize("settings", [{}, {"cors_origins": LISTED}])
def test_an_origin_that_is_not_listed_gets_nothing(make_app, settings):
    client = make_app(**settings).test_client()
    for origin in NOT_LISTED:
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert allowed(client.options("/tasks", headers=asked)) == set()
        assert allowed(client.get("/health", headers={"Origin": origin})) == set()


# --- What all answers share -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nothing", 404, "Not Found"),
        ("GET", "/tasks/", 404, "Not Found"),
        ("GET", "/tasks//1", 404, "Not Found"),
        ("GET", "/docs/", 404, "Not Found"),
        ("GET", "/docs//swagger-ui.css", 404, "Not Found"),
        ("GET", "/static//app.css", 404, "Not Found"),
        ("GET", "/auth/register", 405, "Method Not Allowed"),
        ("PUT", "/tasks/1", 405, "Method Not Allowed"),
    ],
)
def test_what_flask_refuses_has_our_shape_and_is_no_redirect(client, method, path, status, detail):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json) == (status, {"detail": detail})
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_bug_is_logged_and_not_told(app, caplog):
    app.add_url_rule("/bug", "bug", lambda: 1 / 0)
    answer = app.test_client().get("/bug")
    assert (answer.status_code, answer.json) == (500, {"detail": "Internal Server Error"})
    assert "ZeroDivisionError" in caplog.text


SENT = "hunter2hunter2"


@pytest.mark.parametrize(
    ("method", "path", "send"),
    [
        ("POST", "/tasks", {"json": {"title": "x", "secret": SENT}}),
        ("POST", "/tasks", {"json": {"title": [SENT], "due": SENT, "done": SENT}}),
        ("POST", "/tasks", {"json": {"title": "x", "due": "٢٠٢٦-١١-٣٠"}}),
        ("POST", "/tasks", {"json": {"title": "x", "due": "２０２６-11-30"}}),
        ("POST", "/tasks", {"data": f'{{"title": "{SENT}', "content_type": JSON}),
        ("POST", "/tasks", {"data": SENT, "content_type": f"application/{SENT}"}),
        ("POST", "/tasks", {"json": {"title": ""}, "headers": {"Idempotency-Key": SENT * 20}}),
        ("GET", "/tasks?due_before=٢٠٢٦-١١-٣٠", {}),
        ("GET", "/tasks?limit=٣", {}),
        ("GET", f"/tasks?sort={SENT}&done={SENT}&limit={SENT}", {}),
        ("GET", f"/tasks?cursor={SENT}", {}),
        ("GET", f"/tasks/changes?since={SENT}", {}),
        ("GET", f"/tasks/{SENT}", {}),
        ("GET", f"/{SENT}", {}),
        ("POST", "/auth/register", {"json": {"email": SENT, "password": [SENT]}}),
        ("POST", "/auth/register", {"json": ACCOUNT | {"email": SENT}}),
        ("POST", "/auth/token", {"json": LOGIN | {"grant_type": SENT}}),
        ("POST", "/auth/token", {"json": LOGIN | {"scope": SENT}}),
        ("POST", "/auth/token", {"data": {"username": SENT, "password": SENT}}),
        ("PUT", "/auth/me/password", {"json": {"password": SENT, "new_password": "7 chars"}}),
        ("POST", "/auth/keys", {"json": {"name": "x", "scope": SENT}}),
    ],
)
def test_no_refusal_repeats_what_was_sent(ada, method, path, send):
    answer = ada.open(path, method=method, **send)
    assert 400 <= answer.status_code < 500
    said = json.dumps(answer.json, ensure_ascii=False)
    for sent in (SENT, "٢٠٢٦", "٣", "２０２６", "7 chars"):
        assert sent not in said


def test_thousands_of_unknown_fields_get_a_short_answer(client):
    body = {f"{at:x}": 0 for at in range(5000)}
    answer = client.post("/auth/register", json=body)
    assert answer.status_code == 422
    assert len(answer.data) < 10_000
    *few, last = answer.json["detail"]
    assert 1 <= len(few) <= 100
    assert set(last) == {"type", "loc", "msg"}
    more = int(re.search(r"\d[\d,]*", last["msg"])[0].replace(",", ""))
    assert len(few) + more == 5000 + 2  # the two that are missing count


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


def test_what_belongs_to_an_account_is_kept_by_no_cache_of_others(ada):
    add(ada)
    for path in ("/tasks", "/tasks/1", "/tasks/changes", "/auth/me", "/auth/keys"):
        assert ada.get(path).headers["Cache-Control"] == "private, no-cache", path


def test_health_answers_whatever_a_monitor_adds(client):
    for path in ("/health", "/health?probe=1", "/health?x=1&x=2&%00"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_run_and_tell_nothing_of_elsewhere(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")


def test_a_list_that_a_browser_keeps_is_not_for_the_next_user(ada, bob):
    add(ada, "Ada's")
    assert "Authorization" in ada.get("/tasks").headers["Vary"]
    assert "Authorization" in bob.get("/tasks", headers={"If-None-Match": '"1"'}).headers["Vary"]


def test_the_api_is_described(client):
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, JSON)
    assert answer.json["openapi"].startswith("3.1")
    assert urlsplit(answer.json["servers"][0]["url"]).path.strip("/") == ""
    described = {
        (method.upper(), re.sub("{.+?}", "1", path))
        for path, methods in answer.json["paths"].items()
        for method in methods
    }
    assert described >= {(method, path.partition("?")[0]) for method, path, _ in GUARDED}
    assert described >= {("POST", f"/auth/{name}") for name in ("register", "token", "revoke")}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("a.example.com", "http://a.example.com"),
        ("a.example.com:8000", "http://a.example.com:8000"),
        ("xn--mnchen-3ya.example.com", "http://xn--mnchen-3ya.example.com"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("todo_api:8000", "/"),  # no name of a host, though containers have such
    ],
)
def test_the_document_names_its_server(client, host, url):
    document = client.get("/openapi.json", headers={"Host": host}).json
    assert document["servers"] == [{"url": url}]
    flow = document["components"]["securitySchemes"]["login"]["flows"]["password"]
    assert flow["tokenUrl"] == f"{url.rstrip('/')}/auth/token"


@pytest.mark.parametrize(("trusted", "prefix"), [(1, "/todo"), (0, "")])
def test_a_path_prefix_is_kept_if_its_proxy_is_trusted(make_app, trusted, prefix):
    ada = sign_up(make_app(trusted_proxies=trusted), "ada@example.com")
    sent = {"X-Forwarded-Prefix": "/todo"}
    for _ in range(2):
        made = ada.post("/tasks", json={"title": "x"}, headers=sent)
    assert made.headers["Location"] == f"{prefix}/tasks/2"
    page = ada.get("/tasks?limit=1", headers=sent)
    assert page.headers["Link"].startswith(f"<{prefix}/tasks?")
    servers = ada.get("/openapi.json", headers=sent).json["servers"]
    assert urlsplit(servers[0]["url"]).path.rstrip("/") == prefix


def test_two_apps_live_in_one_process(make_app, tmp_path):
    one, two = make_app(), make_app(database_url=f"sqlite:///{tmp_path}/b.db", secret_key=KEY[::-1])
    ada = sign_up(one, "ada@example.com")
    sign_up(two, "bob@example.com")
    assert ada.get("/auth/me").json["email"] == "ada@example.com"
    assert not works(two, token_of(ada))
    other = Flask("other")
    other.secret_key = KEY
    other.add_url_rule("/", view_func=lambda: session.update(seen=True) or "")
    assert "Set-Cookie" in other.test_client().get("/").headers
    assert "Set-Cookie" not in one.test_client().get("/health").headers


def test_no_secret_setting_is_shown():
    url = "postgresql://u:s%40crét@db.example.com:5433/n?sslmode=require"
    settings = todo.Settings(secret_key=KEY, database_url=url)
    assert KEY not in f"{settings!r} {settings}"
    assert "crét" not in f"{settings!r} {settings}"
    assert todo.Settings(secret_key="ключ" * 4)  # 32 bytes, though 16 characters

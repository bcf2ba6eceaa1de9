"""A database of version 1, made by version 1's own code, comes up with everything in it.

tests/version1 has the SQLite file, the same as a PostgreSQL dump, and what clients knew: the
claims of their tokens and the tasks as they were answered. The account of carl had been deleted,
and bob had changed his password.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import jwt
import psycopg
import pytest
import sqlalchemy as sa

import todo
from tests.support import (
    HERE,
    KEY,
    PASSWORD,
    environment,
    postgres_database,
    refused_start,
    start_at_once,
)

VERSION_1 = HERE / "tests" / "version1"
KNOWN = json.loads((VERSION_1 / "known.json").read_text())


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The URL of a database as version 1 left it, of each kind."""
    if request.param == "sqlite":
        shutil.copy(VERSION_1 / "todo.sqlite", tmp_path / "todo.db")
        return f"sqlite:///{tmp_path}/todo.db"
    url = request.getfixturevalue("postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((VERSION_1 / "todo.sql").read_text())
    return url


@pytest.fixture
def start(database):
    """Start the service and return a client of it."""

    def start():
        # Ten years, as sessions that are older than that would go at the next login.
        lives = {"refresh_token_expire_days": 3650}
        settings = todo.Settings(secret_key=KEY, database_url=database, bcrypt_rounds=4, **lives)
        return todo.create_app(settings).test_client()

    return start


def token(name):
    """Return a token that version 1 gave, as if it were of today."""
    now = int(time.time())
    times = {"iat": now, "nbf": now, "exp": now + 600}
    return jwt.encode(KNOWN["tokens"][name] | times, KEY, "HS256")


def call(client, name, method, path, body=None, **headers):
    sent = {title.replace("_", "-"): value for title, value in headers.items()}
    sent["Authorization"] = f"Bearer {token(f'{name} access')}"
    return client.open(path, method=method, json=body, headers=sent)


def refresh(client, name):
    form = {"grant_type": "refresh_token", "refresh_token": token(f"{name} refresh")}
    return client.post("/auth/token", data=form)


def test_every_row_and_every_token_is_as_before(start):
    for _ in range(2):  # the second start finds it up to date
        client = start()
        for name in ("ada", "bob"):
            answer = call(client, name, "GET", "/tasks")
            assert (answer.status_code, answer.json) == (200, KNOWN["tasks"][name])
        assert call(client, "ada", "GET", "/auth/me").json["email"] == "ada@example.com"
        assert call(client, "ada refreshed", "GET", "/tasks").status_code == 200
        assert call(client, "ada refreshed", "POST", "/tasks").status_code == 403
        assert call(client, "ada revoked", "GET", "/tasks").status_code == 401
        assert call(client, "bob before", "GET", "/tasks").status_code == 401
        assert call(client, "carl", "GET", "/tasks").status_code == 404
    for email, password in [
        ("ada@example.com", PASSWORD),
        ("bob@example.com", "battery staple"),
        ("dora@example.com", PASSWORD),
    ]:
        login = client.post("/auth/token", data={"username": email, "password": password})
        assert login.status_code == 200
    assert call(client, "ada", "GET", "/auth/keys").json == []


def test_sessions_go_on(start):
    client = start()
    assert refresh(client, "ada").status_code == 200
    assert refresh(client, "ada refreshed").status_code == 200
    assert refresh(client, "ada used").status_code == 401  # and so somebody has stolen it
    assert call(client, "ada refreshed", "GET", "/tasks").status_code == 401
    for name in ("ada revoked", "bob before"):
        assert refresh(client, name).status_code == 401
    assert call(client, "ada", "GET", "/tasks").status_code == 200


def test_a_retry_across_the_upgrade_gives_the_same_task(start):
    client, key = start(), {"Idempotency_Key": "backup-2026-11"}
    body = {"title": "Check the backup", "due": "2026-12-01"}
    again = call(client, "ada", "POST", "/tasks", body, **key)
    assert (again.status_code, again.json) == (201, body | {"id": 4, "done": True})
    other = call(client, "ada", "POST", "/tasks", body | {"title": "Another"}, **key)
    assert other.status_code == 422


def test_ids_and_tags_are_not_given_twice(start):
    client = start()
    made = call(client, "ada", "POST", "/tasks", {"title": "New"})
    assert made.json["id"] == 8  # 5 to 7 were deleted
    account = {"email": "erin@example.com", "password": PASSWORD}
    assert client.post("/auth/register", json=account).json["id"] == 5
    login = client.post("/auth/token", json=account).json["access_token"]
    assert jwt.decode(login, KEY, ["HS256"])["id"] > 6
    for tag in ('"1"', '"2"', '"3"'):  # the second task was at its fourth version
        answer = call(client, "ada", "PATCH", "/tasks/2", {"done": True}, If_Match=tag)
        assert answer.status_code == 412


def test_it_is_a_database_like_any_other(start):
    """What is new works on old rows: search, changes, numbers."""
    client = start()
    answer = call(client, "ada", "GET", "/tasks?q=STRASSE")
    assert [task["id"] for task in answer.json] == [1]
    assert [task["id"] for task in call(client, "ada", "GET", "/tasks?q=ΠΑΣ").json] == [2]
    said = call(client, "ada", "GET", "/tasks/changes").json
    assert sorted(said["tasks"], key=lambda task: task["id"]) == KNOWN["tasks"]["ada"]
    assert call(client, "ada", "DELETE", "/tasks?done=true").status_code == 204
    after = call(client, "ada", "GET", f"/tasks/changes?since={said['since']}").json
    assert after == {"tasks": [], "deleted": [4], "since": said["since"] + 1, "more": False}
    assert call(client, "bob", "GET", "/tasks/changes").json["tasks"] == KNOWN["tasks"]["bob"]


def tables(url):
    """Return the columns, keys and indexes of each table of a database."""
    engine = sa.create_engine(re.sub("^postgresql:", "postgresql+psycopg:", url))
    found = sa.inspect(engine)
    known = {
        name: sorted(
            [
                f"{c['name']} {c['type'].python_type} {c['nullable']}"
                for c in found.get_columns(name)
            ]
            + [f"primary {found.get_pk_constraint(name)['constrained_columns']}"]
            + [f"{key['referred_table']} {key['options']}" for key in found.get_foreign_keys(name)]
            + [f"{i['name']} {i['column_names']} {i['unique']}" for i in found.get_indexes(name)]
        )
        for name in found.get_table_names()
    }
    engine.dispose()
    return known


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_its_tables_are_those_of_a_new_database(database, start, tmp_path):
    start()
    with ExitStack() as stack:
        new = f"sqlite:///{tmp_path}/new.db"
        if database.startswith("postgresql"):
            new = stack.enter_context(postgres_database())
        todo.create_app(todo.Settings(secret_key=KEY, database_url=new, bcrypt_rounds=4))
        assert tables(database) == tables(new)


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_the_steps_alone_make_every_table(database):
    """As a later step may alter each of them."""
    engine = sa.create_engine(re.sub("^postgresql:", "postgresql+psycopg:", database))
    with engine.begin() as connection:
        for step in (step for version in sorted(todo.STEPS) for step in todo.STEPS[version]):
            step(connection) if callable(step) else connection.execute(sa.text(step))
    engine.dispose()
    assert tables(database).keys() == todo.db.metadata.tables.keys() - {"schema_version"}


KILLED = """
import os, signal, sys
import sqlalchemy as sa, todo

left = int(sys.argv[1])

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(connection, cursor, statement, *_):
    global left
    left -= "pragma" not in statement.lower()
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

todo.create_app()
print(left)
"""


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 1])
def test_killed_half_way_it_comes_up_at_the_next_start(database, start, tmp_path, share):
    """Before a statement in the middle of the upgrade, and before the last one."""
    many = 10_000
    env = environment(0, APP_DATABASE_URL=f"sqlite:///{tmp_path}/count.db", PYTHONPATH=str(HERE))
    shutil.copy(VERSION_1 / "todo.sqlite", tmp_path / "count.db")
    run = [sys.executable, "-c", KILLED]
    left = int(subprocess.check_output([*run, str(many)], env=env, stderr=subprocess.DEVNULL))
    count = round((many - left) * share)
    env["APP_DATABASE_URL"] = database
    killed = subprocess.run([*run, str(count)], env=env, check=False, capture_output=True)
    assert killed.returncode == -9, killed.stdout
    assert call(start(), "ada", "GET", "/tasks").json == KNOWN["tasks"]["ada"]


def test_hosts_may_upgrade_at_once(database, start):
    start_at_once(database, 4)
    assert call(start(), "ada", "GET", "/tasks").json == KNOWN["tasks"]["ada"]


def test_a_later_version_is_refused_with_one_line(database, start, tmp_path):
    start()
    engine = sa.create_engine(re.sub("^postgresql:", "postgresql+psycopg:", database))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = version + 1")
    engine.dispose()
    status, said = refused_start(tmp_path, APP_DATABASE_URL=database)
    assert status != 0
    assert said.startswith("APP_DATABASE_URL")
    assert "version" in said
    assert said.count("\n") == 1

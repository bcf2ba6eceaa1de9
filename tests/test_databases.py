"""Databases as people have them: other settings, URLs, locks, limits, connections that end."""

import re
import subprocess
import threading
from contextlib import closing, contextmanager
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa

import todo
from tests.support import (
    ACCOUNT,
    HERE,
    KEY,
    PASSWORD,
    POSTGRES,
    call,
    log_in,
    need,
    postgres_database,
    postgres_server,
    racing,
    refused_start,
    serving,
    start_at_once,
    wait_for,
)

DOWN = {"detail": "The database does not answer"}


def make_client(url):
    """Return a client of the service on a database, in this process."""
    settings = todo.Settings(secret_key=KEY, database_url=url, bcrypt_rounds=4)
    client = todo.create_app(settings).test_client()
    if client.post("/auth/register", json=ACCOUNT).status_code in (201, 400):
        token = client.post("/auth/token", json=ACCOUNT).json["access_token"]
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def engine_of(url):
    return sa.create_engine(re.sub("^postgresql:", "postgresql+psycopg:", url))


def call_within(seconds, *request, **headers):
    """Send a request whose answer the contract promises within some seconds."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call(*request, **headers)[:2]))
    thread.start()
    thread.join(seconds)
    assert answers, f"no answer in {seconds} seconds"
    return answers[0]


# --- Servers that are not set as ours --------------------------------------------------------------


@pytest.fixture(scope="module")
def odd_server():
    """A PostgreSQL server with defaults that nobody would expect."""
    options = {
        "datestyle": "German",
        "timezone": "Pacific/Chatham",
        "client_encoding": "LATIN1",
        "default_transaction_isolation": "serializable",
        "standard_conforming_strings": "off",
        "max_connections": "40",
        "search_path": "public",
        "statement_timeout": "2s",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "2s",
    }
    with postgres_server(**options) as server:
        yield server


def test_defaults_of_a_server_change_nothing(odd_server, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=odd_server.url) as server:
        bearer = log_in(server.port)
        title = "emoji 🎉 and \\ and ' and %"
        for due in ("2026-11-30", "0001-01-01", "9999-12-31"):
            task = {"title": title, "done": False, "due": due}
            status, made, _ = server.call("POST", "/tasks", task, **bearer)
            assert (status, made) == (201, {"id": made["id"]} | task)
        page = server.call("GET", "/tasks?limit=2&sort=due", **bearer)
        assert [task["due"] for task in page[1]] == ["0001-01-01", "2026-11-30"]
        following = re.match("<(.+?)>", page[2]["Link"])[1]
        assert [task["due"] for task in server.call("GET", following, **bearer)[1]] == [
            "9999-12-31"
        ]
        found = server.call("GET", f"/tasks?q={quote('🎉 EMOJI')}&due_before=2026-12-01", **bearer)
        assert len(found[1]) == 2
        send = server.call
        statuses = racing(16, lambda at: send("PATCH", "/tasks/1", {"title": f"{at}"}, **bearer)[0])
        assert statuses == [200] * 16  # under its isolation some would be 500


@pytest.mark.parametrize("content", ["", "todo.sql"], ids=["empty", "version 1"])
def test_hosts_may_start_at_once_whatever_the_isolation(odd_server, content):
    with postgres_database(server=odd_server.url) as url:
        if content:
            with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
                connection.execute((HERE / "tests" / "version1" / content).read_text())
        options = "-c idle_in_transaction_session_timeout=0"
        with psycopg.connect(url, options=options) as other:  # longer than others may wait there
            other.execute("SELECT pg_advisory_xact_lock(7368)")
            letting_go = threading.Timer(3, other.rollback)
            letting_go.start()
            start_at_once(url, 4)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_is_not_utf_8_is_refused_with_one_line(tmp_path, encoding):
    options = f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    with postgres_database(options) as url:
        status, said = refused_start(tmp_path, APP_DATABASE_URL=url)
    assert status != 0
    assert said.startswith("APP_DATABASE_URL")
    assert encoding in said
    assert said.count("\n") == 1


# --- URLs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def socket_server():
    """A PostgreSQL server that asks for passwords, and has an account with an odd one."""
    with postgres_server() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE ada LOGIN PASSWORD 's@c/r?t'")
            connection.execute("CREATE DATABASE tasks OWNER ada")
        hba = server.directory / "data" / "pg_hba.conf"
        hba.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        server.run("pg_ctl", "-D", "data", "reload")
        yield server


@pytest.mark.parametrize(
    "form",
    [
        "postgres://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks",
        "postgresql+psycopg2://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks?sslmode=prefer",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks?channel_binding=prefer",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks?pgbouncer=true&connection_limit=1",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks?schema=public&sslmode=disable",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:{port}/tasks?options=-c%20work_mem%3D1MB",
        "postgresql://ada:s%40c%2Fr%3Ft@127.0.0.1:1,127.0.0.1:{port}/tasks",
        "postgresql://ada:s%40c%2Fr%3Ft@h:1,127.0.0.1:{port}/tasks?target_session_attrs=read-write",
        "postgresql://ada:s%40c%2Fr%3Ft@/tasks?host=127.0.0.1&port={port}",
        "postgresql://ada@%2F{directory}:{port}/tasks",
        "postgresql://ada@/tasks?host=/{directory}&port={port}",
        "postgresql:///tasks?host=/{directory}&port={port}&user=ada",
    ],
)
def test_every_url_that_psql_takes_is_understood(socket_server, form, caplog):
    directory = str(socket_server.directory).removeprefix("/")
    if "%2F" in form.partition("@")[2]:
        directory = directory.replace("/", "%2F")
    client = make_client(form.format(port=socket_server.port, directory=directory))
    assert client.get("/tasks").status_code == 200
    said = " ".join(message for message in caplog.messages if message.startswith("Database: "))
    assert "tasks" in said
    assert "s%40c" not in said
    assert "s@c" not in said


# --- Fewer connections, and some that end -----------------------------------------------------------


def test_a_role_of_three_connections_serves_two_workers(own_postgres, tmp_path):
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 3")
        connection.execute("CREATE DATABASE few OWNER few")
    url = f"postgresql://few@127.0.0.1:{own_postgres.port}/few"
    with serving(tmp_path, workers=2, APP_DATABASE_URL=url) as server:
        bearer = log_in(server.port)

        def send(at):
            if at % 2:
                return server.call("GET", f"/tasks?q={at}", **bearer)[0]
            return server.call("POST", "/tasks", {"title": f"{at}"}, **bearer)[0]

        assert set(racing(64, send)) <= {200, 201, 503}
        assert [send(at) for at in range(1, 40)] == [200, 201] * 19 + [200]
        assert set(racing(4, lambda at: send(2 * at + 1))) == {200}
        assert "Traceback" not in server.said()


def end_connections(url):
    """End all connections to a database but our own, and wait until they are gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        ended = connection.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"
        ).fetchall()
    assert {*ended} <= {(True,)}
    return len(ended)


def test_connections_that_their_server_has_ended_are_replaced(postgresql):
    client = make_client(postgresql)
    for _ in range(3):
        assert end_connections(postgresql) >= 1
        assert client.get("/tasks").status_code == 200
        assert end_connections(postgresql) >= 1
        assert client.post("/tasks", json={"title": "x"}).status_code == 201


def test_no_connection_is_left_for_a_fork_to_share(postgresql):
    todo.create_app(todo.Settings(secret_key=KEY, database_url=postgresql))
    assert end_connections(postgresql) == 0


def test_nothing_is_prepared_and_nothing_is_set_for_a_session(postgresql):
    """As the next statement may run in another's session, behind a pooler."""
    client, found = make_client(postgresql), []

    @sa.event.listens_for(sa.pool.Pool, "checkin")
    def look(connection, _):
        set_here = "SELECT name FROM pg_settings WHERE source = 'session'"
        found.append((connection.prepare_threshold, connection.execute(set_here).fetchall()))

    try:
        for _ in range(3):
            assert client.post("/tasks", json={"title": "x"}).status_code == 201
            assert client.get("/tasks/1").status_code == 200
    finally:
        sa.event.remove(sa.pool.Pool, "checkin", look)
    assert len(found) >= 6
    assert [one for one in found if one != (None, [])] == []


def test_a_database_that_was_down_is_picked_up_again(own_postgres, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=own_postgres.url) as server:
        bearer = log_in(server.port)
        made = server.call("POST", "/tasks", {"title": "kept"}, **bearer)[1]
        own_postgres.stop()
        for method, path in [
            ("GET", "/tasks"),
            ("POST", "/tasks"),
            ("GET", "/health"),
            ("GET", "/auth/me"),
            ("GET", "/tasks/changes"),
        ]:
            status, body, headers = server.call(method, path, {"title": "x"}, **bearer)
            assert (status, body, headers["Retry-After"]) == (503, DOWN, "5")
        login = server.call("POST", "/auth/token", ACCOUNT)
        assert (login[0], login[1]["error"]) == (503, "temporarily_unavailable")
        own_postgres.start()
        assert racing(16, lambda _: server.call("GET", "/tasks", **bearer)[0]) == [200] * 16
        assert server.call("GET", "/tasks", **bearer)[1] == [made]
        assert "Traceback" not in server.said()


@contextmanager
def silenced(port):
    """Drop every packet to a port, as behind a NAT that forgot a connection, or after a failover."""
    iptables = need("iptables", "iptables")
    rule = ["INPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP"]
    if subprocess.run([iptables, "-w", "-I", *rule], check=False, capture_output=True).returncode:
        pytest.skip("no right to drop packets")
    try:
        yield
    finally:
        subprocess.run([iptables, "-w", "-D", *rule], check=True)


def test_a_server_that_falls_silent_is_a_503_in_time(own_postgres, tmp_path):
    with serving(tmp_path, APP_DATABASE_URL=own_postgres.url) as server:
        bearer = log_in(server.port)
        with silenced(own_postgres.port):
            answers = racing(
                4, lambda _: call_within(12, server.port, "GET", "/tasks?q=x", **bearer)
            )
            assert answers == [(503, DOWN)] * 4
        wait_for(lambda: server.call("GET", "/health")[0] == 200, what="its recovery")
        assert server.call("GET", "/tasks", **bearer)[0] == 200
        assert "Traceback" not in server.said()


# --- Locks ----------------------------------------------------------------------------------------

LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN; LOCK TABLE tasks IN SHARE MODE"}


def test_a_write_lock_that_lasts_is_a_503_and_readers_do_not_wait(database):
    client, engine = make_client(database), engine_of(database)
    assert client.post("/tasks", json={"title": "x"}).status_code == 201
    with engine.connect() as other:
        other.exec_driver_sql(LOCKS[other.dialect.name])
        answer = client.post("/tasks", json={"title": "y"})
        assert (answer.status_code, answer.json) == (503, DOWN)
        assert answer.headers["Retry-After"] == "5"
        assert len(client.get("/tasks").json) == 1
    assert client.post("/tasks", json={"title": "z"}).status_code == 201
    engine.dispose()


@pytest.mark.parametrize("table", ["tasks", "users", "sessions"])
def test_a_lock_against_readers_is_a_503_within_ten_seconds(postgresql, tmp_path, table):
    with serving(tmp_path, APP_DATABASE_URL=postgresql) as server:
        bearer = log_in(server.port)
        with psycopg.connect(postgresql) as other:
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            calls = [("GET", "/tasks?q=x"), ("GET", "/tasks/1"), ("POST", "/tasks")]
            answers = racing(
                3, lambda at: call_within(10, server.port, *calls[at], {"title": "x"}, **bearer)
            )
            assert answers == [(503, DOWN)] * 3
            other.rollback()
        assert server.call("POST", "/tasks", {"title": "x"}, **bearer)[0] == 201
        assert "Traceback" not in server.said()


def test_a_database_that_only_reads_is_a_503_to_writers(postgresql):
    client = make_client(postgresql)
    assert client.post("/tasks", json={"title": "x"}).status_code == 201
    name = sa.make_url(postgresql).database
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    end_connections(postgresql)
    for method, path, body in [
        ("POST", "/tasks", {"title": "y"}),
        ("PATCH", "/tasks/1", {"title": "y"}),
        ("DELETE", "/tasks/1", None),
        ("POST", "/auth/token", ACCOUNT),
        ("POST", "/auth/register", {"email": "bob@example.com", "password": PASSWORD}),
    ]:
        answer = client.open(path, method=method, json=body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert [task["title"] for task in client.get("/tasks").json] == ["x"]


# --- Plans ----------------------------------------------------------------------------------------


def spread(url, many):
    """Give another account as many tasks as it takes for a plan to matter."""
    columns = "user_id, title, title_folded, done, change_number"
    values = "2, 'x', 'x', false"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO tasks ({columns}) SELECT {values}, n FROM generate_series(1, {many}) n"
        )
        connection.execute("ANALYZE")


def test_a_small_account_beside_a_large_one_is_read_by_its_own_index(postgresql, monkeypatch):
    """The statistics know one large account; a plan that walks past its rows reads them all."""
    client = make_client(postgresql)
    other = {"email": "bob@example.com", "password": PASSWORD}
    assert client.post("/auth/register", json=other).json["id"] == 2
    spread(postgresql, 50_000)
    client.post("/tasks", json={"title": "Mine", "due": "2026-11-30"})
    seen = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def see(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT") and "tasks" in statement:
            seen.append((statement, parameters))

    try:
        for path in (
            "/tasks",
            "/tasks?done=false",
            "/tasks?sort=due",
            "/tasks?sort=-id",
            "/tasks?done=false&sort=due",
            "/tasks?q=mine",
            "/tasks?due_before=2027-01-01",
            "/tasks/changes?since=0",
            "/tasks/50001",
        ):
            before = len(seen)
            answer = client.get(path)
            assert answer.status_code == 200
            assert "Mine" in answer.text
            assert len(seen) > before, path
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", see)
    with closing(psycopg.connect(postgresql, cursor_factory=psycopg.ClientCursor)) as connection:
        for statement, parameters in seen:
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
            plan = connection.execute(explain, parameters).fetchone()[0][0]["Plan"]
            read = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert read < 50, (statement, read)


@pytest.mark.parametrize("sort", ["id", "-id", "due"])
@pytest.mark.parametrize("done", ["", "&done=false"])
def test_every_page_is_walked_along_an_index(database, sort, done):
    """However deep a page is, it costs what it shows."""
    client, engine, seen = make_client(database), engine_of(database), []
    for _ in range(3):
        client.post("/tasks", json={"title": "x"})
    following = client.get(f"/tasks?limit=1&sort={sort}{done}").headers["Link"]

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def see(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT") and "tasks" in statement:
            seen.append((statement, parameters))

    try:
        assert client.get(re.match("<(.+?)>", following)[1]).status_code == 200
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", see)
    ((statement, parameters),) = seen
    explain = "EXPLAIN QUERY PLAN " if engine.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        if engine.name == "postgresql":  # which would take three rows otherwise
            for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                connection.exec_driver_sql(f"SET {setting} = off")
        plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
    engine.dispose()
    assert "ix_tasks" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


# --- What a driver says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "role 'hunter2' does not exist",
        'database "hunter2" does not exist',
        "Rolle »hunter2« existiert nicht",
        "Rolle „hunter2“ existiert nicht",
        "le rôle « hunter2 » n'existe pas",
        "can't open file 'hunter2.db'",
        "duplicate key\nDETAIL:  Key (email)=(hunter2) already exists.",
    ],
)
def test_what_a_driver_quotes_is_left_out(said):
    told = todo.explain(ValueError(said))
    assert "hunter2" not in told
    assert told.split()[0] == said.split()[0]

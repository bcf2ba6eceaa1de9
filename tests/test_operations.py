"""What an operator does and meets: faults, a stop, two hosts, a move to PostgreSQL, backups."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from benchmarks.torture import Client, on_postgresql, on_sqlite, torture
from test_todo import (
    GOOD,
    HERE,
    REFRESH,
    call,
    command,
    database,
    environment,
    free_port,
    log_in,
    own_redis,
    racing,
    sa,
    serving,
)

__all__ = ["database", "own_redis"]  # fixtures
ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
README = (HERE / "README.md").read_text()


@pytest.mark.parametrize("engine", [on_sqlite, on_postgresql])
def test_what_was_acknowledged_is_there_once_after_every_fault(engine):
    with engine() as (database, directory, faults):
        counts = torture(database, directory, faults, writes=500, fault_count=5, clients=6)
        log = (directory / "log").read_text()
    assert counts["writes"] >= 500
    assert counts["faults"] == 5
    assert (counts["lost"], counts["twice"], counts["of others"]) == (0, 0, 0)
    assert "Traceback" not in log


def test_a_stop_waits_for_requests_in_flight(tmp_path):
    settings = {"APP_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "APP_BCRYPT_ROUNDS": "14"}
    with serving(tmp_path, workers=1, **settings) as (port, log):
        log_in(port)
        master = int(log.read_text().partition("] [INFO] Starting")[0].rpartition("[")[2])
        worker = Path(f"/proc/{master}/task/{master}/children").read_text().split()[0]
        before, answers = spent(worker), []
        flight = threading.Thread(
            target=lambda: answers.append(call(port, "POST", "/auth/token", GOOD)[0])
        )
        flight.start()
        while spent(worker) < before + 10:  # until it hashes
            time.sleep(0.01)
        os.kill(master, signal.SIGTERM)
        flight.join(30)
    assert answers == [200]
    with pytest.raises(OSError, match="refused"):
        call(port, "GET", "/health")


def spent(process):
    """The processor time of a process, in hundredths of a second."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])


def recipe(beginning):
    """The commands of the README that begin so."""
    return re.search(f"^```sh\n({re.escape(beginning)}.*?)^```$", README, re.MULTILINE | re.DOTALL)[
        1
    ]


def run(commands, cwd, url):
    """Run commands of the README for another PostgreSQL database than the one that they name."""
    url = sa.make_url(url).set(username="root").render_as_string(hide_password=False)
    commands = commands.replace("postgresql://todo@db.example.com/todo", url)
    (cwd / ".venv").mkdir(exist_ok=True)
    (cwd / ".venv" / "bin").unlink(missing_ok=True)
    (cwd / ".venv" / "bin").symlink_to(Path(shutil.which("flask")).parent)
    env = environment(0, FLASK_APP="todo.py", DATABASE_URL=url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@ON_POSTGRESQL
def test_two_hosts_are_one_service(database, own_redis, tmp_path):
    url, start = own_redis
    start()
    settings = {"APP_DATABASE_URL": database, "APP_RATE_LIMIT_STORAGE": url}
    with (
        serving(tmp_path, workers=1, **settings) as (one, _),
        serving(tmp_path, workers=1, **settings) as (two, log),
    ):
        bearer = log_in(one)
        session = call(one, "POST", "/auth/token", GOOD)[1]
        again = {**REFRESH, "refresh_token": session["refresh_token"]}
        status, renewed, _ = call(two, "POST", "/auth/token", again)
        assert status == 200
        late = {"Authorization": f"Bearer {renewed['access_token']}"}
        assert call(one, "GET", "/tasks", **late)[0] == 200

        keyed = bearer | {"Idempotency_Key": "one"}
        made = racing(
            8, lambda at: call((one, two)[at % 2], "POST", "/tasks", {"title": "once"}, **keyed)
        )
        assert {(status, task["id"]) for status, task, _ in made} == {(201, made[0][1]["id"])}

        assert call(two, "POST", "/auth/revoke", {"token": renewed["refresh_token"]})[0] == 200
        assert call(one, "GET", "/tasks", **late)[0] == 401
        wrong = GOOD | {"password": "wrong horse"}
        statuses = [call((one, two)[at % 2], "POST", "/auth/token", wrong)[0] for at in range(11)]
        assert statuses == [401] * 10 + [429]
    assert "Traceback" not in log.read_text()


@ON_POSTGRESQL
def test_a_sqlite_installation_moves_to_postgresql(database, tmp_path):
    old = {"APP_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db"}
    with serving(tmp_path, workers=1, **old) as (port, _):
        bearer = log_in(port)
        session = call(port, "POST", "/auth/token", GOOD)[1]
        for at, title in enumerate(["é 😀", "\\N", "tab\tand \\t", "quote ' \" ;", "NULL"]):
            task = {"title": title, "done": at % 2 == 0} | ({"due": "2026-11-30"} if at else {})
            assert call(port, "POST", "/tasks", task, **bearer, Idempotency_Key=title[:1])[0] == 201
        assert call(port, "DELETE", "/tasks/5", **bearer)[0] == 204
        ended = call(port, "POST", "/auth/token", GOOD)[1]
        call(port, "POST", "/auth/revoke", {"token": ended["refresh_token"]})
        tasks = call(port, "GET", "/tasks", **bearer)[1]
    run(recipe("NEW="), tmp_path, database)
    with serving(tmp_path, workers=1, APP_DATABASE_URL=database) as (port, _):
        assert call(port, "GET", "/tasks", **bearer)[1] == tasks
        again = {**REFRESH, "refresh_token": session["refresh_token"]}
        assert call(port, "POST", "/auth/token", again)[0] == 200
        assert call(port, "POST", "/auth/token", GOOD)[0] == 200
        keyed = bearer | {"Idempotency_Key": "N"}
        task = {"title": "NULL", "done": True, "due": "2026-11-30"}
        assert call(port, "POST", "/tasks", task, **keyed)[1]["id"] == 6  # 5 was given before
        dead = {"Authorization": f"Bearer {ended['access_token']}"}
        assert call(port, "GET", "/tasks", **dead)[0] == 401  # nor is a session's id
        again = {"email": "bob@example.com", "password": GOOD["password"]}
        assert call(port, "POST", "/auth/register", again)[1]["id"] == 2


@contextmanager
def writing(port):
    """Let a client write all the time; yield it."""
    client = Client("writer", port)
    client.log_in()
    client.start()
    try:
        while len(client.seconds) < 50:
            assert client.is_alive(), client.failure
            time.sleep(0.01)
        yield client
    finally:
        client.told.set()
        client.join(60)
    assert client.failure is None


def restored(client, before, port):
    """Check that a restored database has what was acknowledged before its backup began."""
    client.port, client.connection = port, None
    found = {task["id"] for task in client.listed()}
    gone = before - found  # only what was cleared while the backup was written
    assert len(found) >= 10
    assert not gone & set(client.tasks)


def test_sqlite_is_backed_up_under_load(tmp_path):
    (restore := tmp_path / "restored").mkdir()
    url = f"sqlite:///{tmp_path}/todo.db"
    with serving(tmp_path, workers=2, APP_DATABASE_URL=url) as (port, _), writing(port) as client:
        before = set(client.tasks)
        run(recipe("(umask 077 && sqlite3 todo.db"), tmp_path, "postgresql://127.0.0.1/unused")
        during = len(client.seconds)
        while len(client.seconds) < during + 20:
            time.sleep(0.01)
    check = ["sqlite3", tmp_path / "backup.db", "PRAGMA integrity_check"]
    assert subprocess.check_output(check, text=True) == "ok\n"
    shutil.copy(tmp_path / "backup.db", restore / "todo.db")
    with serving(restore, 1, APP_DATABASE_URL=f"sqlite:///{restore}/todo.db") as (port, _):
        restored(client, before, port)


@ON_POSTGRESQL
def test_postgresql_is_backed_up_under_load(database, tmp_path):
    with serving(tmp_path, 2, APP_DATABASE_URL=database) as (port, _), writing(port) as client:
        before = set(client.tasks)
        run(recipe("(umask 077 && pg_dump"), tmp_path, database)
        during = len(client.seconds)
        while len(client.seconds) < during + 20:
            time.sleep(0.01)
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM users")
    run(recipe("pg_restore"), tmp_path, database)
    with serving(tmp_path, 1, APP_DATABASE_URL=database) as (port, _):
        restored(client, before, port)


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a disk of one megabyte, and a command before the server; what makes room.

    Without the right to mount one, the server may for now not write beyond 300 kB of a file.
    """
    (disk := tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0:
        (disk / "ballast").write_bytes(b"x" * 600_000)
        yield disk, [], lambda _: (disk / "ballast").unlink()
        subprocess.run(["umount", "--lazy", disk], check=True)
        return

    def lift(log):
        for process in set(re.findall(r"\[(\d+)\] \[INFO\] Booting", log.read_text())):
            subprocess.run(["prlimit", "--pid", process, "--fsize=unlimited"], check=True)

    yield disk, ["prlimit", "--fsize=300000:unlimited"], lift


def test_a_full_disk_refuses_writes_and_loses_none(small_disk, tmp_path):
    disk, before, make_room = small_disk
    url = f"sqlite:///{disk}/todo.db"
    with serving(tmp_path, workers=2, before=before, APP_DATABASE_URL=url) as (port, log):
        bearer, kept, refused = log_in(port), [], 0
        while refused < 5:
            title = f"{len(kept)} " + "x" * 200
            status, answer, headers = call(port, "POST", "/tasks", {"title": title}, **bearer)
            assert status in (201, 503), answer
            kept += [title] if status == 201 else []
            refused += status == 503
            assert status == 201 or headers["Retry-After"] == "5"
        assert re.search("database or disk is full|disk I/O error", log.read_text())
        assert [
            task["title"] for task in call(port, "GET", "/tasks?limit=1000", **bearer)[1]
        ] == kept
        make_room(log)
        assert call(port, "POST", "/tasks", {"title": "There is room"}, **bearer)[0] == 201
        found = call(port, "GET", "/tasks?limit=1000", **bearer)[1]
    assert [task["title"] for task in found] == [*kept, "There is room"]
    assert "Traceback" not in log.read_text()


def spoil_file(path):
    path.write_bytes(b"This is a letter, and not a database. " * 100)


def spoil_column(path):
    subprocess.run(["sqlite3", path, "ALTER TABLE tasks DROP COLUMN version"], check=True)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (spoil_file, "APP_DATABASE_URL cannot be used: file is not a database"),
        (spoil_column, "APP_DATABASE_URL: table tasks has no column version"),
    ],
)
def test_a_database_that_cannot_serve_stops_the_start_with_one_line(tmp_path, spoil, line):
    settings = {"APP_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db"}
    with serving(tmp_path, workers=1, **settings):
        pass
    spoil(tmp_path / "todo.db")
    ended = subprocess.run(
        ["sh", "-c", f"exec {command(tmp_path)}"],
        cwd=tmp_path,
        env=environment(free_port(), **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (3, f"{line}\n")


def test_a_file_that_is_read_only_can_be_read(tmp_path):
    settings = {"APP_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db"}
    with serving(tmp_path, workers=1, **settings) as (port, _):
        bearer = log_in(port)
        assert call(port, "POST", "/tasks", {"title": "Kept"}, **bearer)[0] == 201
    (tmp_path / "todo.db").chmod(0o400)
    # To root no file is read-only, unless that right is taken away.
    before = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    with serving(tmp_path, workers=1, before=before, **settings) as (port, log):
        status, _, headers = call(port, "POST", "/tasks", {"title": "Refused"}, **bearer)
        assert (status, headers["Retry-After"]) == (503, "5")
        (task,) = call(port, "GET", "/tasks", **bearer)[1]
        assert task["title"] == "Kept"
        assert "attempt to write a readonly database" in log.read_text()

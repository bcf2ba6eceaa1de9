"""The commands of docs/deployment.md that no other test runs: growing, backup, restore, settings."""

import ctypes.util
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from tests.deployment import BLOCKS, block, with_user
from tests.support import (
    ACCOUNT,
    HERE,
    PASSWORD,
    command,
    environment,
    free_port,
    log_in,
    need,
    serving,
    wait_for,
)

# Lets a command run where no file can be locked, as on some network file systems.
UNLOCKED = """
import ctypes, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2")
ALLOW, REFUSE, ENOLCK, EQUAL, F_SETLK, F_SETLKW = 0x7FFF0000, 0x50000, 37, 4, 6, 7

class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int)]
    _fields_ += [("value", ctypes.c_uint64), ("mask", ctypes.c_uint64)]

seccomp.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(ALLOW)))
number = seccomp.seccomp_syscall_resolve_name(b"fcntl")
for asked in (F_SETLK, F_SETLKW):
    given = (context, ctypes.c_uint32(REFUSE | ENOLCK), number, 1)
    assert not seccomp.seccomp_rule_add_array(*given, (Comparison * 1)(Comparison(1, EQUAL, asked)))
assert not seccomp.seccomp_load(context)
os.execvp(sys.argv[1], sys.argv[1:])
"""
ELSEWHERE = ("make .env\n", "docker ", "make .venv/ready", "env $(grep")  # run by other tests


def run(commands, directory, url="postgresql://127.0.0.1/unused"):
    """Run commands of the document where the service is, for the database at a URL."""
    commands = commands.replace("postgresql://todo@db.example.com/todo", url)
    (directory / ".venv").mkdir(exist_ok=True)
    (directory / ".venv" / "bin").unlink(missing_ok=True)
    (directory / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=directory,
        env=environment(0, FLASK_APP="todo.py", DATABASE_URL=url),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_every_command_is_run_by_a_test():
    here = (HERE / "tests" / "test_docs.py").read_text()
    for kind, text in BLOCKS:
        if kind == "sh" and not text.startswith(ELSEWHERE):
            assert any(
                text.startswith(beginning) for beginning in re.findall(r'block\("(.+?)"', here)
            )


def test_a_sqlite_installation_moves_to_postgresql(postgresql, tmp_path):
    for tool, package in [
        ("pgloader", "pgloader"),
        ("sqlite3", "sqlite3"),
        ("psql", "postgresql-client"),
    ]:
        need(tool, package)
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        session = server.call("POST", "/auth/token", ACCOUNT)[1]
        key = server.call("POST", "/auth/keys", {"name": "cron"}, **bearer)[1]["key"]
        for at, title in enumerate(["é 😀", "\\N", "tab\tand \\t", "quote ' \" ;", "NULL"]):
            task = {"title": title, "done": at % 2 == 0} | ({"due": "2026-11-30"} if at else {})
            keyed = bearer | {"Idempotency_Key": title[:1]}
            assert server.call("POST", "/tasks", task, **keyed)[0] == 201
        assert server.call("DELETE", "/tasks/5", **bearer)[0] == 204
        ended = server.call("POST", "/auth/token", ACCOUNT)[1]
        server.call("POST", "/auth/revoke", {"token": ended["refresh_token"]})
        before = [server.call("GET", path, **bearer)[1] for path in ("/tasks", "/tasks/changes")]
    run(block("NEW="), tmp_path, with_user(postgresql))
    with serving(tmp_path, APP_DATABASE_URL=postgresql) as server:
        after = [server.call("GET", path, **bearer)[1] for path in ("/tasks", "/tasks/changes")]
        assert after == before
        assert server.call("GET", "/tasks/changes?since=5", **bearer)[1]["deleted"] == [5]
        assert [task["id"] for task in server.call("GET", "/tasks?q=%C3%89", **bearer)[1]] == [1]
        assert server.call("GET", "/tasks", Authorization=f"Bearer {key}")[1] == before[0]
        again = {"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
        assert server.call("POST", "/auth/token", again)[0] == 200
        assert server.call("POST", "/auth/token", ACCOUNT)[0] == 200
        keyed = bearer | {"Idempotency_Key": "N"}
        task = {"title": "NULL", "done": True, "due": "2026-11-30"}
        assert server.call("POST", "/tasks", task, **keyed)[1]["id"] == 6  # 5 was given before
        dead = {"Authorization": f"Bearer {ended['access_token']}"}
        assert server.call("GET", "/tasks", **dead)[0] == 401  # nor is a session's id
        other = {"email": "bob@example.com", "password": PASSWORD}
        assert server.call("POST", "/auth/register", other)[1]["id"] == 2


class Writing(threading.Thread):
    """A client that adds 20 tasks a second until it is told to stop."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.told, self.failure, self.titles = server, threading.Event(), None, []
        self.bearer = log_in(server.port, "writer@example.com")

    def run(self):
        try:
            while not self.told.wait(0.05):
                title = f"Task {len(self.titles)}"
                assert self.server.call("POST", "/tasks", {"title": title}, **self.bearer)[0] == 201
                self.titles.append(title)
        except Exception as error:  # noqa: BLE001 - told by the one who waits for this thread
            self.failure = error


@contextmanager
def writing(server):
    """Let a client write; yield it once it has begun."""
    client = Writing(server)
    client.start()
    try:
        wait_for(lambda: client.failure or len(client.titles) > 20, what="20 tasks")
        yield client
    finally:
        client.told.set()
        client.join(60)
    assert client.failure is None


def titles(server, bearer):
    """Return all titles that begin as those of a client that writes."""
    found, path = [], "/tasks?limit=1000&q=task"
    while path:
        status, tasks, headers = server.call("GET", path, **bearer)
        assert status == 200, tasks
        found += [task["title"] for task in tasks]
        link = re.match("<(.+?)>", headers["Link"] or "")
        path = link and link[1]
    return found


def fill(file):
    """Copy the first task of a SQLite file until the file has 150 MB."""
    with closing(sqlite3.connect(file)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)")]
        copied = ", ".join(name for name in columns if name != "id")
        connection.execute(
            "WITH RECURSIVE numbers(n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 250000) "
            f"INSERT INTO tasks ({copied}) SELECT {copied} FROM tasks, numbers WHERE id = 1"
        )
    assert file.stat().st_size > 150_000_000


def test_sqlite_is_backed_up_under_load_and_restored():
    need("sqlite3", "sqlite3")
    with TemporaryDirectory() as name:
        file = (directory := Path(name)) / "todo.db"
        with serving(directory) as server:
            server.call("POST", "/tasks", {"title": "x" * 255}, **log_in(server.port))
        fill(file)
        with serving(directory, workers=2) as server, writing(server) as client:
            before = client.titles.copy()
            run(block("(umask 077 && rm -f backup.new"), directory)
            during = len(client.titles)
            wait_for(lambda: len(client.titles) > during + 20, what="20 more tasks")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM tasks")
        run(block("rm -f todo.db-wal"), directory)
        assert (directory / "backup.db").stat().st_mode & 0o777 == 0o600
        with serving(directory) as server:
            after = titles(server, client.bearer)
        assert after == client.titles[: len(after)]
        assert len(after) >= len(before)


def test_postgresql_is_backed_up_under_load_and_restored(postgresql, tmp_path):
    for tool in ("pg_dump", "pg_restore"):
        need(tool, "postgresql-client")
    with serving(tmp_path, 2, APP_DATABASE_URL=postgresql) as server, writing(server) as client:
        before = client.titles.copy()
        run(block("(umask 077 && pg_dump"), tmp_path, postgresql)
        during = len(client.titles)
        wait_for(lambda: len(client.titles) > during + 20, what="20 more tasks")
    with psycopg.connect(postgresql) as connection:
        connection.execute("DELETE FROM users")
    run(block("pg_restore"), tmp_path, postgresql)
    with serving(tmp_path, APP_DATABASE_URL=postgresql) as server:
        after = titles(server, client.bearer)
    assert after == client.titles[: len(after)]
    assert len(after) >= len(before)


def test_a_file_that_cannot_be_locked_stops_the_start_with_one_line(tmp_path):
    if not ctypes.util.find_library("seccomp"):
        pytest.skip("no libseccomp: sudo apt-get install libseccomp2")
    ended = subprocess.run(
        [sys.executable, "-c", UNLOCKED, "sh", "-c", f"exec {command(tmp_path)}"],
        cwd=tmp_path,
        env=environment(free_port()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = "APP_DATABASE_URL cannot be used: database is locked\n"
    assert (ended.returncode, ended.stderr) == (3, said)


def test_a_changed_setting_needs_a_restart(tmp_path):
    def register(server, name):
        account = ACCOUNT | {"email": f"{name}@example.com"}
        return server.call("POST", "/auth/register", account)[0]

    with serving(tmp_path) as server:
        assert register(server, "ada") == 201
        (tmp_path / ".env").write_text("APP_REGISTRATION=closed\n")
        (old,) = server.workers()
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not Path(f"/proc/{old}").exists(), what="the end of the old worker")
        assert register(server, "bob") == 201
    with serving(tmp_path) as server:
        assert register(server, "carl") == 403

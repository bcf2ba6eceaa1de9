"""The file of SQLite: full disks, files that cannot be written or read, or that somebody moves."""

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.support import log_in, refused_start, serving, wait_for

DOWN = {"detail": "The database does not answer"}


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a disk of one megabyte, words before the server, and what makes room.

    Without the right to mount one, the server may for now not write beyond 300 kB of a file.
    """
    (disk := tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0:
        (disk / "ballast").write_bytes(b"x" * 600_000)
        yield disk, [], lambda _: (disk / "ballast").unlink()
        subprocess.run(["umount", "--lazy", disk], check=True)
        return

    def lift(server):
        for process in server.workers():
            subprocess.run(["prlimit", f"--pid={process}", "--fsize=unlimited"], check=True)

    yield disk, ["prlimit", "--fsize=300000:unlimited"], lift


def test_a_full_disk_refuses_writes_and_loses_none(small_disk, tmp_path):
    disk, before, make_room = small_disk
    url = f"sqlite:///{disk}/todo.db"
    with serving(tmp_path, workers=2, before=before, APP_DATABASE_URL=url) as server:
        bearer, kept, refused = log_in(server.port), [], 0
        while refused < 5:
            title = f"{len(kept)} " + "x" * 200
            status, answer, headers = server.call("POST", "/tasks", {"title": title}, **bearer)
            assert status in (201, 503), answer
            kept += [title] if status == 201 else []
            refused += status == 503
            assert status == 201 or headers["Retry-After"] == "5"
        assert re.search("database or disk is full|disk I/O error", server.said())
        listed = server.call("GET", "/tasks?limit=1000", **bearer)[1]
        assert [task["title"] for task in listed] == kept
        make_room(server)
        kept.append("There is room")
        assert server.call("POST", "/tasks", {"title": kept[-1]}, **bearer)[0] == 201
        listed = server.call("GET", "/tasks?limit=1000", **bearer)[1]
        assert [task["title"] for task in listed] == kept
        assert "Traceback" not in server.said()


def test_a_file_that_is_read_only_can_be_read(tmp_path):
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        assert server.call("POST", "/tasks", {"title": "Kept"}, **bearer)[0] == 201
    (tmp_path / "todo.db").chmod(0o400)
    # To root no file is read-only, unless that right is taken away.
    before = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    with serving(tmp_path, before=before) as server:
        status, answer, headers = server.call("POST", "/tasks", {"title": "Refused"}, **bearer)
        assert (status, answer, headers["Retry-After"]) == (503, DOWN, "5")
        (task,) = server.call("GET", "/tasks", **bearer)[1]
        assert task["title"] == "Kept"
        assert "attempt to write a readonly database" in server.said()


def fill_with_text(path):
    path.write_bytes(b"This is a letter, and not a database. " * 100)


def drop_column(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE users DROP COLUMN password_hash")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (fill_with_text, "APP_DATABASE_URL cannot be used: file is not a database"),
        (drop_column, "APP_DATABASE_URL: table users has no column password_hash"),
    ],
)
def test_a_file_that_cannot_serve_stops_the_start_with_one_line(tmp_path, spoil, line):
    with serving(tmp_path):
        pass
    spoil(tmp_path / "todo.db")
    assert refused_start(tmp_path) == (3, f"{line}\n")


def move(path):
    path.rename(path.with_suffix(".moved"))


def delete(path):
    path.unlink()


def replace(path):
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def replace_by_nothing(path):
    path.unlink()
    path.touch()


@pytest.mark.parametrize("disturb", [move, delete, replace, replace_by_nothing])
def test_a_file_that_is_taken_away_is_noticed(tmp_path, disturb):
    """Whatever was written now, nobody would read again."""
    path = tmp_path / "todo.db"
    with serving(tmp_path, workers=2) as server:
        bearer = log_in(server.port)
        assert server.call("POST", "/tasks", {"title": "Before"}, **bearer)[0] == 201
        os.link(path, tmp_path / "kept")
        disturb(path)
        for _ in range(4):  # more than there are workers
            for method, route in [("POST", "/tasks"), ("GET", "/tasks"), ("GET", "/health")]:
                status, answer, headers = server.call(method, route, {"title": "Lost"}, **bearer)
                assert (status, answer, headers["Retry-After"]) == (503, DOWN, "5")
        assert "the database file was moved, deleted or replaced" in server.said()
        (tmp_path / "kept").rename(path)
        assert server.call("GET", "/health")[0] == 200
        assert server.call("POST", "/tasks", {"title": "After"}, **bearer)[0] == 201
        listed = server.call("GET", "/tasks", **bearer)[1]
        assert [task["title"] for task in listed] == ["Before", "After"]
        assert "Traceback" not in server.said()


def test_a_file_that_is_overwritten_is_noticed(tmp_path):
    path = tmp_path / "todo.db"
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = path.read_bytes()
        fill_with_text(path)
        for method, route in [("POST", "/tasks"), ("GET", "/tasks"), ("GET", "/health")]:
            status, answer, _ = server.call(method, route, {"title": "Lost"}, **bearer)
            assert (status, answer) == (503, DOWN)
        assert "Request " in server.said()
        path.write_bytes(whole)
        wait_for(lambda: server.call("GET", "/health")[0] == 200, what="its recovery")
        assert server.call("POST", "/tasks", {"title": "After"}, **bearer)[0] == 201
        assert "Traceback" not in server.said()


def test_an_answered_write_is_on_the_disk(tmp_path):
    """Each commit is synchronised before its answer, in a write-ahead log."""
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        with closing(sqlite3.connect(tmp_path / "todo.db")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        (worker,) = server.workers()
        trace = tmp_path / "trace"
        strace = shutil.which("strace")
        if not strace:
            pytest.skip("no strace: sudo apt-get install strace")
        command = [strace, "-f", "-e", "trace=fsync,fdatasync", "-o", trace, "-p", str(worker)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            tracer.stderr.readline()  # it is attached
            for count in range(1, 6):
                assert server.call("POST", "/tasks", {"title": "x"}, **bearer)[0] == 201
                assert len(re.findall("f(data)?sync", trace.read_text())) >= count
            tracer.terminate()

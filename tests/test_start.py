"""How the service starts and stops: settings, many workers and hosts at once, processors."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import (
    ACCOUNT,
    call,
    command,
    environment,
    free_port,
    log_in,
    racing,
    refused_start,
    serving,
    start_at_once,
    wait_for,
)

SECRET = "APP_SECRET_KEY must be at least 32 random bytes"
DATABASE = "APP_DATABASE_URL must be sqlite:///FILE or postgresql://"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"APP_SECRET_KEY": ""}, SECRET),
        ({"APP_SECRET_KEY": "hunter2"}, SECRET),
        ({"APP_SECRET_KEY": "x" * 31}, SECRET),
        ({"APP_SECRET_KEY": "change-me"}, SECRET),
        ({"APP_BCRYPT_ROUNDS": "hunter2"}, "APP_BCRYPT_ROUNDS must be 4 to 20"),
        ({"APP_BCRYPT_ROUNDS": "3"}, "APP_BCRYPT_ROUNDS must be 4 to 20"),
        ({"APP_REGISTRATION": "hunter2"}, "APP_REGISTRATION must be open or closed"),
        ({"APP_TRUSTED_PROXIES": "-1"}, "APP_TRUSTED_PROXIES must be 0 to 10"),
        ({"APP_REFRESH_TOKEN_EXPIRE_DAYS": "0.5"}, "APP_REFRESH_TOKEN_EXPIRE_DAYS must be 1 to"),
        ({"APP_ACCESS_TOKEN_EXPIRE_MINUTES": "0"}, "APP_ACCESS_TOKEN_EXPIRE_MINUTES must be 1 to"),
        ({"APP_RATE_LIMIT_STORAGE": "redis://h:hunter2"}, "APP_RATE_LIMIT_STORAGE must be memory:"),
        ({"APP_RATE_LIMIT_STORAGE": "hunter2"}, "APP_RATE_LIMIT_STORAGE must be memory://"),
        ({"APP_RATE_LIMIT_STORAGE": "redis://h?hunter2=0"}, "APP_RATE_LIMIT_STORAGE must be memory:"),
        ({"APP_RATE_LIMIT_STORAGE": "rediss://h?ssl_cert_reqs=hunter2"}, "APP_RATE_LIMIT_STORAGE "),
        ({"APP_RATE_LIMIT_STORAGE": "redis://h?protocol=9"}, "APP_RATE_LIMIT_STORAGE must be memory:"),
        ({"APP_CORS_ORIGINS": "hunter2"}, "APP_CORS_ORIGINS must be"),
        ({"APP_CORS_ORIGINS": "https://example.com/hunter2"}, "APP_CORS_ORIGINS must be"),
        ({"APP_DATABASE_URL": "mysql://u:hunter2@h/d"}, DATABASE),
        ({"APP_DATABASE_URL": "sqlite:///:memory:"}, DATABASE),
        ({"APP_DATABASE_URL": "sqlite://"}, DATABASE),
        ({"APP_DATABASE_URL": "sqlite:///?hunter2=1"}, DATABASE),
        ({"APP_DATABASE_URL": "sqlite:///hunter2%00.db"}, DATABASE),
        ({"APP_DATABASE_URL": "hunter2"}, DATABASE),
        ({"APP_DATABASE_URL": "postgres://u:p@h:hunter2/d"}, DATABASE),
        ({"APP_DATABASE_URL": "postgresql://u:x/hunter2@127.0.0.1/d"}, "APP_DATABASE_URL "),
        ({"APP_DATABASE_URL": "sqlite:////nowhere/hunter2.db"}, "APP_DATABASE_URL cannot be used: "),
        ({"APP_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}, "APP_DATABASE_URL cannot be "),
        ({"DATABASE_URL": "hunter2"}, DATABASE),
    ],
)  # fmt: skip
def test_a_start_that_cannot_work_says_why_in_one_line(tmp_path, settings, line):
    status, said = refused_start(tmp_path, **settings)
    assert status != 0
    assert said.startswith(line)
    assert said.count("\n") == 1
    assert "hunter2" not in said


def test_a_file_of_settings_that_cannot_be_read_says_so_in_one_line(tmp_path):
    (tmp_path / ".env").write_bytes(b"APP_REGISTRATION=\xff")
    status, said = refused_start(tmp_path)
    assert status != 0
    assert said.startswith(".env must be a file")
    assert said.count("\n") == 1


@pytest.mark.parametrize("start", ["flask run", "flask create-user me@example.com"])
def test_flask_says_it_likewise(tmp_path, start):
    command(tmp_path)
    settings = {"FLASK_APP": "todo.py", "APP_SECRET_KEY": "hunter2"}
    ended = subprocess.run(
        start.split(),
        cwd=tmp_path,
        env=environment(free_port(), **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stderr == f"{SECRET}\n"


def test_the_platforms_own_url_is_used(tmp_path):
    with serving(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/platform.db"):
        assert (tmp_path / "platform.db").stat().st_mode & 0o777 == 0o600


def test_parameters_of_other_drivers_are_ignored(tmp_path):
    url = f"sqlite:///{tmp_path}/todo.db?check_same_thread=False&timeout=long"
    with serving(tmp_path, APP_DATABASE_URL=url) as server:
        log_in(server.port)
    assert (tmp_path / "todo.db").exists()


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / ".env").write_text("APP_REGISTRATION=closed\nAPP_BCRYPT_ROUNDS=hunter2\n")
    with serving(tmp_path, APP_REGISTRATION="") as server:  # whose APP_BCRYPT_ROUNDS is 4
        assert server.call("POST", "/auth/register", ACCOUNT)[0] == 403  # empty is not set


def test_it_wants_no_home_and_its_own_directory_alone(tmp_path):
    with serving(tmp_path, HOME="/nonexistent") as server:
        log_in(server.port)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ["sh", "-c", f"exec {command(tmp_path)}"]
    env = environment(free_port(), PYTHONPATH=str(tmp_path))
    ended = subprocess.run(
        words, cwd=elsewhere, env=env, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode != 0  # it does not serve without the settings of gunicorn.conf.py


def test_it_serves_from_another_directory(tmp_path):
    """By the Procfile's line, with the whole path of gunicorn's settings."""
    line = command(tmp_path).replace("gunicorn.conf.py", f"{tmp_path}/gunicorn.conf.py")
    port = free_port()
    process = subprocess.Popen(["sh", "-c", f"exec {line}"], cwd="/", env=environment(port))

    def answers():
        with suppress(OSError):
            return call(port, "GET", "/health")[0] == 200

    try:
        wait_for(answers, what="the first answer")
        log_in(port)
    finally:
        process.terminate()
        process.wait(60)
    assert (tmp_path / "todo.db").exists()


def test_four_workers_start_on_an_empty_database(database, tmp_path):
    for start in range(3):
        with serving(tmp_path, workers=4, APP_DATABASE_URL=database) as server:
            account = ACCOUNT | {"email": f"{start}@example.com"}
            send = server.call
            statuses = racing(8, lambda _, a=account, s=send: s("POST", "/auth/register", a)[0])
            assert sorted(statuses) == [201] + [400] * 7
            for word in ("Traceback", "ERROR", "already exists", "locked"):
                assert word not in server.said()
            assert server.said().count("Database: ") == 1


def test_hosts_may_start_at_once_on_an_empty_database(database):
    """Twelve processes create the tables together, as workers without --preload would."""
    start_at_once(database, 12)


def test_a_worker_uses_every_processor_unless_it_is_pinned(tmp_path):
    found = os.sched_getaffinity(0)
    with serving(tmp_path, workers=2) as server:
        assert [os.sched_getaffinity(worker) for worker in server.workers()] == [found] * 2


def test_pinned_workers_share_the_processors(tmp_path):
    found = os.sched_getaffinity(0)
    with serving(tmp_path, workers=len(found), PIN_WORKERS="1") as server:

        def are_shared():
            taken = [os.sched_getaffinity(worker) for worker in server.workers()]
            return sorted(taken, key=min) == [{number} for number in sorted(found)]

        wait_for(are_shared, what="a processor for each worker")
        log_in(server.port)


def spent(process):
    """Return the processor time of a process, in hundredths of a second."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])


def test_a_stop_waits_for_requests_in_flight(tmp_path):
    with serving(tmp_path, APP_BCRYPT_ROUNDS="14") as server:
        log_in(server.port)
        (worker,) = server.workers()
        before, answers = spent(worker), []
        flight = threading.Thread(
            target=lambda: answers.append(server.call("POST", "/auth/token", ACCOUNT)[0])
        )
        flight.start()
        wait_for(lambda: spent(worker) >= before + 10, what="a hash")
        server.process.send_signal(signal.SIGTERM)
        flight.join(30)
        server.process.wait(30)
    assert answers == [200]
    with pytest.raises(OSError, match="refused"):
        server.call("GET", "/health")

"""What tests need from outside: the Procfile's server, databases, Redis, tools, requests."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

HERE = Path(__file__).parents[1]
KEY = "a key of thirty-two bytes or more"
PASSWORD = "correct horse"
ACCOUNT = {"email": "ada@example.com", "password": PASSWORD}
WRONG = ACCOUNT | {"password": "wrong horse"}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# --- Tools ----------------------------------------------------------------------------------------


def need(tool, package):
    """Return the path of a tool; without it, skip the test and say what installs it on Debian."""
    found = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"no {tool}: sudo apt-get install {package}")
    return found


def free_port():
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def racing(count, send):
    """Call `send(0)` to `send(count - 1)` at once, each in a thread; return the results."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


def wait_for(condition, seconds=30, what="what was waited for"):
    """Ask until a condition holds and return what it gives; fail after some seconds."""
    last = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < last, f"{what} did not come in {seconds} seconds"
        time.sleep(0.02)
    return found


# --- Requests -------------------------------------------------------------------------------------


def call(port, method, path, body=None, **headers):
    """Send a request over a connection of its own; return status, JSON and headers.

    A body that is text is a form, any other is sent as JSON. `If_Match` is the header If-Match.
    """
    sent = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if body is not None:
        sent.data = (body if isinstance(body, str) else json.dumps(body)).encode()
        sent.add_header("Content-Type", FORM if isinstance(body, str) else JSON)
    for name, value in headers.items():
        sent.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or "null"), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read() or "null"), answer.headers


def log_in(port, email=ACCOUNT["email"]):
    """Return the header of a new account, as `call` takes it."""
    account = ACCOUNT | {"email": email}
    status, said, _ = call(port, "POST", "/auth/register", account)
    assert status == 201, said
    status, said, _ = call(port, "POST", "/auth/token", account)
    assert status == 200, said
    return {"Authorization": f"Bearer {said['access_token']}"}


# --- The server: gunicorn by the Procfile's line --------------------------------------------------


class Server:
    """A running server: its port, its address, the file of its log, its process."""

    def __init__(self, port, log, process, count):
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.log, self.process, self.count = log, process, count

    def call(self, method, path, body=None, **headers):
        """Send a request as `call` does."""
        return call(self.port, method, path, body, **headers)

    def said(self):
        """Return the log so far."""
        return self.log.read_text()

    def workers(self):
        """Wait until all workers are there; return their process ids."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        wait_for(lambda: len(task.read_text().split()) == self.count, what="a worker")
        return [int(child) for child in task.read_text().split()]


def command(directory):
    """Copy the service into a directory of its own and return the Procfile's command."""
    for name in ("todo.py", "Procfile", "gunicorn.conf.py"):
        shutil.copy(HERE / name, directory)
    shutil.copytree(HERE / "static", directory / "static", dirs_exist_ok=True)
    return (HERE / "Procfile").read_text().removeprefix("web: ").strip()


def environment(port, **settings):
    """Return the environment of a platform, without settings of this machine's own."""
    ours = ("APP_", "FLASK_", "DATABASE_", "GUNICORN_", "PORT", "WEB_CONCURRENCY", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    bind = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"}
    return kept | bind | {"PATH": path, "APP_SECRET_KEY": KEY, "APP_BCRYPT_ROUNDS": "4"} | settings


@contextmanager
def serving(directory, workers=1, before=(), port=None, **settings):
    """Serve by the Procfile's line, with words before it, from a directory; yield the Server.

    Without APP_DATABASE_URL among the settings the data is in `todo.db` in that directory.
    """
    port = port or free_port()
    log = directory / f"{port}.log"
    env = environment(port, WEB_CONCURRENCY=str(workers), **settings)
    with log.open("a") as out:
        words = [*before, "sh", "-c", f"exec {command(directory)}"]
        process = subprocess.Popen(words, cwd=directory, env=env, stdout=out, stderr=out)
    server = Server(port, log, process, workers)

    def answers():
        assert process.poll() is None, server.said()
        with suppress(OSError):
            return server.call("GET", "/health")[0] == 200

    try:
        wait_for(answers, what="the server's first answer")
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def start_at_once(database, count):
    """Start the service in some processes at once, without serving; fail if one of them does not."""
    code = "import sys, todo; sys.stdin.readline(); todo.create_app()"
    env = environment(0, APP_DATABASE_URL=database, PYTHONPATH=str(HERE))
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hosts = [subprocess.Popen([sys.executable, "-c", code], env=env, **pipes) for _ in range(count)]
    for host in hosts:
        host.stdin.write("go\n")
        host.stdin.flush()
    errors = [host.communicate(timeout=60)[1] for host in hosts]
    assert [host.returncode for host in hosts] == [0] * count, errors


def refused_start(directory, **settings):
    """Start a server that must end by itself; return its status and all that it said."""
    words = ["sh", "-c", f"exec {command(directory)}"]
    ended = subprocess.run(
        words,
        cwd=directory,
        env=environment(free_port(), WEB_CONCURRENCY="2", **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout


# --- PostgreSQL -----------------------------------------------------------------------------------
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1/postgres")


@contextmanager
def postgres_database(options="", server=POSTGRES):
    """Make an empty database, by `CREATE DATABASE name options`; yield its URL, then drop it."""
    name = f"todo_test_{os.urandom(6).hex()}"
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server: sudo apt-get install postgresql")
    with connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
        try:
            yield re.sub(r"/[^/?]*(\?.*)?$", rf"/{name}\1", server)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class PostgresServer:
    """A PostgreSQL server of a test's own: its port, its URL, its directory."""

    def __init__(self, directory, initdb, options):
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            pytest.skip("no PostgreSQL server: sudo apt-get install postgresql")
        self.binaries, self.directory, self.port = binaries[-1], directory, free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.as_user = []
        if os.geteuid() == 0:  # as which PostgreSQL refuses to run
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(directory, "postgres")
        self.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N", *initdb)
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off"}
        settings |= {"unix_socket_directories": directory} | options
        with (directory / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def run(self, tool, *words):
        command = [*self.as_user, self.binaries / tool, *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory)

    def start(self):
        self.run("pg_ctl", "-D", "data", "-w", "-l", "data/log", "start")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", "data", "-w", "-m", mode, "stop")


@contextmanager
def postgres_server(initdb=("--encoding=UTF8", "--locale=C"), **options):
    """Run a PostgreSQL server with options of initdb and of postgresql.conf; yield it."""
    with tempfile.TemporaryDirectory() as directory:  # which the server's user may enter
        server = PostgresServer(Path(directory), initdb, options)
        server.start()
        try:
            yield server
        finally:
            if (server.directory / "data" / "postmaster.pid").exists():
                server.stop()


# --- Redis ----------------------------------------------------------------------------------------


class RedisServer:
    """A Redis server of a test's own: its port, its URL, a client of it."""

    def __init__(self, directory, options):
        self.program = need("redis-server", "redis-server")
        self.directory, self.options, self.port = directory, options, free_port()
        self.url, self.process = f"redis://127.0.0.1:{self.port}/0", None
        self.client = redis.Redis(port=self.port)

    def start(self):
        words = f"--port {self.port} --bind 127.0.0.1 --appendonly no --save".split()
        with (self.directory / "redis.log").open("a") as out:
            command = [self.program, *words, "", *self.options]
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=out)

        def answers():
            with suppress(redis.ConnectionError):
                return self.client.ping()

        wait_for(answers, what="Redis")

    def stop(self):
        """End it at once, as a crash does."""
        self.client.close()
        self.process.kill()
        self.process.wait()


@contextmanager
def redis_server(*options):
    """Run a Redis server with more words on its command line; yield it."""
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), options)
        server.start()
        try:
            yield server
        finally:
            server.stop()

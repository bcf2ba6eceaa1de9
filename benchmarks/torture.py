"""Break the service while clients write, and count what it lost: make torture.

Each client is a user of its own that adds and changes tasks, clears the done ones, and tries again
until it has an answer, an addition with its Idempotency-Key. Meanwhile workers are killed, the
server is stopped and started, and on PostgreSQL connections are cut and the database is stopped and
started. At the end every user must have the tasks that were acknowledged, each once, and no others.
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_todo import PASSWORD, command, environment, free_port, postgres_in

ALLOWED = {200, 201, 204, 401, 412, 429, 503}


class Server:
    """The Procfile's command on a port of its own, which it keeps when it is started again."""

    def __init__(self, directory, database, workers):
        self.directory, self.port = directory, free_port()
        settings = {"APP_DATABASE_URL": database, "WEB_CONCURRENCY": str(workers)}
        self.environment = environment(self.port, **settings)
        self.command, self.process = f"exec {command(directory)}", None

    def start(self):
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", self.command],
                cwd=self.directory,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def restart(self):
        self.stop()
        self.start()

    def kill_worker(self):
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if workers := task.read_text().split():
            os.kill(int(random.choice(workers)), signal.SIGKILL)


class Client(threading.Thread):
    """A user who writes until told to stop; `tasks` is what the server acknowledged, by id."""

    def __init__(self, name, port):
        super().__init__(daemon=True)
        self.name, self.port, self.told = name, port, threading.Event()
        self.connection, self.headers, self.tasks = None, {}, {}
        self.statuses, self.seconds, self.seen = Counter(), [], []
        self.failure = None

    def send(self, method, path, body=None, **headers):
        """Try until there is an answer that is not 503; return its body and its headers."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                sent = self.headers | headers | {"Content-Type": "application/json"}
                self.connection.request(method, path, json.dumps(body) if body else None, sent)
                answer = self.connection.getresponse()
                text = answer.read()
                self.statuses[answer.status] += 1
                if answer.status not in ALLOWED:
                    raise AssertionError(f"{method} {path}: {answer.status} {text}")
                if answer.status < 300:
                    return json.loads(text or "null"), answer.headers
            except (OSError, http.client.HTTPException):
                self.statuses["closed"] += 1
                self.connection = None
            time.sleep(random.uniform(0, 0.2))
        raise AssertionError(f"{method} {path}: no answer in 90 seconds")

    def write(self, *request, **headers):
        began = time.monotonic()
        answer, _ = self.send(*request, **headers)
        self.seconds.append(time.monotonic() - began)
        return answer

    def log_in(self):
        account = {"email": f"{self.name}@example.com", "password": PASSWORD}
        self.send("POST", "/auth/register", account)
        token = self.send("POST", "/auth/token", account)[0]["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def run(self):
        try:
            while not self.told.is_set():
                self.step(random.random())
        except Exception as error:  # noqa: BLE001 - told by the one who waits for this thread
            self.failure = error

    def step(self, dice):
        if dice < 0.7 or not self.tasks:
            title = f"{self.name} {len(self.seconds)}"
            task = self.write("POST", "/tasks", {"title": title}, **{"Idempotency-Key": title})
            self.tasks[task["id"]] = task
        elif dice < 0.95:
            number = random.choice(list(self.tasks))
            change = {"title": f"{self.name} {len(self.seconds)}", "done": dice > 0.85}
            self.tasks[number] = self.write("PATCH", f"/tasks/{number}", change)
        elif dice < 0.97:
            self.write("DELETE", "/tasks?done=true")
            self.tasks = {n: task for n, task in self.tasks.items() if not task["done"]}
        else:
            self.seen += self.send("GET", "/tasks?sort=id")[0]

    def listed(self):
        found, path = [], "/tasks?limit=1000"
        while path:
            tasks, headers = self.send("GET", path)
            found += tasks
            path = re.match("<(.+?)>", headers["Link"])[1] if "Link" in headers else None
        return found


def torture(database, directory, faults, writes, fault_count, clients=12, workers=3, seconds=60):
    """Run clients against a server until there are so many writes and faults; return the counts.

    `faults` are functions of the server; one of them is called at a time. Raises AssertionError
    for an answer that is not allowed.
    """
    server = Server(directory, database, workers)
    server.start()
    users = [Client(f"user{at}", server.port) for at in range(clients)]
    try:
        for user in users:
            user.log_in()
        for user in users:
            user.start()
        done, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            if sum(len(user.seconds) for user in users) >= writes and done >= fault_count:
                break
            time.sleep(0.5)
            if done < fault_count:
                faults[done % len(faults)](server)
                done += 1
        for user in users:
            user.told.set()
        for user in users:
            user.join(100)
        return count(users, done)
    finally:
        server.stop()


def count(users, faults):
    """Compare what was acknowledged with what is there."""
    lost = twice = foreign = 0
    for user in users:
        if user.failure or user.is_alive():
            raise AssertionError(f"{user.name}: {user.failure or 'does not end'}")
        found = user.listed()
        lost += sum(task not in found for task in user.tasks.values())
        twice += sum(task["id"] not in user.tasks for task in found)
        foreign += sum(not t["title"].startswith(f"{user.name} ") for t in found + user.seen)
    statuses = sum((user.statuses for user in users), Counter())
    seconds = sorted(second for user in users for second in user.seconds)
    return {
        "writes": len(seconds),
        "faults": faults,
        "lost": lost,
        "twice": twice,
        "of others": foreign,
        "answers": ", ".join(f"{key}: {statuses[key]}" for key in sorted(statuses, key=str)),
        "median": f"{statistics.median(seconds) * 1000:.0f} ms",
        "p99": f"{seconds[int(len(seconds) * 0.99)] * 1000:.0f} ms",
    }


@contextmanager
def on_sqlite():
    """Yield a database, a directory and the faults that it can have."""
    with tempfile.TemporaryDirectory() as directory:
        database = f"sqlite:///{directory}/todo.db"
        yield database, Path(directory), [*[Server.kill_worker] * 4, Server.restart]


@contextmanager
def on_postgresql():
    """Yield the same for a PostgreSQL server of our own."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as cluster:
        for url, switch in postgres_in(Path(cluster)):

            def cut(_server, url=url):
                with psycopg.connect(url, autocommit=True) as connection:
                    others = "datname = current_database() AND pid <> pg_backend_pid()"
                    connection.execute(
                        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
                    )

            def bounce(_server, switch=switch):
                switch(False)
                switch(True)

            faults = [Server.kill_worker, cut, Server.kill_worker, bounce, Server.restart]
            yield url, Path(directory), faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--writes", type=int, default=20_000, help="acknowledged, per engine")
    parser.add_argument("--faults", type=int, default=20, help="per engine")
    parser.add_argument("--seconds", type=int, default=60, help="bound of a run")
    asked = parser.parse_args()
    rows = {}
    for name, engine in {"SQLite": on_sqlite, "PostgreSQL": on_postgresql}.items():
        with engine() as (database, directory, faults):
            bounds = {"writes": asked.writes, "seconds": asked.seconds}
            rows[name] = torture(database, directory, faults, fault_count=asked.faults, **bounds)
    with on_sqlite() as (database, directory, _):
        few = {"writes": asked.writes // 4, "seconds": asked.seconds // 4}
        calm = torture(database, directory, [], fault_count=0, clients=32, workers=4, **few)
        rows["SQLite, 32 clients"] = calm
    heads = list(calm)
    print("| database |", " | ".join(heads), "|\n|", "--- |" * (len(heads) + 1))
    for name, row in rows.items():
        print("|", name, "|", " | ".join(str(row[head]) for head in heads), "|")
    sys.exit(any(row[bad] for row in rows.values() for bad in ("lost", "twice", "of others")))


if __name__ == "__main__":
    main()

"""Break the service while clients write, and count what it lost: make torture.

Each client is a user of its own that adds, changes, deletes and lists tasks, and tries again until
it has an answer: safely, by Idempotency-Key and If-Match. Meanwhile workers are killed, the server
is stopped and started, and on PostgreSQL connections are cut and the database is stopped and
started. Each list, and all of it at the end, must have the tasks that were acknowledged, each once.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_todo import PASSWORD, command, environment, free_port, postgres_in


class Server:
    """The Procfile's command on a port of its own, which it keeps when it is started again."""

    def __init__(self, directory, database, workers):
        self.directory, self.port, self.workers = directory, free_port(), workers
        settings = {"APP_DATABASE_URL": database, "WEB_CONCURRENCY": str(workers)}
        self.environment = environment(self.port, **settings)
        self.command, self.process = f"exec {command(directory)}", None

    def start(self):
        with (self.directory / "log").open("a") as log:
            run = {"cwd": self.directory, "env": self.environment, "stdout": log, "stderr": log}
            self.process = subprocess.Popen(["sh", "-c", self.command], **run)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def restart(self):
        self.stop()
        self.start()

    def processes(self):
        """Wait until there are all workers; return their ids."""
        task, found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children"), ()
        while len(found) < self.workers:
            assert self.process.poll() is None, (self.directory / "log").read_text()
            time.sleep(0.02)
            found = task.read_text().split()
        return set(found)

    def kill_worker(self):
        victim = random.choice(sorted(self.processes()))
        os.kill(int(victim), signal.SIGKILL)
        while victim in self.processes():
            pass  # until another has taken its place


class Client(threading.Thread):
    """A user who writes until told to stop; `tasks` is what the server acknowledged, by id."""

    def __init__(self, name, port):
        super().__init__(daemon=True)
        self.name, self.port, self.told = name, port, threading.Event()
        self.connection, self.headers, self.tasks, self.tags = None, {}, {}, {}
        self.statuses, self.seconds, self.wrong = Counter(), [], Counter()
        self.failure = None

    def send(self, method, path, body=None, status=200, again=None, **headers):
        """Try until there is an answer that is not 503; return its body and its headers.

        The status must be as given, or `again` where a try before may have done it.
        """
        began, tries = time.monotonic(), 0
        sent = self.headers | {"Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        while True:
            try:
                if self.connection is None:
                    self.connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
                self.connection.request(method, path, json.dumps(body) if body else None, sent)
                answer = self.connection.getresponse()
                text, said = answer.read(), answer.status
            except (OSError, HTTPException):
                self.connection, said = None, "closed"
            self.statuses[said] += 1
            if said not in ("closed", 503):
                right = said == status or (tries and said == again)
                assert right, f"{method} {path}: {said} {text}"
                if method != "GET":
                    self.seconds.append(time.monotonic() - began)
                return json.loads(text or "null"), answer
            assert time.monotonic() < began + 90, f"{method} {path}: no answer in 90 seconds"
            tries += 1
            time.sleep(random.uniform(0, 0.2))

    def log_in(self):
        account = {"email": f"{self.name}@example.com", "password": PASSWORD}
        self.send("POST", "/auth/register", account, 201)
        token = self.send("POST", "/auth/token", account)[0]["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.statuses.clear(), self.seconds.clear()

    def run(self):
        try:
            while not self.told.is_set():
                self.step(random.random(), f"{self.name} {len(self.seconds)}")
        except Exception as error:  # noqa: BLE001 - told by the one who waits for this thread
            self.failure = error

    def step(self, dice, title):
        """Add a task, or change, delete or clear some, or read a page; note what is told."""
        number = random.choice(list(self.tasks)) if dice > 0.6 and self.tasks else None
        path, tag = f"/tasks/{number}", self.tags.get(number)
        if number is None:
            self.keep(*self.send("POST", "/tasks", {"title": title}, 201, Idempotency_Key=title))
        elif dice < 0.85:
            task, answer = self.send("PATCH", path, {"title": title}, again=412, If_Match=tag)
            if answer.status == 412:  # an earlier try did it, though nobody was told
                task, answer = self.send("GET", path)
            assert task == self.tasks[number] | {"title": title}
            self.keep(task, answer)
        elif dice < 0.9:
            self.keep(*self.send("PATCH", path, {"done": dice < 0.87}))
        elif dice < 0.95:
            self.send("DELETE", path, status=204, again=404, If_Match=tag)
            del self.tasks[number]
        elif dice < 0.96:
            self.send("DELETE", "/tasks?done=true", status=204)
            self.tasks = {n: task for n, task in self.tasks.items() if not task["done"]}
        else:
            self.compare(self.send("GET", "/tasks?limit=50")[0], sorted(self.tasks)[:50])

    def keep(self, task, answer):
        self.tasks[task["id"]], self.tags[task["id"]] = task, answer.headers["ETag"]

    def compare(self, found, numbers):
        """Count what is wrong with tasks of which the server acknowledged those numbers."""
        shown = {task["id"]: task for task in found}
        self.wrong["lost"] += sum(shown.get(number) != self.tasks[number] for number in numbers)
        self.wrong["twice"] += len(found) - len(shown) + len(shown.keys() - set(numbers))
        own = [task for task in found if task["title"].startswith(f"{self.name} ")]
        self.wrong["of others"] += len(found) - len(own)

    def listed(self):
        found, path = [], "/tasks?limit=1000"
        while path:
            tasks, answer = self.send("GET", path)
            found += tasks
            link = re.match("<(.+?)>", answer.headers["Link"] or "")
            path = link and link[1]
        return found


def torture(database, directory, faults, writes, fault_count, clients=12, workers=3, seconds=60):
    """Run clients against a server until there are so many writes and faults; return the counts.

    `faults` are functions of the server, called one at a time and spread over the run. Raises
    AssertionError for an answer that is not as it must be, and for a traceback in the log.
    """
    server = Server(directory, database, workers)
    server.start()
    users = [Client(f"user{at}", server.port) for at in range(clients)]
    try:
        for user in users:
            user.log_in()
        began = time.monotonic()
        for user in users:
            user.start()
        for done in range(fault_count + 1):  # and as long after the last fault
            share = (done + 1) / (fault_count + 1)
            while sum(len(user.seconds) for user in users) < writes * share:
                if time.monotonic() > began + seconds * share:
                    break
                time.sleep(0.02)
            if done < fault_count:
                faults[done % len(faults)](server)
        for user in users:
            user.told.set()
        for user in users:
            user.join(100)
            assert not user.is_alive(), f"{user.name} does not end"
            assert not user.failure, f"{user.name}: {user.failure!r}"
        for user in users:
            user.compare(user.listed(), user.tasks)
        return report(users, fault_count)
    finally:
        server.stop()
        assert "Traceback" not in (directory / "log").read_text()


def report(users, faults):
    """Return a row of the table."""
    statuses, wrong = Counter(), Counter({"lost": 0, "twice": 0, "of others": 0})
    for user in users:
        statuses.update(user.statuses)
        wrong.update(user.wrong)
    seconds = sorted(second for user in users for second in user.seconds)
    return {
        "writes": len(seconds),
        "faults": faults,
        "tried again": statuses["closed"] + statuses[503],
        "answers": ", ".join(f"{key}: {statuses[key]}" for key in sorted(statuses, key=str)),
        **wrong,
        "p99": f"{seconds[len(seconds) * 99 // 100] * 1000:.0f} ms",
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
    engines = {"SQLite": on_sqlite, "PostgreSQL": on_postgresql}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=engines, help="one of them instead of both")
    parser.add_argument("--writes", type=int, default=20_000, help="acknowledged, per engine")
    parser.add_argument("--faults", type=int, default=20, help="per engine")
    parser.add_argument("--seconds", type=int, default=60, help="bound of a run")
    asked = parser.parse_args()
    rows = {}
    for name in [asked.engine] if asked.engine else engines:
        with engines[name]() as (database, directory, faults):
            bounds = {"writes": asked.writes, "seconds": asked.seconds}
            rows[name] = torture(database, directory, faults, fault_count=asked.faults, **bounds)
    with on_sqlite() as (database, directory, _):
        few = {"writes": asked.writes // 4, "seconds": asked.seconds // 5}
        calm = torture(database, directory, [], fault_count=0, clients=32, workers=4, **few)
        rows["SQLite, 32 clients, calm"] = calm
    print("| database |", " | ".join(calm), "|\n|" + " --- |" * (len(calm) + 1))
    for name, row in rows.items():
        print("|", name, "|", " | ".join(map(str, row.values())), "|")
    wrong = any(row[bad] for row in rows.values() for bad in ("lost", "twice", "of others"))
    sys.exit(wrong or bool(calm["tried again"]))


if __name__ == "__main__":
    main()

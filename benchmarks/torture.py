"""Break the service while clients write, and count what it lost: make torture.

Each client is an account of its own that adds, changes, deletes and lists tasks, and tries again
until it has an answer: safely, by Idempotency-Key and If-Match. Two others only follow the changes
of an account, one by asking, one by events. Meanwhile workers are killed, servers are restarted,
connections are cut, and PostgreSQL and PgBouncer are stopped and started. Each list, and all of it
at the end, must have what was acknowledged, each task once; and so must those who followed.
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
from tests.pooler import pooler
from tests.support import PASSWORD, command, environment, free_port, postgres_server, wait_for


class Host:
    """The Procfile's command on a port of its own, which it keeps when it is started again."""

    def __init__(self, directory, database, workers):
        directory.mkdir()
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
        """Stop it and start it again; one fault at a time, so wait until it has its database."""
        self.stop()
        self.start()
        self.processes()

    def kill_worker(self):
        """Kill a worker and wait until another has taken its place."""
        victim = random.choice(sorted(self.processes()))
        os.kill(int(victim), signal.SIGKILL)
        wait_for(lambda: victim not in self.processes(), what="the end of a killed worker")

    def processes(self):
        """Wait until all workers are there; return their process ids."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")

        def found():
            assert self.process.poll() is None, self.log()[-2000:]
            children = set(task.read_text().split())
            return len(children) >= self.workers and children

        return wait_for(found, what="a worker")

    def log(self):
        return (self.directory / "log").read_text()


class Client(threading.Thread):
    """Something that calls any of some hosts until it is told to stop."""

    patience = 30  # seconds

    def __init__(self, name, hosts):
        super().__init__(daemon=True)
        self.name, self.hosts, self.told = name, hosts, threading.Event()
        self.connection, self.headers, self.failure = None, {}, None
        self.statuses, self.tries = Counter(), 0

    def run(self):
        try:
            while not self.told.is_set():
                self.step()
        except Exception as error:  # noqa: BLE001 - told by the one who waits for this thread
            self.failure = error

    def finish(self):
        self.told.set()
        self.join(100)
        assert not self.is_alive(), f"{self.name} does not end"
        assert not self.failure, f"{self.name}: {self.failure!r}"

    def request(self, method, path, body=None, **headers):
        """Send a request to any of the hosts, once; return the answer, or None if there is none."""
        sent = self.headers | {"Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            if self.connection is None or random.random() < 0.05:
                port = random.choice(self.hosts).port
                self.connection = HTTPConnection("127.0.0.1", port, timeout=self.patience)
            self.connection.request(method, path, json.dumps(body) if body else None, sent)
            answer = self.connection.getresponse()
        except (OSError, HTTPException):
            self.connection = answer = None
        self.statuses[answer.status if answer else "closed"] += 1
        return answer

    def send(self, method, path, body=None, status=200, again=None, **headers):
        """Try until there is an answer that is not 503; return its body and its headers.

        The status must be as given, or `again` where a try before may have done it.
        """
        last, self.tries = time.monotonic() + 90, 0
        while True:
            answer, text = self.request(method, path, body, **headers), b""
            if answer:
                try:
                    text = answer.read()
                except (OSError, HTTPException):
                    self.connection = answer = None
            if answer and answer.status != 503:
                right = answer.status == status or (self.tries and answer.status == again)
                assert right, f"{method} {path}: {answer.status} {text}"
                return json.loads(text or "null"), answer
            assert time.monotonic() < last, f"{method} {path}: no answer in 90 seconds"
            self.tries += 1
            time.sleep(random.uniform(0, 0.2))


class Writer(Client):
    """An account that writes; `tasks` is what the service acknowledged, by id."""

    def __init__(self, name, hosts):
        super().__init__(name, hosts)
        self.tasks, self.tags, self.seconds, self.wrong = {}, {}, [], Counter()
        self.account = {"email": f"{self.name}@example.com", "password": PASSWORD}

    def log_in(self):
        self.send("POST", "/auth/register", self.account, 201)
        token = self.send("POST", "/auth/token", self.account)[0]["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.statuses.clear()

    def write(self, *words, **options):
        began = time.monotonic()
        said = self.send(*words, **options)
        self.seconds.append(time.monotonic() - began)
        return said

    def step(self):
        """Add a task, or change, delete or clear some, or read a page; note what is told."""
        dice, title = random.random(), f"{self.name} {len(self.seconds)}"
        number = random.choice(list(self.tasks)) if dice > 0.6 and self.tasks else None
        path, tag = f"/tasks/{number}", self.tags.get(number)
        if number is None:
            self.keep(*self.write("POST", "/tasks", {"title": title}, 201, Idempotency_Key=title))
        elif dice < 0.85:
            task, answer = self.write("PATCH", path, {"title": title}, again=412, If_Match=tag)
            if answer.status == 412:  # an earlier try did it, though nobody was told
                task, answer = self.send("GET", path)
            assert task == self.tasks[number] | {"title": title}
            self.keep(task, answer)
        elif dice < 0.9:
            self.keep(*self.write("PATCH", path, {"done": dice < 0.87}))
        elif dice < 0.94:
            self.write("DELETE", path, status=204, again=404, If_Match=tag)
            del self.tasks[number]
        elif dice < 0.95:
            self.write("DELETE", "/tasks?done=true", status=204)
            self.tasks = {n: task for n, task in self.tasks.items() if not task["done"]}
        elif dice < 0.96:
            me, _ = self.send("GET", "/auth/me")
            self.wrong["of others"] += me["email"] != self.account["email"]
        else:
            self.compare(self.send("GET", "/tasks?limit=50")[0], sorted(self.tasks)[:50])

    def keep(self, task, answer):
        self.tasks[task["id"]], self.tags[task["id"]] = task, answer.headers["ETag"]

    def compare(self, found, numbers):
        """Count what is wrong with tasks of which the service acknowledged those numbers."""
        shown = {task["id"]: task for task in found}
        self.wrong["lost"] += sum(shown.get(number) != self.tasks[number] for number in numbers)
        self.wrong["twice"] += len(found) - len(shown) + len(shown.keys() - set(numbers))
        own = [task for task in found if task["title"].startswith(f"{self.name} ")]
        self.wrong["of others"] += len(found) - len(own)

    def listed(self):
        """Return all tasks of the account, page by page."""
        found, path = [], "/tasks?limit=1000"
        while path:
            tasks, answer = self.send("GET", path)
            found += tasks
            link = re.match("<(.+?)>", answer.headers["Link"] or "")
            path = link and link[1]
        return found


class Follower(Client):
    """One who only follows the changes of an account, by asking; `tasks` is what it knows."""

    def __init__(self, writer):
        super().__init__(f"who follows {writer.name}", writer.hosts)
        self.writer, self.headers, self.tasks, self.since = writer, writer.headers, {}, 0

    def step(self):
        self.learn(self.send("GET", f"/tasks/changes?since={self.since}&limit=20")[0])
        time.sleep(random.uniform(0, 0.1))

    def is_equal(self):
        return self.failure or self.tasks == self.writer.tasks

    def learn(self, changes):
        assert changes["since"] >= self.since
        self.tasks |= {task["id"]: task for task in changes["tasks"]}
        for number in changes["deleted"]:
            self.tasks.pop(number, None)
        self.since = changes["since"]


class Listener(Follower):
    """One who follows them by the event stream, which it begins again wherever it breaks or is silent."""

    patience = 3

    def step(self):
        given = {"Accept": "text/event-stream", "Last_Event_ID": str(self.since)}
        answer = self.request("GET", "/tasks/changes", **given)
        try:
            for line in answer or ():
                if line.startswith(b"data: "):
                    self.learn(json.loads(line.removeprefix(b"data: ")))
                if self.told.is_set():
                    break
        except (OSError, HTTPException):
            pass
        assert answer is None or answer.status in (200, 503), answer.status
        self.connection = None
        time.sleep(0.05)


def torture(database, directory, faults, writes, fault_count, clients=12, hosts=1, seconds=120):
    """Run clients until there are so many writes and faults; return a row of the table.

    `faults` are functions of a host, called one at a time and spread over the run. Raises
    AssertionError for an answer that is not as it must be, and for a traceback in a log.
    """
    servers = [Host(directory / f"host{at}", database, workers=3) for at in range(hosts)]
    writers = [Writer(f"user{at}", servers) for at in range(clients)]
    for server in servers:
        server.start()
    try:
        for server in servers:
            server.processes()
        for writer in writers:
            writer.log_in()
        followers = [Follower(writers[0]), Listener(writers[1])]
        began = time.monotonic()
        for client in [*writers, *followers]:
            client.start()
        for done in range(fault_count + 1):  # and as long after the last fault
            share = (done + 1) / (fault_count + 1)
            while sum(len(writer.seconds) for writer in writers) < writes * share:
                if time.monotonic() > began + seconds * share:
                    break
                time.sleep(0.02)
            if done < fault_count:
                faults[done % len(faults)](random.choice(servers))
        for writer in writers:
            writer.finish()
            writer.compare(writer.listed(), writer.tasks)
        for follower in followers:
            wait_for(follower.is_equal, 90, f"all that changed, for {follower.name},")
            follower.finish()
        return report(writers, fault_count)
    finally:
        for server in servers:
            server.stop()
        for server in servers:
            _, found, rest = server.log().partition("Traceback")
            assert not found, rest[:5000]


def report(writers, faults):
    """Return a row of the table."""
    statuses, wrong = Counter(), Counter({"lost": 0, "twice": 0, "of others": 0})
    for writer in writers:
        statuses.update(writer.statuses)
        wrong.update(writer.wrong)
    took = sorted(second for writer in writers for second in writer.seconds)
    return {
        "accounts": len(writers),
        "requests": sum(statuses.values()),
        "writes": len(took),
        "faults": faults,
        "tried again": statuses["closed"] + statuses[503],
        "answers": ", ".join(f"{key}: {statuses[key]}" for key in sorted(statuses, key=str)),
        **wrong,
        "p99": f"{took[len(took) * 99 // 100] * 1000:.0f} ms",
    }


@contextmanager
def on_sqlite():
    """Yield a database, a directory and the faults that it can have."""
    with tempfile.TemporaryDirectory() as directory:
        database = f"sqlite:///{directory}/todo.db"
        yield database, Path(directory), [*[Host.kill_worker] * 4, Host.restart]


@contextmanager
def on_postgresql():
    """Yield the same for a PostgreSQL server of our own."""
    with tempfile.TemporaryDirectory() as directory, postgres_server() as server:

        def cut(_host):
            with psycopg.connect(server.url, autocommit=True) as connection:
                others = "datname = current_database() AND pid <> pg_backend_pid()"
                connection.execute(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
                )

        def bounce(_host):
            server.stop()
            server.start()

        faults = [Host.kill_worker, cut, Host.kill_worker, bounce, Host.restart]
        yield server.url, Path(directory), faults


@contextmanager
def on_pgbouncer():
    """Yield the same for such a server behind a PgBouncer, which is stopped and started as well."""
    with on_postgresql() as (database, directory, faults), pooler(database) as before_it:

        def bounce(_host):
            before_it.stop()
            before_it.start()

        yield before_it.url, directory, [bounce, *faults]


FEW = {"clients": 12, "hosts": 1}
PARTS = {
    "sqlite": ("SQLite", on_sqlite, FEW),
    "postgresql": ("PostgreSQL", on_postgresql, FEW),
    "pgbouncer": (
        "PostgreSQL through PgBouncer, two hosts",
        on_pgbouncer,
        {"clients": 50, "hosts": 2},
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="one of them instead of all")
    parser.add_argument("--writes", type=int, default=20_000, help="acknowledged, in each part")
    parser.add_argument("--faults", type=int, default=20, help="in each part")
    asked = parser.parse_args()
    rows = {}
    for part in [asked.part] if asked.part else PARTS:
        name, engine, size = PARTS[part]
        with engine() as (database, directory, faults):
            row = torture(database, directory, faults, asked.writes, asked.faults, **size)
        if not rows:
            print("| database |", " | ".join(row), "|\n|" + " --- |" * (len(row) + 1))
        rows[name] = row
        print("|", name, "|", " | ".join(map(str, row.values())), "|", flush=True)
    sys.exit(any(row[bad] for row in rows.values() for bad in ("lost", "twice", "of others")))


if __name__ == "__main__":
    main()

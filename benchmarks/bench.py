"""Compare Todo API with its peers: python bench.py [ROUNDS] [pin] prints one Markdown table.

With `pin` each worker of every server keeps to one processor, and only lists and writes are measured.

All servers are up during the whole run and one at a time is under load. In each round they take
turns; a figure is the median of its rounds, a ratio the median of the rounds' ratios. wrk makes the
load, except for logins, too slow for its windows: there a fixed number is timed, as is bcrypt alone.
"""

import http.client
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
POSTGRES = os.environ.get("BENCH_POSTGRES_URL", "postgresql://127.0.0.1/postgres")
SECONDS = 1  # of a window of load
THREADS = 4  # of wrk: connecting one after another, so that no worker accepts all connections
WORKERS, LOGINS, MANY = 2, 24, 100_000
SECRETS = dict.fromkeys(("APP_SECRET_KEY", "SECRET_KEY"), "a key of thirty-two bytes or more")
PASSWORD = "correct horse"
JSON = {"Content-Type": "application/json"}
TICK = 1000 / os.sysconf("SC_CLK_TCK")  # milliseconds in a unit of /proc/PID/stat

OURS, FASTAPI, DJANGO, FLASK = COLUMNS = "Todo API", "FastAPI", "Django REST", "bare Flask"
VARIANTS = POSTGRESQL, MILLION, MILLION_POSTGRESQL = "PostgreSQL", "million", "million, PostgreSQL"
BCRYPT = "bcrypt alone"
COLUMN = {name: name for name in COLUMNS} | dict.fromkeys(VARIANTS, OURS) | {BCRYPT: FLASK}
PINNED = "pin" in sys.argv
CAPTION = """
Requests a second, with the CPU that the server and its children use for one, and errors if there
were any. In bold: Todo API as a multiple of the peer, or a row as a multiple of the one it varies.
Thirty-two connections where no number stands; a login of the last column is a password check alone.
"""


# --- Servers --------------------------------------------------------------------------------------
@dataclass
class Server:
    """A running server; `bearers` are the headers of its users, by how many tasks they have."""

    process: subprocess.Popen
    port: int
    again: Callable  # serves the same once more
    started: float = 0  # milliseconds from its start to its first answer
    bearers: dict[int, dict[str, str]] = field(default_factory=dict)

    def call(self, method, path, body=None, **headers):
        """Send a request over a connection of its own; return the answer's headers and body."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]}")
        return answer.headers, content

    def log_in(self, user):
        """Return the access token of a user."""
        form = urlencode({"username": f"{user}@example.com", "password": PASSWORD})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = json.loads(self.call("POST", "/auth/token", form, **kind)[1])
        return answer.get("access_token") or answer["access"]

    def sign_up(self, user):
        """Make a user with so many tasks, if they are not too many for HTTP."""
        account = {"email": f"{user}@example.com", "password": PASSWORD}
        self.call("POST", "/auth/register", json.dumps(account), **JSON)
        self.bearers[user] = bearer = {"Authorization": f"Bearer {self.log_in(user)}"}
        for number in range(user if user < MANY else 0):
            task = json.dumps({"title": f"Task {number + 1}"})
            self.call("POST", "/tasks", task, **bearer, **JSON)

    def processes(self):
        """Yield the id of each process and its fields of stat, from the state on."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                fields = stat.read_text().rpartition(")")[2].split()
                if fields[3] == str(self.process.pid):  # in the session that ours leads
                    yield int(stat.parent.name), fields

    def cpu(self):
        """Return the milliseconds of CPU that its processes have used, those that ended too."""
        return TICK * sum(sum(map(int, fields[11:15])) for _, fields in self.processes())

    def memory(self):
        """Return the resident megabytes of its largest worker."""
        workers = [pid for pid, _ in self.processes() if pid != self.process.pid]
        found = [Path(f"/proc/{pid}/status").read_text() for pid in workers]
        return max(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024 for status in found)


@contextmanager
def serving(directory, command, settings):
    """Serve in a session of its own, and end the whole of it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    bind = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}", "UVICORN_PORT": str(port)}
    start = time.perf_counter()
    with Path(directory, f"{port}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=HERE, env=settings | bind, stdout=log, stderr=log, start_new_session=True
        )
    try:
        server = Server(process, port, partial(serving, directory, command, settings))
        while not server.started:
            with suppress(OSError):
                server.call("GET", "/health")
                server.started = (time.perf_counter() - start) * 1000
            if process.poll() is not None or time.perf_counter() - start > 30:
                raise RuntimeError(Path(log.name).read_text())
            time.sleep(0.002)
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            os.killpg(process.pid, signal.SIGKILL)  # what is left of the group
        process.wait()
        if sys.exc_info()[0]:
            print(Path(log.name).read_text()[-2000:], file=sys.stderr)  # what came before the end


@contextmanager
def postgres_database(number):
    """Make a database on PostgreSQL and yield its URL."""
    name = f"todo_bench_{os.getpid()}_{number}"
    query = ["psql", POSTGRES, "--quiet", "--command"]
    subprocess.run([*query, f"CREATE DATABASE {name}"], check=True)
    try:
        yield re.sub(r"/\w*$", f"/{name}", POSTGRES)
    finally:
        subprocess.run([*query, f"DROP DATABASE {name} WITH (FORCE)"], check=True)


def commands(directory, postgres, postgres_million):
    """Return how to serve what is in each column: a command and the settings it reads."""
    procfile = (HERE.parent / "Procfile").read_text().removeprefix("web: ")
    before = shlex.split(procfile.partition("gunicorn")[0])  # of which each has its own
    venvs = HERE / ".venvs"
    gunicorn, flask, django = (
        [*before, venvs / name / "bin/gunicorn", "--config", str(config)]
        for name, config in (
            ("todo", HERE.parent / "gunicorn.conf.py"),
            ("todo", HERE / "peers.conf.py"),
            ("django", HERE / "peers.conf.py"),
        )
    )
    uvicorn = [venvs / "fastapi/bin/uvicorn", "--workers", str(WORKERS), "fastapi_tasks:app"]
    ours = [*gunicorn, "--pythonpath", str(HERE.parent), "todo:create_app()"]
    names = {"APP_DATABASE_URL": postgres, "DATABASE": f"{directory}/django.db"}
    common = os.environ | {"WEB_CONCURRENCY": str(WORKERS)} | SECRETS | names
    common |= {"PIN_WORKERS": "1"} if PINNED else {}
    files = [f"sqlite:///{directory}/{name}.db" for name in ("ours", "million", "fastapi")]
    return {
        OURS: (ours, common | {"APP_DATABASE_URL": files[0]}),
        MILLION: (ours, common | {"APP_DATABASE_URL": files[1]}),
        POSTGRESQL: (ours, common),
        MILLION_POSTGRESQL: (ours, common | {"APP_DATABASE_URL": postgres_million}),
        FASTAPI: (uvicorn, common | {"DATABASE_URL": files[2]}),
        DJANGO: ([*django, "django_tasks:application"], common),
        FLASK: ([*flask, "flask_constant:app"], common),
    }


def add_tasks(path, others):
    """Give the newest user of a file of ours many tasks, and a thousand to each of some others."""
    with closing(sqlite3.connect(path)) as file, file:
        (newest,) = file.execute("SELECT max(id) FROM users").fetchone()
        file.executemany(
            ADD_USER, ((newest + 1 + n, f"{n}@others.example.com") for n in range(others))
        )
        for user in range(newest, newest + 1 + others):
            count = MANY if user == newest else 1000
            tasks = ((user, f"Task {n}", f"task {n}", n) for n in range(1, count + 1))
            file.executemany(ADD_TASK, tasks)
        file.execute(f"UPDATE users SET change_number = {MANY} WHERE id >= {newest}")


ADD_USER = "INSERT INTO users VALUES (?, ?, '', 0, 0)"
ADD_TASK = (
    "INSERT INTO tasks (user_id, title, title_folded, done, change_number)"
    " VALUES (?, ?, ?, false, ?)"
)
ADD_MILLION = """
INSERT INTO users SELECT 1000 + n, n || '@others.example.com', '', 0, 1000
    FROM generate_series(1, 1000) n;
INSERT INTO tasks (user_id, title, title_folded, done, change_number)
    SELECT 1000 + n % 1000 + 1, 'Task ' || n, 'task ' || n, false, n / 1000 + 1
    FROM generate_series(1, 1000000) n;
"""


def add_million(url):
    """Add a million tasks of others to a database on PostgreSQL, and what its planner knows of them."""
    for command in (ADD_MILLION, "VACUUM ANALYZE"):
        subprocess.run(["psql", url, "--quiet", "--command", command], check=True)


def pin(server):
    """Keep each worker of a server to one processor, all of its threads."""
    workers = sorted(pid for pid, _ in server.processes() if pid != server.process.pid)
    found = sorted(os.sched_getaffinity(0))
    for at, worker in enumerate(workers):
        for thread in Path(f"/proc/{worker}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {found[at % len(found)]})


# --- Load -----------------------------------------------------------------------------------------
@dataclass
class Figures:
    """What one window of load showed; times are in milliseconds."""

    rate: float = 0
    p50: float = 0
    p99: float = 0
    cpu: float = 0  # of the server, a request
    memory: float = 0  # megabytes of a worker
    errors: int = 0


def load(server, connections, path, user, title=None, **headers):
    """Get a path, or post a task of this title to it, for one window of load."""
    sent = ["GET"] if title is None else ["POST", json.dumps({"title": title})]
    sent = ["VARY"] if path.endswith("?") else sent
    headers |= server.bearers[user] | (JSON if title else {})
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    size = [f"-t{min(THREADS, connections)}", f"-c{connections}", f"-d{SECONDS}s", "--timeout=10s"]
    url = f"http://127.0.0.1:{server.port}{path.removesuffix('?')}"
    command = ["wrk", *size, *options, "-s", HERE / "load.lua", url, "--", *sent]
    before = server.cpu()
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    requests, lasted, p50, p99, errors = map(float, said.splitlines()[-1].split())
    cpu = (server.cpu() - before) / max(requests, 1)
    return Figures(requests / lasted * 1e6, p50 / 1000, p99 / 1000, cpu, errors=int(errors))


def load_unchanged(server, path="/tasks"):
    """Get a list whose ETag is known; who gives none sends the whole list."""
    tag = server.call("GET", path, **server.bearers[10])[0]["ETag"] or '"1"'
    return load(server, 32, path, 10, **{"If-None-Match": tag})


def load_no_changes(server):
    """Ask for changes of a list that has not changed."""
    since = json.loads(server.call("GET", "/tasks/changes", **server.bearers[10])[1])["since"]
    return load(server, 32, f"/tasks/changes?since={since}", 10)


def load_beside_streams(server):
    """Get a list while two hundred event streams are open, on which nothing happens."""
    head = "GET /tasks/changes HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
    head += f"Authorization: {server.bearers[100]['Authorization']}\r\n\r\n"
    with ExitStack() as streams:
        for _ in range(200):
            one = streams.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.sendall(head.encode())
            if b" 200 " not in one.recv(4096):
                raise RuntimeError("a stream was refused")
        time.sleep(1)  # until all have told their first event
        figures = replace(load(server, 32, "/tasks", 10), cpu=0)
    time.sleep(16)  # until the server has written to all of them again, and so found them gone
    return figures


def load_posts(server, connections):
    """Add tasks."""
    return load(server, connections, "/tasks", 0, "Task")


def load_during_logins(server):
    """Get a list while eight clients log in without pause."""
    over = threading.Event()

    def go_on(_):
        while not over.is_set():
            server.log_in(0)

    with ThreadPoolExecutor(8) as pool:
        clients = pool.map(go_on, range(8))
        try:
            figures = load(server, 1, "/tasks", 10)
        finally:
            over.set()
        list(clients)  # raises what they raised
    return replace(figures, cpu=0)  # which is that of the logins


def time_logins(server):
    """Time a number of logins, eight at once."""
    before, start = server.cpu(), time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(server.log_in, [0] * LOGINS))
    rate = LOGINS / (time.perf_counter() - start)
    return Figures(rate, cpu=(server.cpu() - before) / LOGINS)


def time_bcrypt():
    """Time as many password checks, in as many processes as there are workers."""
    known = f"import bcrypt; known = bcrypt.hashpw(b'{PASSWORD}', bcrypt.gensalt(12))"
    check, count = f"bcrypt.checkpw(b'{PASSWORD}', known)", LOGINS // WORKERS
    script = f"import timeit; print(timeit.timeit({check!r}, {known!r}, number={count}))"
    command = [sys.executable, "-c", script]
    alone = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(WORKERS)]
    return Figures(sum(count / float(each.communicate()[0]) for each in alone))


def time_start(server):
    """Time the start of another one like this to its first answer."""
    with server.again() as another:
        return Figures(p50=another.started)


def last_page(server):
    """Return the path of the last page of 100: follow the links, in steps of 1000 first."""
    path = "/tasks?limit=1000"
    for limit in (1000, 100):
        path = re.sub(r"limit=\d+", f"limit={limit}", path)
        while link := server.call("GET", path, **server.bearers[MANY])[0]["Link"]:
            path = re.match("<(.+?)>", link)[1]
    return path


# --- Run ------------------------------------------------------------------------------------------
def measure(rounds, servers):
    """Run all rounds; return of each row its title, its figures, and those of its base."""
    first, last = "/tasks?limit=100", last_page(servers[OURS])
    three, four = (OURS, FASTAPI, DJANGO), (OURS, FASTAPI, DJANGO, FLASK)
    page, idle = "page of 100 in 100,000: first", "GET /tasks, 10, 1 connection"
    one = "another query each time, 1 connection, PostgreSQL"
    ten, unchanged = "GET /tasks, 10 tasks", "GET /tasks, unchanged: 304"
    rows = [  # title, the title to compare it with, servers, what measures one
        (ten, "", four, lambda s: load(s, 32, "/tasks", 10)),
        ("GET /tasks, 100 tasks", "", four, lambda s: load(s, 32, "/tasks", 100)),
        (
            "GET /tasks, 10, another query each time",
            "",
            three,
            lambda s: load(s, 32, "/tasks?", 10),
        ),
        (unchanged, "", four, load_unchanged),
        ("GET /tasks/changes, nothing new", unchanged, (OURS,), load_no_changes),
        ("GET /tasks, 10, beside 200 idle streams", ten, (OURS,), load_beside_streams),
        ("GET /tasks/10", "", four, lambda s: load(s, 32, "/tasks/10", 10)),
        ("POST /tasks, 1 connection", "", three, lambda s: load_posts(s, 1)),
        ("POST /tasks, 8", "", three, lambda s: load_posts(s, 8)),
        ("POST /tasks, 32", "", four, lambda s: load_posts(s, 32)),
        ("POST /tasks, 32, PostgreSQL", "", (POSTGRESQL,), lambda s: load_posts(s, 32)),
        (page, "", (OURS,), lambda s: load(s, 1, first, MANY)),
        ("page of 100 in 100,000: last", page, (OURS,), lambda s: load(s, 1, last, MANY)),
        ("first, beside 1,000,000 of others", page, (MILLION,), lambda s: load(s, 1, first, MANY)),
        (one, "", (POSTGRESQL,), lambda s: load(s, 1, "/tasks?", 10)),
        (
            f"{one}, beside 1,000,000 of others",
            one,
            (MILLION_POSTGRESQL,),
            lambda s: load(s, 1, "/tasks?", 10),
        ),
        (idle, "", three, lambda s: load(s, 1, "/tasks", 10)),
        (f"{idle}, during 8 logins", idle, three, load_during_logins),
        ("login", "", (*three, BCRYPT), lambda s: time_logins(s) if s else time_bcrypt()),
        ("start to first answer", "", (OURS, FLASK), time_start),
        ("memory of a worker", "", four, lambda s: Figures(memory=s.memory())),
    ]
    if PINNED:
        rows = [
            row for row in rows if re.match("(GET|POST) /tasks", row[0]) and "logins" not in row[0]
        ]
    found = defaultdict(lambda: defaultdict(list))
    for turn in range(rounds):
        for title, _, names, measurement in rows:
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[title][COLUMN[name]].append(measurement(servers.get(name)))
        print(f"round {turn + 1} of {rounds} is done", file=sys.stderr)
    return [(title, found[title], found[base]) for title, base, _, _ in rows]


def ratio(name, figures, others):
    """Return the median of the ratios of one figure, round by round."""
    pairs = zip(figures, others, strict=True)
    return median(getattr(a, name) / (getattr(b, name) or 1e-9) for a, b in pairs)


def cell(column, figures, ours, base):
    """Write what a server showed, and in bold how it compares: ours to it, or it to its base."""
    if not figures:
        return ""
    typical = Figures(*(median(values) for values in zip(*map(astuple, figures), strict=True)))
    shown = []
    if base:
        p50, p99 = ratio("p50", figures, base), ratio("p99", figures, base)
        shown.append(f"**{p50:.2f}×, p99 {p99:.2f}×**")
    elif column == FLASK and typical.cpu:
        shown.append(f"**CPU {ratio('cpu', ours, figures):.2f}×**")
    elif column != OURS:
        name = next(name for name in ("rate", "p50", "memory") if getattr(typical, name))
        shown.append(f"**{ratio(name, ours, figures):.2f}×**")
    typical.errors = sum(each.errors for each in figures)
    forms = {"rate": "{:,.1f}/s", "p50": "p50 {:.1f} ms", "p99": "p99 {:.1f} ms"}
    forms |= {"cpu": "CPU {:.2f} ms", "memory": "{:.0f} MB", "errors": "{} errors"}
    values = [(form, getattr(typical, name)) for name, form in forms.items()]
    return " · ".join(shown + [form.format(value) for form, value in values if value])


def main(rounds):
    """Start the servers, fill them, measure, and print the table."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        postgres = [stack.enter_context(postgres_database(number)) for number in range(2)]
        servers = {}
        for name, (command, settings) in commands(directory, *postgres).items():
            servers[name] = stack.enter_context(serving(directory, command, settings))
            for user in (0, 10, 100):  # in this order, so that the task 10 is of the user 10
                servers[name].sign_up(user)
        for name, file, others in (OURS, "ours.db", 0), (MILLION, "million.db", 1000):
            servers[name].sign_up(MANY)
            add_tasks(f"{directory}/{file}", others)
        add_million(postgres[1])
        for server in servers.values() if PINNED else ():
            pin(server)
        print("The servers are up and filled.", file=sys.stderr)
        rows = measure(rounds, servers)
        print("| | " + " | ".join(COLUMNS) + " |")
        print("| --- " * 5 + "|")
        for title, figures, base in rows:
            cells = [cell(c, figures[c], figures[OURS], base[c]) for c in COLUMNS]
            print(f"| {title} | {' | '.join(cells)} |")
        print(CAPTION)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("ended early"))  # which ends the servers
    signal.alarm(120 + 140 * asked)
    main(asked)

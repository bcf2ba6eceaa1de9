"""A PgBouncer of a test's own, set as docs/deployment.md prints it."""

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.deployment import block
from tests.support import PASSWORD, free_port, need, wait_for


class Pooler:
    """A running PgBouncer: its port, and the URL of the database through it."""

    def __init__(self, directory, database):
        self.program, self.directory = need("pgbouncer", "pgbouncer"), directory
        self.port, self.process = free_port(), None
        self.url = f"postgresql://todo:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/todo"
        (directory / "userlist.txt").write_text(f'"todo" "{PASSWORD}"\n')
        with psycopg.connect(database) as connection:
            server = connection.info
            target = f"port={server.port} dbname={server.dbname} user={server.user}"
        text = block("[databases]\n")
        for printed, used in [
            ("port=5432 dbname=todo", target),
            ("= 6432", f"= {self.port}"),
            ("/etc/pgbouncer/", f"{directory}/"),
        ]:
            assert printed in text
            text = text.replace(printed, used)
        (directory / "pgbouncer.ini").write_text(text)

    def start(self):
        command = [self.program, self.directory / "pgbouncer.ini"]
        if os.geteuid() == 0:  # as which PgBouncer refuses to run
            command = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                *command,
            ]
        with (self.directory / "pgbouncer.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

        def answers():
            with suppress(psycopg.OperationalError), psycopg.connect(self.url):
                return True

        wait_for(answers, what="PgBouncer")

    def stop(self):
        """End it at once, with all connections that it holds."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@contextmanager
def pooler(database):
    """Run a PgBouncer before a database; yield it."""
    with tempfile.TemporaryDirectory() as name:
        (directory := Path(name)).chmod(0o755)
        made = Pooler(directory, database)
        made.start()
        try:
            yield made
        finally:
            made.stop()

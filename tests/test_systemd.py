"""The unit of docs/deployment.md: checked by systemd, and served as far confined as it says."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deployment import PYTHON, block, need_python, need_root, with_user
from tests.support import HERE, call, free_port, log_in, need

# What the unit says, as far as it can be had without systemd, in a mount namespace of its own.
MOUNT = """set -e
mount --bind "$STATE_DIRECTORY" "$STATE_DIRECTORY"
mount -o remount,bind,ro /
for hidden in /home /root /tmp; do mount -t tmpfs tmpfs $hidden; done
mount -t proc -o subset=pid,hidepid=invisible proc /proc
umask 077
exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all \
    --no-new-privs "$@"
"""
# A call that is not allowed ends the process here, so that no library gets along without it.
FILTER = """
import ctypes, os, socket, sys
calls, families, *command = sys.argv[1:]
libc, seccomp = ctypes.CDLL(None), ctypes.CDLL("libseccomp.so.2")
KILL, ALLOW, REFUSE, EQUAL, MEMORY_DENY_WRITE_EXECUTE = 0x80000000, 0x7FFF0000, 0x50061, 4, 65

class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int)]
    _fields_ += [("value", ctypes.c_uint64), ("mask", ctypes.c_uint64)]

def load(default, rules):
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))
    for action, call, comparisons in rules:
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        given = (context, ctypes.c_uint32(action), number, len(comparisons))
        # A call of other processors has a negative number, and no rule here.
        if number >= 0:
            assert not seccomp.seccomp_rule_add_array(*given, (Comparison * 1)(*comparisons))
    assert not seccomp.seccomp_load(context)

assert not libc.prctl(MEMORY_DENY_WRITE_EXECUTE, 1, 0, 0, 0)
allowed = {int(getattr(socket, name)) for name in families.split()}
others = [Comparison(0, EQUAL, family, 0) for family in range(46) if family not in allowed]
load(ALLOW, [(REFUSE, "socket", [other]) for other in others])
load(KILL, [(ALLOW, call, []) for call in calls.split()])
os.execv(command[0], command)
"""


class Unit:
    """The unit of the document, with directories and a port that a test may use."""

    def __init__(self, directory):
        self.directory, self.port, text = directory, free_port(), block("[Unit]")
        for printed, used in [
            ("/opt/todo", directory / "todo"),
            ("/etc/todo.env", directory / "todo.env"),
            (":8000", f":{self.port}"),
        ]:
            assert printed in text
            text = text.replace(printed, str(used))
        self.file = directory / "todo.service"
        self.file.write_text(text)
        self.lines = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)

    def run(self, commands, typed=None, **variables):
        """Run commands of the document, with a line that is typed."""
        commands = commands.replace("/etc/", f"{self.directory}/")
        commands = commands.replace("/var/lib/todo", f"{self.directory}/state")
        subprocess.run(
            ["sh", "-ec", commands],
            check=True,
            cwd=self.directory / "todo",
            env=os.environ | variables,
            input=typed,
            text=True,
        )

    def values(self, name):
        return [value for key, value in self.lines if key == name]

    def environment(self):
        words = [word for value in self.values("Environment") for word in shlex.split(value)]
        file = Path(*self.values("EnvironmentFile")).read_text().splitlines()
        words += [line for line in file if line and not line.startswith("#")]
        return dict(word.split("=", 1) for word in words) | {"PATH": "/usr/bin:/bin"}

    def calls(self):
        """Return the names of the system calls that the filter lets pass."""
        names, found = self.values("SystemCallFilter"), set()
        while names:
            found.add(name := names.pop())
            if name.startswith("@"):
                listed = ["systemd-analyze", "syscall-filter", name]
                lines = subprocess.check_output(listed, text=True).splitlines()[1:]
                names += [line.strip() for line in lines if not line.strip().startswith("#")]
        return {name for name in found if not name.startswith("@")}

    @contextmanager
    def serving(self, **settings):
        """Start the service, confined; yield it once it has told systemd that it is ready."""
        (state := self.directory / "state").mkdir(exist_ok=True)
        os.chown(state, 65534, 65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind("")
            notices.settimeout(30)
            settings["NOTIFY_SOCKET"] = notices.getsockname().decode().replace("\0", "@")
            settings["STATE_DIRECTORY"] = str(state)
            confined = ["unshare", "--mount", "sh", "-c", MOUNT, "sh", PYTHON, "-c", FILTER]
            confined += [" ".join(sorted(self.calls())), *self.values("RestrictAddressFamilies")]
            with (self.directory / "log").open("a") as log:
                process = subprocess.Popen(
                    [*confined, *shlex.split(*self.values("ExecStart"))],
                    cwd=Path(*self.values("WorkingDirectory")),
                    env=self.environment() | settings,
                    stdout=log,
                    stderr=log,
                )
            try:
                assert notices.recv(1000).startswith(b"READY=1"), self.log()
                yield process
            finally:
                process.terminate()
                process.wait(40)
        assert process.returncode == 0
        assert not re.search("Traceback|was sent SIG", self.log())

    def log(self):
        return (self.directory / "log").read_text()


@pytest.fixture(scope="module")
def installed():
    """The unit, its service installed by the commands of the document."""
    need("systemd-analyze", "systemd")
    need("make", "make")
    need_python()
    need_root()
    # Not under /tmp, of which the service sees one of its own.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        (directory := Path(name)).chmod(0o755)
        (source := directory / "todo").mkdir()
        for file in ("Makefile", ".env.example", "requirements.txt", "gunicorn.conf.py", "todo.py"):
            shutil.copy(HERE / file, source)
        shutil.copytree(HERE / "static", source / "static")
        unit = Unit(directory)
        unit.run(block("make .venv/ready .env"), PYTHON=PYTHON)
        yield unit


def test_systemd_finds_nothing_wrong_with_the_unit(installed):
    verified = ["systemd-analyze", "verify", installed.file]
    ended = subprocess.run(verified, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    # Of 100 points of exposure; a unit that confines nothing has 96.
    rated = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", installed.file]
    assert subprocess.run(rated, stdout=subprocess.PIPE, check=False).returncode == 0


def test_the_confined_service_keeps_its_data(installed):
    with installed.serving() as process:
        bearer = log_in(installed.port)
        assert call(installed.port, "POST", "/tasks", {"title": "Kept"}, **bearer)[0] == 201
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.findall(r"^(?:Uid:\t|CapEff:\t|Seccomp:\t)(\w+)", status, re.MULTILINE) == [
            "65534",
            "0" * 16,
            "2",
        ]
        installed.run(block("env $(grep"), "battery staple")
        login = {"username": "me@example.com", "password": "battery staple"}
        assert call(installed.port, "POST", "/auth/token", login)[0] == 200
    with installed.serving():
        (task,) = call(installed.port, "GET", "/tasks", **bearer)[1]
        assert task["title"] == "Kept"


def test_the_confined_service_reaches_postgresql(installed, postgresql):
    with installed.serving(APP_DATABASE_URL=with_user(postgresql)):
        bearer = log_in(installed.port)
        assert call(installed.port, "GET", "/tasks", **bearer)[:2] == (200, [])

"""The Dockerfile: built and run by buildah, on a base that debootstrap makes."""

import argparse
import json
import os
import platform
import shlex
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.deployment import PYTHON, block, need_python, need_root
from tests.support import HERE, call, free_port, log_in, need, wait_for

INCLUDED = "ca-certificates,python3,python3-venv"
OWNER = 10001
DOCKER_RUN = argparse.ArgumentParser()
DOCKER_RUN.add_argument("--detach", action="store_true")
for option in ("--name", "--restart", "--publish", "--volume", "--env-file"):
    DOCKER_RUN.add_argument(option)
DOCKER_RUN.add_argument("image")


def make_base():
    """Return a directory with a small Debian; it is kept for the next run."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    kept = Path(tempfile.gettempdir()) / f"todo-api-test-{release}"
    if not kept.exists():
        new = Path(tempfile.mkdtemp(prefix=kept.name))
        command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", release, new]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(new / "var" / "cache" / "apt")
        new.rename(kept)
    return kept


def download_packages(directory):
    """Download what pip will install in the image; return options that bring it there."""
    subprocess.run([PYTHON, "-m", "venv", directory / "venv"], check=True)
    download = [directory / "venv" / "bin" / "pip", "--quiet", "download", "--dest", "wheels"]
    command = [*download, "--requirement", HERE / "requirements.txt"]
    subprocess.run(command, check=True, cwd=directory, stderr=subprocess.DEVNULL)
    (directory / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    volumes = (f"{directory}/wheels:/wheels:ro", f"{directory}/pip.conf:/etc/pip.conf:ro")
    return [f"--volume={volume}" for volume in volumes]


class Docker:
    """The commands `docker build`, `docker run` and `docker exec`, done by buildah."""

    def __init__(self, directory):
        self.directory, self.source, self.process = directory, directory / "source", None
        self.options = []
        self.environment = os.environ | {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
        self.storage = [f"--root={directory}/storage", f"--runroot={directory}/run"]
        # Its owner is what Docker takes over from the image for a new volume.
        (volume := directory / "todo").mkdir(mode=0o700)
        shutil.chown(volume, OWNER, OWNER)

    def buildah(self, *words, check=True, typed=None):
        command = ["buildah", *self.storage, *words]
        shared = {"env": self.environment, "cwd": self.source, "text": True, "input": typed}
        return subprocess.run(command, stdout=subprocess.PIPE, check=check, **shared)

    def build(self, words):
        base = self.buildah("from", "scratch").stdout.strip()
        self.buildah("add", "--quiet", base, make_base())
        self.buildah("commit", "--quiet", "--rm", base, "base")
        given = ["--format=docker", "--build-arg=BASE=localhost/base"]
        given += download_packages(self.directory)
        self.buildah("build", *given, *words[2:])

    @contextmanager
    def run(self, words, port):
        """Start a new container, which shares the host's network; yield its main process."""
        asked = DOCKER_RUN.parse_args(words[2:])
        self.buildah("from", "--name", asked.name, asked.image)
        source, _, target = asked.volume.partition(":")
        variables = (self.source / asked.env_file).read_text().splitlines()
        variables = [line for line in variables if line and not line.startswith("#")]
        variables += [f"PORT={port}", "WEB_CONCURRENCY=2"]
        self.options = [f"--volume={self.directory / source}:{target}"]
        self.options += [f"--env={variable}" for variable in variables]
        begin = ["buildah", *self.storage, "run", *self.options, asked.name, "--"]
        begin += self.inspect(asked.image)["Cmd"]
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(
                begin, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_for(lambda: self.answers(port), what="the container's first answer")
            yield main_process(self.process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.buildah("rm", asked.name)

    def answers(self, port):
        assert self.process.poll() is None, (self.directory / "log").read_text()
        with suppress(OSError):
            return call(port, "GET", "/health")[0] == 200

    def execute(self, *words, typed=None):
        """Run a command in the container; return its status and what it printed."""
        ended = self.buildah("run", *self.options, "todo", "--", *words, check=False, typed=typed)
        return ended.returncode, ended.stdout

    def do(self, line, typed=None):
        """Do what a line with `docker exec` or `docker cp` does, and another one is typed."""
        _, verb, *words = shlex.split(line.replace(" -it", ""))
        if verb == "exec":
            assert self.execute(*words[1:], typed=typed)[0] == 0
        else:
            shutil.copy(self.directory / words[0].replace(":/data", ""), self.source / words[1])

    def inspect(self, image):
        return json.loads(self.buildah("inspect", "--type=image", image).stdout)["Docker"]["config"]


def main_process(number):
    """Return the number of the service's main process, which buildah has started."""
    while "gunicorn" not in Path(f"/proc/{number}/comm").read_text():
        (number,) = [
            child
            for thread in Path(f"/proc/{number}/task").iterdir()
            for child in (thread / "children").read_text().split()
        ]
    return int(number)


@pytest.fixture
def docker():
    """Docker's commands, with the service's source in `source`."""
    for tool in ("buildah", "debootstrap", "make"):
        need(tool, tool)
    need_python()
    need_root()
    with tempfile.TemporaryDirectory() as directory:
        listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=HERE)
        for name in filter(lambda name: (HERE / name).exists(), listed.decode().splitlines()):
            (copied := Path(directory) / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE / name, copied)
        yield Docker(Path(directory))


def test_the_image_keeps_its_data_in_a_volume_and_ends_when_told(docker):
    make, build = block("make .env\n").splitlines()
    subprocess.run(shlex.split(make), check=True, cwd=docker.source)
    docker.build(shlex.split(build))
    config = docker.inspect("todo-api")
    assert (config["User"], config["Env"][0].split(":")[0]) == (
        f"{OWNER}:{OWNER}",
        "PATH=/opt/todo/bin",
    )
    check = config["Healthcheck"]["Test"]
    assert check.pop(0) == "CMD"

    start, port = shlex.split(block("docker run")), free_port()
    with docker.run(start, port) as main:
        bearer = log_in(port)
        assert call(port, "POST", "/tasks", {"title": "Kept"}, **bearer)[0] == 201
        assert Path(f"/proc/{main}").stat().st_uid == OWNER
        assert docker.execute(*check)[0] == 0
        assert docker.execute("python3", "-c", "import pytest")[0] == 1
        status, size = docker.execute("du", "--summarize", "--block-size=1M", "/opt/todo", "/srv")
        assert status == 0
        assert sum(int(line.split()[0]) for line in size.splitlines()) < 100
        docker.do(block("docker exec -it"), "battery staple")
        login = {"username": "me@example.com", "password": "battery staple"}
        assert call(port, "POST", "/auth/token", login)[0] == 200
        for line in block("docker exec todo").splitlines():
            docker.do(line)
        os.kill(main, signal.SIGTERM)
        assert docker.process.wait(10) == 0
        assert docker.execute(*check)[0] == 1

    with docker.run(start, port):
        (task,) = call(port, "GET", "/tasks", **bearer)[1]
        assert task["title"] == "Kept"
    assert not (docker.directory / "todo" / "backup.db").exists()
    with closing(sqlite3.connect(docker.source / "backup.db")) as backup:
        assert backup.execute("SELECT title FROM tasks").fetchall() == [("Kept",)]


def test_the_image_starts_what_the_procfile_starts():
    """By the form of an array, in which the service gets Docker's signals itself."""
    line = (HERE / "Procfile").read_text().removeprefix("web: ")
    words = shlex.split(line)[2:]  # after `env MALLOC_ARENA_MAX=1`
    assert f"CMD {json.dumps(words)}\n" in (HERE / "Dockerfile").read_text()

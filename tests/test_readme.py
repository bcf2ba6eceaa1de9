"""The README, executed from top to bottom in a clean copy, and HTTPie as the tutorial uses it."""

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress

from tests.support import HERE, call, environment, free_port, need, serving, wait_for

README = (HERE / "README.md").read_text()
BLOCKS = re.findall(r"(.*?)^```(sh|json|text)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LIST = 'curl -s localhost:8000/tasks -H "Authorization: Bearer $TOKEN"\n'


def test_every_command_of_the_readme_does_what_it_says(tmp_path):
    """`make run` serves; where the text says so it is stopped and started; output is as printed."""
    for tool in ("curl", "jq", "git"):
        need(tool, tool)
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=HERE)
    for name in listed.decode().splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / name, tmp_path / name)
    shell = Shell(tmp_path)
    try:
        for at, (before, kind, block) in enumerate(BLOCKS):
            _, following, output = (*BLOCKS, ("", "sh", ""))[at + 1]
            if block == "make run\n":
                shell.serve()
            elif kind == "sh":
                if "Stop the server" in before:
                    shell.stop()
                    shell.serve()
                assert shell.run(block) == ("" if following == "sh" else output), block
        assert re.findall('"title":"(.+?)"', shell.run(LIST)) == ["API review", "Check the backup"]
    finally:
        shell.stop()
        shell.close()


def bare_environment():
    """The environment of somebody who has just cloned the repository."""
    ours = ("APP_", "GUNICORN_", "WEB_CONCURRENCY", "VIRTUAL_ENV")
    env = environment(0)
    return {name: value for name, value in env.items() if not name.startswith(ours)}


class Shell:
    """One bash for all blocks, so that their variables last, and the server; on 8000 if free."""

    def __init__(self, directory):
        self.environment = bare_environment()
        self.directory, self.server = directory, None
        with socket.socket() as probe:
            self.port = 8000 if probe.connect_ex(("127.0.0.1", 8000)) else free_port()
        if self.port != 8000:
            self.environment["GUNICORN_CMD_ARGS"] = f"--bind 127.0.0.1:{self.port}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.bash = subprocess.Popen(["bash", "-eu"], cwd=directory, env=self.environment, **pipes)

    def run(self, block):
        self.bash.stdin.write(f"{block.replace(':8000', f':{self.port}')}\necho END-OF-BLOCK\n")
        self.bash.stdin.flush()
        lines = [self.bash.stdout.readline()]
        while lines[-1] != "END-OF-BLOCK\n":
            assert lines[-1], f"a command failed: {block}"
            lines.append(self.bash.stdout.readline())
        return "".join(lines[:-1])

    def serve(self):
        with (self.directory / "server.log").open("a") as log:
            quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.server = subprocess.Popen(
                ["make", "run"],
                cwd=self.directory,
                env=self.environment,
                start_new_session=True,
                **quiet,
            )

        def answers():
            assert self.server.poll() is None, (self.directory / "server.log").read_text()
            with suppress(OSError):
                return call(self.port, "GET", "/health")[0] == 200

        wait_for(answers, seconds=180, what="make run")

    def stop(self):
        os.killpg(self.server.pid, signal.SIGTERM)
        self.server.wait(40)

    def close(self):
        self.bash.stdin.close()
        self.bash.wait(10)


def test_make_run_makes_a_key_once(tmp_path):
    for name in ("Makefile", ".env.example"):
        shutil.copy(HERE / name, tmp_path)
    keys = []
    for _ in range(2):
        subprocess.run(["make", ".env"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
        env = (tmp_path / ".env").read_text()
        keys.append(re.search("^APP_SECRET_KEY=(.{64})$", env, re.MULTILINE)[1])
    assert keys[0] == keys[1]
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_a_plain_flask_run_serves_what_env_example_says(tmp_path):
    for name in ("Makefile", ".env.example", "todo.py"):
        shutil.copy(HERE / name, tmp_path)
    subprocess.run(["make", ".env"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert "FLASK_RUN_PORT=8000\n" in (tmp_path / ".env").read_text()
    port = free_port()
    env = bare_environment() | {"FLASK_RUN_PORT": str(port)}  # the environment wins over .env
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(["flask", "run"], cwd=tmp_path, env=env, **quiet)

    def answers():
        assert server.poll() is None
        with suppress(OSError):
            return call(port, "GET", "/health")[0] == 200

    try:
        wait_for(answers, what="flask run")
        assert (tmp_path / "todo.db").exists()
    finally:
        server.terminate()
        server.wait(10)


def test_httpie_as_in_the_tutorial(tmp_path):
    with serving(tmp_path) as server:

        def http(*words):
            sent = [word.replace(":8000", f":{server.port}") for word in words]
            command = ["http", "--ignore-stdin", "--pretty=none", "--print=hb", *sent]
            said = subprocess.check_output(command, text=True, env=environment(0)).replace("\r", "")
            head, _, body = said.partition("\n\n")
            return int(head.split()[1]), body.strip()

        account = ["email=me@example.com", "password=correct horse"]
        taken = (400, '{"detail":"Email already exists"}')
        assert http("GET", ":8000/tasks") == (401, '{"detail":"Not authenticated"}')
        assert http("POST", ":8000/auth/register", *account)[0] == 201
        assert http("POST", ":8000/auth/register", *account) == taken
        login = ["POST", ":8000/auth/token", "username=me@example.com", "password=correct horse"]
        for words in (login, ["--form", *login]):
            status, body = http(*words)
            assert status == 200
            bearer = "Authorization:Bearer " + re.search('"access_token":"(.+?)"', body)[1]
        status, body = http(*login[:3], "password=wrong")
        assert (status, '"detail":"Invalid credentials"' in body) == (401, True)
        invalid = (401, '{"detail":"Invalid token"}')
        assert http("GET", ":8000/tasks", "Authorization:Bearer x") == invalid
        assert http("GET", ":8000/tasks", bearer) == (200, "[]")
        made = (201, '{"id":1,"title":"API review","done":false}')
        assert http("POST", ":8000/tasks", "title=API review", bearer) == made

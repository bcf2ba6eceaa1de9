"""What todo.py does without, so that it stands on its libraries and runs everywhere."""

import ast
import re
import subprocess
import sys

import pytest

from tests.support import HERE

SOURCE = (HERE / "todo.py").read_text()
TREE = ast.parse(SOURCE)

WITHOUT_UNIX = """
import os, select, sys

for module in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[module] = None  # so that it cannot be imported
for name in ("nice", "sched_setaffinity", "sched_getaffinity", "fork", "getuid", "geteuid"):
    delattr(os, name)
for name in ("poll", "epoll"):
    delattr(select, name)
import todo
settings = todo.Settings(secret_key="a key of thirty-two bytes or more", database_url=sys.argv[1])
client = todo.create_app(settings).test_client()
print(client.get("/health").status_code)
"""


@pytest.mark.parametrize(
    "word", ["fcntl", "sched_", "nice", "poll", "LifoQueue", r"\.clear\(", r"\.\w+_funcs\b"]
)
def test_it_goes_round_no_library(word):
    assert re.findall(word, SOURCE) == []


def test_it_uses_no_private_name_of_another():
    private = [
        f"{ast.unparse(node)} in line {node.lineno}"
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr)
    ]
    private += [
        f"{name.name} in line {node.lineno}"
        for node in ast.walk(TREE)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
        if name.name.startswith("_")
    ]
    assert private == []


def test_it_replaces_nothing_of_flask():
    """Of the app's own attributes only those that Flask's documentation sets are set."""
    documented = {"app.wsgi_app", "app.url_map.merge_slashes", "app.session_interface"}
    assigned = {
        ast.unparse(target)
        for node in ast.walk(TREE)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if ast.unparse(target).startswith("app.") and isinstance(target, ast.Attribute)
    }
    assert assigned <= documented


def test_it_runs_on_a_python_without_what_only_unix_has(tmp_path):
    command = [sys.executable, "-c", WITHOUT_UNIX, f"sqlite:///{tmp_path}/todo.db"]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert ended.stdout == "200\n", ended.stderr


def test_importing_it_does_nothing(tmp_path):
    code = "import os, threading, todo; print(os.listdir(), threading.active_count())"
    env = {"PYTHONPATH": str(HERE), "PATH": ""}
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=env, text=True)
    assert said == "[] 1\n"

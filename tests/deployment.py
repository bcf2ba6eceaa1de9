"""What docs/deployment.md prints, for the tests that run it."""

import os
import re
import subprocess

import psycopg
import pytest

from tests.support import HERE

PYTHON = "/usr/bin/python3"  # Debian's own, which others than root can run

TEXT = (HERE / "docs" / "deployment.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def block(beginning):
    """Return the one block that begins so."""
    (found,) = [text for _, text in BLOCKS if text.startswith(beginning)]
    return found


def with_user(url):
    """Return a URL of PostgreSQL that names its user, for those who do not know the default."""
    with psycopg.connect(url) as connection:
        return re.sub(r"//(.*@)?", f"//{connection.info.user}@", url)


def need_python():
    """Skip the test where Debian's Python, or its venv, is missing."""
    tried = [PYTHON, "-c", "import ensurepip"]
    if (
        not os.path.exists(PYTHON)
        or subprocess.run(tried, capture_output=True, check=False).returncode
    ):
        pytest.skip("no venv: sudo apt-get install python3-venv")


def need_root():
    """Skip the test where the caller may not mount, as in most containers."""
    tried = ["unshare", "--mount", "true"]
    if os.geteuid() or subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("only root, outside of a container, can do this")

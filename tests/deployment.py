"""What docs/deployment.md prints, for the tests that run it."""

import re

import psycopg

from tests.support import HERE

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

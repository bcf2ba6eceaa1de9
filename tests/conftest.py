"""Fixtures that the tests here share, and the closing line on what a machine lacks for them."""

import re

import pytest

pytest.register_assert_rewrite("tests.support")

import todo
from tests.support import ACCOUNT, KEY, postgres_database, postgres_server, redis_server


@pytest.fixture
def postgresql():
    """The URL of an empty PostgreSQL database."""
    with postgres_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/todo.db"
    return request.getfixturevalue("postgresql")


@pytest.fixture
def own_postgres():
    """A PostgreSQL server of this test's own, to be stopped and started."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def own_redis():
    """A Redis server of this test's own, to be stopped and started."""
    with redis_server() as server:
        yield server


@pytest.fixture
def app(database):
    """The service in this process, on a database of each kind."""
    return todo.create_app(todo.Settings(secret_key=KEY, database_url=database, bcrypt_rounds=4))


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def ada(app):
    """A client that is logged in to a new account."""
    client = app.test_client()
    assert client.post("/auth/register", json=ACCOUNT).status_code == 201
    token = client.post("/auth/token", json=ACCOUNT).json["access_token"]
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def pytest_terminal_summary(terminalreporter):
    """Name, in one line, what makes the skipped tests run on Debian."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    packages = {name for why in reasons for name in re.findall(r"apt-get install ([\w.+-]+)", why)}
    if packages:
        line = f"To run the skipped tests: sudo apt-get install {' '.join(sorted(packages))}"
        terminalreporter.write_line(line)

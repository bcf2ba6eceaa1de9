"""Two hosts and a PostgreSQL behind PgBouncer in transaction mode, as docs/deployment.md sets it."""

import time

import psycopg
import pytest

from benchmarks.torture import torture
from tests.pooler import pooler
from tests.support import log_in, serving


@pytest.fixture
def behind(postgresql):
    """A PgBouncer before an empty database."""
    with pooler(postgresql) as before_it:
        yield before_it


def test_two_hosts_mix_up_nothing(behind, tmp_path):
    row = torture(behind.url, tmp_path, [], 3000, fault_count=0, clients=50, hosts=2)
    assert row["writes"] >= 3000
    assert (row["lost"], row["twice"], row["of others"]) == (0, 0, 0)
    assert row["tried again"] == 0


def test_a_lock_that_lasts_is_a_503(behind, postgresql, tmp_path):
    with serving(tmp_path, APP_DATABASE_URL=behind.url) as server:
        bearer = log_in(server.port)
        with psycopg.connect(postgresql) as other:
            other.execute("LOCK TABLE tasks")
            began = time.monotonic()
            status, _, headers = server.call("POST", "/tasks", {"title": "x"}, **bearer)
            took = time.monotonic() - began
        assert status == 503
        assert int(headers["Retry-After"]) > 0
        assert 4 < took < 8  # "after about five seconds"
        assert server.call("POST", "/tasks", {"title": "x"}, **bearer)[0] == 201


def test_a_pooler_that_was_away_is_picked_up_again(behind, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=behind.url) as server:
        bearer = log_in(server.port)
        assert server.call("POST", "/tasks", {"title": "Kept"}, **bearer)[0] == 201
        behind.stop()
        status, _, headers = server.call("GET", "/tasks?q=kept", **bearer)
        assert (status, int(headers["Retry-After"]) > 0) == (503, True)
        behind.start()
        for _ in range(20):
            (task,) = server.call("GET", "/tasks?q=kept", **bearer)[1]
            assert task["title"] == "Kept"
    assert "Traceback" not in server.said()

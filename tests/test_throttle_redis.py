"""The throttle across workers and hosts, with a Redis in all the trouble that a Redis can have."""

import re
import signal
from contextlib import suppress

import pytest
import redis

from tests.support import ACCOUNT, WRONG, log_in, racing, redis_server, serving, wait_for


def guess(*servers, times):
    """Log in with a wrong password at one server after the other; return the statuses."""
    return [servers[at % len(servers)].call("POST", "/auth/token", WRONG)[0] for at in range(times)]


def test_servers_share_one_throttle_and_survive_its_loss(own_redis, tmp_path):
    settings = {"APP_RATE_LIMIT_STORAGE": own_redis.url}
    with serving(tmp_path, **settings) as one, serving(tmp_path, **settings) as two:
        log_in(one.port)
        assert guess(one, two, times=12) == [401] * 10 + [429] * 2
        refused = two.call("POST", "/auth/token", ACCOUNT)
        assert refused[0] == 429
        assert 1 <= int(refused[2]["Retry-After"]) <= 60
        names = b" ".join(own_redis.client.keys())
        assert names
        assert b"ada" not in names
        assert b"127" not in names

        own_redis.stop()
        statuses = guess(one, times=40)
        assert set(statuses) <= {401, 429}
        assert statuses.count(401) <= 10
        assert statuses[-1] == 429
        assert len(re.findall("ERROR.*APP_RATE_LIMIT_STORAGE", one.said())) <= 1  # logged once
        own_redis.start()

        def is_used_again():
            guess(one, times=1)
            return len(own_redis.client.client_list()) > 1

        wait_for(is_used_again, what="Redis in use")
        assert "Traceback" not in one.said() + two.said()


def test_of_two_hundred_guesses_at_once_on_four_workers_ten_are_checked(own_redis, tmp_path):
    with serving(tmp_path, workers=4, APP_RATE_LIMIT_STORAGE=own_redis.url) as server:
        log_in(server.port)
        statuses = racing(200, lambda _: server.call("POST", "/auth/token", WRONG)[0])
        assert (statuses.count(401), statuses.count(429)) == (10, 190)
        assert "Traceback" not in server.said()


def make_full(server):
    server.client.config_set("maxmemory", "1")


def make_read_only(server):
    server.client.replicaof("127.0.0.1", 1)


def make_misconfigured(server):
    """Let saving fail, after which Redis refuses to write."""
    server.client.config_set("dir", "/proc")
    server.client.config_set("save", "1 1")
    server.client.set("changed", "1")

    def refuses():
        with suppress(redis.ResponseError):
            server.client.bgsave()
        return server.client.info("persistence")["rdb_last_bgsave_status"] == "err"

    wait_for(refuses, what="a save that fails")


def make_gone(server):
    server.stop()


def make_frozen(server):
    server.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize(
    "spoil", [make_full, make_read_only, make_misconfigured, make_gone, make_frozen]
)
def test_in_any_trouble_of_redis_a_worker_counts_for_itself(tmp_path, spoil):
    with (
        redis_server("--enable-protected-configs", "yes") as storage,
        serving(tmp_path, APP_RATE_LIMIT_STORAGE=storage.url) as server,
    ):
        log_in(server.port)
        spoil(storage)
        for _ in range(3):
            assert server.call("POST", "/auth/token", ACCOUNT)[0] == 200
        assert guess(server, times=30) == [401] * 10 + [429] * 20
        statuses = racing(50, lambda _: server.call("POST", "/auth/token", WRONG)[0])
        assert set(statuses) == {429}
        assert len(re.findall("APP_RATE_LIMIT_STORAGE", server.said())) == 1  # logged once
        assert "Traceback" not in server.said()


def test_what_was_counted_before_the_trouble_still_counts(own_redis, tmp_path):
    with serving(tmp_path, APP_RATE_LIMIT_STORAGE=own_redis.url) as server:
        log_in(server.port)
        assert guess(server, times=7) == [401] * 7
        make_full(own_redis)
        assert guess(server, times=6) == [401] * 3 + [429] * 3

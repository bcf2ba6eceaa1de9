"""Changes as events from a real server: across workers, after breaks, to standard clients."""

import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import time
from contextlib import ExitStack
from http.client import HTTPConnection

import httpx
import pytest
from httpx_sse import connect_sse

from tests.support import ACCOUNT, free_port, log_in, need, serving, wait_for


class Stream:
    """An open stream of events."""

    def __init__(self, server, bearer, since=None, query=""):
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = bearer | {"Accept": "text/event-stream"}
        headers |= {} if since is None else {"Last-Event-ID": str(since)}
        self.connection.request("GET", f"/tasks/changes{query}", headers=headers)
        self.answer = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()

    def read(self):
        """Return the id and the data of the next event, None where the stream ended."""
        fields = {}
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(":")
            if line == "\n" and "data" in fields:
                return int(fields["id"]), json.loads(fields["data"])
            if name:
                fields[name] = value.removeprefix(" ")
        return None


def test_a_change_of_another_worker_comes_within_a_second(database, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=database) as server:
        bearer, seconds = log_in(server.port), []
        with ExitStack() as open_streams:
            streams = [open_streams.enter_context(Stream(server, bearer)) for _ in range(6)]
            for at in range(1, 6):
                made = server.call("POST", "/tasks", {"title": f"{at}"}, **bearer)[1]
                began = time.monotonic()
                for stream in streams:
                    number, said = stream.read()
                    assert (number, said["tasks"], said["since"]) == (at, [made], at)
                seconds.append(time.monotonic() - began)
        assert statistics.median(seconds) < 1
        assert max(seconds) < 2
        assert "Traceback" not in server.said()


def test_a_client_goes_on_after_its_worker_was_killed(database, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=database) as server:
        bearer = log_in(server.port)
        server.call("POST", "/tasks", {"title": "one"}, **bearer)
        with Stream(server, bearer) as stream:
            since, _ = stream.read()
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
            assert stream.read() is None
        wait_for(lambda: is_well(server), what="a new worker")
        made = server.call("POST", "/tasks", {"title": "two"}, **bearer)[1]
        with Stream(server, bearer, since) as stream:
            assert stream.read() == (2, {"tasks": [made], "deleted": [], "since": 2, "more": False})


def is_well(server):
    try:
        return server.call("GET", "/health")[0] == 200
    except OSError:
        return False


def test_a_stream_ends_with_its_session(tmp_path):
    with serving(tmp_path, workers=2) as server:
        bearer = log_in(server.port)
        script = server.call("POST", "/auth/keys", {"name": "x"}, **bearer)[1]
        token = server.call("POST", "/auth/token", ACCOUNT)[1]["access_token"]
        for opened, end in [
            (script["key"], lambda: server.call("DELETE", f"/auth/keys/{script['id']}", **bearer)),
            (token, lambda: server.call("POST", "/auth/revoke", {"token": token})),
        ]:
            server.call("POST", "/tasks", {"title": "x"}, **bearer)
            with Stream(server, {"Authorization": f"Bearer {opened}"}) as stream:
                assert stream.read()
                began = time.monotonic()
                assert end()[0] in (200, 204)
                assert stream.read() is None
                assert time.monotonic() < began + 2


@pytest.mark.parametrize("leave", ["closes", "crashes"])
def test_half_of_the_threads_stream_and_a_client_that_left_frees_its_own(tmp_path, leave):
    port = free_port()
    few = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --threads 8"}
    with serving(tmp_path, port=port, **few) as server, ExitStack() as opened:
        bearer = log_in(server.port)
        streams = [opened.enter_context(Stream(server, bearer)) for _ in range(5)]
        assert [stream.answer.status for stream in streams] == [200] * 4 + [503]
        assert int(streams[-1].answer.headers["Retry-After"]) > 0
        for path in ("/tasks", "/tasks/changes"):
            assert server.call("GET", path, **bearer)[0] == 200
        if leave == "crashes":  # so that its system answers with a reset
            reset = struct.pack("ii", 1, 0)
            streams[0].connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        streams[0].__exit__()

        def is_free_again():
            with Stream(server, bearer) as stream:
                return stream.answer.status == 200

        wait_for(is_free_again, seconds=20, what="a thread")
        assert "Traceback" not in server.said()


def test_a_stop_ends_streams_at_once_and_loses_no_request(tmp_path):
    with serving(tmp_path, workers=2) as server:
        bearer = log_in(server.port)
        server.call("POST", "/tasks", {"title": "x"}, **bearer)
        with ExitStack() as opened:
            streams = [opened.enter_context(Stream(server, bearer)) for _ in range(10)]
            assert [stream.read()[0] for stream in streams] == [1] * 10
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert [stream.read() for stream in streams] == [None] * 10
            server.process.wait(30)
            assert time.monotonic() < began + 5
        assert "Traceback" not in server.said()


def test_curl_prints_changes_as_they_come(tmp_path):
    curl = need("curl", "curl")
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        command = [curl, "-sN", f"{server.url}/tasks/changes", "-H", "Accept: text/event-stream"]
        command += ["-H", f"Authorization: {bearer['Authorization']}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            server.call("POST", "/tasks", {"title": "Call"}, **bearer)
            lines = iter(client.stdout.readline, "")
            assert next(line for line in lines if line.startswith("id:")) == "id: 1\n"
            assert '"title":"Call"' in next(lines)
            client.terminate()


def test_httpx_sse_reads_them(tmp_path):
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        client.headers.update(log_in(server.port))
        client.post("/tasks", json={"title": "one"})
        with connect_sse(client, "GET", "/tasks/changes") as source:
            events = source.iter_sse()
            first = next(events)
            assert (first.event, first.id) == ("message", "1")
            client.post("/tasks", json={"title": "two"})
            assert [task["title"] for task in next(events).json()["tasks"]] == ["two"]

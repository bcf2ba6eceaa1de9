"""Event streams of /tasks/changes, against the Procfile's server: across workers, and how they end."""

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from httpx_sse import connect_sse

from tests.support import ACCOUNT, call, free_port, log_in, need, serving, wait_for

EVENTS = {"Accept": "text/event-stream"}


@contextmanager
def stream(server, bearer, query="", **headers):
    """Open a stream; yield the answer, whose lines come as they are sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sent = bearer | EVENTS | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", f"/tasks/changes{query}", headers=sent)
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def next_event(answer):
    """Read to the end of the next event; return its id and its data."""
    fields = {}
    while line := answer.readline().decode():
        name, _, value = line.strip().partition(": ")
        if name in ("id", "data"):
            fields[name] = value
        elif not line.strip() and "data" in fields:
            return int(fields["id"]), json.loads(fields["data"])
    return None


def test_every_worker_tells_of_each_change_within_two_seconds(database, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=database) as server:
        bearer, times = log_in(server.port), []
        with stream(server, bearer) as one, stream(server, bearer) as two:
            for number in range(1, 11):
                task = server.call("POST", "/tasks", {"title": f"{number}"}, **bearer)[1]
                answered = time.monotonic()
                for answer in (one, two):
                    told, changes = next_event(answer)
                    assert (told, changes["tasks"]) == (number, [task])
                times.append(time.monotonic() - answered)
        assert max(times) < 2
        assert sorted(times)[5] < 1


def test_a_stream_goes_on_where_the_last_one_ended(tmp_path):
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        ids = [server.call("POST", "/tasks", {"title": "x"}, **bearer)[1]["id"] for _ in range(3)]
        with stream(server, bearer, "?since=0&limit=1") as answer:
            assert [next_event(answer)[0] for _ in range(3)] == [1, 2, 3]
        server.call("DELETE", f"/tasks/{ids[0]}", **bearer)
        with stream(server, bearer, "?since=0", Last_Event_ID="3") as answer:
            told, changes = next_event(answer)
        assert (told, changes["tasks"], changes["deleted"]) == (4, [], [ids[0]])
        with stream(server, bearer, "?since=0", Last_Event_ID="99") as answer:
            assert answer.status == 409


def test_usual_clients_read_the_stream(tmp_path):
    with serving(tmp_path) as server:
        bearer = log_in(server.port)
        server.call("POST", "/tasks", {"title": "x"}, **bearer)
        url = f"{server.url}/tasks/changes"
        with httpx.Client() as client, connect_sse(client, "GET", url, headers=bearer) as source:
            event = next(source.iter_sse())
        assert (event.id, event.json()["since"]) == ("1", 1)
        headers = [f"-H{name}: {value}" for name, value in (bearer | EVENTS).items()]
        command = [need("curl", "curl"), "-sN", "--max-time", "2", *headers, url]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        assert said.startswith(":\n\nid: 1\ndata: {")


def test_a_revoked_session_ends_its_stream_within_two_seconds(database, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=database) as server:
        bearer = log_in(server.port)
        with stream(server, bearer) as answer:
            answer.readline()
            token = bearer["Authorization"].removeprefix("Bearer ")
            server.call("POST", "/auth/revoke", {"token": token})
            revoked = time.monotonic()
            assert next_event(answer) is None
        assert time.monotonic() - revoked < 2


@pytest.mark.parametrize("goes", ["closes", "crashes"])
def test_half_of_the_threads_stream_and_a_client_that_is_gone_frees_its_own(tmp_path, goes):
    """Within twenty seconds, whether it closes its connection or ends without a word."""
    port = free_port()
    options = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --threads 4"}
    with serving(tmp_path, port=port, **options) as server:
        bearer = log_in(server.port)
        streams = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        head = "".join(f"{name}: {value}\r\n" for name, value in (bearer | EVENTS).items())
        for one in streams:
            one.sendall(f"GET /tasks/changes HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
            assert b" 200 " in one.recv(4096)
        with stream(server, bearer) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert server.call("GET", "/tasks/changes", **bearer)[0] == 200
        if goes == "crashes":  # the peer answers with a reset
            streams[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        streams[0].close()

        def is_accepted():
            with stream(server, bearer) as answer:
                return answer.status == 200

        wait_for(is_accepted, seconds=20, what="a free place")
        streams[1].close()
        assert "Traceback" not in server.said()


def test_a_stop_ends_streams_at_once_and_loses_no_request(tmp_path):
    with serving(tmp_path, workers=2, APP_BCRYPT_ROUNDS="12") as server:
        bearer, answers = log_in(server.port), []
        with stream(server, bearer) as answer:
            answer.readline()
            login = threading.Thread(
                target=lambda: answers.append(call(server.port, "POST", "/auth/token", ACCOUNT)[0])
            )
            login.start()
            time.sleep(0.1)  # so that it is on its way
            server.process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()
            assert next_event(answer) is None
            assert time.monotonic() - stopped < 2
            login.join()
            server.process.wait(10)
        assert answers == [200]
        assert "Traceback" not in server.said()

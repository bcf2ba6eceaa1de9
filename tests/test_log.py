"""What the log says of requests, and what it keeps to itself."""

import re
import urllib.request

import sqlalchemy as sa

from tests.support import KEY, serving


def test_the_log_names_requests_and_keeps_secrets(database, tmp_path):
    """Whatever becomes of a request: good, refused, throttled, without a column (a stream too), a bug."""
    account = {"email": "ada@example.com", "password": "very secret horse"}
    engine = sa.create_engine(re.sub("^postgresql:", "postgresql+psycopg:", database))
    with serving(tmp_path, APP_DATABASE_URL=database) as server:
        server.call("POST", "/auth/register", account)
        server.call("POST", "/auth/register", account | {"password": "short"})
        given = server.call("POST", "/auth/token", account, X_Request_Id="login-1")[1]
        again = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
        renewed = server.call("POST", "/auth/token", again)[1]
        bearer = {"Authorization": f"Bearer {given['access_token']}"}
        key = server.call("POST", "/auth/keys", {"name": "a private name"}, **bearer)[1]["key"]
        server.call("GET", "/tasks", Authorization=f"Bearer {key}")
        server.call("GET", "/tasks?q=very+private", **bearer, X_Request_Id="list-1")
        server.call("GET", "/tasks", Authorization=f"{bearer['Authorization']}x")
        assert server.call("GET", "/tasks/1%0aforged%00", **bearer)[0] == 404
        unknown = account | {"email": "nobody@example.com"}
        tries = [server.call("POST", "/auth/token", unknown)[0] for _ in range(11)]
        assert tries == [401] * 10 + [429]
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE tasks RENAME COLUMN due TO gone")
        keyed = bearer | {"Idempotency_Key": "a private key", "X_Request_Id": "broken-1"}
        assert server.call("POST", "/tasks", {"title": "private"}, **keyed)[0] == 500
        stream = urllib.request.Request(f"{server.url}/tasks/changes")
        sent = {"Accept": "text/event-stream", "X-Request-Id": "stream-1", "Last-Event-ID": "0"}
        for name, value in (bearer | sent).items():
            stream.add_header(name, value)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE users SET change_number = 1")
        with urllib.request.urlopen(stream, timeout=30) as answer:
            assert answer.read() == b":\n\n"
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE users SET password_hash = 'no hash'")
        sent = {"X_Request_Id": "bug-1"}
        status, body, headers = server.call("POST", "/auth/token", account, **sent)
        assert (status, body["detail"]) == (500, "Internal Server Error")
        assert headers["X-Request-Id"] == "bug-1"
        text = server.said()
    engine.dispose()
    assert re.search(r"list-1 GET /tasks 200 \d+ms", text)
    assert re.search(r"[0-9a-f]{32} POST /auth/register 422", text)
    assert "GET /tasks/1%0Aforged%00 404" in text
    for request in ("broken-1", "stream-1", "bug-1"):
        assert text.count(f"Request {request}\nTraceback ") == 1
    assert len(re.findall(r"Request bug-1\nTraceback .*\n(  .*\n)+ValueError: ", text)) == 1
    tokens = [answer[kind] for answer in (given, renewed) for kind in answer if "_token" in kind]
    assert len(tokens) == 4
    secrets = ["secret horse", "short", "private", "$2b$", "ada@", KEY, key, *tokens]
    found = [secret for secret in [*secrets, sa.make_url(database).password] if secret]
    assert [secret for secret in found if secret in text] == []

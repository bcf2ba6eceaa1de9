"""Many requests at once, on several workers and hosts: one winner, and nothing twice."""

import bcrypt
import pytest

import todo
from tests.support import ACCOUNT, KEY, WRONG, log_in, racing, serving

REFRESH = {"grant_type": "refresh_token"}


def test_races_have_one_winner(database, tmp_path):
    with serving(tmp_path, workers=4, APP_DATABASE_URL=database) as server:
        send = server.call
        statuses = racing(16, lambda _: send("POST", "/auth/register", ACCOUNT)[0])
        assert sorted(statuses) == [201] + [400] * 15
        token = send("POST", "/auth/token", ACCOUNT)[1]["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}

        keyed = bearer | {"Idempotency_Key": "one"}
        made = racing(16, lambda _: send("POST", "/tasks", {"title": "once"}, **keyed))
        assert {(status, task["id"]) for status, task, _ in made} == {(201, 1)}
        assert len(send("GET", "/tasks", **bearer)[1]) == 1

        guarded = bearer | {"If_Match": '"1"'}
        path = "/tasks/1"
        patched = racing(16, lambda at: send("PATCH", path, {"title": f"by {at}"}, **guarded))
        assert sorted(status for status, _, _ in patched) == [200] + [412] * 15
        (winner,) = [task for status, task, _ in patched if status == 200]
        assert send("GET", path, **bearer)[1] == winner

        changed = racing(16, lambda at: send("PATCH", path, {"title": f"{at}"}, **bearer)[0])
        assert changed == [200] * 16  # without a condition nobody loses
        assert send("GET", path, **bearer)[2]["ETag"] == '"18"'
        guarded = bearer | {"If_Match": '"18"'}
        gone = racing(16, lambda at: send("DELETE", path, **guarded)[0])
        assert sorted(gone) == [204] + [404] * 15
        assert "Traceback" not in server.said()


def test_sessions_hold_across_workers(database, tmp_path):
    """Many refresh at once by one token, and what one worker revokes is dead on all."""
    with serving(tmp_path, workers=4, APP_DATABASE_URL=database) as server:
        send = server.call
        bearer = log_in(server.port)
        key = send("POST", "/auth/keys", {"name": "script"}, **bearer)[1]
        script = {"Authorization": f"Bearer {key['key']}"}
        assert set(racing(16, lambda _: send("GET", "/tasks", **script)[0])) == {200}
        assert send("DELETE", f"/auth/keys/{key['id']}", **bearer)[0] == 204
        assert set(racing(16, lambda _: send("GET", "/tasks", **script)[0])) == {401}

        first = send("POST", "/auth/token", ACCOUNT)[1]
        again = REFRESH | {"refresh_token": first["refresh_token"]}
        given = racing(16, lambda _: send("POST", "/auth/token", again))
        assert {status for status, _, _ in given} == {200}
        bearer = {"Authorization": f"Bearer {given[7][1]['access_token']}"}
        assert set(racing(16, lambda _: send("GET", "/tasks", **bearer)[0])) == {200}
        revoked = {"token": given[9][1]["refresh_token"]}
        assert set(racing(16, lambda _: send("POST", "/auth/revoke", revoked)[0])) == {200}
        assert set(racing(16, lambda _: send("GET", "/tasks", **bearer)[0])) == {401}
        assert "Traceback" not in server.said()


def test_a_script_may_run_fifty_times_at_once_with_one_key(database, tmp_path):
    with serving(tmp_path, workers=2, APP_DATABASE_URL=database) as server:
        made = server.call("POST", "/auth/keys", {"name": "cron"}, **log_in(server.port))[1]
        bearer = {"Authorization": f"Bearer {made['key']}"}

        def run(at):
            added = server.call("POST", "/tasks", {"title": f"run {at}"}, **bearer)[0]
            return added, server.call("GET", "/tasks", **bearer)[0]

        assert set(racing(50, run)) == {(201, 200)}
        listed = server.call("GET", "/tasks", **bearer)[1]
        assert len({task["title"] for task in listed}) == len(listed) == 50


def test_two_hosts_are_one_service(postgresql, own_redis, tmp_path):
    settings = {"APP_DATABASE_URL": postgresql, "APP_RATE_LIMIT_STORAGE": own_redis.url}
    with serving(tmp_path, **settings) as one, serving(tmp_path, **settings) as two:
        bearer = log_in(one.port)
        session = one.call("POST", "/auth/token", ACCOUNT)[1]
        again = REFRESH | {"refresh_token": session["refresh_token"]}
        status, renewed, _ = two.call("POST", "/auth/token", again)
        assert status == 200
        late = {"Authorization": f"Bearer {renewed['access_token']}"}
        assert one.call("GET", "/tasks", **late)[0] == 200

        keyed = bearer | {"Idempotency_Key": "one"}
        made = racing(
            8, lambda at: (one, two)[at % 2].call("POST", "/tasks", {"title": "x"}, **keyed)
        )
        assert {(status, task["id"]) for status, task, _ in made} == {(201, 1)}
        assert two.call("GET", "/tasks/changes", **bearer)[1]["since"] == 1

        assert two.call("POST", "/auth/revoke", {"token": renewed["refresh_token"]})[0] == 200
        assert one.call("GET", "/tasks", **late)[0] == 401
        statuses = [(one, two)[at % 2].call("POST", "/auth/token", WRONG)[0] for at in range(11)]
        assert statuses == [401] * 10 + [429]
        assert "Traceback" not in one.said() + two.said()


def test_a_key_whose_task_is_being_deleted_makes_the_next(app, ada):
    """One client adds again and again by one Idempotency-Key what another deletes."""
    headers = {"Idempotency-Key": "k"}

    def add(_):
        client = app.test_client()
        client.environ_base = dict(ada.environ_base)
        answers = [client.post("/tasks", json={"title": "x"}, headers=headers) for _ in range(100)]
        return [answer.status_code for answer in answers]

    def delete(_):
        client = app.test_client()
        client.environ_base = dict(ada.environ_base)
        for _ in range(100):
            for task in client.get("/tasks").json:
                assert client.delete(f"/tasks/{task['id']}").status_code in (204, 404)

    added, _, also, _ = racing(4, lambda at: (add, delete)[at % 2](at))
    assert {*added, *also} == {201}
    assert len(ada.get("/tasks").json) <= 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/auth/token", ACCOUNT),
        (
            "PUT",
            "/auth/me/password",
            {"password": ACCOUNT["password"], "new_password": "another one"},
        ),
        ("DELETE", "/auth/me", {"password": ACCOUNT["password"]}),
    ],
)
def test_a_password_that_changes_while_it_is_checked_opens_nothing(
    database, app, ada, monkeypatch, method, path, body
):
    settings = todo.Settings(secret_key=KEY, database_url=database, bcrypt_rounds=4)
    host, new = todo.create_app(settings), "battery staple"

    def check_then_change(check, *given):
        monkeypatch.undo()
        found = check(*given)
        run = host.test_cli_runner().invoke
        changed = run(args=["set-password", ACCOUNT["email"]], input=f"{new}\n")
        assert changed.exit_code == 0, changed.output
        return found

    for name in ("hashpw", "checkpw"):
        check = getattr(bcrypt, name)
        monkeypatch.setattr(bcrypt, name, lambda *given, c=check: check_then_change(c, *given))
    answer = ada.open(path, method=method, json=body)
    assert (answer.status_code, answer.json["detail"]) == (401, "Invalid credentials")
    login = app.test_client().post("/auth/token", json=ACCOUNT | {"password": new})
    assert login.status_code == 200


def test_no_key_outlives_a_change_of_the_password(database, tmp_path):
    """Whether it was made just before or just after, nobody with the old password has one."""
    with serving(tmp_path, workers=4, APP_DATABASE_URL=database) as server:
        bearer, passwords = log_in(server.port), [ACCOUNT["password"], "battery staple"]
        for _ in range(5):
            change = {"password": passwords[0], "new_password": passwords[1]}

            def send(at, change=change, bearer=bearer):
                if at == 8:
                    return server.call("PUT", "/auth/me/password", change, **bearer)
                return server.call("POST", "/auth/keys", {"name": f"{at}"}, **bearer)

            answers = racing(16, send)
            assert answers.pop(8)[0] == 204
            assert {status for status, _, _ in answers} <= {201, 401}
            for key in [made["key"] for status, made, _ in answers if status == 201]:
                assert server.call("GET", "/tasks", Authorization=f"Bearer {key}")[0] == 401
            passwords.reverse()
            token = server.call("POST", "/auth/token", ACCOUNT | {"password": passwords[0]})[1]
            bearer = {"Authorization": f"Bearer {token['access_token']}"}
        assert "Traceback" not in server.said()

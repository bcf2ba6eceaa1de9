"""The OpenAPI document against the service: by rules, by generated calls, by a client, by a browser."""

from base64 import urlsafe_b64encode
from ipaddress import ip_address
from itertools import count

import schemathesis
from schemathesis import engine
from schemathesis.engine import events
from schemathesis.openapi.checks import RejectedPositiveData

import todo
from test_todo import KEY, PASSWORD, database  # noqa: F401 - a fixture


# --- Generated calls: every check of Schemathesis, on every operation -----------------------------
@schemathesis.auth(refresh_interval=None)
class Login:
    """A session for each call, as some end theirs; a call that changes the password, its account."""

    accounts = ({"email": f"me@{'example.' * n}com", "password": PASSWORD} for n in count(1))
    account = next(accounts)  # the one of the document's examples

    def get(self, case, context):
        for _ in range(2):
            self.post(case, "/auth/register")
            if token := self.post(case, "/auth/token").get("access_token"):
                return token
            self.account = next(self.accounts)
        raise PermissionError(self.account)

    def post(self, case, path):
        operation = case.operation.schema[path]["POST"]
        return operation.Case(body=self.account, media_type="application/json").call().json()

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


addresses = map(ip_address, count(ip_address("10.0.0.0")))
CURSOR = urlsafe_b64encode(b'["2026-11-30",1]').decode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Come from an address that is not throttled; a cursor is one that the service gave."""
    case.headers["X-Forwarded-For"] = str(next(addresses))
    if isinstance(case.query.get("cursor"), str):
        case.query["cursor"] = CURSOR


KEPT = "Email already exists", "Task has changed", "Idempotency-Key was used with another body"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Forgive that a valid call is refused, which no schema can tell, for what is already kept."""
    return type(failure) is not RejectedPositiveData or not any(it in response.text for it in KEPT)


def failures(schema):
    """Run all phases: examples, boundaries, random calls, and calls that follow from others."""
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for check in [check for checks in event.recorder.checks.values() for check in checks]:
                if check.failure_info:
                    yield f"{check.failure_info.failure}\n{check.failure_info.code_sample}"
        assert not isinstance(event, (events.NonFatalError, events.FatalError)), event


def test_generated_calls_are_answered_as_described(database):  # noqa: F811
    settings = {"secret_key": KEY, "bcrypt_rounds": 4, "trusted_proxies": 1}
    app = todo.create_app(todo.Settings(database_url=database, **settings))
    bounds = {
        "generation": {"max-examples": 20, "deterministic": True},
        "continue-on-failure": True,
    }
    config = schemathesis.Config.from_dict(bounds)
    found = list(failures(schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)))
    with app.app_context():
        todo.db.engine.dispose()
    assert not found, "\n\n".join(found)

"""The OpenAPI document against the service: by rules, generated calls, a client and a browser.

`make fuzz` sends many more generated calls to a real server.
"""

# ruff: noqa: F811
import json
import os
import shutil
import subprocess
from base64 import urlsafe_b64encode
from datetime import date
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import openapi_spec_validator
import pytest
import schemathesis
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import expect, sync_playwright
from schemathesis import engine
from schemathesis.engine import events
from schemathesis.openapi.checks import RejectedPositiveData

import todo
from test_todo import (  # noqa: F401 - fixtures
    FORM,
    HERE,
    JSON,
    KEY,
    PASSWORD,
    add,
    app,
    bearing,
    call,
    client,
    database,
    fail,
    grant,
    serving,
    sign_up,
)

DESCRIBED = Flask(__name__)
DESCRIBED.register_blueprint(todo.api)
DOCUMENT = json.loads(todo.to_json(todo.describe(DESCRIBED)))
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


# --- Rules ----------------------------------------------------------------------------------------
def test_the_document_is_openapi():
    openapi_spec_validator.validate(DOCUMENT)


def test_the_document_is_served_from_memory(client, monkeypatch):
    monkeypatch.setattr(todo, "execute", None)
    answers = [client.get("/openapi.json") for _ in range(2)]
    assert {(answer.status_code, answer.content_type) for answer in answers} == {(200, JSON)}
    assert answers[0].data == answers[1].data
    assert answers[0].json == DOCUMENT


def test_the_document_names_every_endpoint_and_its_scope():
    views = {}
    for rule in DESCRIBED.url_map.iter_rules():
        view = DESCRIBED.view_functions[rule.endpoint]
        for method in rule.methods - {"HEAD", "OPTIONS"} if hasattr(view, "scope") else ():
            views[method.lower(), rule.rule.replace("<", "{").replace(">", "}")] = view.scope
    named = {(method, path): one["security"] for method, path, one in OPERATIONS.values()}
    for _, _, operation in OPERATIONS.values():
        assert len({"200", "201", "204"} & set(operation["responses"])) == 1, operation
    assert named == {at: [{"login": [scope]}] if scope else [] for at, scope in views.items()}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("create_token", [JSON, FORM]),
        ("revoke_token", [JSON, FORM]),
        ("create_task", [JSON]),
        ("change_task", [JSON, "application/merge-patch+json"]),
    ],
)
def test_the_document_names_content_types(name, kinds):
    assert list(OPERATIONS[name][2]["requestBody"]["content"]) == kinds


WITH_BODY = [
    (name, kind)
    for name, (_, _, one) in OPERATIONS.items()
    for kind in one.get("requestBody", {}).get("content", ())
]


@pytest.mark.parametrize(("name", "kind"), WITH_BODY)
def test_examples_work(app, name, kind):
    method, path, operation = OPERATIONS[name]
    schema = DOCUMENT["components"]["schemas"][
        operation["requestBody"]["content"][kind]["schema"]["$ref"].rpartition("/")[2]
    ]
    body = {}
    for field, about in schema["properties"].items():
        for shown in (about, *about.get("anyOf", ())):
            if "examples" in shown:
                body[field] = shown["examples"][0]
    caller = client = app.test_client() if name == "register" else sign_up(app, "me@example.com")
    if "{task_id}" in path:
        path = path.replace("{task_id}", str(add(caller)))
    sent = todo.to_json(body) if kind != FORM else urlencode(body)
    answer = client.open(path, method=method, data=sent, content_type=kind)
    assert str(answer.status_code) in {"200", "201", "204"} & set(operation["responses"]), (
        answer.text
    )


NAMED = {"Location", "Link", "ETag", "Retry-After", "WWW-Authenticate", "Cache-Control"}


def assert_headers(operation, status, headers):
    """Hold those of an answer against the document; of all that it names, only Link may be missing."""
    described = set(operation["responses"][str(status)].get("headers", ()))
    sent = {name for name in NAMED if name.lower() in map(str.lower, headers.keys())}
    assert described - {"Link"} <= sent <= described, (operation["operationId"], status, sent)


def down(dialect, *_):
    raise dialect.dbapi.OperationalError("gone")


def test_headers_of_refusals_that_are_rare(app):
    ada = sign_up(app, "ada@example.com")
    reader = grant(ada, username="ada@example.com", password=PASSWORD, scope="tasks:read")
    answers = {"create_task": bearing(app, reader["access_token"]).post("/tasks", json={})}
    answers["create_token"] = fail(ada, 11)[1]
    engine, idle = app.extensions["database"]
    idle[False].queue = [None]
    sa.event.listen(engine, "do_connect", down)
    answers["list_tasks"] = ada.get("/tasks")
    assert [answer.status_code for answer in answers.values()] == [403, 429, 503]
    listed = OPERATIONS["list_tasks"][2]["responses"]
    assert set(listed["304"]["headers"]) == set(listed["200"]["headers"]) == {"ETag", "Link"}
    for name, answer in answers.items():
        assert_headers(OPERATIONS[name][2], answer.status_code, answer.headers)


# --- Generated calls: every check of Schemathesis, on every operation -----------------------------
@schemathesis.auth(refresh_interval=None)
class Login:
    """A session; where a call has ended it, another; where one changed the password, an account."""

    accounts = ({"email": f"me@{'example.' * n}com", "password": PASSWORD} for n in count(1))
    account, token = next(accounts), "none yet"  # the account of the document's examples

    def get(self, case, context):
        for _ in range(4):
            if self.send(case, "GET", "/auth/me").status_code == 200:
                return self.token
            login = self.send(case, "POST", "/auth/token")
            if login.status_code == 200:
                self.token = login.json()["access_token"]
            elif self.send(case, "POST", "/auth/register").status_code == 400:
                self.account = next(self.accounts)
        raise AssertionError("cannot log in")

    def send(self, case, method, path):
        asked = {"headers": {"Authorization": f"Bearer {self.token}"}}
        told = {"body": self.account, "media_type": JSON}
        operation = case.operation.schema[path][method]
        return operation.Case(**told if method == "POST" else asked).call()

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


addresses = map(ip_address, count(ip_address("10.0.0.0")))
CURSOR = urlsafe_b64encode(b'["2026-11-30",1]').decode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Come from an address that is not throttled; a cursor is one that the service gave."""
    case.headers.update({name: str(value) for name, value in case.headers.items()})  # a 7 is "7"
    case.headers["X-Forwarded-For"] = str(next(addresses))
    if isinstance(case.query.get("cursor"), str):
        case.query["cursor"] = CURSOR


@schemathesis.check
def headers_are_as_described(context, response, case):
    operation = OPERATIONS[case.operation.definition.raw["operationId"]][2]
    if (
        str(response.status_code) in operation["responses"]
        and case.method == case.operation.method.upper()
    ):
        assert_headers(operation, response.status_code, response.headers)


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


def test_generated_calls_are_answered_as_described(database):
    settings = {"secret_key": KEY, "bcrypt_rounds": 4, "trusted_proxies": 1}
    app = todo.create_app(todo.Settings(database_url=database, **settings))
    bounds = {
        "generation": {"max-examples": 10, "deterministic": True},
        "continue-on-failure": True,
    }
    config = schemathesis.Config.from_dict(bounds)
    found = list(failures(schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)))
    app.extensions.pop("database")
    assert not found, "\n\n".join(found)


# --- A generated client, and people ---------------------------------------------------------------
@pytest.fixture
def url(tmp_path):
    """The address of a server, with its pages."""
    shutil.copytree(HERE / "static", tmp_path / "static")
    database = f"sqlite:///{tmp_path}/todo.db"
    with serving(tmp_path, workers=1, APP_DATABASE_URL=database) as (port, _):
        yield f"http://127.0.0.1:{port}"


def test_a_generated_client_works(url, tmp_path, monkeypatch):
    package = tmp_path / "generated"
    command = [
        "openapi-python-client",
        "generate",
        "--url",
        f"{url}/openapi.json",
        "--meta",
        "none",
    ]
    subprocess.run([*command, "--output-path", package, "--fail-on-warning"], check=True)
    monkeypatch.syspath_prepend(tmp_path)
    from generated import AuthenticatedClient, Client, models
    from generated.api.auth import create_token, register
    from generated.api.tasks import create_task, list_tasks

    client, email = Client(url), "me@example.com"
    account = register.sync(client=client, body=models.Account(email, PASSWORD))
    assert account == models.AccountRead(1, email)
    asked = models.TokenRequest(username=email, password=PASSWORD)
    token = create_token.sync(client=client, body=asked)
    client = AuthenticatedClient(url, token.access_token)
    due = date(2026, 11, 30)
    tasks = [
        create_task.sync(client=client, body=sent)
        for sent in (models.TaskCreate("Write"), models.TaskCreate("Call", done=True, due=due))
    ]
    assert tasks == [models.TaskRead(1, "Write", False), models.TaskRead(2, "Call", True, due)]
    assert list_tasks.sync(client=client) == tasks


CHROMIUM = {
    "executable_path": os.environ.get("CHROMIUM", "/usr/bin/chromium"),
    "args": ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    + ["--disable-background-networking", "--disable-component-update"],
}
REPORT = "addEventListener('securitypolicyviolation', e => console.error(e.violatedDirective))"


def test_people_try_the_api_in_the_browser(url):
    """Nothing is refused by the Content-Security-Policy, and nothing is asked of other servers."""
    account = {"email": "me@example.com", "password": PASSWORD}
    assert call(int(url.rpartition(":")[2]), "POST", "/auth/register", account)[0] == 201
    complaints, asked = [], []
    with sync_playwright() as playwright, playwright.chromium.launch(**CHROMIUM) as browser:
        page = browser.new_page()
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(error))
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(REPORT)
        page.goto(f"{url}/docs")
        page.get_by_role("button", name="Authorize").click()
        dialog = page.locator(".modal-ux")
        dialog.locator("#oauth_username").fill(account["email"])
        dialog.locator("#oauth_password").fill(PASSWORD)
        dialog.get_by_text("select all").click()
        dialog.locator("button.authorize").click()
        dialog.locator("button.btn-done").click()
        task = page.locator("#operations-tasks-create_task")
        task.click()
        task.get_by_role("button", name="Try it out").click()
        task.get_by_role("button", name="Execute").click()
        expect(task.locator(".live-responses-table .response-col_status").last).to_contain_text(
            "201"
        )
    assert complaints == []
    assert {"/openapi.json", "/auth/token", "/tasks"} <= {at.removeprefix(url) for at in asked}
    assert [at for at in asked if not at.startswith(f"{url}/")] == []


if __name__ == "__main__":  # make fuzz
    with TemporaryDirectory() as directory:
        settings = {
            "APP_DATABASE_URL": f"sqlite:///{directory}/todo.db",
            "APP_TRUSTED_PROXIES": "1",
        }
        with serving(Path(directory), **settings) as (port, log):
            fuzz = ["schemathesis", "run", f"http://127.0.0.1:{port}/openapi.json", "--checks=all"]
            hooks = os.environ | {"SCHEMATHESIS_HOOKS": "test_openapi"}
            bounds = ["--max-examples=200", "--max-time=180", "--continue-on-failure"]
            subprocess.run([*fuzz, *bounds], check=True, env=hooks, cwd=HERE)
            assert "Traceback" not in log.read_text()

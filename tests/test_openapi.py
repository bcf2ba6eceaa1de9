"""The OpenAPI document against the service: by rules, generated calls, a client and a browser.

`python -m tests.test_openapi` sends many more generated calls to a real server.
"""

import json
import os
import re
import subprocess
import sys
from datetime import date
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import openapi_spec_validator
import pytest
import schemathesis
from jsonschema import Draft202012Validator
from playwright.sync_api import expect, sync_playwright
from schemathesis import engine
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.engine import events
from schemathesis.openapi.checks import RejectedPositiveData

import todo
from tests.support import ACCOUNT, FORM, HERE, JSON, KEY, PASSWORD, environment, need, serving


def published():
    """Return the document as the service gives it to anybody."""
    with TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/todo.db"
        client = todo.create_app(todo.Settings(secret_key=KEY, database_url=url)).test_client()
        return client.get("/openapi.json").json


DOCUMENT = published()
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


# --- Rules ----------------------------------------------------------------------------------------


def test_the_document_is_openapi():
    openapi_spec_validator.validate(DOCUMENT)


def test_the_document_is_the_same_for_everybody(client):
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, JSON)
    assert answer.json == DOCUMENT


def test_the_document_names_every_endpoint(app):
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/auth/", "/tasks", "/health"))
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in OPERATIONS.values()} == served
    for _, _, operation in OPERATIONS.values():
        assert len({"200", "201", "204"} & set(operation["responses"])) == 1, operation


@pytest.mark.parametrize("scope", ["tasks:read", "tasks:write", "account"])
def test_the_document_names_the_scope_of_every_endpoint(app, client, ada, scope):
    narrow = bearing(app, grant(client, **ACCOUNT, scope=scope)["access_token"])
    for method, path, operation in OPERATIONS.values():
        needed = [name for one in operation["security"] for names in one.values() for name in names]
        answer = narrow.open(re.sub("{.+?}", "1", path), method=method, json={"nonsense": 1})
        assert (answer.status_code == 403) == (needed not in ([], [scope])), (method, path)


def grant(client, **fields):
    answer = client.post("/auth/token", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json


def bearing(app, token):
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.mark.parametrize(
    ("method", "path", "kinds"),
    [
        ("post", "/auth/token", {JSON, FORM}),
        ("post", "/auth/revoke", {JSON, FORM}),
        ("post", "/auth/keys", {JSON}),
        ("post", "/tasks", {JSON}),
        ("patch", "/tasks/{task_id}", {JSON, "application/merge-patch+json"}),
    ],
)
def test_the_document_names_content_types(method, path, kinds):
    assert set(DOCUMENT["paths"][path][method]["requestBody"]["content"]) == kinds


def test_the_document_names_events_beside_json():
    answers = DOCUMENT["paths"]["/tasks/changes"]["get"]["responses"]
    assert set(answers["200"]["content"]) == {JSON, "text/event-stream"}
    assert {"409", "503"} <= set(answers)


WITH_BODY = [
    (name, kind)
    for name, (_, _, one) in OPERATIONS.items()
    for kind in one.get("requestBody", {}).get("content", ())
]


@pytest.mark.parametrize(("name", "kind"), WITH_BODY)
def test_examples_work(client, name, kind):
    method, path, operation = OPERATIONS[name]
    schema = DOCUMENT["components"]["schemas"][
        operation["requestBody"]["content"][kind]["schema"]["$ref"].rpartition("/")[2]
    ]
    body = {}
    for field, about in schema["properties"].items():
        for shown in (about, *about.get("anyOf", ())):
            if "examples" in shown:
                body[field] = shown["examples"][0]
    account = {"email": "me@example.com", "password": PASSWORD}  # of the examples
    if path != "/auth/register":
        assert client.post("/auth/register", json=account).status_code == 201
        token = grant(client, **account)["access_token"]
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        assert client.post("/tasks", json={"title": "x"}).status_code == 201
    sent = json.dumps(body) if kind != FORM else urlencode(body)
    path = path.replace("{task_id}", "1")
    answer = client.open(path, method=method, data=sent, content_type=kind)
    good = {"200", "201", "204"} & set(operation["responses"])
    assert str(answer.status_code) in good, answer.text


NAMED = {"Location", "Link", "ETag", "Retry-After", "WWW-Authenticate"}


def assert_headers(operation, status, headers):
    """Hold those of an answer against the document; of all that it names only Link may be missing."""
    described = set(operation["responses"][str(status)].get("headers", ())) & NAMED
    sent = {name for name in NAMED if name.lower() in map(str.lower, headers.keys())}
    assert described - {"Link"} <= sent <= described, (operation["operationId"], status, sent)


def test_headers_of_refusals_that_are_rare(tmp_path):
    url = f"sqlite:///{tmp_path}/todo.db"
    app = todo.create_app(todo.Settings(secret_key=KEY, database_url=url, bcrypt_rounds=4))
    client = app.test_client()
    assert client.post("/auth/register", json=ACCOUNT).status_code == 201
    full, narrow = (
        bearing(app, grant(client, **ACCOUNT, scope=scope)["access_token"])
        for scope in ("", "tasks:read")
    )
    wrong = ACCOUNT | {"password": "wrong horse"}
    for _ in range(10):
        client.post("/auth/token", json=wrong)
    answers = [
        ("post", "/tasks", narrow.post("/tasks", json={}), 403),
        ("post", "/auth/token", client.post("/auth/token", json=wrong), 429),
    ]
    (tmp_path / "todo.db").rename(tmp_path / "elsewhere.db")
    answers.append(("get", "/tasks", full.get("/tasks"), 503))
    for method, path, answer, status in answers:
        assert answer.status_code == status
        assert_headers(DOCUMENT["paths"][path][method], status, answer.headers)
    listed = DOCUMENT["paths"]["/tasks"]["get"]["responses"]
    assert {"ETag", "Link"} <= set(listed["200"]["headers"])
    assert "ETag" in listed["304"]["headers"]


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


@schemathesis.hook
def before_call(context, case, kwargs):
    """Come from an address that is not throttled; send no cursor that the service did not give."""
    case.headers.update({name: str(value) for name, value in case.headers.items()})  # a 7 is "7"
    case.headers["X-Forwarded-For"] = str(next(addresses))
    if isinstance(case.query.get("cursor"), str):
        del case.query["cursor"]


@schemathesis.check
def headers_are_as_described(context, response, case):
    operation = OPERATIONS[case.operation.definition.raw["operationId"]][2]
    if (
        str(response.status_code) in operation["responses"]
        and case.method == case.operation.method.upper()
    ):
        assert_headers(operation, response.status_code, response.headers)


KEPT = "Email already exists", "Task has changed", "Tasks have changed"
KEPT += ("Idempotency-Key was used with another body",)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Forgive a refusal for what is kept already, which no schema can tell of a valid call.

    And forgive that a body is accepted which is called invalid, though by its schema it is not.
    """
    if type(failure) is RejectedPositiveData:
        return not any(said in response.text for said in KEPT)
    return type(failure) is not AcceptedNegativeData or not is_valid(case)


def is_valid(case):
    """Tell whether the body of a call is as the document wants it."""
    operation = case.operation.definition.raw
    if "requestBody" not in operation or case.media_type != JSON or case.query:
        return False
    schema = operation["requestBody"]["content"][JSON]["schema"]
    whole = schema | {"components": DOCUMENT["components"]}
    return Draft202012Validator(whole).is_valid(case.body)


def failures(schema):
    """Run all phases: examples, boundaries, random calls, and calls that follow from others."""
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for check in [check for checks in event.recorder.checks.values() for check in checks]:
                if check.failure_info:
                    yield f"{check.failure_info.failure}\n{check.failure_info.code_sample}"
        assert not isinstance(event, (events.NonFatalError, events.FatalError)), event


def test_generated_calls_are_answered_as_described(database, tmp_path):
    bounds = {
        "generation": {"max-examples": 10, "deterministic": True},
        "continue-on-failure": True,
    }
    config = schemathesis.Config.from_dict(bounds)
    settings = {"APP_DATABASE_URL": database, "APP_TRUSTED_PROXIES": "1"}
    with serving(tmp_path, **settings) as server:
        url = f"{server.url}/openapi.json"
        found = list(failures(schemathesis.openapi.from_url(url, config=config)))
        assert "Traceback" not in server.said()
    assert not found, "\n\n".join(found)


# --- A generated client, and people ---------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path) as server:
        yield server


def test_a_generated_client_works(server, tmp_path, monkeypatch):
    package = tmp_path / "generated"
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate"]
    command += ["--url", f"{server.url}/openapi.json", "--meta", "none", "--fail-on-warning"]
    subprocess.run([*command, "--output-path", package], check=True, env=environment(0))
    monkeypatch.syspath_prepend(tmp_path)
    from generated import AuthenticatedClient, Client, models
    from generated.api.auth import create_token, register
    from generated.api.tasks import create_task, list_tasks

    client, email = Client(server.url), "me@example.com"
    account = register.sync(client=client, body=models.Account(email, PASSWORD))
    assert account == models.AccountRead(1, email)
    asked = models.TokenRequest(username=email, password=PASSWORD)
    token = create_token.sync(client=client, body=asked)
    client = AuthenticatedClient(server.url, token.access_token)
    due = date(2026, 11, 30)
    tasks = [
        create_task.sync(client=client, body=sent)
        for sent in (models.TaskCreate("Write"), models.TaskCreate("Call", done=True, due=due))
    ]
    assert tasks == [models.TaskRead(1, "Write", False), models.TaskRead(2, "Call", True, due)]
    assert list_tasks.sync(client=client) == tasks


FLAGS = """no-sandbox disable-gpu disable-quic no-first-run disable-sync
    disable-background-networking disable-component-update"""
REPORT = "addEventListener('securitypolicyviolation', e => console.error(e.violatedDirective))"


def test_people_try_the_api_in_the_browser(server):
    """Nothing is refused by the Content-Security-Policy, and nothing is asked of other servers."""
    assert server.call("POST", "/auth/register", ACCOUNT)[0] == 201
    complaints, asked = [], []

    def hear(message):
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    chromium = os.environ.get("CHROMIUM") or need("chromium", "chromium")
    launch = {"executable_path": chromium, "args": [f"--{flag}" for flag in FLAGS.split()]}
    with sync_playwright() as playwright, playwright.chromium.launch(**launch) as browser:
        page = browser.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(error))
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(REPORT)
        page.goto(f"{server.url}/docs")
        page.get_by_role("button", name="Authorize").click()
        dialog = page.locator(".modal-ux")
        dialog.locator("#oauth_username").fill(ACCOUNT["email"])
        dialog.locator("#oauth_password").fill(PASSWORD)
        dialog.get_by_text("select all").click()
        dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
        dialog.locator("button.btn-done").first.click()
        task = page.locator("#operations-tasks-create_task")
        task.click()
        task.get_by_role("button", name="Try it out").click()
        task.get_by_role("button", name="Execute").click()
        status = task.locator(".live-responses-table .response-col_status").last
        expect(status).to_contain_text("201")
    assert complaints == []
    assert {"/openapi.json", "/auth/token", "/tasks"} <= {
        at.removeprefix(server.url) for at in asked
    }
    assert [at for at in asked if not at.startswith(f"{server.url}/")] == []


if __name__ == "__main__":  # make fuzz
    with (
        TemporaryDirectory() as directory,
        serving(Path(directory), workers=4, APP_TRUSTED_PROXIES="1") as server,
    ):
        fuzz = [Path(sys.executable).with_name("schemathesis"), "run"]
        fuzz += [f"{server.url}/openapi.json", "--checks=all", "--continue-on-failure"]
        fuzz += ["--max-examples=200", "--max-time=180"]
        hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.test_openapi"}
        subprocess.run(fuzz, check=True, env=hooks, cwd=HERE)
        assert "Traceback" not in server.said()

"""Todo API: accounts, tokens and to-do tasks over HTTP, in one file.

    POST /auth/register, /auth/token, /auth/revoke          sign up, log in or refresh, log out
    GET, DELETE /auth/me, PUT /auth/me/password             who am I, delete me, change my password
    GET, POST, DELETE /tasks                                list or add tasks, clear the done ones
    GET, PATCH, DELETE /tasks/<id>                          read, change or delete one
    GET /health                                             whether the database answers
    GET /, /docs, /openapi.json                             the page, the API for people, for machines

Every answer from 400 up is JSON with "detail": a sentence, or for 422 a list of type, loc and msg.

Read from the top: settings, models, schemas, `endpoint`, views, `create_app`. Two ideas carry it: a
view's annotations are the one statement of what it takes and gives, and every change is one SQL
statement, committed by itself, so that it is done or not and the database decides every race.
"""

import os
import re
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from fcntl import LOCK_EX, flock
from functools import lru_cache, partial, wraps
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from queue import Empty, LifoQueue
from select import POLLIN, poll
from time import time
from typing import Annotated, Any, ClassVar, Literal, NoReturn
from urllib.parse import quote

import click
import flask
import flask_swagger_ui
import pydantic
import sqlalchemy as sa
from dotenv import load_dotenv
from flask import Blueprint, Flask, Response, abort, current_app, g, request, url_for
from flask.logging import default_handler
from flask.sessions import NullSession, SessionInterface
from flask_bcrypt import Bcrypt
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_limiter import Limiter
from flask_sqlalchemy import SQLAlchemy
from pydantic import MISSING, AfterValidator, AliasChoices, BaseModel, Field, TypeAdapter
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_json
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.exceptions import HTTPException, ServiceUnavailable, Unauthorized
from werkzeug.http import parse_etags
from werkzeug.middleware.proxy_fix import ProxyFix

# --- Settings: the only reader of the environment -------------------------------------------------
STORAGE = r"^(memory://|rediss?://(\S*@)?([\w.-]+|\[[\w:]+\])(:\d{1,5})?(/\d*)?(\?\S*)?)$"


def stop(reason: str) -> NoReturn:
    """End the start with one line, and the status by which gunicorn does not try again."""
    print(reason, file=sys.stderr)
    sys.exit(3)


def read_url(text: str) -> sa.URL:
    """Read the URL of a SQLite file or, as any platform writes it, of a PostgreSQL database."""
    if not re.match(r"sqlite:///(?!:|file:).|postgres(ql)?(\+\w+)?://", text):
        raise ValueError("neither of them")
    return sa.make_url(re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql+psycopg:", text))


class Settings(BaseModel):
    """What an operator sets: `secret_key` by APP_SECRET_KEY in the environment, and so on."""

    model_config = {"frozen": True, "hide_input_in_errors": True, "validate_default": True}
    secret_key: pydantic.SecretBytes = Field(min_length=32, description="at least 32 random bytes")
    database_url: Annotated[str, AfterValidator(read_url)] = Field(
        "sqlite:///todo.db", description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    )
    access_token_expire_minutes: int = Field(30, ge=1, le=525_600, description="1 to 525600")
    refresh_token_expire_days: int = Field(30, ge=1, le=3650, description="1 to 3650")
    bcrypt_rounds: int = Field(12, ge=4, le=20, description="4 to 20")
    registration: Literal["open", "closed"] = Field("open", description="open or closed")
    trusted_proxies: int = Field(0, ge=0, le=10, description="0 to 10")
    rate_limit_storage: Annotated[str, Field(pattern=STORAGE)] = Field(
        "memory://", description="memory:// or redis://HOST:PORT"
    )

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment, which wins, and `.env`; stop if anything is missing or unusable."""
        load_dotenv(Path(__file__).with_name(".env"))
        found = {name: os.environ.get(f"APP_{name.upper()}") for name in cls.model_fields}
        found["database_url"] = found["database_url"] or os.environ.get("DATABASE_URL")
        try:
            return cls(**{name: value for name, value in found.items() if value})
        except pydantic.ValidationError as error:
            name = error.errors()[0]["loc"][0]
            stop(f"APP_{name.upper()} must be {cls.model_fields[name].description}")


# --- Extensions, to which create_app gives their app; what hashes and what runs statements ---------
db = SQLAlchemy()
jwt = JWTManager()
bcrypt = Bcrypt()
limiter = Limiter(str, strategy="moving-window", in_memory_fallback_enabled=True)
limiter.logger.addHandler(default_handler)
api = Blueprint("api", __name__, cli_group=None)
bind, PING = sa.bindparam, sa.select(1)


def stand_back() -> None:
    """Let a thread use any processor, but only while nothing else would."""
    os.nice(19)
    with suppress(AttributeError):  # on a system that cannot tell processors apart
        os.sched_setaffinity(0, range(os.cpu_count()))


HASHING = ThreadPoolExecutor(os.cpu_count(), initializer=stand_back)


def calmly(hashing: Callable, *given: str) -> Any:
    """Hash a password at the lowest priority, so that no other request waits for a processor."""
    return HASHING.submit(hashing, *given).result()


@lru_cache(100)
def prepare(statement: sa.Executable, dialect: sa.Dialect, names: tuple) -> tuple[str, dict]:
    """Return the SQL of a statement that is given values of these names, and its own values."""
    prepared = statement.compile(dialect=dialect, column_keys=names)
    return str(prepared), prepared.params


def has_ended(connection: Any) -> bool:
    """Tell whether the server of an idle connection has said something, which is its farewell."""
    heard = poll()
    heard.register(connection, POLLIN)
    return bool(heard.poll(0))


@contextmanager
def in_turn(file: str) -> Iterator[None]:
    """Let processes write to SQLite's file one by one, first come, first served, as it does not."""
    opened = os.open(os.path.dirname(file), os.O_RDONLY)
    try:
        flock(opened, LOCK_EX)  # until it is closed, or its process ends
        yield
    finally:
        os.close(opened)


def execute(statement: sa.Executable, **values: Any) -> list[tuple]:
    """Run one statement, committed by itself; return its rows, none where a constraint forbids.

    The driver runs what is prepared but once, over one of ten connections; one that failed, or that
    its server has ended, is not used again. Rows are plain: SQLite's booleans are 0 and 1.
    """
    engine, connections = current_app.extensions["database"]
    sql, own_values = prepare(statement, engine.dialect, tuple(values))
    waits = statement.is_dml and engine.name == "sqlite"
    idle, sound = connections[statement.is_dml], None
    lent = idle.get(timeout=5)
    try:
        if not lent or engine.name == "postgresql" and has_ended(lent.dbapi_connection):
            lent = engine.raw_connection()
        with in_turn(engine.url.database) if waits else nullcontext():
            rows = lent.dbapi_connection.execute(sql, own_values | values).fetchall()
        sound = lent
    except engine.dialect.dbapi.IntegrityError:
        rows, sound = [], lent
    finally:
        idle.put(sound)
    return rows


def digest(content: bytes) -> str:
    """Return a short name of what is long, or must not be shown."""
    return blake2b(content, digest_size=16).hexdigest()


# --- Models ---------------------------------------------------------------------------------------
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NO_ID_TWICE = {"sqlite_autoincrement": True}
DUE_LAST = sa.literal_column("coalesce(due, '9999-12-31')", sa.Date)  # sorts the undated last


class User(db.Model):
    """An account; its email is kept in lower case."""

    __tablename__, __table_args__ = "users", NO_ID_TWICE
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class Session(db.Model):
    """A login, for as long as its user's password hash stays; `refreshed_at` is in Unix seconds."""

    __tablename__, __table_args__ = "sessions", NO_ID_TWICE
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ID, sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    password_hash: Mapped[str]
    scope: Mapped[str]
    generation: Mapped[int] = mapped_column(default=0)
    refreshed_at: Mapped[int] = mapped_column(sa.BigInteger, index=True)


class Task(db.Model):
    """A task of one user; `version` counts its changes."""

    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ID, sa.ForeignKey(User.id, ondelete="CASCADE"))
    title: Mapped[str]
    done: Mapped[bool]
    due: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1)
    idempotency_key: Mapped[str | None]
    idempotency_digest: Mapped[str | None]
    __table_args__ = (
        sa.Index("ix_tasks_id", "user_id", "id"),
        sa.Index("ix_tasks_due", "user_id", DUE_LAST, "id"),
        sa.Index("ix_tasks_done_id", "user_id", "done", "id"),
        sa.Index("ix_tasks_done_due", "user_id", "done", DUE_LAST, "id"),
        sa.Index("ix_tasks_idempotency_key", "user_id", "idempotency_key", unique=True),
        NO_ID_TWICE,
    )


# --- Schemas: what comes in and what goes out -----------------------------------------------------
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Words = Field(pattern=r"^[^\x00]*[^\s\x00][^\x00]*$", max_length=255, examples=["API review"])
Title = Annotated[str, pydantic.StringConstraints(strip_whitespace=True, min_length=1), Words]
Address = Field(pattern=r"^[^\s@\x00]+@[^\s@\x00]+$", max_length=254)
ME = Field(examples=["me@example.com"])
Username = Annotated[Text, pydantic.StringConstraints(to_lower=True), ME]
Email = Annotated[Username, Address]
Secret = Annotated[str, Field(examples=["correct horse"])]
Password = Annotated[Secret, Field(min_length=8, max_length=1024)]
DATE = {"pattern": r"^\d{4}-\d\d-\d\d$", "examples": ["2026-11-30"]}
IsDate = AfterValidator(lambda text: date.fromisoformat(text).isoformat())
Day = Annotated[str, Field(**DATE, json_schema_extra={"format": "date"}), IsDate]
Flag = Annotated[Literal["true", "false"], AfterValidator(lambda text: text == "true")]
Place = pydantic.Json[tuple[Day, Annotated[int, Field(ge=1, lt=2**63)]]]
Cursor = Annotated[Place, pydantic.BeforeValidator(lambda text: urlsafe_b64decode(str(text)))]
Cursor = Annotated[Cursor, pydantic.WithJsonSchema({"type": "string"})]
Like = AfterValidator(lambda text: "%" + re.sub("([/%_])", r"/\1", text) + "%")
Id = Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$"), AfterValidator(int)]
IfMatch = Annotated[str, AfterValidator(lambda text: f" {parse_etags(text)}")]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255)]
SCOPES = {"tasks:read": "read tasks", "tasks:write": "change tasks", "account": "the account"}
Scope = Annotated[str, Field(json_schema_extra={"pattern": f"^(({'|'.join(SCOPES)})( |$))*$"})]
GRANTS = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}
EITHER = AliasChoices("username", "email")
NEEDED = {
    "if": {"properties": {"grant_type": {"const": "refresh_token"}}, "required": ["grant_type"]},
    "then": {"required": GRANTS["refresh_token"]},
    "else": {"required": GRANTS["password"]},
}


class Schema(BaseModel):
    """What all schemas share: unknown fields are errors, and no type is guessed."""

    model_config = {"extra": "forbid", "strict": True, "frozen": True}
    content_types: ClassVar = ("application/json",)


class Form(Schema):
    """What OAuth 2 sends, in JSON too; a field that is not known is ignored (RFC 6749 §3.2)."""

    model_config = {"extra": "ignore"}
    content_types = ("application/json", "application/x-www-form-urlencoded")


class TokenRequest(Form):
    """An email and its password (RFC 6749 §4.3.2), or a refresh token (§6), and a wanted scope."""

    model_config = {"json_schema_extra": NEEDED}
    grant_type: str = Field("password", json_schema_extra={"enum": list(GRANTS)})
    username: Username | MISSING = Field(MISSING, validation_alias=EITHER)
    password: Annotated[Secret, Field(min_length=1)] | MISSING = MISSING
    refresh_token: str | MISSING = MISSING
    scope: Scope = ""


class TaskChange(Schema):
    """What to change of a task; a field that is missing stays as it is (RFC 7396)."""

    content_types = ("application/json", "application/merge-patch+json")
    title: Title | MISSING = MISSING
    done: bool | MISSING = MISSING
    due: Day | None | MISSING = MISSING


class TaskQuery(Schema):
    """Which tasks to list, in which order, and from where."""

    done: Flag | MISSING = MISSING
    q: Annotated[Text, Like] | MISSING = MISSING
    due_before: Day | MISSING = MISSING
    due_after: Day | MISSING = MISSING
    sort: Literal["id", "due"] = "id"
    limit: int = Field(100, ge=1, le=1000)
    cursor: Cursor = Field(default_factory=lambda: ("0001-01-01", 0))


@dataclass
class TaskRead:  # which, unlike a model, costs nothing to make and to check
    """A task; without a due date it has no `due`."""

    id: int
    title: str
    done: bool
    due: Annotated[Day | SkipJsonSchema[None], Field(default_factory=type(None))]


schema = partial(pydantic.create_model, __base__=Schema)  # a field is its type, or (type, default)
Account = schema("Account", email=Email, password=Password)
AccountRead = schema("AccountRead", id=int, email=str)
PasswordChange = schema("PasswordChange", password=Secret, new_password=Password)
PasswordProof = schema("PasswordProof", password=Secret)
Token = schema(
    "Token", access_token=str, token_type=str, expires_in=int, refresh_token=str, scope=str
)
TaskCreate = schema("TaskCreate", title=Title, done=(bool, False), due=(Day | None, None))
Tagged = Annotated[TaskRead, "ETag"]  # and the headers that come with it
Created = Annotated[Tagged, "Location"]
ClearQuery = schema("ClearQuery", done=Literal["true"])
form = partial(pydantic.create_model, __base__=Form)
Revocation = form("Revocation", token=Annotated[str, Field(examples=["a token"])])
Problem = schema("Problem", type=str, loc=list[str | int], msg=str)
Error = schema("Error", detail=str, error=(str | MISSING, MISSING))
Invalid = schema("Invalid", detail=list[Problem], error=(str | MISSING, MISSING))
CLAIMS = {"id": int, "user_id": int, "generation": int, "refreshed_at": int, "scope": str}
Claims = form("Claims", type=str, exp=int, **CLAIMS)


# --- Endpoint: a view's annotations become its validation and its answer --------------------------
def endpoint(route: Callable, scope: str | None, status: int = 200) -> Callable:
    """Serve a view at a route: validate what its annotations ask for, send what it returns.

    `body` and `query` are schemas; other arguments are of the URL rule, or request headers
    (`if_match`). A view returns its value, or its value and headers; None is 204. A token of
    the scope is asked for before anything else is read, except where the scope is None.
    """

    def decorate(view: Callable) -> Callable:
        hints = {"query": Schema} | view.__annotations__
        returned = TypeAdapter(hints.pop("return"))
        kinds = {n: h if isinstance(h, type) else TypeAdapter(h) for n, h in hints.items()}

        @wraps(view)
        def answer(**path: str) -> Response:
            sent = request.environ
            if scope:
                g.caller = authenticate(sent.get("HTTP_AUTHORIZATION", ""), scope)
            given = {name: read(name, kind, path) for name, kind in kinds.items()}
            if "query" not in view.__annotations__:
                del given["query"]
            result = view(**given)
            value, headers = result if type(result) is tuple else (result, {})
            if value is None:
                nothing = Response(status=204)
                del nothing.headers["Content-Type"]
                return nothing
            code = status
            body = returned.dump_json(returned.validate_python(value), exclude_none=True) + b"\n"
            if sent["REQUEST_METHOD"] in ("GET", "HEAD"):
                seen = digest(body + headers.get("Link", "").encode())
                etag = headers.setdefault("ETag", f'"{seen}"')
                known = sent.get("HTTP_IF_NONE_MATCH", "")
                code = 304 if etag in known or known.strip() == "*" else status
            return Response(body, code, [*headers.items()], content_type="application/json")

        answer.scope, answer.status = scope, status  # for `describe`, as are its annotations
        route(answer)
        return view

    return decorate


def authenticate(header: str, scope: str) -> Any:
    """Return the claims of a bearer's token (RFC 6750 §2.1); 401, or 403 without the scope."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        abort(401, "Not authenticated")
    claims = read_token(token.strip(), "access")
    if scope not in claims.scope.split():
        abort(403, (f"The token lacks the scope {scope}", "insufficient_scope"))
    return claims


def read_token(token: str, *kinds: str) -> Any:
    """Return the claims of a token; whatever is wrong with it, its bearer learns the same."""
    try:
        claims = verify(token, current_app.config["JWT_SECRET_KEY"])
    except Exception:  # noqa: BLE001 - however it is malformed
        claims = None
    if not claims or claims.type not in kinds or claims.exp <= time():
        abort(401, INVALID_TOKEN)
    return claims


@lru_cache(10_000)
def verify(token: str, _key: bytes) -> Any:
    """Return the claims of a token that we signed; a process verifies each but once."""
    return Claims.model_validate(decode_token(token))


blank = lru_cache(lambda query: query())  # which as a rule is sent without fields


def read(name: str, kind: Any, path: dict[str, str]) -> Any:
    """Read one argument of a view; 422 says what is wrong with it, never what was sent."""
    header = name.replace("_", "-").title()
    try:
        if name == "query" and not request.query_string:
            return blank(kind)
        if name == "body" and (data := read_data(kind.content_types)) is not None:
            return kind.model_validate_json(data)
        if name in ("body", "query"):  # a field that is sent twice becomes {}, which is no string
            fields = (request.args if name == "query" else request.form).lists()
            return kind.model_validate_strings({k: v[0] if len(v) == 1 else {} for k, v in fields})
        sent = path.get(name, request.headers.get(header))
        return None if sent is None else kind.validate_python(sent)
    except pydantic.ValidationError as error:
        if name in path:  # an id that cannot exist is not found, like one that does not
            abort(404, f"{name.removesuffix('_id').title()} not found")
        where = (name,) if name in ("body", "query") else ("header", header)
        found = error.errors(include_url=False, include_context=False, include_input=False)
        abort(422, [problem | {"loc": where + problem["loc"]} for problem in found])


def read_data(content_types: tuple[str, ...]) -> bytes | None:
    """Return the whole of a JSON body, None for a form; 413, 415, or 400 if it is broken or cut."""
    if request.mimetype not in content_types:
        abort(415, f"Content-Type must be {' or '.join(content_types)}")
    try:
        data = request.get_data()
    except Exception as error:  # noqa: BLE001 - what servers raise here has no class in common
        abort(getattr(error, "code", 400))
    if len(data) == current_app.config["MAX_CONTENT_LENGTH"]:  # where one in chunks was cut
        abort(413)
    if len(data) < (request.content_length or 0):
        abort(400, "Incomplete body")
    return data if request.mimetype.endswith("json") else None


# --- Errors: one envelope for every failure -------------------------------------------------------
INVALID_TOKEN = "Invalid token", "invalid_token"  # what is said, and its code in OAuth 2
DATABASE_DOWN = "The database does not answer", "temporarily_unavailable"
INVALID_CREDENTIALS = "Invalid credentials", "invalid_grant"


def explain(error: Exception) -> str:
    """Return what a driver says, without the names that it quotes."""
    said = str(getattr(error, "orig", error)) or "No connection was free for five seconds"
    return re.sub(r"""(["']).*?\1""", "…", said.partition("\n")[0])


def on_error(error: Exception) -> Response:
    """Answer for a refusal (its headers stay), for a bug, and for a database in trouble."""
    if not isinstance(error, HTTPException):
        current_app.logger.error("Request %s: %s", request.environ["todo.id"], explain(error))
        error = ServiceUnavailable(DATABASE_DOWN, retry_after=5)
    response = error.get_response()
    said = error.name if error.description == type(error).description else error.description
    said, code = said if isinstance(said, tuple) else (said, "invalid_request")
    body = {"detail": said}
    if error.code == 401 or code == "insufficient_scope":  # how to authenticate (RFC 6750 §3)
        known = code in ("invalid_token", "insufficient_scope")
        response.headers["WWW-Authenticate"] = f'Bearer error="{code}"' if known else "Bearer"
    if request.path in ("/auth/token", "/auth/revoke"):  # as clients expect (RFC 6749 §5.2)
        body["error"] = code.replace("invalid_token", "invalid_grant")
    if error.code == 429:
        response.headers["Retry-After"] = 60
    response.data, response.mimetype = to_json(body) + b"\n", "application/json"
    return response


# --- Routes: /auth --------------------------------------------------------------------------------
USER, THIS = bind("user"), Session.id == bind("session")
USERS_HASH = sa.select(User.password_hash).where(User.id == Session.user_id).scalar_subquery()
LIVE = Session.password_hash == USERS_HASH
OWNER = sa.select(Session.user_id).where(THIS, Session.user_id == USER, LIVE).scalar_subquery()
ACCOUNT = sa.select(User.id, User.email, OWNER).where(User.id == USER)
SESSION = [getattr(Session, name) for name in CLAIMS]
END_SESSION = sa.delete(Session).where(THIS).returning(Session.id)
FAILURE = {
    "scope": "login",
    "key_func": lambda: digest(str(request.remote_addr).encode()),
    "deduct_when": lambda response: response.status_code == 401,
    "error_message": ("Too many failed logins", "temporarily_unavailable"),
}
LOGIN = FAILURE | {"key_func": lambda: digest(f"{request.remote_addr} {g.email}".encode())}


@limiter.shared_limit("100/minute", **FAILURE)
@limiter.shared_limit("10/minute", **LOGIN)
def prove(password: str) -> sa.ColumnElement:
    """Return the condition for the user of `g.email` with this password; else 401, in time 429."""
    flask.after_this_request(current_app.config["COUNT_FAILURE"])
    found = execute(sa.select(User.id, User.password_hash).where(User.email == g.email))
    if not found:
        calmly(bcrypt.generate_password_hash, password)  # takes as long as checking one
    if not found or not calmly(bcrypt.check_password_hash, found[0][1], password):
        abort(401, INVALID_CREDENTIALS)
    user_id, password_hash = found[0]
    return sa.and_(User.id == user_id, User.password_hash == password_hash)


def store_password(user: sa.ColumnElement, password: str) -> list[tuple]:
    """Give a user another password, which ends all sessions that began with the old one."""
    password_hash = calmly(bcrypt.generate_password_hash, password).decode()
    change = sa.update(User).where(user).values(password_hash=password_hash)
    return execute(change.returning(User.id))


def narrow(asked: str, allowed: str) -> str:
    """Return the scope that is asked for (RFC 6749 §3.3), by default all that is allowed."""
    if not set(asked.split()) <= set(allowed.split()):
        abort(400, (f"scope may name {allowed}", "invalid_scope"))
    return " ".join(asked.split()) or allowed


def log_in(sent: TokenRequest) -> tuple[dict[str, Any], str]:
    """Begin a session for an email and its password; those that have expired go."""
    scope, g.email = narrow(sent.scope, " ".join(SCOPES)), sent.username
    proof, now = prove(sent.password), int(time())
    expired = Session.refreshed_at < now - current_app.config["SESSION_SECONDS"]
    execute(sa.delete(Session).where(expired).returning(Session.id))
    begun = sa.select(User.id, User.password_hash, *map(sa.literal, (0, scope, now))).where(proof)
    columns = ["user_id", "password_hash", "generation", "scope", "refreshed_at"]
    begin = sa.insert(Session).from_select(columns, begun.with_for_update(read=True))
    rows = execute(begin.returning(*SESSION)) or abort(401, INVALID_CREDENTIALS)
    return dict(zip(CLAIMS, rows[0], strict=True)), scope


def refresh(sent: TokenRequest) -> tuple[dict[str, Any], str]:
    """Go on with a session by its newest refresh token, which then is used (RFC 9700 §4.14.2).

    For a minute a used one does as well: it may be of another tab, or the answer was lost. One
    that comes later may be stolen, and ends the session.
    """
    old, now = read_token(sent.refresh_token, "refresh"), int(time())
    scope, this = narrow(sent.scope, old.scope), sa.and_(Session.id == old.id, LIVE)
    following = {"generation": old.generation + 1, "refreshed_at": now}
    use = sa.update(Session).where(this, Session.generation == old.generation).values(following)
    late = sa.or_(Session.generation == old.generation + 1, old.refreshed_at > now - 60)
    again = sa.select(*SESSION).where(this, Session.refreshed_at > now - 60, late)
    rows = execute(use.returning(*SESSION)) or execute(again)
    if not rows:
        execute(END_SESSION, session=old.id)
        abort(401, INVALID_TOKEN)
    return dict(zip(CLAIMS, rows[0], strict=True)), scope


@endpoint(api.post("/auth/register"), scope=None, status=201)
def register(body: Account) -> AccountRead:
    """Create an account; 400 if the email has one, 403 where registration is closed."""
    password_hash = calmly(bcrypt.generate_password_hash, body.password).decode()
    account = sa.insert(User).values(email=body.email, password_hash=password_hash)
    rows = execute(account.returning(User.id)) or abort(400, "Email already exists")
    return AccountRead(id=rows[0][0], email=body.email)


@endpoint(api.post("/auth/token"), scope=None)
def create_token(body: TokenRequest) -> Annotated[Token, "Cache-Control"]:
    """Give tokens for an email and its password, or a refresh token; 401, and in time 429."""
    if body.grant_type not in GRANTS:
        abort(400, (f"grant_type must be {' or '.join(GRANTS)}", "unsupported_grant_type"))
    if missing := [n for n in GRANTS[body.grant_type] if getattr(body, n) is MISSING]:
        abort(
            422, [{"type": "missing", "loc": ["body", n], "msg": "Field required"} for n in missing]
        )
    session, scope = log_in(body) if body.grant_type == "password" else refresh(body)
    user, claims = str(session["user_id"]), session | {"scope": scope}
    return {
        "access_token": create_access_token(user, additional_claims=claims),
        "refresh_token": create_refresh_token(user, additional_claims=session),
        "expires_in": int(current_app.config["JWT_ACCESS_TOKEN_EXPIRES"].total_seconds()),
        "token_type": "bearer",
        "scope": scope,
    }, {"Cache-Control": "no-store"}


@endpoint(api.post("/auth/revoke"), scope=None)
def revoke_token(body: Revocation) -> dict[str, str]:
    """End the session of a token (RFC 7009 §2.1); one that is not known is no error (§2.2)."""
    with suppress(Unauthorized):
        execute(END_SESSION, session=read_token(body.token, "access", "refresh").id)
    return {}


@endpoint(api.get("/auth/me"), scope="account")
def read_account() -> AccountRead:
    """Return the caller's account."""
    found = execute(ACCOUNT, session=g.caller.id, user=g.caller.user_id)
    user_id, email, owner = found[0] if found else abort(404, "User not found")
    return AccountRead(id=user_id, email=email) if owner else abort(401, INVALID_TOKEN)


@endpoint(api.put("/auth/me/password"), scope="account")
def change_password(body: PasswordChange) -> None:
    """Change the caller's password, which ends every session; 401, and in time 429."""
    g.email = read_account().email
    store_password(prove(body.password), body.new_password) or abort(401, INVALID_CREDENTIALS)


@endpoint(api.delete("/auth/me"), scope="account")
def delete_account(body: PasswordProof) -> None:
    """Delete the caller's account and all its tasks; 401, and in time 429."""
    g.email = read_account().email
    gone = execute(sa.delete(User).where(prove(body.password)).returning(User.id))
    gone or abort(401, INVALID_CREDENTIALS)  # the password was changed meanwhile


# --- Routes: /tasks -------------------------------------------------------------------------------
OWN = Task.user_id == OWNER
TASK = (Task.id, Task.title, Task.done, sa.cast(Task.due, sa.String), Task.version)
ONE = (OWN, Task.id == bind("task_id"))
TAGS, TAG = bind("tags", type_=sa.String), ' "' + sa.cast(Task.version, sa.String) + '"'
AS_TAGGED = (*ONE, sa.or_(TAGS.is_(None), TAGS == " *", TAGS.contains(TAG)))  # strong: no W/
READ_TASK = sa.select(*TASK).where(*ONE)
DELETE_TASK = sa.delete(Task).where(*AS_TAGGED).returning(*TASK)
CHANGE_TASK = sa.update(Task).where(*AS_TAGGED).returning(*TASK)
CHANGE_TASK = CHANGE_TASK.values(version=Task.version + bind("changes"))
ADD_TASK = sa.insert(Task).values(user_id=OWNER, version=1).returning(*TASK)
SAME = [column == bind(column.key) for column in (Task.idempotency_key, Task.idempotency_digest)]
SAME_TASK = sa.select(*TASK).where(OWN, *SAME)
CLEAR_TASKS = sa.delete(Task).where(OWN, Task.done).returning(Task.id)
KEY_USED = {"type": "used", "loc": ["body"], "msg": "Idempotency-Key was used with another body"}
ORDERS = {"id": [Task.id], "due": [DUE_LAST, Task.id]}
AFTER = [bind("after_due", type_=sa.Date), bind("after_id", type_=ID)]
FILTERS = {
    "done": Task.done == bind("done"),
    "q": Task.title.ilike(bind("q"), escape="/"),
    "due_before": Task.due < bind("due_before"),
    "due_after": Task.due > bind("due_after"),
}


def own(statement: sa.Executable, **values: Any) -> list[tuple]:
    """Run a statement on the caller's tasks; where it finds none, make sure of the caller."""
    caller = g.caller
    rows = execute(statement, session=caller.id, user=caller.user_id, **values)
    if not rows:
        read_account()
    return rows


def show(rows: list[tuple]) -> list[TaskRead]:
    """Return the tasks of rows."""
    return [TaskRead(task_id, title, bool(done), due) for task_id, title, done, due, _ in rows]


def one_task(statement: sa.Executable, tags: str | None = None, **values: Any) -> Any:
    """Return a task and its ETag after a statement; 404 without it, 412 if it is not as tagged."""
    rows = own(statement, tags=tags, **values)
    if not rows and tags is not None and own(READ_TASK, **values):
        abort(412, "Task has changed")
    if not rows:
        abort(404, "Task not found")
    return show(rows)[0], {"ETag": f'"{rows[0][-1]}"'}


@lru_cache
def page(names: tuple[str, ...], sort: str) -> sa.Select:
    """Select a page by key, not by offset, with filters of these names."""
    order, wanted = ORDERS[sort], [FILTERS[name] for name in names]
    after = sa.tuple_(*order) > sa.tuple_(*AFTER[-len(order) :])
    rows = bind("rows", type_=sa.Integer)  # one more than the page has, if there is a next one
    return sa.select(*TASK).where(OWN, after, *wanted).order_by(*order).limit(rows)


@endpoint(api.get("/tasks"), scope="tasks:read")
def list_tasks(query: TaskQuery) -> Annotated[list[TaskRead], "Link"]:
    """List the caller's tasks, a page at a time."""
    sent = {name: getattr(query, name) for name in query.model_fields_set & FILTERS.keys()}
    due, task_id = query.cursor
    after = {"after_due": due, "after_id": task_id, "rows": query.limit + 1}
    rows = own(page(tuple(sent), query.sort), **after, **sent)
    tasks = show(rows[: query.limit])
    if len(rows) <= query.limit:
        return tasks
    last = tasks[-1]
    cursor = urlsafe_b64encode(to_json((last.due or "9999-12-31", last.id))).decode()
    following = url_for(".list_tasks", **{**request.args, "cursor": cursor})
    return tasks, {"Link": f'<{following}>; rel="next"'}


@endpoint(api.post("/tasks"), scope="tasks:write", status=201)
def create_task(body: TaskCreate, idempotency_key: IdempotencyKey) -> Created:
    """Add a task; the same Idempotency-Key again gives the same task."""
    name = digest(body.model_dump_json().encode())
    sent = body.model_dump() | {"idempotency_key": idempotency_key, "idempotency_digest": name}
    rows = own(ADD_TASK, **sent) or own(SAME_TASK, **sent)
    task_id, *_, version = rows[0] if rows else abort(422, [KEY_USED])
    return show(rows)[0], {"ETag": f'"{version}"', "Location": f"/tasks/{task_id}"}


@endpoint(api.delete("/tasks"), scope="tasks:write")
def clear_tasks(query: ClearQuery) -> None:
    """Delete the caller's tasks that are done."""
    own(CLEAR_TASKS)


@endpoint(api.get("/tasks/<task_id>"), scope="tasks:read")
def read_task(task_id: Id) -> TaskRead:
    """Return one task."""
    return one_task(READ_TASK, task_id=task_id)


@endpoint(api.patch("/tasks/<task_id>"), scope="tasks:write")
def change_task(task_id: Id, body: TaskChange, if_match: IfMatch) -> Tagged:
    """Change what was sent of a task."""
    sent = body.model_dump()
    return one_task(CHANGE_TASK, if_match, task_id=task_id, changes=int(bool(sent)), **sent)


@endpoint(api.delete("/tasks/<task_id>"), scope="tasks:write")
def delete_task(task_id: Id, if_match: IfMatch) -> None:
    """Delete a task."""
    one_task(DELETE_TASK, if_match, task_id=task_id)


# --- OpenAPI: the same annotations and docstrings, for machines -----------------------------------
ALWAYS = {422, 500, 503}
BROUGHT = {"body": {400, 413, 415}, "if_match": {412}, "if_none_match": {304}, "task_id": {404}}
CHALLENGE, LATER = ["WWW-Authenticate"], ["Retry-After"]
HEADERS = {401: CHALLENGE, 403: CHALLENGE, 429: LATER, 503: LATER}


@lru_cache
def describe_type(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a type as `items`, and as `$defs` the models that it refers to."""
    return TypeAdapter(list[kind]).json_schema(ref_template="#/components/schemas/{model}")


def describe_parameters(rule: Any, hints: dict[str, Any]) -> list[dict[str, Any]]:
    """Describe what a view takes from the path, from the query and from headers."""
    query = hints.get("query", Schema).model_json_schema()
    fields, needed = query.get("properties", {}), query.get("required", [])
    found = [(name, "query", name in needed, kind) for name, kind in fields.items()]
    for name in [name for name in hints if name not in ("query", "body", "return")]:
        place = "path" if name in rule.arguments else "header"
        shown = name if name in rule.arguments else name.replace("_", "-").title()
        found.append((shown, place, name in rule.arguments, describe_type(hints[name])["items"]))
    found.append(("X-Request-Id", "header", False, {"type": "string"}))
    return [dict(zip(("name", "in", "required", "schema"), one, strict=True)) for one in found]


def describe_view(rule: Any, view: Any, hints: dict[str, Any]) -> dict[str, Any]:
    """Describe a view; the refusals that are its own stand in its docstring."""
    gives, get = hints["return"], "if_none_match" in hints
    good, own = 204 if gives is None else view.status, re.findall(r"\b4\d\d\b", view.__doc__)
    statuses = ALWAYS.union({good}, map(int, own), *(BROUGHT.get(name, ()) for name in hints))
    responses = {}
    for status in sorted(statuses | {401, 403, 404} if view.scope else statuses):
        kind = gives if status in (good, 304) else Invalid if status == 422 else Error
        also = [*getattr(kind, "__metadata__", ()), *["ETag"][: status < 400 and get]]
        kinds = () if status in (204, 304) else Schema.content_types
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "headers": {n: {"schema": {"type": "string"}} for n in HEADERS.get(status, also)},
            "content": {name: {"schema": describe_type(kind)["items"]} for name in kinds},
        }
    operation = {"operationId": view.__name__, "tags": [rule.rule.split("/")[1]]}
    operation |= {"summary": view.__doc__, "responses": responses}
    if body := hints.get("body"):
        content = {name: {"schema": describe_type(body)["items"]} for name in body.content_types}
        operation["requestBody"] = {"required": True, "content": content}
    operation["security"] = [{"login": [view.scope]}] if view.scope else []
    return operation | {"parameters": describe_parameters(rule, hints)}


def describe(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all endpoints of an app."""
    paths, schemas = {}, {}
    for rule in app.url_map.iter_rules():
        view, path = app.view_functions[rule.endpoint], re.sub("<(.+?)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"} if hasattr(view, "scope") else ():
            hints = view.__annotations__ | ({"if_none_match": str} if method == "GET" else {})
            paths.setdefault(path, {})[method.lower()] = describe_view(rule, view, hints)
            for kind in (hints["return"], hints.get("body"), Error, Invalid):
                schemas |= describe_type(kind).get("$defs", {})
    flow = {"tokenUrl": "/auth/token", "refreshUrl": "/auth/token", "scopes": SCOPES}
    login = {"type": "oauth2", "flows": {"password": flow}}
    components = {"schemas": schemas, "securitySchemes": {"login": login}}
    info = {"title": "Todo API", "version": "1", "description": __doc__.rpartition("\n\n")[0]}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}


# --- Around: health, docs, commands, what all answers share ---------------------------------------
@endpoint(api.get("/health"), scope=None)
def read_health() -> dict[Literal["status"], Literal["ok"]]:
    """Tell whether the database answers."""
    execute(PING)
    return {"status": "ok"}


@api.get("/", defaults={"name": "index"})
@api.get("/docs", defaults={"name": "docs"})
def show_page(name: str) -> Response:
    """Send a page, which uses the API as any other client does."""
    return current_app.send_static_file(f"{name}.html")


@api.get("/docs/<any('swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def send_swagger_ui(name: str) -> Response:
    """Send a file of Swagger UI."""
    return flask.send_from_directory(Path(flask_swagger_ui.__file__).with_name("dist"), name)


def command(act: Callable) -> None:
    """Make a command of what is done with an account; its password is one line of input."""

    @api.cli.command(act.__name__.replace("_", "-"), help=act.__doc__)
    @click.argument("email")
    def run(email: str) -> None:
        if sys.stdin.isatty():
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        try:
            act(Account(email=email, password=password))
        except HTTPException as error:
            raise click.ClickException(error.description) from None
        except pydantic.ValidationError as error:
            wrong = error.errors()[0]
            raise click.ClickException(f"{wrong['loc'][0]}: {wrong['msg']}") from None


@command
def create_user(account: Account) -> None:
    """Create an account; its password is asked for, or read as one line of standard input."""
    click.echo(f"Created user {register(account).id}")


@command
def set_password(account: Account) -> None:
    """Change the password of an account, likewise, and end all its sessions."""
    store_password(User.email == account.email, account.password) or abort(404, "User not found")


POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
POLICY += "connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'"
NOSNIFF = ("X-Content-Type-Options", "nosniff")
SANE = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def label(serve: Callable) -> Callable:
    """Give each request its id, the client's own if it is sane, and answers what all have."""

    def answer(environ: dict[str, Any], start_response: Callable) -> Any:
        asked, path = environ.get("HTTP_X_REQUEST_ID"), environ["PATH_INFO"]
        name = asked if asked and SANE.fullmatch(asked) else os.urandom(16).hex()
        environ |= {"todo.id": name, "todo.path": quote(path, encoding="latin-1")}  # for the log
        policy = POLICY + (" data:" if path == "/docs" else "")  # for the icons of Swagger UI
        shared = [("X-Request-Id", name), ("Content-Security-Policy", policy), NOSNIFF]

        def start(status: str, given: list[tuple], *error: Any) -> Callable:
            unchanged = status.startswith("304")  # what the client has goes on (RFC 9111 §4.3.4)
            return start_response(status, given + shared[: 1 if unchanged else 3], *error)

        return serve(environ, start)

    return answer


# --- App: wiring only -----------------------------------------------------------------------------
def tune(connection: Any, _: Any) -> None:
    """Make SQLite keep an answered write through a power cut, and PostgreSQL give up on a lock."""
    if db.engine.name == "postgresql":
        connection.execute("SET lock_timeout = '5s'")
        return
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("lower", 1, str.lower, deterministic=True)  # knows every letter


def create_tables() -> None:
    """Create the missing tables, under a lock as other workers and hosts may be doing the same."""
    lock = "BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(7368)"
    if db.engine.name == "sqlite":
        with suppress(OSError):  # whose message would be worse than SQLite's
            Path(db.engine.url.database).touch(0o600)
        lock = "BEGIN IMMEDIATE"
    sa.event.listen(db.engine, "connect", tune)
    try:
        with db.engine.connect() as connection:
            connection.exec_driver_sql(lock)
            db.metadata.create_all(connection)
            connection.commit()
            for table in db.metadata.sorted_tables:
                live = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
                for name in set(table.columns.keys()) - live:
                    stop(f"APP_DATABASE_URL: table {table.name} has no column {name}")
    except sa.exc.DBAPIError as error:
        stop(f"APP_DATABASE_URL cannot be used: {explain(error)}")


def create_app(settings: Settings | None = None) -> Flask:
    """Return the service, its tables created; without settings, by those of the environment."""
    settings = settings or Settings.from_environment()
    app = Flask(__name__, instance_path=str(Path(__file__).parent))
    engine = {"poolclass": sa.NullPool, "isolation_level": "AUTOCOMMIT"}
    engine["pool_reset_on_return"] = None  # as there is nothing to undo
    if settings.database_url.get_backend_name() == "sqlite":
        engine["paramstyle"] = "named"
    app.config.update(
        BCRYPT_HANDLE_LONG_PASSWORDS=True,
        BCRYPT_LOG_ROUNDS=settings.bcrypt_rounds,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.access_token_expire_minutes),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.refresh_token_expire_days),
        SESSION_SECONDS=settings.refresh_token_expire_days * 86_400
        + settings.access_token_expire_minutes * 60,
        JWT_DECODE_LEEWAY=10,  # seconds by which the clock of a host may be behind another's
        JWT_SECRET_KEY=settings.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=64 * 1024 + 1,
        RATELIMIT_SWALLOW_ERRORS=True,
        RATELIMIT_STORAGE_URI=settings.rate_limit_storage,
        RATELIMIT_STORAGE_OPTIONS={"socket_timeout": 1, "socket_connect_timeout": 1},
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine,
    )
    app.wsgi_app = label(app.wsgi_app)
    app.ensure_sync = lambda view: view  # none is a coroutine
    nobody, app.session_interface = NullSession(), SessionInterface()
    app.session_interface.open_session = lambda *_: nobody  # and there are no cookies
    for extension in (db, jwt, bcrypt, limiter):
        extension.init_app(app)
    app.teardown_appcontext_funcs.clear()  # nor is there an ORM session
    app.before_request_funcs.clear()  # flask-limiter's own, of which `prove` alone needs one
    app.teardown_request_funcs.clear()
    app.config["COUNT_FAILURE"] = app.after_request_funcs.pop(None)[0]
    app.register_blueprint(api)
    if settings.registration == "closed":
        app.view_functions["api.register"] = lambda: abort(403, "Registration is closed")
    if behind := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=behind, x_proto=behind, x_host=behind)
    app.log_exception = lambda bug: app.logger.error(
        "Request %s", request.environ["todo.id"], exc_info=bug
    )
    app.logger.setLevel("INFO")
    document = lru_cache(lambda: (to_json(describe(app)), {"Content-Type": "application/json"}))
    app.add_url_rule("/openapi.json", view_func=document)  # made when it is first asked for
    with app.app_context():
        create_tables()
        readers = writers = LifoQueue()
        if db.engine.name == "sqlite":
            writers = LifoQueue()
        for idle in (writers, *[readers] * 9):
            idle.put(None)  # a connection that is yet to be made, after any fork
        app.extensions["database"] = db.engine, {False: readers, True: writers}
        driver = db.engine.dialect.dbapi
        trouble = driver.OperationalError, driver.InterfaceError, driver.InternalError
        for error in (HTTPException, Empty, *trouble):
            app.register_error_handler(error, on_error)
        app.logger.info("Database: %s", db.engine.url.set(query={}))
    return app

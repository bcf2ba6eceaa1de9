"""Todo API: accounts, tokens and to-do tasks over HTTP, in one file.

    POST /auth/register, /auth/token, /auth/revoke       sign up, log in or refresh, log out
    GET, DELETE /auth/me; PUT /auth/me/password          who am I, delete me, change my password
    GET, POST /auth/keys; DELETE /auth/keys/<id>         tokens for scripts, which do not expire
    GET, POST, DELETE /tasks                             list or add tasks, clear the done ones
    GET, PATCH, DELETE /tasks/<id>                       read, change or delete one
    GET /tasks/changes                                   what changed since, once or as events
    GET /health                                          whether the database answers
    GET /, /docs, /openapi.json                          the page, the API for people, for machines

Every answer from 400 up is JSON with "detail": a sentence, or for 422 a list of type, loc and msg.

Read from the top: what a section uses stands above it. Three ideas carry it:

1. A view is its annotations: `endpoint` makes validation, answer and documentation from them.
2. Who calls is known before a view runs: `authenticate` sets `g.user_id`, and does nothing else.
3. Whoever changes an account's tasks takes the account's next change number in the same
   transaction (`changing`). This one number is the ETag of tasks and lists, and the feed of changes.
"""

import hashlib
import json
import os
import re
import sqlite3
import sys
import time
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Annotated, Any, ClassVar, Literal, NoReturn, get_type_hints
from urllib.parse import quote
from uuid import uuid4

import click
import flask
import flask_swagger_ui
import psycopg
import pydantic
import redis
import sqlalchemy as sa
from cachetools import LRUCache, TTLCache, cached
from dotenv import load_dotenv
from flask import Blueprint, Flask, Response, current_app, g, request, stream_with_context, url_for
from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_sqlalchemy import SQLAlchemy
from psycopg.conninfo import conninfo_to_dict
from pydantic import MISSING, AfterValidator, AliasChoices, BaseModel, BeforeValidator, Field
from pydantic import TypeAdapter
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError, to_json
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, NotSupportedError
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

# --- Settings: the only reader of the environment -------------------------------------------------


def stop(reason: str) -> NoReturn:
    """End the start with one line, and the status by which gunicorn does not try again."""
    print(reason, file=sys.stderr)
    sys.exit(3)


def read_postgresql_url(url: str) -> dict[str, Any]:
    """Return libpq's parameters of a URL as platforms write it, without those of other drivers."""
    address, _, query = url.partition("?")
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    kept = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] in known)
    found = conninfo_to_dict(
        re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", address) + f"?{kept}"
    )
    if not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ValueError("a port is a number")
    return found


def check_database_url(url: str) -> str:
    """Accept the URL of a SQLite file or of a PostgreSQL database."""
    if re.match(r"postgres(ql)?(\+\w+)?://", url):
        try:
            read_postgresql_url(url)
        except psycopg.Error:
            raise ValueError("libpq cannot read it") from None
    elif not re.match(r"sqlite:///(?!:|file:).", url):
        raise ValueError("neither of them")
    return url


def mask_password(url: str) -> str:
    """Return a database's URL as a log may show it."""
    return re.sub(r"//([^:/@]*):[^@]*@", r"//\1:***@", url.partition("?")[0])


def check_redis_url(url: str) -> str:
    """Accept memory:// or what the Redis client understands."""
    if url != "memory://":
        redis.Redis.from_url(url)  # which raises ValueError
    return url


Origin = Annotated[str, Field(pattern=r"^(\*|https?://([\w.-]+|\[[\w:]+\])(:\d{1,5})?)$")]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(lambda text: re.findall(r"[^\s,]+", text))]


class Settings(BaseModel):
    """What an operator sets: `secret_key` by APP_SECRET_KEY, and so on; views find it in
    `current_app.config` by that name."""

    model_config = {"frozen": True, "hide_input_in_errors": True, "validate_default": True}
    secret_key: pydantic.SecretBytes = Field(min_length=32, description="at least 32 random bytes")
    database_url: Annotated[str, AfterValidator(check_database_url)] = Field(
        "sqlite:///todo.db", description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    )
    access_token_expire_minutes: int = Field(30, ge=1, le=525_600, description="1 to 525600")
    refresh_token_expire_days: int = Field(30, ge=1, le=3650, description="1 to 3650")
    bcrypt_rounds: int = Field(12, ge=4, le=20, description="4 to 20")
    registration: Literal["open", "closed"] = Field("open", description="open or closed")
    trusted_proxies: int = Field(0, ge=0, le=10, description="0 to 10")
    rate_limit_storage: Annotated[str, AfterValidator(check_redis_url)] = Field(
        "memory://", description="memory:// or redis://HOST:PORT"
    )
    cors_origins: Origins = Field("", description="* or origins like https://todo.example.com")

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


# --- Database: engines, what each kind needs, one way to read and one to write --------------------
db = SQLAlchemy()
POOL = {"pool_size": 5, "max_overflow": 5, "pool_timeout": 5, "pool_use_lifo": True}
LIVENESS = {  # of PostgreSQL's connections, in seconds, but the last: a URL may say otherwise
    "connect_timeout": 4,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
}
BEGIN = {  # nothing is set for longer than a transaction, as a pooler gives each to another session
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'",
}
NO_MORE = re.compile("too many|slots are reserved|no more connections")  # connections


def describe_engines(url: str) -> dict[str, Any]:
    """Return Flask-SQLAlchemy's configuration of a database.

    SQLite has one writer: it gets an engine of one connection, for which the writers of a process
    queue, and readers get one of their own that cannot write.
    """
    if not url.startswith("sqlite"):
        needed = {"client_encoding": "utf8", "prepare_threshold": None}
        connect_args = LIVENESS | read_postgresql_url(url) | needed
        options = POOL | {"pool_pre_ping": True, "connect_args": connect_args}
        uri, binds = "postgresql+psycopg://", {}
    else:
        uri, binds = sa.make_url(url), {"reader": POOL | {"url": url, "hide_parameters": True}}
        options = POOL | {"pool_size": 1, "max_overflow": 0}
    options["hide_parameters"] = True  # passwords and titles have no place in a log
    return {
        "SQLALCHEMY_DATABASE_URI": uri,
        "SQLALCHEMY_ENGINE_OPTIONS": options,
        "SQLALCHEMY_BINDS": binds,
    }


def prepare_connections(engine: sa.Engine, may_write: bool) -> None:
    """Set up each new connection of an engine, and begin its transactions ourselves.

    That is SQLAlchemy's documented recipe for SQLite, whose driver begins them too late, and on
    PostgreSQL it saves a round trip.
    """

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        if engine.name == "postgresql":
            connection.autocommit = True
            return
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        if not may_write:
            connection.execute("PRAGMA query_only = ON")


def guard_file(engine: sa.Engine) -> None:
    """Refuse SQLite's connections while the file at the path is not the one that was opened.

    Somebody has moved, deleted or replaced it: what is written now, nobody would read again.
    """
    path = engine.url.database
    opened = os.stat(path)

    @sa.event.listens_for(engine, "checkout")
    def on_checkout(_connection: Any, _record: Any, _proxy: Any) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), opened):
                return
        raise sqlite3.OperationalError("the database file was moved, deleted or replaced")


def begin_transactions(engine: sa.Engine) -> None:
    """Begin the transactions of an engine in the way that its kind of database needs."""
    sa.event.listen(
        engine, "begin", lambda connection: connection.exec_driver_sql(BEGIN[engine.name])
    )


def explain(error: Exception) -> str:
    """Return what a driver says, without the names and values that it quotes."""
    said = str(getattr(error, "orig", error)) or "No connection was free for five seconds"
    return re.sub(r"""(["']).*?\1""", "…", said.partition("\n")[0])


def connect(engine: sa.Engine) -> sa.Connection:
    """Take a connection from the pool; where the server allows no more, wait for one of ours."""
    for _ in range(50):
        try:
            return engine.connect()
        except OperationalError as error:
            if not NO_MORE.search(str(error.orig)):
                raise
            time.sleep(0.1)
    return engine.connect()


@contextmanager
def reading() -> Iterator[sa.Connection]:
    """Lend a connection for SELECT, as in `with reading() as connection:`."""
    with connect(db.engines.get("reader", db.engine)) as connection:
        yield connection


@contextmanager
def writing() -> Iterator[sa.Connection]:
    """Lend a connection in a transaction: committed at the end of the block, undone by any error."""
    with connect(db.engine) as connection, connection.begin():
        yield connection


# --- Models: tables, and the steps from earlier versions ------------------------------------------
BigId = Annotated[int, mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"))]
Number = Annotated[int, mapped_column(sa.BigInteger)]
UserId = Annotated[int, mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))]
NO_ID_TWICE = {"sqlite_autoincrement": True}  # or a deleted account's token would open the next one


def fold(text: str) -> str:
    """Return a text as searches compare it: Unicode's case folding, composed (NFC)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def fold_title(context: Any) -> str:
    """Fold the title of a new row."""
    return fold(context.get_current_parameters()["title"])


class User(db.Model):
    """An account; its email is kept in lower case.

    `change_number` counts the requests that changed its tasks, `password_number` its passwords.
    """

    __tablename__, __table_args__ = "users", NO_ID_TWICE
    id: Mapped[BigId] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    password_number: Mapped[Number] = mapped_column(default=0)
    change_number: Mapped[Number] = mapped_column(default=0)


class Session(db.Model):
    """A login, or with a name a key; times are in Unix seconds.

    `generation` counts how often a login was refreshed, the last time at `refreshed_at`.
    """

    __tablename__, __table_args__ = "sessions", NO_ID_TWICE
    id: Mapped[BigId] = mapped_column(primary_key=True)
    user_id: Mapped[UserId] = mapped_column(index=True)
    name: Mapped[str | None]
    scope: Mapped[str]
    created_at: Mapped[Number]
    generation: Mapped[Number] = mapped_column(default=0)
    refreshed_at: Mapped[Number] = mapped_column(index=True)


class Task(db.Model):
    """A task of one user; `change_number` is that of the request that changed it last."""

    __tablename__ = "tasks"
    id: Mapped[BigId] = mapped_column(primary_key=True)
    user_id: Mapped[UserId]
    title: Mapped[str]
    title_folded: Mapped[str] = mapped_column(default=fold_title)
    done: Mapped[bool] = mapped_column(default=False)
    due: Mapped[date | None]
    change_number: Mapped[Number]
    idempotency_key: Mapped[str | None]
    idempotency_digest: Mapped[str | None]


DUE_LAST = sa.literal_column("coalesce(due, '9999-12-31')", sa.Date)  # sorts the undated last
sa.Index("ix_tasks_id", Task.user_id, Task.id)
sa.Index("ix_tasks_due", Task.user_id, DUE_LAST, Task.id)
sa.Index("ix_tasks_done_id", Task.user_id, Task.done, Task.id)
sa.Index("ix_tasks_done_due", Task.user_id, Task.done, DUE_LAST, Task.id)
sa.Index("ix_tasks_change_number", Task.user_id, Task.change_number, Task.id)
sa.Index("ix_tasks_idempotency_key", Task.user_id, Task.idempotency_key, unique=True)


class Deletion(db.Model):
    """A task that is gone, for those who follow the changes of its user."""

    __tablename__ = "deletions"
    user_id: Mapped[UserId] = mapped_column(primary_key=True)
    change_number: Mapped[Number] = mapped_column(primary_key=True)
    task_id: Mapped[Number] = mapped_column(primary_key=True)


schema_version = sa.Table("schema_version", db.metadata, sa.Column("version", sa.Integer))


def fold_titles(connection: sa.Connection) -> None:
    """Fill the column of folded titles."""
    titles = connection.execute(sa.text("SELECT id, title FROM tasks")).all()
    if titles:
        change = sa.text("UPDATE tasks SET title_folded = :folded WHERE id = :id")
        connection.execute(change, [{"id": id_, "folded": fold(title)} for id_, title in titles])


# What leads from each version to the next, as SQL of both databases or as functions. A step is
# never changed after its release. Version 1 had no table of its version.
STEPS = {
    1: [
        # Sessions end with their row, no longer by a copy of the password hash.
        "DELETE FROM sessions WHERE password_hash <>"
        " (SELECT password_hash FROM users WHERE users.id = sessions.user_id)",
        "ALTER TABLE sessions DROP COLUMN password_hash",
        "ALTER TABLE sessions ADD COLUMN name VARCHAR",
        "ALTER TABLE sessions ADD COLUMN created_at BIGINT DEFAULT 0 NOT NULL",
        "UPDATE sessions SET created_at = refreshed_at",
        "ALTER TABLE users ADD COLUMN password_number BIGINT DEFAULT 0 NOT NULL",
        "ALTER TABLE users ADD COLUMN change_number BIGINT DEFAULT 0 NOT NULL",
        # Change numbers begin after all versions of tasks, which clients may hold as ETags.
        "ALTER TABLE tasks ADD COLUMN change_number BIGINT DEFAULT 0 NOT NULL",
        "UPDATE tasks SET change_number = numbered.number FROM (SELECT id,"
        " max(version) OVER (PARTITION BY user_id)"
        " + row_number() OVER (PARTITION BY user_id ORDER BY id) AS number FROM tasks) AS numbered"
        " WHERE tasks.id = numbered.id",
        "ALTER TABLE tasks DROP COLUMN version",
        "UPDATE users SET change_number = coalesce("
        "(SELECT max(change_number) FROM tasks WHERE tasks.user_id = users.id), 0)",
        "CREATE INDEX ix_tasks_change_number ON tasks (user_id, change_number, id)",
        "ALTER TABLE tasks ADD COLUMN title_folded VARCHAR DEFAULT '' NOT NULL",
        fold_titles,
    ],
}
NEWEST = max(STEPS) + 1
ALONE = {  # whoever starts at the same time waits
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "BEGIN; SELECT pg_advisory_xact_lock(7368)",
}


def check_server(connection: sa.Connection) -> None:
    """Stop where the database's server lacks what the service needs."""
    if connection.dialect.name == "sqlite":
        if sqlite3.sqlite_version_info < (3, 35):
            stop(f"APP_DATABASE_URL: SQLite is {sqlite3.sqlite_version}, and 3.35 is needed")
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        stop(f"APP_DATABASE_URL: the encoding of the database is {encoding}, and UTF8 is needed")


def bring_up_to_date(connection: sa.Connection) -> None:
    """Create the tables, or take those of an earlier version step by step to the newest."""
    tables = set(sa.inspect(connection).get_table_names())
    found = NEWEST if "users" not in tables else 1
    if "schema_version" in tables:
        found = connection.scalar(sa.select(schema_version.c.version)) or found
    if found > NEWEST:
        stop(f"APP_DATABASE_URL: the database is of version {found}, and this is version {NEWEST}")
    for version in range(found, NEWEST):
        for step in STEPS[version]:
            step(connection) if callable(step) else connection.execute(sa.text(step))
    db.metadata.create_all(connection)
    if found < NEWEST or "schema_version" not in tables:
        connection.execute(sa.delete(schema_version))
        connection.execute(sa.insert(schema_version).values(version=NEWEST))
    for table in db.metadata.sorted_tables:
        live = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for name in set(table.columns.keys()) - live:
            stop(f"APP_DATABASE_URL: table {table.name} has no column {name}")


def open_database() -> None:
    """Make the app's database ready, alone and whole or not at all; stop with a line if it fails."""
    engines = {engine: key != "reader" for key, engine in db.engines.items()}
    for engine, may_write in engines.items():
        prepare_connections(engine, may_write)
    try:
        if db.engine.name == "sqlite":
            with suppress(OSError):  # whose message would be worse than SQLite's
                Path(db.engine.url.database).touch(0o600)
        with db.engine.connect() as connection:
            check_server(connection)
            if db.engine.name == "sqlite":
                connection.exec_driver_sql("PRAGMA busy_timeout = 60000")
            connection.exec_driver_sql(ALONE[db.engine.name])
            bring_up_to_date(connection)
            connection.commit()
    except sa.exc.DBAPIError as error:
        stop(f"APP_DATABASE_URL cannot be used: {explain(error)}")
    for engine, may_write in engines.items():
        if engine.name == "sqlite":
            guard_file(engine)
        if may_write:
            begin_transactions(engine)


# --- Schemas: what comes in, validated, and what goes out -----------------------------------------
INVISIBLE = r"\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
SCOPES = {"tasks:read": "read tasks", "tasks:write": "change tasks", "account": "the account"}
GRANTS = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}
TAG = re.compile(r'"([^"]*?)(?:-gzip|-br|-deflate|-zstd)?"')  # what a proxy appends, or W/, aside


def read_date(value: Any) -> date:
    """Read a date as YYYY-MM-DD, in no other form that Python or pydantic knows."""
    if isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("date_parsing", "Input should be a date as YYYY-MM-DD")


def read_cursor(text: str) -> tuple[date, int]:
    """Read where a page ended, as `write_cursor` wrote it."""
    try:
        due, task_id = json.loads(urlsafe_b64decode(text))
        if 0 < int(task_id) < 2**63:
            return read_date(due), int(task_id)
    except (ValueError, TypeError, RecursionError):
        pass
    raise PydanticCustomError("cursor", "Input should be a cursor of this list")


def write_cursor(due: date, task_id: int) -> str:
    """Return an opaque name of a place in a list, whatever its order."""
    return urlsafe_b64encode(json.dumps([str(due), task_id]).encode()).decode()


def read_tags(header: str) -> list[int] | None:
    """Return the change numbers that If-Match names (RFC 9110 §13.1.1); None is any, as `*` is."""
    numbers = [int(tag) for tag in TAG.findall(header) if re.fullmatch("[0-9]{1,18}", tag)]
    return None if header.strip() == "*" else numbers


def digest(content: bytes) -> str:
    """Return a short name of what is long, or must not be shown."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Visible = Field(pattern=rf"^[^\x00]*[^{INVISIBLE}][^\x00]*$", max_length=255)
Trimmed = pydantic.StringConstraints(strip_whitespace=True, min_length=1)
Title = Annotated[str, Trimmed, Visible, Field(examples=["API review"])]
KeyName = Annotated[str, Trimmed, Visible, Field(examples=["backup script"])]
Username = Annotated[
    Text, pydantic.StringConstraints(to_lower=True), Field(examples=["me@example.com"])
]
Email = Annotated[Username, Field(pattern=r"^[^\s@\x00]+@[^\s@\x00]+$", max_length=254)]
Secret = Annotated[str, Field(examples=["correct horse"])]
Password = Annotated[Secret, Field(min_length=8, max_length=1024)]
Scope = Annotated[str, Field(json_schema_extra={"pattern": f"^(({'|'.join(SCOPES)})( |$))*$"})]
Date = Annotated[date, BeforeValidator(read_date), Field(examples=["2026-11-30"])]
Flag = Annotated[Literal["true", "false"], AfterValidator(lambda text: text == "true")]
Limit = Annotated[int, Field(ge=1, le=1000)]
Since = Annotated[int, Field(ge=0, lt=2**63)]
Id = Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$"), AfterValidator(int)]
IfMatch = Annotated[str, AfterValidator(read_tags)]
LastEventId = Annotated[int, Field(ge=0, lt=2**63)]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255)]
Cursor = Annotated[Any, BeforeValidator(read_cursor), pydantic.WithJsonSchema({"type": "string"})]


class Schema(BaseModel):
    """What a request may hold: unknown fields are errors, and no type is guessed."""

    model_config = {"extra": "forbid", "strict": True, "frozen": True}
    content_types: ClassVar = ("application/json",)


class Form(Schema):
    """What OAuth 2 sends, in JSON too; a field that is not known is ignored (RFC 6749 §3.2)."""

    model_config = {"extra": "ignore"}
    content_types = ("application/json", "application/x-www-form-urlencoded")


class AnyQuery(Schema):
    """Parameters that nobody reads, such as those of a monitor."""

    model_config = {"extra": "ignore"}


class Account(Schema):
    """A new account."""

    email: Email
    password: Password


class PasswordProof(Schema):
    """The password of the caller, for what a token alone may not do."""

    password: Secret


class PasswordChange(PasswordProof):
    """The password of the caller, and the next one."""

    new_password: Password


class TokenRequest(Form):
    """An email and its password (RFC 6749 §4.3.2), or a refresh token (§6), and a wanted scope."""

    model_config = {
        "json_schema_extra": {
            "if": {
                "properties": {"grant_type": {"const": "refresh_token"}},
                "required": ["grant_type"],
            },
            "then": {"required": GRANTS["refresh_token"]},
            "else": {"required": GRANTS["password"]},
        }
    }
    grant_type: str = Field("password", json_schema_extra={"enum": list(GRANTS)})
    username: Username | MISSING = Field(
        MISSING, validation_alias=AliasChoices("username", "email")
    )
    password: Secret | MISSING = MISSING
    refresh_token: str | MISSING = MISSING
    scope: Scope = ""

    @pydantic.model_validator(mode="before")
    @classmethod
    def leave_out_empty(cls, sent: Any) -> Any:
        """Leave out parameters without a value, which count as not sent (RFC 6749 §3.2)."""
        return {k: v for k, v in sent.items() if v != ""} if isinstance(sent, dict) else sent


class Revocation(Form):
    """A token to revoke (RFC 7009 §2.1)."""

    token: Annotated[str, Field(examples=["a token"])]


class Claims(Form):
    """What a token says of its session; `exp` is missing from a key's."""

    type: str
    sub: Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$")]
    id: int
    scope: str
    generation: int
    refreshed_at: int
    exp: float | None = None


class KeyCreate(Schema):
    """A key for a script; its scope is by default the token's own, but for the account."""

    name: KeyName
    scope: Scope = ""


class TaskCreate(Schema):
    """A new task."""

    title: Title
    done: bool = False
    due: Date | None = None


TaskChange = pydantic.create_model(
    "TaskChange",
    __base__=Schema,
    __doc__="What to change of a task; a field that is missing stays as it is (RFC 7396).",
    **{
        name: (hint | MISSING, MISSING)
        for name, hint in get_type_hints(TaskCreate, include_extras=True).items()
        if name in TaskCreate.model_fields
    },
)
TaskChange.content_types = ("application/json", "application/merge-patch+json")


class TaskQuery(Schema):
    """Which tasks to list, in which order, and from where."""

    done: Flag | MISSING = MISSING
    q: Annotated[Text, Field(max_length=1000)] = ""
    due_before: Date | MISSING = MISSING
    due_after: Date | MISSING = MISSING
    sort: Literal["id", "-id", "due"] = "id"
    limit: Limit = 100
    cursor: Cursor = None


class ClearQuery(Schema):
    """Which tasks to delete at once."""

    done: Literal["true"]


class ChangesQuery(Schema):
    """The number of the last change that the caller knows, and how many tasks to answer with."""

    since: Since = 0
    limit: Limit = 1000


@dataclass
class AccountRead:
    """An account, as its owner sees it."""

    id: int
    email: str


@dataclass
class Token:
    """A pair of tokens (RFC 6749 §5.1); `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    scope: str


@dataclass
class KeyRead:
    """A key, without what opens anything."""

    id: int
    name: str
    scope: str
    created: datetime


@dataclass
class KeyMade(KeyRead):
    """A new key, which is shown this once."""

    key: str


@dataclass
class TaskRead:
    """A task; without a due date it has no `due`."""

    id: int
    title: str
    done: bool
    due: date | SkipJsonSchema[None] = None


@dataclass
class Changes:
    """Tasks as they are now, ids of those that are gone, and the number to ask from next time."""

    tasks: list[TaskRead]
    deleted: list[int]
    since: int
    more: bool


@dataclass
class Problem:
    """What is wrong, and where, as pydantic names it."""

    type: str
    loc: list[str | int]
    msg: str


@dataclass
class Invalid:
    """A 422."""

    detail: list[Problem]
    error: str | SkipJsonSchema[None] = None


@dataclass
class Error:
    """Any other refusal; `error` is OAuth 2's word for it."""

    detail: str
    error: str | SkipJsonSchema[None] = None


# --- Errors: one envelope for every failure -------------------------------------------------------
BUGS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)  # ours, not the database's
PROBLEMS = 10  # that a 422 names one by one


class Refusal(HTTPException):
    """A refusal in our words: `detail` is a sentence or a list, `error` a code of OAuth 2."""

    def __init__(self, code: int, detail: Any, error: str = "invalid_request", later: int = 0):
        super().__init__()
        self.code, self.detail, self.error, self.later = code, detail, error, later


def refuse(code: int, detail: Any, error: str = "invalid_request", later: int = 0) -> NoReturn:
    """End the request with a refusal; `later` is in how many seconds to come again."""
    raise Refusal(code, detail, error, later)


def refuse_token() -> NoReturn:
    """Refuse a token; whatever is wrong with it, its bearer learns the same (RFC 6750 §3.1)."""
    refuse(401, "Invalid token", "invalid_token")


def refuse_input(error: pydantic.ValidationError, *place: str) -> NoReturn:
    """Tell what is wrong in which place, never what was sent; of many problems only the first."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    detail = [
        {"type": one["type"], "loc": (*place, *map(shorten, one["loc"])), "msg": one["msg"]}
        for one in found[:PROBLEMS]
    ]
    if more := len(found) - PROBLEMS:
        if more > 0:
            detail.append({"type": "more", "loc": place, "msg": f"And {more} more problems"})
    refuse(422, detail)


def shorten(part: str | int) -> str | int:
    """Cut the name of a field, which is the client's own, to a length that can be read."""
    return part[:64] if isinstance(part, str) else part


def answer_error(error: Exception) -> Response:
    """Answer a refusal, a database in trouble (503) or a bug (500) in the one shape they have."""
    if not isinstance(error, HTTPException):
        error = explain_failure(error)
    if error.response:
        return error.response
    detail, code = getattr(error, "detail", error.name), getattr(error, "error", "invalid_request")
    body = {"detail": detail}
    if request.path in ("/auth/token", "/auth/revoke"):  # as clients expect (RFC 6749 §5.2)
        body["error"] = "invalid_grant" if code == "invalid_token" else code
    response = error.get_response()
    response.data, response.mimetype = to_json(body) + b"\n", "application/json"
    if error.code == 401 or code == "insufficient_scope":  # how to authenticate (RFC 6750 §3)
        known = code in ("invalid_token", "insufficient_scope")
        response.headers["WWW-Authenticate"] = f'Bearer error="{code}"' if known else "Bearer"
    if later := getattr(error, "later", 0):
        response.headers["Retry-After"] = later
    return response


def explain_failure(error: Exception) -> HTTPException:
    """Log what is no refusal, with the request's id; return what the client may know of it."""
    trouble = isinstance(error, (DatabaseError, sa.exc.InterfaceError, sa.exc.TimeoutError))
    if trouble and not isinstance(error, BUGS):
        current_app.logger.error("Request %s: %s", g.request_id, explain(error))
        return Refusal(503, "The database does not answer", "temporarily_unavailable", 5)
    current_app.logger.error("Request %s", g.request_id, exc_info=error)
    return Refusal(500, "Internal Server Error")


# --- Who is calling: tokens, sessions, scopes -----------------------------------------------------
jwt = JWTManager()
CALLER = (
    sa.select(User.id, User.email, User.change_number, Session.id.label("session_id"))
    .outerjoin(Session, sa.and_(Session.user_id == User.id, Session.id == sa.bindparam("session")))
    .where(User.id == sa.bindparam("user"))
)


def measure_claims(claims: Claims) -> int:
    """Return about how many bytes a token and its claims take."""
    return 1500 + 4 * len(claims.scope)


@cached(
    LRUCache(4 * 2**20, getsizeof=measure_claims),
    key=lambda token: (current_app.config["JWT_SECRET_KEY"], token),
    lock=Lock(),
)
def verify_token(token: str) -> Claims:
    """Return the claims of a token that we signed, expired or not; raise whatever is wrong."""
    return Claims.model_validate(decode_token(token, allow_expired=True))


def has_expired(claims: Claims) -> bool:
    """Tell whether a token is over; a key never is."""
    leeway = current_app.config["JWT_DECODE_LEEWAY"]
    return claims.exp is not None and claims.exp + leeway <= time.time()


def read_token(token: str, kind: str) -> Claims:
    """Return the claims of a token of a kind, "access" or "refresh", that has not expired; or 401."""
    try:
        claims = verify_token(token)
    except Exception:  # noqa: BLE001 - however it is malformed
        refuse_token()
    if claims.type != kind or has_expired(claims):
        refuse_token()
    return claims


def find_caller(claims: Claims) -> sa.Row:
    """Return the user whose session a token is of: 404 if the user is gone, 401 if the session is."""
    with reading() as connection:
        keys = {"user": int(claims.sub), "session": claims.id}
        caller = connection.execute(CALLER, keys).one_or_none()
    if caller is None:
        refuse(404, "User not found")
    if caller.session_id is None:
        refuse_token()
    return caller


def authenticate(scope: str) -> None:
    """Find out who calls by a bearer token (RFC 6750 §2.1), and whether it may do what it asks.

    Sets `g.user_id`, `g.email`, `g.change_number` and `g.claims`. It alone answers 401 to a token
    that is missing, forged, expired or revoked, 403 to one without the scope, and 404 `User not
    found`.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        refuse(401, "Not authenticated")
    g.claims = read_token(token.strip(), "access")
    caller = find_caller(g.claims)
    g.user_id, g.email, g.change_number = caller.id, caller.email, caller.change_number
    if scope not in g.claims.scope.split():
        refuse(403, f"The token lacks the scope {scope}", "insufficient_scope")


# --- Endpoint: a view's annotations become its validation and its answer --------------------------
api = Blueprint("api", __name__, cli_group=None)


def endpoint(route: Callable, *, scope: str | None, status: int = 200) -> Callable:
    """Serve a view at a route: validate what its annotations ask for, send what it returns.

    `body` and `query` are schemas; other arguments are of the URL rule, or request headers
    (`if_match`), None where they are missing. A view returns its value, its value and headers, or
    a response; None is 204. A token of the scope is asked for before anything else is read,
    except where the scope is None.
    """

    def decorate(view: Callable) -> Callable:
        takes = {"query": Schema} | view.__annotations__
        gives = TypeAdapter(takes.pop("return"))
        kinds = {n: k if isinstance(k, type) else TypeAdapter(k) for n, k in takes.items()}

        @wraps(view)
        def answer(**path: str) -> Response:
            if scope is not None:
                authenticate(scope)
            given = {name: read_argument(name, kind, path) for name, kind in kinds.items()}
            if "query" not in view.__annotations__:
                del given["query"]
            result = view(**given)
            if isinstance(result, Response):
                return result
            value, headers = result if isinstance(result, tuple) else (result, {})
            if value is None:
                return answer_nothing()
            return answer_json(gives.dump_json(value, exclude_none=True), headers, status)

        answer.scope, answer.status = scope, status  # for the OpenAPI document, as the annotations
        route(answer)
        return view

    return decorate


def read_argument(name: str, kind: Any, path: dict[str, str]) -> Any:
    """Read one argument of a view, or refuse the request with what is wrong with it."""
    header = name.replace("_", "-").title()
    try:
        if name == "query":
            return read_fields(kind, request.args) if request.query_string else kind()
        if name == "body":
            return read_body(kind)
        value = path.get(name, request.headers.get(header))
        return None if value is None else kind.validate_python(value)
    except pydantic.ValidationError as error:
        if name in path:  # an id that cannot exist is not found, like one that does not
            refuse(404, f"{name.removesuffix('_id').title()} not found")
        refuse_input(error, *((name,) if name in ("query", "body") else ("header", header)))


def read_fields(kind: type[Schema], fields: Any) -> Schema:
    """Validate the fields of a query or form; one that is sent twice becomes {}, which none may be."""
    found = {name: sent[0] if len(sent) == 1 else {} for name, sent in fields.lists()}
    return kind.model_validate_strings(found)


def read_body(kind: type[Schema]) -> Schema:
    """Read and validate the whole of a body; 413, 415, or 400 if it is cut or broken."""
    if request.mimetype not in kind.content_types:
        refuse(415, f"Content-Type must be {' or '.join(kind.content_types)}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        refuse(415, "Content-Encoding must be identity")
    try:
        data = request.get_data()
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - what servers raise here has no class in common
        refuse(400, "Bad Request")
    if len(data) > current_app.config["MAX_CONTENT_LENGTH"] - 1:  # where one in chunks was cut
        refuse(413, "Request Entity Too Large")
    if len(data) < (request.content_length or 0):
        refuse(400, "Incomplete body")
    if request.mimetype.endswith("json"):
        return kind.model_validate_json(data)
    return read_fields(kind, request.form)


def is_known(tag: str) -> bool:
    """Tell whether the client has this version already (RFC 9110 §13.1.2)."""
    sent = request.headers.get("If-None-Match", "")
    return bool(sent) and (sent.strip() == "*" or tag in TAG.findall(sent))


def answer_nothing() -> Response:
    """Answer 204."""
    nothing = Response(status=204)
    del nothing.headers["Content-Type"]
    return nothing


def answer_json(body: bytes, headers: dict[str, Any], status: int = 200) -> Response:
    """Answer with JSON; with 304 to a GET for what the client has already."""
    if request.method in ("GET", "HEAD"):
        headers = {"ETag": f'"{digest(body)}"'} | headers
        if is_known(headers["ETag"].strip('"')):
            return Response(status=304, headers=headers)
    return Response(body + b"\n", status, headers, content_type="application/json")


# --- Passwords: hashed a few at a time, tried ten times a minute ----------------------------------
bcrypt = Bcrypt()
MINUTE = 60
REDIS_TIMEOUTS = {"socket_timeout": 1, "socket_connect_timeout": 1}


class HashingQueue:
    """Lets as many passwords be hashed at a time as there are processors, and a few wait.

    What has to wait for more than a few seconds is refused at once, as it would hold a thread that
    serves others. A hash of 12 rounds takes about a quarter of a second, one of 13 twice as long.
    """

    def __init__(self, rounds: int):
        self.turns = BoundedSemaphore(os.cpu_count() or 1)
        self.places = BoundedSemaphore(max(2, 2 ** (17 - rounds)))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn to hash, and have it for the length of a block; 503 where too many wait."""
        if not self.places.acquire(blocking=False):
            refuse(503, "Too many logins at once", "temporarily_unavailable", 5)
        try:
            with self.turns:
                yield
        finally:
            self.places.release()


class Throttle:
    """Counts attempts of the last minute, by key: in this process and, if there is one, in Redis.

    Redis counts for all workers and hosts. While it is in any trouble, the process's own count,
    which goes on all the time, is what holds. Both forget what is older than a minute.
    """

    def __init__(self, url: str):
        self.attempts: TTLCache = TTLCache(50_000, MINUTE, timer=time.time)
        self.lock = Lock()
        self.redis = None if url == "memory://" else redis.Redis.from_url(url, **REDIS_TIMEOUTS)
        self.redis_works = True

    def take(self, key: str, limit: int, attempt: str) -> bool:
        """Count an attempt, unless the last minute had as many as the limit; tell which."""
        return self.take_in_redis(key, limit, attempt) and self.take_here(key, limit, attempt)

    def give_back(self, key: str, attempt: str) -> None:
        """Forget an attempt, as it was none."""
        with self.lock:
            kept = self.attempts.get(key, {})
            self.attempts[key] = {name: at for name, at in kept.items() if name != attempt}
        self.ask_redis(lambda redis: redis.zrem(key, attempt))

    def take_here(self, key: str, limit: int, attempt: str) -> bool:
        """Count an attempt in this process."""
        now = time.time()
        with self.lock:
            kept = self.attempts.get(key, {})
            recent = {name: at for name, at in kept.items() if at > now - MINUTE}
            if len(recent) >= limit:
                return False
            self.attempts[key] = recent | {attempt: now}
            return True

    def take_in_redis(self, key: str, limit: int, attempt: str) -> bool:
        """Count an attempt in a sorted set of Redis, if there is one and it works."""

        def count(redis: Any) -> bool:
            with redis.pipeline(transaction=True) as together:
                now = time.time()
                together.zremrangebyscore(key, 0, now - MINUTE)
                together.zadd(key, {attempt: now})
                together.zcard(key)
                together.expire(key, MINUTE)
                counted = together.execute()[2]
            if counted > limit:
                redis.zrem(key, attempt)
            return counted <= limit

        return self.ask_redis(count) is not False

    def ask_redis(self, ask: Callable) -> Any:
        """Return what Redis answers, None if there is none or in trouble, which is logged once."""
        if self.redis is None:
            return None
        try:
            answer = ask(self.redis)
        except redis.RedisError as error:
            if self.redis_works:
                current_app.logger.error("APP_RATE_LIMIT_STORAGE does not work: %s", explain(error))
            self.redis_works = False
            return None
        self.redis_works = True
        return answer


def client_address() -> str:
    """Return what counts as one client: an IPv4 address or an IPv6 /64, without a port."""
    found = re.fullmatch(r"\[(.*)\](:\d+)?|([^:]*):\d+", request.remote_addr or "")
    text = (found[1] or found[3]) if found else request.remote_addr
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    return str(
        ip_network((int(address), 64), strict=False)
        if isinstance(address, IPv6Address)
        else address
    )


def count_attempt(name: str, limits: dict[str, int]) -> Callable[[], None]:
    """Count an attempt against the limits of its keys; return what gives it back; or 429."""
    throttle, attempt, taken = current_app.extensions["throttle"], uuid4().hex, []

    def give_back() -> None:
        for key in taken:
            throttle.give_back(key, attempt)

    for key, limit in limits.items():
        key = f"todo:{name}:{digest(key.encode())}"
        if not throttle.take(key, limit, attempt):
            give_back()
            refuse(429, f"Too many {name}", "temporarily_unavailable", MINUTE)
        taken.append(key)
    return give_back


def hash_password(password: str) -> str:
    """Hash a password at the cost of the settings."""
    rounds = current_app.config["APP_BCRYPT_ROUNDS"]
    with current_app.extensions["hashing"].turn():
        return bcrypt.generate_password_hash(password, rounds).decode()


def read_cost(password_hash: str) -> int:
    """Return the rounds of a hash, as in $2b$12$..."""
    return int(password_hash.split("$")[2])


def find_highest_cost() -> int:
    """Return the rounds of the slowest hash that there is or will be."""
    with reading() as connection:
        stored = connection.scalar(sa.select(sa.func.max(sa.func.substr(User.password_hash, 5, 2))))
    return max(int(stored or 0), current_app.config["APP_BCRYPT_ROUNDS"])


def check_password(email: str, password: str) -> sa.Row:
    """Return the user with this email and password; 401 otherwise, and 429 after ten a minute.

    A refusal takes the same time whether or not the email has an account, and whatever its hash
    costs: the costs c, c+1, ... n-1 after one of c add up to one of n.
    """
    columns = (User.id, User.password_hash, User.password_number)
    with reading() as connection:
        user = connection.execute(sa.select(*columns).where(User.email == email)).one_or_none()
    address, highest = client_address(), current_app.config["HIGHEST_COST"]
    with current_app.extensions["hashing"].turn():
        give_back = count_attempt("failed logins", {f"{address} {email}": 10, address: 100})
        if user and bcrypt.check_password_hash(user.password_hash, password):
            give_back()
            return user
        lowest = read_cost(user.password_hash) if user else highest
        for rounds in range(lowest, highest) if user else [highest]:
            bcrypt.generate_password_hash(password, rounds)
    refuse(401, "Invalid credentials", "invalid_grant")


# --- Routes: /auth --------------------------------------------------------------------------------
DAY = 86_400  # seconds


def narrow(asked: str, allowed: str) -> str:
    """Return the scope that is asked for (RFC 6749 §3.3), each once; by default all that is allowed."""
    wanted = dict.fromkeys(asked.split()) or dict.fromkeys(allowed.split())
    if not wanted or not wanted.keys() <= set(allowed.split()):
        refuse(400, f"scope may name {allowed}", "invalid_scope")
    return " ".join(wanted)


def begin_session(connection: sa.Connection, user_id: int, scope: str, **values: Any) -> sa.Row:
    """Add a session to a user and return it."""
    now = int(time.time())
    times = {"created_at": now, "refreshed_at": now}
    new = sa.insert(Session).values(user_id=user_id, scope=scope, **times, **values)
    return connection.execute(new.returning(*Session.__table__.columns)).one()


def claim(session: sa.Row, scope: str) -> dict[str, Any]:
    """Return what a token says of its session."""
    names = ("id", "generation", "refreshed_at")
    return {name: getattr(session, name) for name in names} | {"scope": scope}


def make_tokens(session: sa.Row, scope: str) -> tuple[Token, dict[str, str]]:
    """Return the pair of tokens of a session; the access token may be narrower than it."""
    user = str(session.user_id)
    lifetime = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    access = create_access_token(user, additional_claims=claim(session, scope))
    again = create_refresh_token(user, additional_claims=claim(session, session.scope))
    token = Token(access, "bearer", int(lifetime.total_seconds()), again, scope)
    return token, {"Cache-Control": "no-store"}


def make_key(connection: sa.Connection, user_id: int, name: str, scope: str) -> KeyMade:
    """Begin a session that has a name and no end, and return its key."""
    session = begin_session(connection, user_id, scope, name=name)
    token = create_access_token(
        str(user_id), expires_delta=False, additional_claims=claim(session, scope)
    )
    return KeyMade(session.id, name, scope, datetime.fromtimestamp(session.created_at, UTC), token)


def lock_user(connection: sa.Connection, user: sa.Row) -> None:
    """Keep a user as it is until the transaction ends; 401 if the password was changed meanwhile."""
    same = (User.id == user.id, User.password_number == user.password_number)
    if not connection.execute(sa.select(User.id).where(*same).with_for_update()).first():
        refuse(401, "Invalid credentials", "invalid_grant")


def log_in(sent: TokenRequest) -> tuple[Token, dict[str, str]]:
    """Begin a session for an email and its password.

    On the way, a hash of another cost than the settings' is renewed, and sessions that have expired
    are cleared away.
    """
    scope = narrow(sent.scope, " ".join(SCOPES))
    user = check_password(sent.username, sent.password)
    renewed = None
    if read_cost(user.password_hash) != current_app.config["APP_BCRYPT_ROUNDS"]:
        renewed = hash_password(sent.password)
    life = (
        current_app.config["JWT_REFRESH_TOKEN_EXPIRES"]
        + current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    )
    over = int(time.time() - life.total_seconds())
    with writing() as connection:
        lock_user(connection, user)
        if renewed:
            this = sa.update(User).where(User.id == user.id)
            connection.execute(this.values(password_hash=renewed))
        connection.execute(
            sa.delete(Session).where(Session.name.is_(None), Session.refreshed_at < over)
        )
        session = begin_session(connection, user.id, scope)
    return make_tokens(session, scope)


def refresh(sent: TokenRequest) -> tuple[Token, dict[str, str]]:
    """Go on with a session by its newest refresh token, which then is used (RFC 9700 §4.14.2).

    For a minute a used one does as well: it may be of another tab, or the answer was lost. One
    that comes later may be stolen, and ends the session.
    """
    token, now = read_token(sent.refresh_token, "refresh"), int(time.time())
    scope, this = narrow(sent.scope, token.scope), Session.id == token.id
    with writing() as connection:
        session = connection.execute(
            sa.select(*Session.__table__.columns).where(this).with_for_update()
        ).one_or_none()
        if session is None:
            refuse_token()
        used_at = (
            session.refreshed_at
            if token.generation + 1 == session.generation
            else token.refreshed_at
        )
        if token.generation == session.generation:
            values = {"generation": session.generation + 1, "refreshed_at": now}
            session = connection.execute(
                sa.update(Session).where(this).values(values).returning(*Session.__table__.columns)
            ).one()
        elif used_at <= now - MINUTE:
            connection.execute(sa.delete(Session).where(this))
            session = None
    if session is None:  # once that is committed
        refuse_token()
    return make_tokens(session, scope)


def add_account(account: Account) -> AccountRead:
    """Create an account; 400 if its email has one."""
    password_hash = hash_password(account.password)
    new = sa.insert(User).values(email=account.email, password_hash=password_hash)
    try:
        with writing() as connection:
            user_id = connection.scalar(new.returning(User.id))
    except IntegrityError:  # of the one constraint that it can break
        refuse(400, "Email already exists")
    return AccountRead(user_id, account.email)


def store_password(connection: sa.Connection, user_id: int, password_hash: str) -> None:
    """Give a user another password, which ends all sessions and keys."""
    values = {"password_hash": password_hash, "password_number": User.password_number + 1}
    connection.execute(sa.update(User).where(User.id == user_id).values(values))
    connection.execute(sa.delete(Session).where(Session.user_id == user_id))


@api.before_request
def refuse_registration() -> None:
    """Refuse new accounts where the settings say so, whatever is sent."""
    if request.endpoint == "api.register" and current_app.config["APP_REGISTRATION"] == "closed":
        refuse(403, "Registration is closed")


@endpoint(api.post("/auth/register"), scope=None, status=201)
def register(body: Account) -> AccountRead:
    """Create an account; 400 if the email has one, 403 where registration is closed, in time 429."""
    count_attempt("registrations", {client_address(): 100})
    return add_account(body)


@endpoint(api.post("/auth/token"), scope=None)
def create_token(body: TokenRequest) -> Annotated[Token, "Cache-Control"]:
    """Give tokens for an email and its password, or a refresh token; 401, and in time 429."""
    if body.grant_type not in GRANTS:
        refuse(400, f"grant_type must be {' or '.join(GRANTS)}", "unsupported_grant_type")
    if missing := [n for n in GRANTS[body.grant_type] if getattr(body, n) is MISSING]:
        refuse(422, [Problem("missing", ["body", name], "Field required") for name in missing])
    return log_in(body) if body.grant_type == "password" else refresh(body)


@endpoint(api.post("/auth/revoke"), scope=None)
def revoke_token(body: Revocation) -> dict[str, str]:
    """End the session of a token (RFC 7009 §2.1); one that is not known is no error (§2.2)."""
    try:
        claims = verify_token(body.token)
    except Exception:  # noqa: BLE001 - however it is malformed
        return {}
    with writing() as connection:
        connection.execute(sa.delete(Session).where(Session.id == claims.id))
    return {}


@endpoint(api.get("/auth/me"), scope="account")
def read_account() -> AccountRead:
    """Return the caller's account."""
    return AccountRead(g.user_id, g.email)


@endpoint(api.put("/auth/me/password"), scope="account")
def change_password(body: PasswordChange) -> None:
    """Change the caller's password, which ends every session and key; 401, and in time 429."""
    user = check_password(g.email, body.password)
    password_hash = hash_password(body.new_password)
    with writing() as connection:
        lock_user(connection, user)
        store_password(connection, user.id, password_hash)


@endpoint(api.delete("/auth/me"), scope="account")
def delete_account(body: PasswordProof) -> None:
    """Delete the caller's account and all its tasks; 401, and in time 429."""
    user = check_password(g.email, body.password)
    with writing() as connection:
        lock_user(connection, user)
        connection.execute(sa.delete(User).where(User.id == user.id))


@endpoint(api.post("/auth/keys"), scope="account", status=201)
def create_key(body: KeyCreate) -> Annotated[KeyMade, "Cache-Control"]:
    """Make a token for a script, which does not expire and is shown this once; 400 for its scope."""
    allowed = [scope for scope in g.claims.scope.split() if scope != "account"]
    scope = narrow(body.scope, " ".join(allowed))
    with writing() as connection:
        return make_key(connection, g.user_id, body.name, scope), {"Cache-Control": "no-store"}


@endpoint(api.get("/auth/keys"), scope="account")
def list_keys() -> list[KeyRead]:
    """List the caller's keys."""
    mine = sa.select(Session).where(Session.user_id == g.user_id, Session.name.is_not(None))
    columns = (Session.id, Session.name, Session.scope, Session.created_at)
    with reading() as connection:
        rows = connection.execute(mine.with_only_columns(*columns).order_by(Session.id)).all()
    return [KeyRead(*key, datetime.fromtimestamp(created, UTC)) for *key, created in rows]


@endpoint(api.delete("/auth/keys/<key_id>"), scope="account")
def delete_key(key_id: Id) -> None:
    """Delete a key, which is dead at once; 404 if the caller has no such key."""
    this = (Session.user_id == g.user_id, Session.id == key_id, Session.name.is_not(None))
    with writing() as connection:
        if not connection.execute(sa.delete(Session).where(*this)).rowcount:
            refuse(404, "Key not found")


# --- Routes: /tasks -------------------------------------------------------------------------------
TASK_COLUMNS = (*[getattr(Task, field.name) for field in fields(TaskRead)], Task.change_number)
TASK_LIST = TypeAdapter(list[TaskRead])
ORDERS = {"id": [Task.id], "-id": [Task.id.desc()], "due": [DUE_LAST, Task.id]}
DEFAULTS_OF_VERSION_1 = {"done": False, "due": None}  # which its digests have, sent or not


def show(row: sa.Row) -> TaskRead:
    """Return the task of a row of TASK_COLUMNS."""
    return TaskRead(*row[:-1])


def answer_task(row: sa.Row, **headers: str) -> tuple[TaskRead, dict[str, str]]:
    """Answer with a task, whose change number is its ETag."""
    return show(row), {"ETag": f'"{row.change_number}"'} | headers


@contextmanager
def changing(user_id: int) -> Iterator[tuple[sa.Connection, int]]:
    """Begin a transaction that changes a user's tasks; yield it, and the number of the change.

    To take the number locks the user's row: those who change tasks of one user come one after the
    other, and their numbers appear in order. What ends the block by an error undoes the number.
    """
    count = sa.update(User).where(User.id == user_id).values(change_number=User.change_number + 1)
    with writing() as connection:
        number = connection.scalar(count.returning(User.change_number))
        if number is None:  # the account was deleted meanwhile
            refuse(404, "User not found")
        yield connection, number


def own_task(task_id: int) -> sa.ColumnElement[bool]:
    """Return the condition for one task of the caller."""
    return sa.and_(Task.user_id == g.user_id, Task.id == task_id)


def has_tag(numbers: list[int] | None) -> sa.ColumnElement[bool]:
    """Return the condition that If-Match sets; None sets none."""
    return sa.true() if numbers is None else Task.change_number.in_(numbers)


def find_task(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> sa.Row | None:
    """Return the row of the task that meets the conditions."""
    return connection.execute(sa.select(*TASK_COLUMNS).where(*conditions)).one_or_none()


def refuse_change(connection: sa.Connection, task_id: int) -> NoReturn:
    """Refuse to change a task that is not as If-Match wants it (412), or is not there (404)."""
    if find_task(connection, own_task(task_id)):
        refuse(412, "Task has changed")
    refuse(404, "Task not found")


def values_of(body: TaskCreate | TaskChange) -> dict[str, Any]:
    """Return the values of the columns that a body sets."""
    sent = body.model_dump(exclude_unset=True)
    return sent | ({"title_folded": fold(sent["title"])} if "title" in sent else {})


def filters_of(query: TaskQuery) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions for the tasks of the caller that a query asks for."""
    yield Task.user_id == g.user_id
    if query.done is not MISSING:
        yield Task.done == query.done
    if query.due_before is not MISSING:
        yield Task.due < query.due_before
    if query.due_after is not MISSING:
        yield Task.due > query.due_after
    for word in sorted(set(fold(query.q).split())):
        yield Task.title_folded.contains(word, autoescape=True)
    if query.cursor and query.sort == "due":
        yield sa.tuple_(DUE_LAST, Task.id) > sa.tuple_(*query.cursor)
    elif query.cursor:
        _, task_id = query.cursor
        yield Task.id < task_id if query.sort == "-id" else Task.id > task_id


def measure_page(page: tuple[bytes, str | None]) -> int:
    """Return about how many bytes a kept page takes, with the query that asked for it."""
    return len(page[0]) + 4000


@cached(
    LRUCache(16 * 2**20, getsizeof=measure_page),
    key=lambda query: (db.engine, g.user_id, g.change_number, query),
    lock=Lock(),
)
def make_page(query: TaskQuery) -> tuple[bytes, str | None]:
    """Return a page of the caller's tasks as JSON, and the cursor of the next.

    It is made once per change, and kept under the number that was read before the tasks: so what
    is kept may be newer than its number, never older.
    """
    wanted = sa.select(*TASK_COLUMNS).where(*filters_of(query)).order_by(*ORDERS[query.sort])
    with reading() as connection:
        rows = connection.execute(wanted.limit(query.limit + 1)).all()
    tasks = [show(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    cursor = write_cursor(tasks[-1].due or date.max, tasks[-1].id) if more else None
    return TASK_LIST.dump_json(tasks, exclude_none=True), cursor


@endpoint(api.get("/tasks"), scope="tasks:read")
def list_tasks(query: TaskQuery) -> Annotated[list[TaskRead], "Link"]:
    """List the caller's tasks, a page at a time."""
    headers = {"ETag": f'"{g.change_number}"'}
    if is_known(str(g.change_number)):
        return Response(status=304, headers=headers)
    page, cursor = make_page(query)
    if cursor:
        following = url_for(".list_tasks", **{**request.args, "cursor": cursor})
        headers["Link"] = f'<{following}>; rel="next"'
    return answer_json(page, headers)


def digest_task(body: TaskCreate) -> str:
    """Return a short name of what was sent for a task, the same in all versions of this program."""
    sent = {"title": body.title} | DEFAULTS_OF_VERSION_1 | body.model_dump(exclude_unset=True)
    return digest(to_json(sent))


def find_task_of_key(idempotency_key: str, digest_of_body: str) -> sa.Row | None:
    """Return the caller's task that a key has made; 422 if it was made with another body."""
    same_body = (Task.idempotency_digest == digest_of_body).label("same_body")
    this = (Task.user_id == g.user_id, Task.idempotency_key == idempotency_key)
    with reading() as connection:
        same = connection.scalar(sa.select(same_body).where(*this))
        if same is False:
            problem = Problem("used", ["body"], "Idempotency-Key was used with another body")
            refuse(422, [problem])
        return find_task(connection, *this)


@endpoint(api.post("/tasks"), scope="tasks:write", status=201)
def create_task(
    body: TaskCreate, idempotency_key: IdempotencyKey
) -> Annotated[TaskRead, "ETag", "Location"]:
    """Add a task; the same Idempotency-Key again gives the same task."""
    digest_of_body, row = digest_task(body), None
    key = {"idempotency_key": idempotency_key, "idempotency_digest": digest_of_body}
    while row is None:  # again where the task of the key is deleted before it is found
        try:
            with changing(g.user_id) as (connection, number):
                values = {"user_id": g.user_id, "change_number": number} | values_of(body) | key
                new = sa.insert(Task).values(values).returning(*TASK_COLUMNS)
                row = connection.execute(new).one()
        except IntegrityError:
            if idempotency_key is None:
                raise
            row = find_task_of_key(idempotency_key, digest_of_body)
    return answer_task(row, Location=url_for(".read_task", task_id=row.id))


@endpoint(api.delete("/tasks"), scope="tasks:write")
def clear_tasks(query: ClearQuery) -> None:
    """Delete the caller's tasks that are done."""
    done = (Task.user_id == g.user_id, Task.done)
    with changing(g.user_id) as (connection, number):
        gone = sa.select(Task.user_id, sa.literal(number), Task.id).where(*done)
        names = ["user_id", "change_number", "task_id"]
        connection.execute(sa.insert(Deletion).from_select(names, gone))
        if not connection.execute(sa.delete(Task).where(*done)).rowcount:
            flask.abort(answer_nothing())  # which undoes the number, as nothing changed


@endpoint(api.get("/tasks/<task_id>"), scope="tasks:read")
def read_task(task_id: Id) -> Annotated[TaskRead, "ETag"]:
    """Return one task."""
    with reading() as connection:
        row = find_task(connection, own_task(task_id))
    return answer_task(row or refuse(404, "Task not found"))


@endpoint(api.patch("/tasks/<task_id>"), scope="tasks:write")
def change_task(task_id: Id, body: TaskChange, if_match: IfMatch) -> Annotated[TaskRead, "ETag"]:
    """Change what was sent of a task."""
    this, values = (own_task(task_id), has_tag(if_match)), values_of(body)
    if not values:  # then it has not changed
        with reading() as connection:
            return answer_task(find_task(connection, *this) or refuse_change(connection, task_id))
    with changing(g.user_id) as (connection, number):
        change = sa.update(Task).where(*this).values(**values, change_number=number)
        row = connection.execute(change.returning(*TASK_COLUMNS)).one_or_none()
        return answer_task(row or refuse_change(connection, task_id))


@endpoint(api.delete("/tasks/<task_id>"), scope="tasks:write")
def delete_task(task_id: Id, if_match: IfMatch) -> None:
    """Delete a task."""
    with changing(g.user_id) as (connection, number):
        this = sa.delete(Task).where(own_task(task_id), has_tag(if_match))
        if not connection.execute(this).rowcount:
            refuse_change(connection, task_id)
        gone = {"user_id": g.user_id, "change_number": number, "task_id": task_id}
        connection.execute(sa.insert(Deletion).values(gone))


# --- Changes: once, or as events ------------------------------------------------------------------
EVENT_STREAM = "text/event-stream"
LOOK = 0.5  # seconds between two looks for a change
COMMENT = 15  # seconds after which a silent stream says that it is there
CHANGES = TypeAdapter(Changes)


def select_changes(since: int) -> sa.Select | sa.CompoundSelect:
    """Select the caller's tasks that changed after a number and, unless that is 0, those deleted."""
    after = (Task.user_id == g.user_id, Task.change_number > since)
    changed = sa.select(*TASK_COLUMNS, sa.literal(False).label("is_gone")).where(*after)
    if since == 0:
        return changed
    blanks = [sa.null() for _ in TASK_COLUMNS[1:-1]]
    after = (Deletion.user_id == g.user_id, Deletion.change_number > since)
    gone = sa.select(Deletion.task_id, *blanks, Deletion.change_number, sa.literal(True))
    return sa.union_all(changed, gone.where(*after))


def find_changes(since: int, limit: int) -> Changes:
    """Return what of the caller's tasks changed after a change number, in the order of the changes.

    What one request changed stays together, even where it is more than the limit.
    """
    wanted = select_changes(since).order_by("change_number", "id")
    with reading() as connection:
        rows = connection.execute(wanted.limit(limit + 1)).all()
        more = len(rows) > limit
        if more:
            begun = rows[-1].change_number  # and perhaps not all of it is here
            whole = [row for row in rows if row.change_number < begun]
            if not whole:
                whole = [row for row in connection.execute(wanted) if row.change_number == begun]
                more = begun < g.change_number
            rows = whole
    last = rows[-1].change_number if rows else since
    tasks = [TaskRead(*row[:-2]) for row in rows if not row.is_gone]
    deleted = [row.id for row in rows if row.is_gone]
    return Changes(tasks, deleted, last if more else max(last, g.change_number), more)


def write_events(since: int, limit: int) -> Iterator[str]:
    """Yield changes as events, until the token, its session or the worker ends."""
    yield ":\n\n"  # it has begun
    silent_since, is_alive = time.monotonic(), current_app.config["WORKER_IS_ALIVE"]
    with suppress(HTTPException, DatabaseError, sa.exc.TimeoutError):  # the client comes again
        while is_alive() and not has_expired(g.claims):
            g.change_number = find_caller(g.claims).change_number
            if g.change_number > since:
                changes = find_changes(since, limit)
                since, silent_since = changes.since, time.monotonic()
                yield f"id: {since}\ndata: {CHANGES.dump_json(changes, exclude_none=True).decode()}\n\n"
            elif time.monotonic() > silent_since + COMMENT:
                silent_since = time.monotonic()
                yield ":\n"  # if the client is gone, the network says so before the next line
                time.sleep(LOOK)
                yield "\n"
            else:
                time.sleep(LOOK)


@endpoint(api.get("/tasks/changes"), scope="tasks:read")
def list_changes(
    query: ChangesQuery, last_event_id: LastEventId
) -> Annotated[Changes, EVENT_STREAM]:
    """Tell what changed after a change number, once or as events; 409 if it is not reached yet."""
    since = query.since if last_event_id is None else last_event_id
    if since > g.change_number:
        refuse(409, "The account has not reached this number: begin again with since=0")
    if request.method == "GET" and EVENT_STREAM in request.headers.get("Accept", ""):
        places = BoundedSemaphore(current_app.config["MAX_STREAMS"])
        places = current_app.extensions.setdefault("streams", places)
        if not places.acquire(blocking=False):
            refuse(503, "Too many event streams: ask without one", later=5)
        events = stream_with_context(write_events(since, query.limit))
        response = Response(events, headers={"X-Accel-Buffering": "no"}, content_type=EVENT_STREAM)
        response.call_on_close(places.release)
        return response
    return (
        find_changes(since, query.limit)
        if since < g.change_number
        else Changes([], [], since, False)
    )


# --- OpenAPI: the same annotations and docstrings, for machines -----------------------------------
ALWAYS = {422, 500, 503}
BROUGHT = {"body": {400, 413, 415}, "if_match": {412}, "task_id": {404}, "key_id": {404}}
HEADERS = {401: ["WWW-Authenticate"], 403: ["WWW-Authenticate"], 429: ["Retry-After"]}
HEADERS[503] = HEADERS[429]
DESCRIPTION = __doc__.partition("\n\nRead from the top")[0]


def describe_type(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a type as `items`, and as `$defs` the types that it refers to."""
    return TypeAdapter(list[kind]).json_schema(ref_template="#/components/schemas/{model}")


def describe_parameters(rule: Any, hints: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Describe what a view takes from the query, from the path and from headers."""
    query = hints.get("query", Schema).model_json_schema()
    for name, kind in query.get("properties", {}).items():
        yield describe_parameter(name, "query", kind, required=name in query.get("required", ()))
    for name in [name for name in hints if name not in ("query", "body", "return")]:
        kind = describe_type(hints[name])["items"]
        if name in rule.arguments:
            yield describe_parameter(name, "path", kind, required=True)
        else:
            yield describe_parameter(name.replace("_", "-").title(), "header", kind)
    yield describe_parameter("X-Request-Id", "header", {"type": "string"})


def describe_parameter(
    name: str, place: str, kind: dict[str, Any], required: bool = False
) -> dict[str, Any]:
    """Describe one parameter."""
    return {"name": name, "in": place, "required": required, "schema": kind}


def describe_response(status: int, gives: Any, names: list[str]) -> dict[str, Any]:
    """Describe an answer; `names` are of its headers and, with a slash, of further content types."""
    kinds = ["application/json", *[name for name in names if "/" in name]]
    kinds = [] if status in (204, 304) else kinds
    schema = describe_type(gives)["items"]
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {name: {"schema": {"type": "string"}} for name in names if "/" not in name},
        "content": {kind: {"schema": schema} for kind in kinds},
    }


def describe_view(rule: Any, method: str, view: Any) -> dict[str, Any]:
    """Describe a view; the refusals that are its own stand in its docstring."""
    hints = view.__annotations__ | ({"if_none_match": str} if method == "GET" else {})
    gives, names = hints["return"], [*getattr(hints["return"], "__metadata__", ())]
    names += ["ETag"] if method == "GET" and "ETag" not in names else []
    good = 204 if gives is None else view.status
    statuses = ALWAYS | ({401, 403, 404} if view.scope else set())
    statuses |= {int(status) for status in re.findall(r"\b4\d\d\b", view.__doc__)}
    statuses |= {status for name in hints for status in BROUGHT.get(name, ())}
    responses = {good: describe_response(good, gives, names)}
    if method == "GET":
        responses[304] = describe_response(304, None, ["ETag"])
    for status in statuses:
        kind = Invalid if status == 422 else Error
        responses[status] = describe_response(status, kind, HEADERS.get(status, []))
    operation = {
        "operationId": view.__name__,
        "tags": [rule.rule.split("/")[1]],
        "summary": view.__doc__,
        "security": [{"login": [view.scope]}, {"key": []}] if view.scope else [],
        "parameters": list(describe_parameters(rule, hints)),
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }
    if body := hints.get("body"):
        content = {kind: {"schema": describe_type(body)["items"]} for kind in body.content_types}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def describe_api(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all endpoints of an app."""
    paths, schemas = {}, {}
    for rule in app.url_map.iter_rules():
        view, path = app.view_functions[rule.endpoint], re.sub("<(.+?)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"} if hasattr(view, "scope") else ():
            paths.setdefault(path, {})[method.lower()] = describe_view(rule, method, view)
            hints = view.__annotations__
            for kind in (hints["return"], hints.get("body"), Error, Invalid):
                schemas |= describe_type(kind).get("$defs", {})
    root = request.root_url.rstrip("/")
    flow = {"tokenUrl": f"{root}/auth/token", "refreshUrl": f"{root}/auth/token", "scopes": SCOPES}
    security = {
        "login": {"type": "oauth2", "flows": {"password": flow}},
        "key": {"type": "http", "scheme": "bearer"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Todo API", "version": "2", "description": DESCRIPTION},
        "servers": [{"url": root}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": security},
    }


# --- Around: health, pages, request ids, commands -------------------------------------------------
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " + (
    "; ".join(f"{kind}-src 'self'" for kind in "connect script style manifest worker".split())
)
SANE_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


@endpoint(api.get("/health"), scope=None)
def read_health(query: AnyQuery) -> dict[Literal["status"], Literal["ok"]]:
    """Tell whether the database answers."""
    with reading() as connection:
        connection.execute(sa.select(1))
    return {"status": "ok"}


@api.get("/openapi.json")
def read_openapi() -> Response:
    """Send the OpenAPI document."""
    return answer_json(to_json(describe_api(current_app)), {})


@api.get("/", defaults={"name": "index.html"})
@api.get("/docs", defaults={"name": "docs.html"})
@api.get("/<any('service-worker.js'):name>")
def send_page(name: str) -> Response:
    """Send a page, which uses the API as any other client does."""
    return current_app.send_static_file(name)


@api.get("/docs/<any('swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def send_swagger_ui(name: str) -> Response:
    """Send a file of Swagger UI."""
    return flask.send_from_directory(Path(flask_swagger_ui.__file__).with_name("dist"), name)


@api.before_app_request
def label_request() -> None:
    """Give each request its id, the client's own if it is sane, and the log a path on one line."""
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if SANE_ID.fullmatch(asked) else uuid4().hex
    request.environ["todo.path"] = quote(request.path)


@api.after_app_request
def complete_response(response: Response) -> Response:
    """Add the headers that all answers have."""
    images = " data:" if request.path == "/docs" else ""  # for the icons of Swagger UI
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = f"{POLICY}; img-src 'self'{images}"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def read_password() -> str:
    """Ask for a password, or read one line of standard input."""
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return click.get_binary_stream("stdin").readline().decode("utf-8-sig").rstrip("\r\n")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let a command end with a sentence where a view would answer with a refusal."""
    try:
        yield
    except Refusal as error:
        raise click.ClickException(str(error.detail)) from None
    except UnicodeDecodeError:
        raise click.ClickException("The password is not in UTF-8") from None
    except pydantic.ValidationError as error:
        wrong = error.errors()[0]
        raise click.ClickException(f"{wrong['loc'][0]}: {wrong['msg']}") from None


def find_user(connection: sa.Connection, email: str) -> int:
    """Return the id of the user with an email."""
    found = connection.scalar(sa.select(User.id).where(User.email == email.lower()))
    return found or refuse(404, "User not found")


@api.cli.command("create-user")
@click.argument("email")
@plain_errors()
def create_user(email: str) -> None:
    """Create an account; its password is asked for, or read as one line of standard input."""
    account = Account(email=email, password=read_password())
    click.echo(f"Created user {add_account(account).id}")


@api.cli.command("set-password")
@click.argument("email")
@plain_errors()
def set_password(email: str) -> None:
    """Change the password of an account, likewise, and end all its sessions and keys."""
    account = Account(email=email, password=read_password())
    password_hash = hash_password(account.password)
    with writing() as connection:
        store_password(connection, find_user(connection, account.email), password_hash)


@api.cli.command("create-key")
@click.argument("email")
@click.argument("name")
@click.option("--scope", default="", help="What it may do; by default read and change tasks.")
@plain_errors()
def create_key_of_user(email: str, name: str, scope: str) -> None:
    """Make a key for a script of an account, and print it."""
    asked = KeyCreate(name=name, scope=scope)
    with writing() as connection:
        user_id = find_user(connection, email)
        key = make_key(
            connection, user_id, asked.name, narrow(asked.scope, "tasks:read tasks:write")
        )
    click.echo(key.key)


# --- App: wiring only -----------------------------------------------------------------------------
cors = CORS()


def create_app(settings: Settings | None = None) -> Flask:
    """Return the service, its tables created; without settings, by those of the environment."""
    settings = settings or Settings.from_environment()
    app = Flask(__name__, instance_path=str(Path(__file__).parent))
    app.config.from_mapping({f"APP_{name.upper()}": value for name, value in settings})
    app.config.update(
        describe_engines(settings.database_url),
        BCRYPT_HANDLE_LONG_PASSWORDS=True,
        CORS_ORIGINS=list(settings.cors_origins),
        CORS_EXPOSE_HEADERS=["ETag", "Link", "Location", "Retry-After", "X-Request-Id"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.access_token_expire_minutes),
        JWT_DECODE_LEEWAY=10,  # seconds by which the clock of a host may be behind another's
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.refresh_token_expire_days),
        JWT_SECRET_KEY=settings.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=64 * 1024 + 1,
        MAX_STREAMS=128,
        WORKER_IS_ALIVE=lambda: True,
    )
    for extension in (db, jwt, bcrypt, *[cors] * bool(settings.cors_origins)):
        extension.init_app(app)
    app.register_blueprint(api)
    app.register_error_handler(Exception, answer_error)
    app.url_map.merge_slashes = False  # which would redirect to whichever host a request names
    if behind := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(
            app.wsgi_app, x_for=behind, x_proto=behind, x_host=behind, x_prefix=behind
        )
    app.logger.setLevel("INFO")
    with app.app_context():
        open_database()
        app.config["HIGHEST_COST"] = highest = find_highest_cost()
        app.extensions["hashing"] = HashingQueue(highest)
        app.extensions["throttle"] = Throttle(settings.rate_limit_storage)
        app.logger.info("Database: %s", mask_password(settings.database_url))
        for engine in db.engines.values():
            engine.dispose()  # no connection is left for a fork to share
    return app

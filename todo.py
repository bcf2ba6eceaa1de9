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
2. A view with a scope runs only after `authenticate`, which sets `g.user_id`: whose tasks these are.
3. A request that changes a user's tasks takes the user's next change number, in the same
   transaction (`changing`), and leaves it on them. So a task's ETag is its own number, a list's is
   its user's, and /tasks/changes tells what came after a number.
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
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, wraps
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from pathlib import Path
from random import getrandbits
from threading import BoundedSemaphore, Lock
from typing import Annotated, Any, ClassVar, Literal, NoReturn, get_type_hints
from urllib.parse import quote
from uuid import uuid4

import click
import flask
import flask_swagger_ui
import pydantic
import sqlalchemy as sa
from cachetools import LRUCache, TTLCache, cached
from dotenv import dotenv_values, load_dotenv
from flask import Blueprint, Flask, Response, current_app, g, request, stream_with_context, url_for
from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_sqlalchemy import SQLAlchemy
from pydantic import MISSING, AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError, to_json
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import UnicodeConverter
from werkzeug.routing import ValidationError as NoMatch

# psycopg and redis are imported where a setting asks for them: each costs a start 50 ms and 8 MB.


# --- Settings: the only reader of the environment -------------------------------------------------
def stop(reason: str) -> NoReturn:
    """End the start with one line, and the status by which gunicorn does not try again."""
    print(reason, file=sys.stderr)
    sys.exit(3)


def read_postgresql_url(url: str) -> dict[str, Any]:
    """Return libpq's parameters of a URL as platforms write it; ValueError if there are none.

    Parameters that only other drivers know are left out.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    address, _, query = url.partition("?")
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    query = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] in known)
    try:
        found = conninfo_to_dict(re.sub(r"^[^:]+", "postgresql", address) + "?" + query)
    except psycopg.Error:
        raise ValueError("libpq cannot read it") from None
    if not re.fullmatch("[0-9,]*", str(found.get("port", ""))):
        raise ValueError("a port is a number")
    return found


def check_database_url(url: str) -> str:
    """Accept the URL of a SQLite file or of a PostgreSQL database."""
    if re.match(r"postgres(ql)?(\+\w+)?://", url):
        read_postgresql_url(url)
    elif not re.match("sqlite:///(?!:|file:)[^?]", url) or "%00" in url:
        raise ValueError("neither of them")
    return url


def mask_password(url: str) -> str:
    """Return the URL of a database as a log may show it."""
    return re.sub("//([^:/@]*):[^@]*@", r"//\1:***@", url.partition("?")[0])


def check_storage_url(url: str) -> str:
    """Accept memory:// or what the client of Redis understands, with all its parameters."""
    if url != "memory://":
        import redis

        try:
            client = redis.Redis.from_url(url)
            client.connection_pool.make_connection()  # reads the parameters, and connects later
        except (TypeError, redis.RedisError):
            raise ValueError("the client does not understand it") from None
    return url


Origin = Annotated[str, Field(pattern=r"^(\*|https?://([\w.-]+|\[[\w:]+\])(:[0-9]{1,5})?)$")]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(lambda text: re.findall(r"[^\s,]+", text))]


class Settings(BaseModel):
    """What an operator sets: `secret_key` by APP_SECRET_KEY, and so on.

    Everything below finds it in `current_app.config` under the name of its variable. A new setting is
    one line here; its description is what a start that refuses a value says.
    """

    model_config = {"frozen": True, "hide_input_in_errors": True, "validate_default": True}
    secret_key: pydantic.SecretBytes = Field(min_length=32, description="at least 32 random bytes")
    database_url: Annotated[str, AfterValidator(check_database_url)] = Field(
        "sqlite:///todo.db",
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
        repr=False,
    )
    access_token_expire_minutes: int = Field(30, ge=1, le=525_600, description="1 to 525600")
    refresh_token_expire_days: int = Field(30, ge=1, le=3650, description="1 to 3650")
    bcrypt_rounds: int = Field(12, ge=4, le=20, description="4 to 20")
    registration: Literal["open", "closed"] = Field("open", description="open or closed")
    trusted_proxies: int = Field(0, ge=0, le=10, description="0 to 10")
    rate_limit_storage: Annotated[str, AfterValidator(check_storage_url)] = Field(
        "memory://", description="memory:// or redis://HOST:PORT", repr=False
    )
    cors_origins: Origins = Field("", description="* or origins such as https://todo.example.com")

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment, which wins where it is not empty, and `.env`.

        Stop if anything is missing or unusable.
        """
        file = Path(__file__).with_name(".env")
        try:
            load_dotenv(file)  # for others who read the environment, such as libpq
            given = dotenv_values(file) | {name: text for name, text in os.environ.items() if text}
        except (OSError, UnicodeError):
            stop(".env must be a file that can be read, in UTF-8")
        found = {name: given.get(f"APP_{name.upper()}") for name in cls.model_fields}
        found["database_url"] = found["database_url"] or given.get("DATABASE_URL")
        try:
            return cls(**{name: value for name, value in found.items() if value})
        except pydantic.ValidationError as error:
            name = error.errors()[0]["loc"][0]
            stop(f"APP_{name.upper()} must be {cls.model_fields[name].description}")


# --- Database: engines, what each kind needs, one way to read and one to write --------------------
db = SQLAlchemy()
LIVENESS = {  # when a connection of PostgreSQL is given up, in seconds; a URL may say otherwise
    "connect_timeout": 4,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,  # in milliseconds
}
BEGIN = {  # SET LOCAL, as behind a pooler what SET does would meet other clients
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'",
}
BEGIN_MIGRATION = BEGIN | {
    # It may take long. What is read after the wait for the lock has to be newer than the wait.
    "postgresql": """
        BEGIN ISOLATION LEVEL READ COMMITTED;
        SET LOCAL statement_timeout = 0;
        SET LOCAL lock_timeout = 0;
        SET LOCAL idle_in_transaction_session_timeout = 0;
        SELECT pg_advisory_xact_lock(7368)  -- any fixed number
    """,
}


def pool_options(kept: int, most: int) -> dict[str, Any]:
    """Return the options of an engine: connections to keep, to open at most, five seconds to wait.

    Values stay out of what it logs: titles and hashes of passwords have no place there.
    """
    pool = {"pool_size": kept, "max_overflow": most - kept, "pool_use_lifo": True}
    return pool | {"pool_timeout": 5, "hide_parameters": True}


def configure_engines(url: str) -> dict[str, Any]:
    """Return Flask-SQLAlchemy's configuration of a database.

    SQLite has one writer at a time, so its engine has one connection, for which the writers of a
    process queue; those who read have the engine "reader", which cannot write. PostgreSQL has one
    engine, which keeps few idle connections, as a plan may allow few to all workers together.
    """
    if url.startswith("sqlite"):
        url = url.partition("?")[0]  # parameters are for other drivers
        return {
            "SQLALCHEMY_DATABASE_URI": url,
            "SQLALCHEMY_ENGINE_OPTIONS": pool_options(1, most=1),
            "SQLALCHEMY_BINDS": {"reader": pool_options(5, most=5) | {"url": url}},
        }
    fixed = {"client_encoding": "utf8", "prepare_threshold": None}  # for poolers
    arguments = {"connect_args": LIVENESS | read_postgresql_url(url) | fixed}
    return {
        "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://",
        "SQLALCHEMY_ENGINE_OPTIONS": pool_options(2, most=10) | {"pool_pre_ping": True} | arguments,
    }


def prepare_connections(engine: sa.Engine, reads_only: bool) -> None:
    """Set up each new connection of an engine; its driver begins no transactions, `BEGIN` does."""

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        if engine.name == "postgresql":
            connection.autocommit = True
            return
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        if reads_only:
            connection.execute("PRAGMA query_only = ON")


def guard_file(engine: sa.Engine) -> None:
    """Neither open nor lend a connection of SQLite while its path leads to another file than at first.

    Writes to a file that was moved, deleted or replaced would be lost; and opening another file in
    its place deletes what the log beside it still holds. A broken file gives up its connections.
    """
    opened = os.stat(engine.url.database)

    def is_there() -> bool:
        with suppress(OSError):
            return os.path.samestat(os.stat(engine.url.database), opened)
        return False

    @sa.event.listens_for(engine, "do_connect")
    def before_opening(*_: Any) -> None:
        if not is_there():
            raise sqlite3.OperationalError("the database file was moved, deleted or replaced")

    @sa.event.listens_for(engine, "checkout")
    def before_lending(*_: Any) -> None:
        if not is_there():
            raise sa.exc.DisconnectionError  # another one is opened instead: refused above

    @sa.event.listens_for(engine, "handle_error")
    def on_error(context: Any) -> None:
        if type(context.original_exception) is sqlite3.DatabaseError:  # the file is broken
            context.is_disconnect = True  # so that what is cached of it goes


def explain(error: Exception) -> str:
    """Return what a driver says, without the names and values that it quotes."""
    said = str(getattr(error, "orig", error))
    return re.sub(r"""(?<!\w)(["']).*?\1|[«»„“].*?[«»“”]""", "…", said.partition("\n")[0])


def connect(engine: sa.Engine) -> sa.Connection:
    """Lend a connection; where the server has no more of them, wait for one that is in use.

    The server tells this by its text alone, which is recognised in English.
    """
    for _ in range(50):
        try:
            return engine.connect()
        except sa.exc.OperationalError as error:
            if not re.search("too many|slots are reserved|no more connections", str(error.orig)):
                raise
            time.sleep(0.1)
    return engine.connect()


@contextmanager
def reading() -> Iterator[sa.Connection]:
    """Lend a connection for SELECT; on SQLite, one that cannot write.

    Each statement sees what was committed when it began.
    """
    with connect(db.engines.get("reader") or db.engine) as connection:
        yield connection


@contextmanager
def writing() -> Iterator[sa.Connection]:
    """Lend a connection in a transaction: committed after the block, undone by any error in it."""
    with connect(db.engine) as connection, connection.begin():
        yield connection


# --- Models: tables, and the steps that lead to them from earlier versions ------------------------
BigId = Annotated[int, mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"))]
Number = Annotated[int, mapped_column(sa.BigInteger)]
UserId = Annotated[int, mapped_column(sa.BigInteger, sa.ForeignKey("users.id", ondelete="CASCADE"))]
NEVER_REUSE_IDS = {"sqlite_autoincrement": True}  # or a new user's account opens to old tokens


def fold(text: str) -> str:
    """Return a text as searches compare it: by Unicode's case folding, composed (NFC)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


class User(db.Model):
    """An account; its email is in lower case.

    `change_number` counts the requests that changed its tasks, `password_number` its passwords.
    """

    __tablename__, __table_args__ = "users", NEVER_REUSE_IDS
    id: Mapped[BigId] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    password_number: Mapped[Number] = mapped_column(default=0)
    change_number: Mapped[Number] = mapped_column(default=0)


class Session(db.Model):
    """A login or, with a name, a key; times are in Unix seconds.

    `generation` counts how often a login was refreshed: last at `refreshed_at`, and the time before
    at `refreshed_before`.
    """

    __tablename__, __table_args__ = "sessions", NEVER_REUSE_IDS
    id: Mapped[BigId] = mapped_column(primary_key=True)
    user_id: Mapped[UserId] = mapped_column(index=True)
    name: Mapped[str | None]
    scope: Mapped[str]
    created_at: Mapped[Number]
    generation: Mapped[Number] = mapped_column(default=0)
    refreshed_at: Mapped[Number] = mapped_column(index=True)
    refreshed_before: Mapped[Number] = mapped_column(default=0)


DUE_LAST = sa.literal_column("coalesce(due, '9999-12-31')", sa.Date)  # sorts the undated last


class Task(db.Model):
    """A task of one user; `change_number` is that of the request that changed it last."""

    __tablename__ = "tasks"
    id: Mapped[BigId] = mapped_column(primary_key=True)
    user_id: Mapped[UserId]
    title: Mapped[str]
    title_folded: Mapped[str] = mapped_column(
        default=lambda context: fold(context.get_current_parameters()["title"])
    )
    done: Mapped[bool] = mapped_column(default=False)
    due: Mapped[date | None]
    change_number: Mapped[Number]
    idempotency_key: Mapped[str | None]
    idempotency_digest: Mapped[str | None]
    __table_args__ = (
        sa.Index("ix_tasks_id", "user_id", "id"),
        sa.Index("ix_tasks_due", "user_id", DUE_LAST, "id"),
        sa.Index("ix_tasks_done_id", "user_id", "done", "id"),
        sa.Index("ix_tasks_done_due", "user_id", "done", DUE_LAST, "id"),
        sa.Index("ix_tasks_change_number", "user_id", "change_number", "id"),
        sa.Index("ix_tasks_idempotency_key", "user_id", "idempotency_key", unique=True),
        NEVER_REUSE_IDS,
    )


class Deletion(db.Model):
    """A task that is gone, for those who follow the changes of its user."""

    __tablename__ = "deletions"
    user_id: Mapped[UserId] = mapped_column(primary_key=True)
    change_number: Mapped[Number] = mapped_column(primary_key=True)
    task_id: Mapped[Number] = mapped_column(primary_key=True)


schema_version = sa.Table("schema_version", db.metadata, sa.Column("version", sa.Integer))


def renumber_tasks(connection: sa.Connection) -> None:
    """Give each task a change number of its own, above all that its user has had."""
    connection.execute(
        sa.text(
            """UPDATE tasks SET change_number = numbered.number FROM
                 (SELECT tasks.id, users.change_number
                         + row_number() OVER (PARTITION BY users.id ORDER BY tasks.id) AS number
                  FROM tasks JOIN users ON users.id = tasks.user_id) AS numbered
               WHERE tasks.id = numbered.id"""
        )
    )
    connection.execute(
        sa.text(
            """UPDATE users SET change_number = change_number
                 + (SELECT count(*) FROM tasks WHERE tasks.user_id = users.id)"""
        )
    )


def fold_titles(connection: sa.Connection) -> None:
    """Fill the column of folded titles."""
    tasks = connection.execute(sa.text("SELECT id, title FROM tasks")).all()
    folded = [{"id": task_id, "folded": fold(title)} for task_id, title in tasks]
    if folded:
        connection.execute(
            sa.text("UPDATE tasks SET title_folded = :folded WHERE id = :id"), folded
        )


# What leads from a version to the next: SQL of both databases, or functions. To change the tables,
# change their models and append a step, which gives a new column the default of its model, creates
# new tables and indexes, as later steps may alter them, and calls `renumber_tasks` where a GET looks
# different afterwards, as clients hold the numbers as ETags. A released step stays as it is.
# Version 1 has no table of its version.
STEPS = {
    1: [
        # A session ends with its row, no longer by its copy of the password's hash.
        """DELETE FROM sessions WHERE password_hash <>
             (SELECT password_hash FROM users WHERE users.id = sessions.user_id)""",
        "ALTER TABLE sessions DROP COLUMN password_hash",
        "ALTER TABLE sessions ADD COLUMN name VARCHAR",
        "ALTER TABLE sessions ADD COLUMN created_at BIGINT DEFAULT 0 NOT NULL",
        "UPDATE sessions SET created_at = refreshed_at",
        "ALTER TABLE sessions ADD COLUMN refreshed_before BIGINT DEFAULT 0 NOT NULL",
        "ALTER TABLE users ADD COLUMN password_number BIGINT DEFAULT 0 NOT NULL",
        "ALTER TABLE users ADD COLUMN change_number BIGINT DEFAULT 0 NOT NULL",
        # Change numbers begin above the versions of tasks, which clients may hold as ETags.
        "ALTER TABLE tasks ADD COLUMN change_number BIGINT DEFAULT 0 NOT NULL",
        """UPDATE users SET change_number = coalesce(
             (SELECT max(version) FROM tasks WHERE tasks.user_id = users.id), 0)""",
        renumber_tasks,
        "ALTER TABLE tasks DROP COLUMN version",
        "CREATE INDEX ix_tasks_change_number ON tasks (user_id, change_number, id)",
        "ALTER TABLE tasks ADD COLUMN title_folded VARCHAR DEFAULT '' NOT NULL",
        fold_titles,
        """CREATE TABLE deletions (
             user_id BIGINT NOT NULL,
             change_number BIGINT NOT NULL,
             task_id BIGINT NOT NULL,
             PRIMARY KEY (user_id, change_number, task_id),
             FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)""",
    ],
}
NEWEST = max(STEPS) + 1


def check_server(connection: sa.Connection) -> None:
    """Stop where the server lacks what the service needs."""
    if connection.dialect.name == "sqlite":
        if sqlite3.sqlite_version_info < (3, 35):
            stop(f"APP_DATABASE_URL: SQLite is {sqlite3.sqlite_version}, but 3.35 is needed")
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        stop(f"APP_DATABASE_URL: the database is encoded in {encoding}, but UTF8 is needed")


def bring_up_to_date(connection: sa.Connection) -> None:
    """Create the tables, or take those of an earlier version step by step to the newest."""
    tables = sa.inspect(connection).get_table_names()
    version = 1 if "users" in tables else NEWEST
    if "schema_version" in tables:
        version = connection.scalar(sa.select(schema_version.c.version)) or version
    if version > NEWEST:
        stop(f"APP_DATABASE_URL: its version is {version}, but this program knows up to {NEWEST}")
    for earlier in range(version, NEWEST):
        for step in STEPS[earlier]:
            if callable(step):
                step(connection)
            else:
                connection.execute(sa.text(step))
    db.metadata.create_all(connection)
    if version < NEWEST or "schema_version" not in tables:
        connection.execute(sa.delete(schema_version))
        connection.execute(sa.insert(schema_version), {"version": NEWEST})
    found = sa.inspect(connection)
    for table in db.metadata.sorted_tables:
        live = {column["name"] for column in found.get_columns(table.name)}
        for name in set(table.columns.keys()) - live:
            stop(f"APP_DATABASE_URL: table {table.name} has no column {name}")


def open_database() -> None:
    """Make the database of the app ready: alone, whole or not at all; or stop with one line."""
    for name, engine in db.engines.items():
        prepare_connections(engine, reads_only=name == "reader")
    if db.engine.name == "sqlite":
        with suppress(OSError):  # whose message would be worse than SQLite's
            Path(db.engine.url.database).touch(0o600)
    try:
        with db.engine.connect() as connection:
            check_server(connection)
            if db.engine.name == "sqlite":  # another start may need longer than a request may wait
                connection.exec_driver_sql("PRAGMA busy_timeout = 60000")
            connection.exec_driver_sql(BEGIN_MIGRATION[db.engine.name])
            bring_up_to_date(connection)
            connection.commit()
    except sa.exc.DBAPIError as error:
        stop(f"APP_DATABASE_URL cannot be used: {explain(error)}")
    db.engine.dispose()  # so that nobody waits so long; from here on, `BEGIN` begins transactions
    begin = BEGIN[db.engine.name]
    sa.event.listen(db.engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    if db.engine.name == "sqlite":
        for engine in db.engines.values():
            guard_file(engine)


# --- Schemas: what comes in, checked, and what goes out -------------------------------------------
SCOPES = {"tasks:read": "read tasks", "tasks:write": "change tasks", "account": "the account"}
GRANTS = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}
INVISIBLE = (  # what Unicode calls ignorable, blanks of Hangul and Braille, and what is no character
    r"\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# An ETag as it may come back: a proxy that compresses appends -gzip, or makes it weak (W/"7").
ETAG_PATTERN = re.compile(r'"([^"]*?)(?:-gzip|-br|-deflate|-zstd)?"')


def digest(content: bytes) -> str:
    """Return a hash of 128 bits in hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_date(value: Any) -> date:
    """Read a date as YYYY-MM-DD, and in no other form that Python or pydantic knows."""
    if isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("date_parsing", "Input should be a date as YYYY-MM-DD")


def read_number(value: Any) -> Any:
    """Read a number that is written in digits, and not as in 1_0 or +1, which Python reads too."""
    if isinstance(value, str):
        if not re.fullmatch("[0-9]{1,30}", value):
            raise PydanticCustomError("int_parsing", "Input should be a number, written in digits")
        return int(value)
    return value


def read_cursor(text: str) -> tuple[date, int]:
    """Read what `write_cursor` wrote."""
    with suppress(ValueError, TypeError, RecursionError):
        due, task_id = json.loads(urlsafe_b64decode(text))
        if type(task_id) is int and 0 < task_id < 2**63:
            return read_date(due), task_id
    raise PydanticCustomError("cursor", "Input should be a cursor that a Link gave")


def write_cursor(due: date, task_id: int) -> str:
    """Return an opaque name of the place after a task, in any order of a list."""
    return urlsafe_b64encode(json.dumps([str(due), task_id]).encode()).decode()


def read_tags(header: str) -> list[int] | None:
    """Return the change numbers that If-Match names (RFC 9110 §13.1.1); for `*` None, as without it.

    Weak ones count as well, against the RFC: a proxy that compresses makes them of ours.
    """
    numbers = [int(tag) for tag in ETAG_PATTERN.findall(header) if re.fullmatch("[0-9]{1,18}", tag)]
    return None if header.strip() == "*" else numbers


# Each names the type that is sent; what a view gets is what its last validator returns.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
VisibleText = Annotated[
    str,
    pydantic.StringConstraints(strip_whitespace=True, min_length=1),
    Field(pattern=rf"^[^\x00]*[^{INVISIBLE}][^\x00]*$", max_length=255, examples=["API review"]),
]
Username = Annotated[
    Text, pydantic.StringConstraints(to_lower=True), Field(examples=["me@example.com"])
]
Email = Annotated[Username, Field(pattern=r"^[^\s@\x00]+@[^\s@\x00]+$", max_length=254)]
Secret = Annotated[str, Field(examples=["correct horse"])]
Password = Annotated[Secret, Field(min_length=8, max_length=1024)]
Scope = Annotated[str, Field(json_schema_extra={"pattern": f"^(({'|'.join(SCOPES)})( |$))*$"})]
KeyScope = Annotated[str, Field(json_schema_extra={"pattern": "^(tasks:(read|write)( |$))*$"})]
Date = Annotated[date, BeforeValidator(read_date), Field(examples=["2026-11-30"])]
Flag = Annotated[Literal["true", "false"], AfterValidator(lambda text: text == "true")]
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(read_number)]
Whole = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(read_number)]
Cursor = Annotated[Any, BeforeValidator(read_cursor), pydantic.WithJsonSchema({"type": "string"})]
Id = Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$"), AfterValidator(int)]
IfMatch = Annotated[str, AfterValidator(read_tags)]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255)]


class Schema(BaseModel):
    """What a request may hold: unknown fields are errors, and no type is guessed."""

    model_config = {"extra": "forbid", "strict": True, "frozen": True}
    content_types: ClassVar = ("application/json",)


class Form(Schema):
    """What OAuth 2 sends, in JSON too; a field that is not known is ignored (RFC 6749 §3.2)."""

    model_config = {"extra": "ignore"}
    content_types = ("application/json", "application/x-www-form-urlencoded")


class AnyQuery(Schema):
    """Parameters that nobody reads, such as a monitor's."""

    model_config = {"extra": "ignore"}


class Account(Schema):
    """A new account."""

    email: Email
    password: Password


class PasswordProof(Schema):
    """The caller's password, for what a token alone may not do."""

    password: Secret


class PasswordChange(PasswordProof):
    """The caller's password and the next one."""

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
        MISSING, validation_alias=pydantic.AliasChoices("username", "email")
    )
    password: Annotated[Secret, Field(min_length=1)] | MISSING = MISSING
    refresh_token: str | MISSING = MISSING
    scope: Scope = ""

    @pydantic.model_validator(mode="before")
    @classmethod
    def leave_out_empty(cls, sent: Any) -> Any:
        """Take a parameter without a value as not sent (RFC 6749 §3.2)."""
        return {k: v for k, v in sent.items() if v != ""} if isinstance(sent, dict) else sent


class Revocation(Form):
    """A token to revoke (RFC 7009 §2.1)."""

    token: Annotated[str, Field(examples=["a token"])]


class Claims(Form):
    """What a token says of its user (`sub`) and session; a key has no `exp`."""

    type: str
    sub: Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$")]
    id: Whole
    scope: str
    generation: Whole
    refreshed_at: Whole
    exp: float | None = None


class KeyCreate(Schema):
    """A key for a script, by default for all that the token may do but the account."""

    name: VisibleText
    scope: KeyScope = ""


class TaskCreate(Schema):
    """A new task."""

    title: VisibleText
    done: bool = False
    due: Date | None = None


HINTS = get_type_hints(TaskCreate, include_extras=True)
TaskChange = pydantic.create_model(
    "TaskChange",
    __base__=Schema,
    __doc__="What to change of a task; a field that is missing stays as it is (RFC 7396).",
    **{name: (HINTS[name] | MISSING, MISSING) for name in TaskCreate.model_fields},
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
    cursor: Cursor | MISSING = MISSING


class ClearQuery(Schema):
    """Which tasks to delete at once."""

    done: Literal["true"]


class ChangesQuery(Schema):
    """The number of the last change that the caller knows, and how many tasks to tell at most."""

    since: Whole = 0
    limit: Limit = 1000


@dataclass
class AccountRead:
    """An account."""

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
    # Not `= None`, which the document of the API would show as the default.
    due: date | SkipJsonSchema[None] = field(default_factory=type(None))


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
class Error:
    """A refusal; `error` is OAuth 2's code for it."""

    detail: str
    error: str | SkipJsonSchema[None] = field(default_factory=type(None))


@dataclass
class Invalid:
    """A refusal of what was sent (422)."""

    detail: list[Problem]
    error: str | SkipJsonSchema[None] = field(default_factory=type(None))


# --- Errors: one envelope for every failure -------------------------------------------------------
PROBLEMS = 10  # that a 422 tells one by one
DATABASE_ERRORS = (sa.exc.DatabaseError, sa.exc.InterfaceError, sa.exc.TimeoutError)
OUR_MISTAKES = (  # those of them that a bug of ours raises
    sa.exc.IntegrityError,
    sa.exc.ProgrammingError,
    sa.exc.DataError,
    sa.exc.NotSupportedError,
)


class Refusal(HTTPException):
    """A refusal: what it says, OAuth 2's code for it, and in how many seconds to come again."""

    def __init__(self, code: int, detail: Any, error: str, retry_after: int):
        super().__init__()
        self.code, self.detail, self.error, self.retry_after = code, detail, error, retry_after


def refuse(
    code: int, detail: str | list[Problem], error: str = "invalid_request", retry_after: int = 0
) -> NoReturn:
    """End the request with a refusal, which undoes what its transaction did."""
    raise Refusal(code, detail, error, retry_after)


def refuse_token() -> NoReturn:
    """Refuse a token, without telling what is wrong with it (RFC 6750 §3.1)."""
    refuse(401, "Invalid token", "invalid_token")


def refuse_input(error: pydantic.ValidationError, *place: str) -> NoReturn:
    """Tell what is wrong in a place, but never what was sent; of many problems, the first."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = []
    for problem in found[:PROBLEMS]:
        names = [name[:64] if isinstance(name, str) else name for name in problem["loc"]]
        problems.append(Problem(problem["type"], [*place, *names], problem["msg"]))
    if len(found) > PROBLEMS:
        more = f"And {len(found) - PROBLEMS} more problems"
        problems.append(Problem("too_many_problems", [*place], more))
    refuse(422, problems)


def is_outage(error: Exception) -> bool:
    """Tell whether the database is in trouble; SQLite has one code for all that is wrong in SQL."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    is_ours = isinstance(error, OUR_MISTAKES) or code == sqlite3.SQLITE_ERROR
    return isinstance(error, DATABASE_ERRORS) and not is_ours


def explain_failure(error: Exception) -> Refusal:
    """Log what is no refusal, with the id of its request; return what the client may know of it."""
    if is_outage(error):
        current_app.logger.error("Request %s: %s", g.request_id, explain(error))
        return Refusal(503, "The database does not answer", "temporarily_unavailable", 5)
    current_app.logger.error("Request %s", g.request_id, exc_info=error)
    return Refusal(500, "Internal Server Error", "server_error", 0)


def answer_error(error: Exception) -> Response:
    """Answer a refusal of ours or Flask's, a database in trouble, or a bug: all in one shape."""
    if not isinstance(error, HTTPException):
        error = explain_failure(error)
    code = getattr(error, "error", "invalid_request")
    body = {"detail": getattr(error, "detail", error.name)}
    if request.path in ("/auth/token", "/auth/revoke"):  # as OAuth 2 has it (RFC 6749 §5.2)
        body["error"] = "invalid_grant" if code == "invalid_token" else code
    response = error.get_response()  # with the headers of its own, such as Allow
    response.data, response.mimetype = to_json(body) + b"\n", "application/json"
    if code in ("invalid_token", "insufficient_scope"):  # RFC 6750 §3
        response.headers["WWW-Authenticate"] = f'Bearer error="{code}"'
    elif error.code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if seconds := getattr(error, "retry_after", 0):
        response.headers["Retry-After"] = seconds
    return response


# --- Who is calling: tokens, sessions, scopes -----------------------------------------------------
jwt = JWTManager()
CALLER = (
    sa.select(
        User.id,
        User.email,
        User.password_number,
        User.change_number,
        Session.id.label("session_id"),
    )
    .outerjoin(Session, sa.and_(Session.user_id == User.id, Session.id == sa.bindparam("session")))
    .where(User.id == sa.bindparam("user"))
)


@cached(
    LRUCache(4 * 2**20, getsizeof=lambda claims: 1500 + 4 * len(claims.scope)),  # bytes, about
    key=lambda token: (current_app.config["JWT_SECRET_KEY"], token),
    lock=Lock(),
)
def verify_token(token: str) -> Claims:
    """Return the claims of a token that we signed, expired or not; raises whatever is wrong."""
    return Claims.model_validate(decode_token(token, allow_expired=True))


def has_expired(claims: Claims) -> bool:
    """Tell whether a token is over; a key never is."""
    leeway = current_app.config["JWT_DECODE_LEEWAY"]
    return claims.exp is not None and claims.exp + leeway <= time.time()


def read_token(token: str, kind: str) -> Claims:
    """Return the claims of a good token of a kind, "access" or "refresh"; else 401."""
    try:
        claims = verify_token(token)
    except Exception:  # noqa: BLE001 - however it is malformed
        refuse_token()
    if claims.type != kind or has_expired(claims):
        refuse_token()
    return claims


def find_caller(claims: Claims) -> sa.Row:
    """Return the user of a token; 404 if the user is gone, 401 if only the session is."""
    with reading() as connection:
        keys = {"user": int(claims.sub), "session": claims.id}
        caller = connection.execute(CALLER, keys).one_or_none()
    if caller is None:
        refuse(404, "User not found")
    if caller.session_id is None:
        refuse_token()
    return caller


def authenticate(scope: str) -> None:
    """Set `g.user_id`, `g.change_number`, `g.caller` and `g.claims` by a bearer token.

    401 without a good token of a living session (RFC 6750 §3), 404 if its user is gone, 403 if it
    lacks the scope.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        refuse(401, "Not authenticated")
    g.claims = read_token(token.strip(), "access")
    g.caller = find_caller(g.claims)
    g.user_id, g.change_number = g.caller.id, g.caller.change_number
    if scope not in g.claims.scope.split():
        refuse(403, f"The token lacks the scope {scope}", "insufficient_scope")


# --- Endpoint: a view's annotations become its validation and its answer --------------------------
api = Blueprint("api", __name__, cli_group=None)


def methods_here() -> set[str]:
    """Return the methods of the routes that have the very path of the request."""
    rules = [rule for rule in current_app.url_map.iter_rules() if rule.rule == request.path]
    return {method for rule in rules for method in rule.methods}


class IdConverter(UnicodeConverter):
    """Keeps `<id:task_id>` from matching a path that has a route of its own, such as /tasks/changes.

    So PATCH /tasks/changes is a 405, and not a task that is not found.
    """

    def to_python(self, value: str) -> str:
        """Return the value, or tell that it is no id."""
        if methods_here():
            raise NoMatch
        return value


def endpoint(route: Callable, *, scope: str | None, status: int = 200) -> Callable:
    """Serve a view at a route: check what its annotations ask for, send what it returns.

    `body` and `query` are schemas; other arguments come from the URL, or from the header of their
    name (`if_match`) and are None without it. Before anything is read, the caller has to have the
    scope, unless that is None. A view returns a value, a value and headers, None (204) or a
    response. The document of the API takes a view's own refusals, such as 409, from its docstring.
    """

    def decorate(view: Callable) -> Callable:
        takes = dict(view.__annotations__)
        gives = TypeAdapter(takes.pop("return"))
        kinds = {
            name: kind if name in ("body", "query") else TypeAdapter(kind)
            for name, kind in takes.items()
        }

        @wraps(view)
        def answer(**path: str) -> Response:
            if scope is not None:
                authenticate(scope)
            if "query" not in kinds:  # then no parameter is allowed
                read_argument("query", Schema, path)
            result = view(**{name: read_argument(name, kinds[name], path) for name in kinds})
            if result is None:
                return answer_nothing()
            if isinstance(result, Response):
                return result
            value, headers = result if isinstance(result, tuple) else (result, {})
            body = gives.dump_json(value, exclude_none=True, warnings="error")
            return answer_json(body, headers, status)

        answer.scope, answer.status = scope, status  # for `describe_view`, as the annotations are
        route(answer)
        return view  # which others may call as it is

    return decorate


def read_argument(name: str, kind: Any, path: dict[str, str]) -> Any:
    """Read one argument of a view; 422 says what is wrong with it."""
    header = name.replace("_", "-").title()
    try:
        if name == "query":
            return read_fields(kind, request.args) if request.query_string else kind()
        if name == "body":
            return read_body(kind)
        sent = path.get(name, request.headers.get(header))
        return None if sent is None else kind.validate_python(sent)
    except pydantic.ValidationError as error:
        if name in path:  # an id that cannot exist is not found, like one that does not
            refuse(404, f"{name.removesuffix('_id').title()} not found")
        refuse_input(error, *((name,) if name in ("query", "body") else ("header", header)))


def read_fields(kind: type[Schema], fields: Any) -> Schema:
    """Check the fields of a query or form; one that is sent twice is refused, as none may be {}."""
    sent = {name: values[0] if len(values) == 1 else {} for name, values in fields.lists()}
    return kind.model_validate_strings(sent)


def read_body(kind: type[Schema]) -> Schema:
    """Read and check the whole of a body; 415, 413, or 400 if it ends early or is broken."""
    if request.mimetype not in kind.content_types:
        refuse(415, f"Content-Type must be {' or '.join(kind.content_types)}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        refuse(415, "Content-Encoding must be identity")
    try:
        data = request.get_data()
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - what servers raise here has no class in common
        refuse(400, "Bad Request")
    if len(data) == current_app.config["MAX_CONTENT_LENGTH"]:  # where Flask cut one in chunks
        refuse(413, "Request Entity Too Large")
    if len(data) < (request.content_length or 0):
        refuse(400, "Incomplete body")
    if request.mimetype.endswith("json"):
        return kind.model_validate_json(data)
    return read_fields(kind, request.form)


def is_known(tag: str) -> bool:
    """Tell whether the client has the version of a tag already (RFC 9110 §13.1.2)."""
    sent = request.headers.get("If-None-Match", "")
    return tag in ETAG_PATTERN.findall(sent) or sent.strip() == "*"


def answer_nothing() -> Response:
    """Answer 204."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def answer_unchanged(tag: str) -> Response:
    """Answer 304."""
    return Response(status=304, headers={"ETag": f'"{tag}"'})


def answer_json(body: bytes, headers: dict[str, Any], status: int = 200) -> Response:
    """Answer with JSON; 304 to a GET for what the client has already."""
    if request.method in ("GET", "HEAD"):
        tag = headers["ETag"].strip('"') if "ETag" in headers else digest(body)
        if is_known(tag):
            return answer_unchanged(tag)
        headers = headers | {"ETag": f'"{tag}"'}
    return Response(body + b"\n", status, headers, content_type="application/json")


# --- Passwords: a few hashed at a time, ten tried a minute ----------------------------------------
bcrypt = Bcrypt()
MINUTE = 60  # seconds


class HashingQueue:
    """Lets as many passwords be hashed at once as there are processors, and some wait.

    A hash of 12 rounds takes a quarter of a second, one of 13 twice as long: so many may wait that
    the last has its turn within four seconds. The next is refused at once, as it would only keep a
    thread from others. At most eight are hashed at once: each counts as a wrong one meanwhile, of
    which an account may have ten.
    """

    def __init__(self, rounds: int):
        at_once = min(os.cpu_count() or 1, 8)
        self.hashing = BoundedSemaphore(at_once)
        self.admitted = BoundedSemaphore(at_once * max(2, int(2 ** (16 - rounds))))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it for a block; 503 where too many wait."""
        if not self.admitted.acquire(blocking=False):
            refuse(503, "Too many passwords wait to be checked", "temporarily_unavailable", 5)
        try:
            with self.hashing:
                yield
        finally:
            self.admitted.release()


class MemoryAttempts:
    """Attempts of the last minute in this process."""

    def __init__(self):
        self.times = TTLCache(20_000, MINUTE, timer=time.time)  # by key, then by attempt
        self.lock = Lock()

    def take(self, key: str, limit: int, attempt: str) -> bool:
        """Count an attempt unless the last minute has as many as the limit; tell whether it was."""
        now = time.time()
        with self.lock:
            times = {name: at for name, at in self.times.get(key, {}).items() if at > now - MINUTE}
            if len(times) >= limit:
                return False
            self.times[key] = times | {attempt: now}
        return True

    def give_back(self, key: str, attempt: str) -> None:
        """Forget an attempt."""
        with self.lock:
            self.times.get(key, {}).pop(attempt, None)


class RedisAttempts:
    """The same for all workers and hosts, in sorted sets of Redis.

    Without an answer of Redis, whatever its trouble, the attempt passes here: the process counts it
    as well. Redis is then not asked for five seconds, and its trouble is logged once.
    """

    def __init__(self, url: str):
        import redis

        self.failure, self.works, self.ask_again_at = redis.RedisError, True, 0.0
        self.redis = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)

    def take(self, key: str, limit: int, attempt: str) -> bool:
        """Count an attempt; tell whether it is within the limit. If not, it has to be given back."""
        now = time.time()
        together = self.redis.pipeline(transaction=True)
        together.zremrangebyscore(key, 0, now - MINUTE)
        together.zadd(key, {attempt: now})
        together.expire(key, MINUTE)
        together.zcard(key)
        counts = self.ask(together.execute)
        return not counts or counts[-1] <= limit

    def give_back(self, key: str, attempt: str) -> None:
        """Forget an attempt."""
        self.ask(lambda: self.redis.zrem(key, attempt))

    def ask(self, question: Callable) -> Any:
        """Return an answer of Redis, or None."""
        if time.monotonic() < self.ask_again_at:
            return None
        try:
            answer = question()
            self.works = True
        except self.failure as error:
            if self.works:
                current_app.logger.error("APP_RATE_LIMIT_STORAGE does not work: %s", explain(error))
            answer, self.works, self.ask_again_at = None, False, time.monotonic() + 5
        return answer


class Throttle:
    """Lets only so many attempts pass in a minute, by kind and by key."""

    def __init__(self, storage: str):
        shared = [] if storage == "memory://" else [RedisAttempts(storage)]
        self.stores = [*shared, MemoryAttempts()]

    def take(self, kind: str, limits: dict[str, int]) -> Callable[[], None]:
        """Count an attempt against the limit of each key; return what gives it back; or 429."""
        attempt = uuid4().hex
        names = {f"todo:{digest(f'{kind} {key}'.encode())}": key for key in limits}

        def give_back() -> None:
            for name in names:
                for store in self.stores:
                    store.give_back(name, attempt)

        for name, key in names.items():
            if not all(store.take(name, limits[key], attempt) for store in self.stores):
                give_back()
                refuse(429, f"Too many {kind}", "temporarily_unavailable", MINUTE)
        return give_back


def client_address() -> str:
    """Return what counts as one client: an IPv4 address or an IPv6 /64, without a port."""
    sent = request.remote_addr or ""
    with_port = re.fullmatch(r"\[(.+)\](?::\d+)?|([^:]+):\d+", sent)
    try:
        address = ip_address(with_port[1] or with_port[2] if with_port else sent)
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((int(address), 64), strict=False) if address.version == 6 else address)


def hash_password(password: str) -> str:
    """Hash a password at the cost that is set."""
    with current_app.extensions["hashing"].turn():
        rounds = current_app.config["APP_BCRYPT_ROUNDS"]
        return bcrypt.generate_password_hash(password, rounds).decode()


def cost_of(password_hash: str) -> int:
    """Return the rounds of a hash such as $2b$12$..."""
    return int(password_hash.split("$")[2])


def find_highest_cost() -> int:
    """Return the rounds of the slowest hash that there is or will be."""
    with reading() as connection:
        found = connection.scalar(sa.select(sa.func.max(sa.func.substr(User.password_hash, 5, 2))))
    return max(int(found or 0), current_app.config["APP_BCRYPT_ROUNDS"])


def check_password(email: str, password: str) -> sa.Row:
    """Return the user of an email and its password; 401 for a wrong one, 429 after ten a minute.

    A refusal takes the same time without such a user, and whatever the cost of the hash: 2**cost
    rounds are made up to 2**highest by dummies of 2**cost, 2**(cost + 1) ... 2**(highest - 1).
    """
    columns = (User.id, User.password_hash, User.password_number)
    with reading() as connection:
        user = connection.execute(sa.select(*columns).where(User.email == email)).one_or_none()
    throttle, address = current_app.extensions["throttle"], client_address()
    highest = current_app.config["HIGHEST_COST"]
    with current_app.extensions["hashing"].turn():
        give_back = throttle.take("failed logins", {address: 100, f"{address} {email}": 10})
        if user and bcrypt.check_password_hash(user.password_hash, password):
            give_back()  # only where nothing else can refuse: a second factor belongs in the `if`
            return user
        dummies = range(cost_of(user.password_hash), highest) if user else [highest]
        for rounds in dummies:
            bcrypt.generate_password_hash(password, rounds)
    refuse(401, "Invalid credentials", "invalid_grant")


# --- Routes: /auth --------------------------------------------------------------------------------
SESSION_COLUMNS = tuple(Session.__table__.columns)
NO_STORE = {"Cache-Control": "no-store"}
GRACE_SECONDS = 60  # for which a refresh token works again


def grant_scope(asked: str, allowed: str) -> str:
    """Return the scope that is asked for (RFC 6749 §3.3), each once; by default all that may be."""
    scope = dict.fromkeys(asked.split() or allowed.split())
    if not scope or not scope.keys() <= set(allowed.split()):
        refuse(400, f"scope may name {allowed or 'nothing'}", "invalid_scope")
    return " ".join(scope)


def begin_session(connection: sa.Connection, user_id: int, scope: str, name: str | None) -> sa.Row:
    """Add a session to a user and return it; with a name, it is a key's."""
    now = int(time.time())
    session = {"user_id": user_id, "scope": scope, "name": name}
    times = {"created_at": now, "refreshed_at": now}
    return connection.execute(sa.insert(Session).returning(*SESSION_COLUMNS), session | times).one()


def sign_token(create: Callable, session: sa.Row, scope: str, **options: Any) -> str:
    """Sign a token of a session; its scope may be narrower than the session's."""
    claims = {name: getattr(session, name) for name in ("id", "generation", "refreshed_at")}
    return create(str(session.user_id), additional_claims=claims | {"scope": scope}, **options)


def answer_tokens(session: sa.Row, scope: str) -> tuple[Token, dict[str, str]]:
    """Answer with a pair of tokens of a session."""
    access = sign_token(create_access_token, session, scope)
    again = sign_token(create_refresh_token, session, session.scope)
    seconds = int(current_app.config["JWT_ACCESS_TOKEN_EXPIRES"].total_seconds())
    return Token(access, "bearer", seconds, again, scope), NO_STORE


def show_key(session: sa.Row) -> dict[str, Any]:
    """Return what there is to show of a key."""
    created = datetime.fromtimestamp(session.created_at, UTC)
    return {"id": session.id, "name": session.name, "scope": session.scope, "created": created}


def make_key(connection: sa.Connection, user_id: int, name: str, scope: str) -> KeyMade:
    """Begin a session that has a name and no end, and return its key."""
    session = begin_session(connection, user_id, scope, name)
    key = sign_token(create_access_token, session, scope, expires_delta=False)
    return KeyMade(**show_key(session), key=key)


def lock_user(connection: sa.Connection, user: sa.Row) -> None:
    """Keep a user's row as it is for this transaction; 401 if the password was changed meanwhile."""
    same = (User.id == user.id, User.password_number == user.password_number)
    if connection.scalar(sa.select(User.id).where(*same).with_for_update()) is None:
        refuse(401, "Invalid credentials", "invalid_grant")


def log_in(sent: TokenRequest) -> tuple[Token, dict[str, str]]:
    """Begin a session; renew a hash of another cost than is set, clear everybody's ended sessions."""
    scope, config = grant_scope(sent.scope, " ".join(SCOPES)), current_app.config
    user, renewed = check_password(sent.username, sent.password), None
    if cost_of(user.password_hash) != config["APP_BCRYPT_ROUNDS"]:
        renewed = hash_password(sent.password)
    life = config["JWT_REFRESH_TOKEN_EXPIRES"] + config["JWT_ACCESS_TOKEN_EXPIRES"]
    over = Session.refreshed_at < int(time.time() - life.total_seconds())
    with writing() as connection:
        lock_user(connection, user)
        if renewed:
            this = sa.update(User).where(User.id == user.id)
            connection.execute(this.values(password_hash=renewed))
        connection.execute(sa.delete(Session).where(Session.name.is_(None), over))
        session = begin_session(connection, user.id, scope, None)
    return answer_tokens(session, scope)


def refresh(sent: TokenRequest) -> tuple[Token, dict[str, str]]:
    """Go on with a session by its newest refresh token, which then is used (RFC 9700 §4.14.2).

    The last two used ones do for another minute: they may be another tab's, or the answer was lost.
    After that they may be stolen, and end the session. When an older one was used is not known: the
    time of its signature, which was earlier, stands for it.
    """
    token, now = read_token(sent.refresh_token, "refresh"), int(time.time())
    scope, this = grant_scope(sent.scope, token.scope), Session.id == token.id
    with writing() as connection:
        found = sa.select(*SESSION_COLUMNS).where(this).with_for_update()
        session = connection.execute(found).one_or_none() or refuse_token()
        behind = session.generation - token.generation
        times_of_use = {1: session.refreshed_at, 2: session.refreshed_before}
        used_at = times_of_use.get(behind, token.refreshed_at)
        if behind == 0:
            values = {"generation": session.generation + 1, "refreshed_at": now}
            values["refreshed_before"] = session.refreshed_at
            change = sa.update(Session).where(this).values(values).returning(*SESSION_COLUMNS)
            session = connection.execute(change).one()
        elif used_at <= now - GRACE_SECONDS:
            connection.execute(sa.delete(Session).where(this))
            session = None  # refused below: a refusal here would undo the deletion
    return answer_tokens(session or refuse_token(), scope)


def add_account(account: Account) -> AccountRead:
    """Create an account; 400 if its email has one."""
    user = {"email": account.email, "password_hash": hash_password(account.password)}
    try:
        with writing() as connection:
            user_id = connection.scalar(sa.insert(User).returning(User.id), user)
    except sa.exc.IntegrityError:  # of the one constraint that there is
        refuse(400, "Email already exists")
    return AccountRead(user_id, account.email)


def store_password(connection: sa.Connection, user_id: int, password_hash: str) -> None:
    """Give a user another password, which ends all sessions and keys."""
    values = {"password_hash": password_hash, "password_number": User.password_number + 1}
    connection.execute(sa.update(User).where(User.id == user_id).values(values))
    connection.execute(sa.delete(Session).where(Session.user_id == user_id))


def refuse_registration() -> None:
    """Refuse new accounts before anything that was sent is read."""
    if request.path == "/auth/register" and request.method == "POST":
        refuse(403, "Registration is closed")


@endpoint(api.post("/auth/register"), scope=None, status=201)
def register(body: Account) -> AccountRead:
    """Create an account; 400 if the email has one, 403 where registration is closed, in time 429."""
    current_app.extensions["throttle"].take("registrations", {client_address(): 100})
    return add_account(body)


@endpoint(api.post("/auth/token"), scope=None)
def create_token(body: TokenRequest) -> Annotated[Token, "Cache-Control"]:
    """Give tokens for an email and its password, or a refresh token; 401, and in time 429."""
    if body.grant_type not in GRANTS:
        refuse(400, f"grant_type must be {' or '.join(GRANTS)}", "unsupported_grant_type")
    if missing := [name for name in GRANTS[body.grant_type] if getattr(body, name) is MISSING]:
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
    return AccountRead(g.user_id, g.caller.email)


@endpoint(api.put("/auth/me/password"), scope="account")
def change_password(body: PasswordChange) -> None:
    """Change the caller's password, which ends every session and key; 401, and in time 429."""
    user = check_password(g.caller.email, body.password)
    password_hash = hash_password(body.new_password)
    with writing() as connection:
        lock_user(connection, user)
        store_password(connection, user.id, password_hash)


@endpoint(api.delete("/auth/me"), scope="account")
def delete_account(body: PasswordProof) -> None:
    """Delete the caller's account and all its tasks; 401, and in time 429."""
    user = check_password(g.caller.email, body.password)
    with writing() as connection:
        lock_user(connection, user)
        connection.execute(sa.delete(User).where(User.id == user.id))


@endpoint(api.post("/auth/keys"), scope="account", status=201)
def create_key(body: KeyCreate) -> Annotated[KeyMade, "Cache-Control"]:
    """Make a token for a script, shown this once, which does not expire; 400 for its scope."""
    allowed = [scope for scope in g.claims.scope.split() if scope != "account"]
    scope = grant_scope(body.scope, " ".join(allowed))
    with writing() as connection:
        lock_user(connection, g.caller)
        return make_key(connection, g.user_id, body.name, scope), NO_STORE


@endpoint(api.get("/auth/keys"), scope="account")
def list_keys() -> list[KeyRead]:
    """List the caller's keys."""
    keys = sa.select(*SESSION_COLUMNS).where(
        Session.user_id == g.user_id, Session.name.is_not(None)
    )
    with reading() as connection:
        return [KeyRead(**show_key(key)) for key in connection.execute(keys.order_by(Session.id))]


@endpoint(api.delete("/auth/keys/<id:key_id>"), scope="account")
def delete_key(key_id: Id) -> None:
    """Delete a key, which is dead at once."""
    this = (Session.user_id == g.user_id, Session.id == key_id, Session.name.is_not(None))
    with writing() as connection:
        if not connection.execute(sa.delete(Session).where(*this)).rowcount:
            refuse(404, "Key not found")


# --- Routes: /tasks -------------------------------------------------------------------------------
TASK_COLUMNS = (*[getattr(Task, field.name) for field in fields(TaskRead)], Task.change_number)
TASK_LIST = TypeAdapter(list[TaskRead])
FILTERS = {  # by the field of TaskQuery that asks for it
    "done": Task.done == sa.bindparam("done"),
    "due_before": Task.due < sa.bindparam("due_before"),
    "due_after": Task.due > sa.bindparam("due_after"),
}
ORDERS = {"id": [Task.id], "-id": [Task.id.desc()], "due": [DUE_LAST, Task.id]}
AFTER_CURSOR = {
    "id": Task.id > sa.bindparam("id"),
    "-id": Task.id < sa.bindparam("id"),
    "due": sa.tuple_(DUE_LAST, Task.id)
    > sa.tuple_(sa.bindparam("due", type_=sa.Date), sa.bindparam("id")),
}
FIND_TASK = sa.select(*TASK_COLUMNS).where(
    Task.user_id == sa.bindparam("user_id"), Task.id == sa.bindparam("task_id")
)
ADD_TASK = sa.insert(Task).returning(*TASK_COLUMNS)
TAKE_NUMBER = (
    sa.update(User)
    .where(User.id == sa.bindparam("user"))
    .values(change_number=User.change_number + 1)
    .returning(User.change_number)
)


@contextmanager
def changing(user_id: int) -> Iterator[tuple[sa.Connection, int]]:
    """Begin a transaction that changes a user's tasks; yield it, and the number of the change.

    Taking the number locks the user's row. So those who change tasks of a user come one after the
    other, and their numbers appear in order. An error in the block undoes the number as well.
    """
    with writing() as connection:
        number = connection.scalar(TAKE_NUMBER, {"user": user_id})
        if number is None:  # the account was deleted meanwhile
            refuse(404, "User not found")
        yield connection, number


def to_task(row: sa.Row) -> TaskRead:
    """Return the task of a row that begins with TASK_COLUMNS."""
    return TaskRead(*row[: len(TASK_COLUMNS) - 1])


def answer_task(row: sa.Row, **headers: str) -> tuple[TaskRead, dict[str, str]]:
    """Answer with a task, and its change number as its ETag."""
    return to_task(row), headers | {"ETag": f'"{row.change_number}"'}


def own_task(task_id: int) -> sa.ColumnElement[bool]:
    """Return the condition for one task of the caller."""
    return sa.and_(Task.user_id == g.user_id, Task.id == task_id)


def has_tag(numbers: list[int] | None) -> sa.ColumnElement[bool]:
    """Return the condition that If-Match sets; None sets none."""
    return sa.true() if numbers is None else Task.change_number.in_(numbers)


def find_task(connection: sa.Connection, task_id: int) -> sa.Row | None:
    """Return the row of one of the caller's tasks."""
    return connection.execute(FIND_TASK, {"user_id": g.user_id, "task_id": task_id}).one_or_none()


def refuse_change(connection: sa.Connection, task_id: int) -> NoReturn:
    """Refuse to change a task that is not as If-Match wants it (412), or not there (404)."""
    if find_task(connection, task_id):
        refuse(412, "Task has changed")
    refuse(404, "Task not found")


@lru_cache
def select_page(sort: str, sent: frozenset[str]) -> sa.Select:
    """Select a page in an order, by the filters of those fields of TaskQuery that are sent.

    To build a statement takes longer than to run it, so each is built once.
    """
    filters = FILTERS | {"cursor": AFTER_CURSOR[sort]}
    conditions = [filters[name] for name in filters if name in sent]
    mine = Task.user_id == sa.bindparam("user_id")
    wanted = sa.select(*TASK_COLUMNS).where(mine, *conditions).order_by(*ORDERS[sort])
    return wanted.limit(sa.bindparam("limit"))


@cached(
    LRUCache(4 * 2**20, getsizeof=lambda page: len(page[0]) + 2500),  # bytes, with the key's
    key=lambda query: (db.engine, g.user_id, g.change_number, query),
    lock=Lock(),
)
def make_page(query: TaskQuery) -> tuple[bytes, str | None]:
    """Return a page of the caller's tasks as JSON, and the cursor of the next page.

    A page is made once per change: it is kept by the change number, which was read before the
    tasks. So what is kept may be newer than its number, which does no harm, but never older.
    """
    wanted = select_page(query.sort, frozenset(query.model_fields_set))
    for word in set(fold(query.q).split()):
        wanted = wanted.where(Task.title_folded.contains(word, autoescape=True))
    values = dict(query) | {"user_id": g.user_id, "limit": query.limit + 1}
    if query.cursor is not MISSING:
        values["due"], values["id"] = query.cursor
    with reading() as connection:
        rows = connection.execute(wanted, values).all()
    tasks = [to_task(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    cursor = write_cursor(tasks[-1].due or date.max, tasks[-1].id) if more else None
    return TASK_LIST.dump_json(tasks, exclude_none=True), cursor


@endpoint(api.get("/tasks"), scope="tasks:read")
def list_tasks(query: TaskQuery) -> Annotated[list[TaskRead], "ETag", "Link"]:
    """List the caller's tasks, a page at a time."""
    if is_known(str(g.change_number)):
        return answer_unchanged(str(g.change_number))
    page, cursor = make_page(query)
    headers = {"ETag": f'"{g.change_number}"'}
    if cursor:
        following = url_for(".list_tasks", **{**request.args, "cursor": cursor})
        headers["Link"] = f'<{following}>; rel="next"'
    return answer_json(page, headers)


def digest_task(body: TaskCreate) -> str:
    """Return a digest of what was sent, the same in every version of this program.

    A field is digested only if it was sent, so that a new one leaves old digests as they are; but
    for the two that version 1 digested always.
    """
    sent = {"title": None, "done": False, "due": None} | body.model_dump(exclude_unset=True)
    return digest(to_json(sent))


def find_task_of_key(idempotency_key: str, digest_of_body: str) -> sa.Row | None:
    """Return the caller's task of a key; 422 if it was made with another body."""
    wanted = sa.select(Task.id, Task.idempotency_digest).where(
        Task.user_id == g.user_id, Task.idempotency_key == idempotency_key
    )
    with reading() as connection:
        found = connection.execute(wanted).one_or_none()
        if found and found.idempotency_digest != digest_of_body:
            problem = "Idempotency-Key was used with another body"
            refuse(422, [Problem("used", ["body"], problem)])
        return found and find_task(connection, found.id)


@endpoint(api.post("/tasks"), scope="tasks:write", status=201)
def create_task(
    body: TaskCreate, idempotency_key: IdempotencyKey
) -> Annotated[TaskRead, "ETag", "Location"]:
    """Add a task; the same Idempotency-Key again gives the task that it made, as it is now."""
    digest_of_body, row = digest_task(body), None
    values = body.model_dump(exclude_unset=True) | {"user_id": g.user_id}
    values |= {"idempotency_key": idempotency_key, "idempotency_digest": digest_of_body}
    while row is None:  # again where the task of the key is deleted before it is found
        try:
            with changing(g.user_id) as (connection, number):
                row = connection.execute(ADD_TASK, values | {"change_number": number}).one()
        except sa.exc.IntegrityError as error:
            if "idempotency_key" not in str(error.orig):
                raise
            row = find_task_of_key(idempotency_key, digest_of_body)
    return answer_task(row, Location=url_for(".read_task", task_id=row.id))


@endpoint(api.delete("/tasks"), scope="tasks:write")
def clear_tasks(query: ClearQuery, if_match: IfMatch) -> None:
    """Delete the caller's tasks that are done; If-Match is the ETag of a list."""
    done = (Task.user_id == g.user_id, Task.done)
    with changing(g.user_id) as (connection, number):
        if if_match is not None and number - 1 not in if_match:
            refuse(412, "Tasks have changed")
        gone = sa.select(Task.user_id, sa.literal(number), Task.id).where(*done)
        names = ["user_id", "change_number", "task_id"]
        connection.execute(sa.insert(Deletion).from_select(names, gone))
        if not connection.execute(sa.delete(Task).where(*done)).rowcount:
            connection.rollback()  # as nothing changed, the number is not taken


@endpoint(api.get("/tasks/<id:task_id>"), scope="tasks:read")
def read_task(task_id: Id) -> Annotated[TaskRead, "ETag"]:
    """Return one task."""
    with reading() as connection:
        return answer_task(find_task(connection, task_id) or refuse(404, "Task not found"))


@endpoint(api.patch("/tasks/<id:task_id>"), scope="tasks:write")
def change_task(task_id: Id, body: TaskChange, if_match: IfMatch) -> Annotated[TaskRead, "ETag"]:
    """Change what was sent of a task."""
    this, values = (own_task(task_id), has_tag(if_match)), body.model_dump(exclude_unset=True)
    if "title" in values:
        values["title_folded"] = fold(values["title"])
    if not values:  # then nothing changes, and no number is taken
        with reading() as connection:
            row = connection.execute(sa.select(*TASK_COLUMNS).where(*this)).one_or_none()
            return answer_task(row or refuse_change(connection, task_id))
    with changing(g.user_id) as (connection, number):
        change = sa.update(Task).where(*this).values(**values, change_number=number)
        row = connection.execute(change.returning(*TASK_COLUMNS)).one_or_none()
        return answer_task(row or refuse_change(connection, task_id))


@endpoint(api.delete("/tasks/<id:task_id>"), scope="tasks:write")
def delete_task(task_id: Id, if_match: IfMatch) -> None:
    """Delete a task."""
    with changing(g.user_id) as (connection, number):
        this = sa.delete(Task).where(own_task(task_id), has_tag(if_match))
        if not connection.execute(this).rowcount:
            refuse_change(connection, task_id)
        gone = {"user_id": g.user_id, "change_number": number, "task_id": task_id}
        connection.execute(sa.insert(Deletion), gone)


# --- Changes: once, or as events ------------------------------------------------------------------
EVENT_STREAM = "text/event-stream"
LOOK_SECONDS = 0.5  # between two looks for a change
COMMENT_SECONDS = 15  # after which a silent stream says that it is there
CHANGES = TypeAdapter(Changes)


def select_changes(since: int, until: int = 2**63 - 1) -> sa.CompoundSelect:
    """Select those of the caller's tasks whose change number is in a range, and those deleted in it.

    Who begins at 0 knows no task, so need not hear of deleted ones.
    """
    tasks = sa.select(*TASK_COLUMNS, sa.literal(False).label("is_gone")).where(
        Task.user_id == g.user_id, Task.change_number > since, Task.change_number <= until
    )
    blanks = [sa.null() for _ in TASK_COLUMNS[1:-1]]
    gone = sa.select(Deletion.task_id, *blanks, Deletion.change_number, sa.literal(True)).where(
        Deletion.user_id == g.user_id,
        Deletion.change_number > since,
        Deletion.change_number <= until,
        sa.true() if since else sa.false(),
    )
    return sa.union_all(tasks, gone).order_by("change_number", "id")


def find_changes(since: int, limit: int) -> Changes:
    """Return what of the caller's tasks changed after a change number, in the order of the changes.

    What one request changed stays together, even where it is more than the limit.
    """
    with reading() as connection:
        rows = connection.execute(select_changes(since).limit(limit + 1)).all()
        more = len(rows) > limit
        if more:
            begun = rows[-1].change_number  # and perhaps not all of it is here
            rows = [row for row in rows if row.change_number < begun]
            if not rows:
                rows = connection.execute(select_changes(since, until=begun)).all()
                more = begun < g.change_number
    last = rows[-1].change_number if rows else since
    tasks = [to_task(row) for row in rows if not row.is_gone]
    deleted = [row.id for row in rows if row.is_gone]
    return Changes(tasks, deleted, last if more else max(last, g.change_number), more)


def write_events(since: int, limit: int) -> Iterator[str]:
    """Yield changes as events, until the token, its session or the worker ends."""
    yield ":\n\n"  # it has begun
    silent_since, is_alive = time.monotonic(), current_app.config["WORKER_IS_ALIVE"]
    try:
        while is_alive() and not has_expired(g.claims):
            g.change_number = find_caller(g.claims).change_number
            if g.change_number > since:
                changes = find_changes(since, limit)
                since, silent_since = changes.since, time.monotonic()
                yield f"id: {since}\ndata: {CHANGES.dump_json(changes, exclude_none=True).decode()}\n\n"
            elif time.monotonic() > silent_since + COMMENT_SECONDS:
                silent_since = time.monotonic()
                yield ":\n"  # if the client is gone, the network says so before the next line
                time.sleep(LOOK_SECONDS)
                yield "\n"
            else:
                time.sleep(LOOK_SECONDS)
    except HTTPException:  # the session is over
        return
    except Exception as error:  # noqa: BLE001 - too late for an answer: the client comes again
        explain_failure(error)


@endpoint(api.get("/tasks/changes"), scope="tasks:read")
def list_changes(query: ChangesQuery, last_event_id: Whole) -> Annotated[Changes, EVENT_STREAM]:
    """Tell what changed after a change number, once or as events; 409 if it is not reached yet."""
    since = query.since if last_event_id is None else last_event_id
    if since > g.change_number:
        refuse(409, "The account has not reached this number: begin again with since=0")
    wanted = request.accept_mimetypes.best_match(["application/json", EVENT_STREAM])
    if request.method == "GET" and wanted == EVENT_STREAM:
        places = current_app.extensions["streams"]
        if not places.acquire(blocking=False):
            refuse(503, "Too many event streams: ask without one", retry_after=5)
        events = stream_with_context(write_events(since, query.limit))
        response = Response(events, headers={"X-Accel-Buffering": "no"}, content_type=EVENT_STREAM)
        response.call_on_close(places.release)
        return response
    if since == g.change_number:
        return Changes([], [], since, False)
    return find_changes(since, query.limit)


# --- OpenAPI: the same annotations and docstrings, for machines -----------------------------------
ALWAYS = {422, 500, 503}
STATUSES_OF_ARGUMENTS = {"body": {400, 413, 415}, "if_match": {412}}
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
    statuses |= {status for name in hints for status in STATUSES_OF_ARGUMENTS.get(name, ())}
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


@cached(LRUCache(4), key=lambda: current_app.url_map, lock=Lock())
def describe_views() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the paths of all endpoints of the app, and the schemas that they refer to."""
    paths, schemas = {}, {}
    for rule in current_app.url_map.iter_rules():
        view = current_app.view_functions[rule.endpoint]
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"} if hasattr(view, "scope") else ():
            paths.setdefault(path, {})[method.lower()] = describe_view(rule, method, view)
            hints = view.__annotations__
            for kind in (hints["return"], hints.get("body"), Error, Invalid):
                schemas |= describe_type(kind).get("$defs", {})
    return paths, schemas


@api.get("/openapi.json")
def read_openapi() -> Response:
    """Send the OpenAPI 3.1 document of this server."""
    paths, schemas = describe_views()
    host = f"{request.scheme}://{request.host}" if request.host else ""  # "" for such as todo_api
    root = host + quote(request.root_path)
    flow = {"tokenUrl": f"{root}/auth/token", "refreshUrl": f"{root}/auth/token", "scopes": SCOPES}
    security = {
        "login": {"type": "oauth2", "flows": {"password": flow}},
        "key": {"type": "http", "scheme": "bearer"},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Todo API", "version": "2", "description": DESCRIPTION},
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": security},
    }
    return answer_json(to_json(document), {})


# --- Around: health, pages, request ids, commands -------------------------------------------------
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "connect-src 'self'; script-src 'self'; style-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; img-src 'self'"
)
SAFETY = [
    ("X-Content-Type-Options", "nosniff"),
    ("Vary", "Authorization"),  # or a browser shows one user the list of another with its number
]
SANE_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


@endpoint(api.get("/health"), scope=None)
def read_health(query: AnyQuery) -> dict[Literal["status"], Literal["ok"]]:
    """Tell whether the database answers."""
    with reading() as connection:
        connection.execute(sa.select(schema_version))
    return {"status": "ok"}


@api.get("/", defaults={"name": "index.html"})
@api.get("/docs", defaults={"name": "docs.html"})
@api.get("/<any('service-worker.js'):name>")
def send_page(name: str) -> Response:
    """Send a page, which uses the API as any other client does."""
    response = current_app.send_static_file(name)
    icons = " data:" if name == "docs.html" else ""  # of Swagger UI
    response.headers["Content-Security-Policy"] = POLICY + icons
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@api.get("/docs/<any('swagger-ui.css', 'swagger-ui-bundle.js'):name>")
def send_swagger_ui(name: str) -> Response:
    """Send a file of Swagger UI."""
    return flask.send_from_directory(Path(flask_swagger_ui.__file__).with_name("dist"), name)


@api.before_app_request
def begin_request() -> Response | None:
    """Give each request its id, the client's own if it is sane, and the log a path on one line.

    Answer every preflight, so that a page of another origin can read what its call is answered, a 404
    too.
    """
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if SANE_ID.fullmatch(asked) else f"{getrandbits(128):032x}"
    request.environ["todo.path"] = quote(request.path)
    preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return answer_nothing() if preflight and current_app.config["CORS_ORIGINS"] else None


@api.after_app_request
def complete_response(response: Response) -> Response:
    """Add the headers that all answers have."""
    response.headers.extend([("X-Request-Id", g.request_id), *SAFETY])
    if "Cache-Control" not in response.headers:
        response.headers.add("Cache-Control", "private, no-cache")
    if "Allow" in response.headers and (methods := methods_here()):  # without those of ids
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response


def read_password() -> str:
    """Ask for a password, or read one line of standard input."""
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.buffer.readline().decode("utf-8-sig").rstrip("\r\n")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let a command end with a sentence where a view would answer with a refusal."""
    try:
        yield
    except Refusal as error:
        raise click.ClickException(str(error.detail)) from None
    except DATABASE_ERRORS as error:
        raise click.ClickException(f"The database does not answer: {explain(error)}") from None
    except UnicodeError:
        raise click.ClickException("What was given is not in UTF-8") from None
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
            connection, user_id, asked.name, grant_scope(asked.scope, "tasks:read tasks:write")
        )
    click.echo(key.key)


# --- App: wiring only -----------------------------------------------------------------------------
cors = CORS()


def match_origin(origin: str) -> str | re.Pattern:
    """Return an origin as flask-cors takes it, which would read that of an IPv6 address as a pattern."""
    return re.compile(rf"{re.escape(origin)}\Z", re.IGNORECASE) if "[" in origin else origin


def create_app(settings: Settings | None = None) -> Flask:
    """Return the service, its tables created; without settings, by those of the environment."""
    settings = settings or Settings.from_environment()
    app = Flask(__name__, instance_path=str(Path(__file__).parent))  # where sqlite:///todo.db is
    app.config.from_mapping({f"APP_{name.upper()}": value for name, value in settings})
    app.config.update(
        configure_engines(settings.database_url),
        BCRYPT_HANDLE_LONG_PASSWORDS=True,
        CORS_ORIGINS=[match_origin(origin) for origin in settings.cors_origins],
        CORS_MAX_AGE=600,
        CORS_EXPOSE_HEADERS=["ETag", "Link", "Location", "Retry-After", "X-Request-Id"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.access_token_expire_minutes),
        JWT_DECODE_LEEWAY=10,  # seconds by which the clock of a host may be behind another's
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.refresh_token_expire_days),
        JWT_SECRET_KEY=settings.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=64 * 1024 + 1,  # one more than is allowed, so that a cut can be told
        WORKER_IS_ALIVE=lambda: True,  # gunicorn.conf.py knows better, and how many may stream
    )
    for extension in (db, jwt, bcrypt):
        extension.init_app(app)
    if settings.cors_origins:
        cors.init_app(app)
    app.url_map.converters["id"] = IdConverter
    app.url_map.merge_slashes = False  # which would redirect to whichever host a request names
    app.register_blueprint(api)
    app.register_error_handler(Exception, answer_error)
    if settings.registration == "closed":
        app.before_request(refuse_registration)
    if behind := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(
            app.wsgi_app, x_for=behind, x_proto=behind, x_host=behind, x_prefix=behind
        )
    app.logger.setLevel("INFO")
    with app.app_context():
        open_database()
        app.config["HIGHEST_COST"] = highest = find_highest_cost()
        app.extensions["hashing"] = HashingQueue(highest)
        app.extensions["streams"] = BoundedSemaphore(128)
        app.extensions["throttle"] = Throttle(settings.rate_limit_storage)
        app.logger.info("Database: %s", mask_password(settings.database_url))
        for engine in db.engines.values():
            engine.dispose()  # no connection is left for a fork to share
    return app

"""The service of the FastAPI tutorial: SQLModel on SQLite, OAuth2PasswordBearer, PyJWT, bcrypt."""

from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import EmailStr
from pydantic_settings import BaseSettings
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Field, Session, SQLModel, create_engine, select


class Settings(BaseSettings):
    secret_key: str
    database_url: str
    access_token_expire_minutes: int = 30


class User(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, index=True)
    password_hash: str


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=255)
    done: bool = False


class Task(TaskBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    owner_id: int = Field(foreign_key="user.id", index=True)


class TaskRead(TaskBase):
    id: int


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=255)
    done: bool | None = None


class Account(SQLModel):
    email: EmailStr
    password: str = Field(min_length=8)


settings = Settings()
engine = create_engine(settings.database_url, connect_args={"check_same_thread": False})
passwords = PasswordHash((BcryptHasher(rounds=12),))


def get_session():
    with Session(engine) as session:
        yield session


Database = Annotated[Session, Depends(get_session)]
Bearer = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="auth/token"))]


def get_current_user(session: Database, token: Bearer) -> User:
    challenge = {"WWW-Authenticate": "Bearer"}
    try:
        claims = jwt.decode(token, settings.secret_key, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token", challenge) from None
    user = session.get(User, int(claims["sub"]))
    if user is None:
        raise HTTPException(401, "Invalid token", challenge)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


def get_own_task(task_id: int, session: Database, user: CurrentUser) -> Task:
    task = session.get(Task, task_id)
    if task is None or task.owner_id != user.id:
        raise HTTPException(404, "Task not found")
    return task


OwnTask = Annotated[Task, Depends(get_own_task)]


@asynccontextmanager
async def lifespan(_: FastAPI):
    with suppress(OperationalError):  # the other worker is creating them
        SQLModel.metadata.create_all(engine)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
def read_health():
    return {"status": "ok"}


@app.post("/auth/register", status_code=201)
def register(account: Account, session: Database):
    user = User(email=account.email, password_hash=passwords.hash(account.password))
    session.add(user)
    try:
        session.commit()
    except IntegrityError:
        raise HTTPException(400, "Email already exists") from None
    return {"id": user.id, "email": user.email}


@app.post("/auth/token")
def create_token(form: Annotated[OAuth2PasswordRequestForm, Depends()], session: Database):
    user = session.exec(select(User).where(User.email == form.username)).first()
    if user is None or not passwords.verify(form.password, user.password_hash):
        raise HTTPException(401, "Invalid credentials", {"WWW-Authenticate": "Bearer"})
    expires = datetime.now(UTC) + timedelta(minutes=settings.access_token_expire_minutes)
    claims = {"sub": str(user.id), "exp": expires}
    token = jwt.encode(claims, settings.secret_key, algorithm="HS256")
    return {"access_token": token, "token_type": "bearer"}


@app.get("/tasks", response_model=list[TaskRead])
def list_tasks(session: Database, user: CurrentUser):
    return session.exec(select(Task).where(Task.owner_id == user.id).order_by(Task.id)).all()


@app.post("/tasks", status_code=201, response_model=TaskRead)
def create_task(body: TaskBase, session: Database, user: CurrentUser):
    task = Task.model_validate(body, update={"owner_id": user.id})
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.get("/tasks/{task_id}", response_model=TaskRead)
def read_task(task: OwnTask):
    return task


@app.patch("/tasks/{task_id}", response_model=TaskRead)
def change_task(task: OwnTask, body: TaskUpdate, session: Database):
    task.sqlmodel_update(body.model_dump(exclude_unset=True))
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.delete("/tasks/{task_id}", status_code=204)
def delete_task(task: OwnTask, session: Database):
    session.delete(task)
    session.commit()

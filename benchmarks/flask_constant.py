"""Bare Flask: what the stack under Todo API costs that does nothing but answer constants."""

import json

import flask_sqlalchemy  # noqa: F401 - so that the starts compare
import sqlalchemy  # noqa: F401
from flask import Flask, request

JSON = {"Content-Type": "application/json"}
TASKS = [{"id": n, "title": f"Task {n}", "done": False} for n in range(1, 101)]
LISTS = {f"Bearer {n}": json.dumps(TASKS[:n], separators=(",", ":")) for n in (0, 10, 100)}
TASK = json.dumps(TASKS[0], separators=(",", ":"))

app = Flask(__name__, static_folder=None)


@app.get("/health")
def read_health():
    return "{}", JSON


@app.post("/auth/register")
def register():
    return "{}", 201, JSON


@app.post("/auth/token")
def create_token():
    return {"access_token": request.form["username"].partition("@")[0]}


@app.get("/tasks")
def list_tasks():
    if request.headers.get("If-None-Match"):
        return "", 304
    return LISTS[request.headers["Authorization"]], JSON | {"ETag": '"1"'}


@app.post("/tasks")
def create_task():
    request.get_data()
    return TASK, 201, JSON


@app.get("/tasks/<task_id>")
def read_task(task_id):
    return TASK, JSON

"""How gunicorn serves: many threads in a worker, as those that wait cost little."""

import os
from contextlib import suppress

preload_app = True  # an unusable setting stops the start once, with its one line
threads = 256  # so that 200 slow clients leave some for the others
worker_connections = 500  # with their files still under the usual limit of 1024
keepalive = 620  # seconds: longer than any balancer keeps an idle connection, the longest 600
control_socket_disable = True  # it wants a home directory to write to
secure_scheme_headers = {}  # what proxies say is for APP_TRUSTED_PROXIES to believe, not for gunicorn
forwarder_headers = ""
accesslog = "-"
access_log_format = "%(t)s %({x-request-id}o)s %(m)s %({todo.path}e)s %(s)s %(M)sms"


def pre_request(worker, req):
    """Close the connection after a body that may not be read whole, and have the answer say so."""
    headers = dict(req.headers)
    if "TRANSFER-ENCODING" in headers or len(headers.get("CONTENT-LENGTH", "")) > 4:
        req.force_close()


def post_worker_init(worker):
    """Give event streams half of the threads, and end them when the worker is to stop."""
    worker.wsgi.config.update(MAX_STREAMS=threads // 2, WORKER_IS_ALIVE=lambda: worker.alive)


def post_fork(server, worker):
    """With PIN_WORKERS=1, keep each worker to one processor, where the system allows it."""
    if os.environ.get("PIN_WORKERS") == "1":
        with suppress(AttributeError, OSError):
            found = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {found[worker.age % len(found)]})

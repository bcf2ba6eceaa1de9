"""How gunicorn serves: many threads in a worker, as those that wait cost little."""

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore

from gunicorn.workers.gthread import ThreadWorker

chdir = str(Path(__file__).resolve().parent)  # the app's, from wherever this file is named
preload_app = True  # an unusable setting stops the start once, with its one line
limit_request_line = 8190  # the most that gunicorn takes, for searches beyond ASCII
threads = 256  # so that 200 slow clients leave some for the others
worker_connections = 500  # which, with all else, stay under the usual limit of 1024 open files
keepalive = 620  # seconds: more than any balancer keeps an idle connection, the longest 600
control_socket_disable = True  # it wants a home directory to write to
secure_scheme_headers = {}  # what proxies say, APP_TRUSTED_PROXIES believes or not
forwarder_headers = ""
accesslog = "-"
access_log_format = "%(t)s %({x-request-id}o)s %(m)s %({todo.path}e)s %(s)s %(M)sms"
SILENCE = 20  # seconds that a client may keep a thread waiting in the middle of a request or answer
LINGER = 2  # seconds that a connection to be closed waits for its client to close it first


class PatientWorker(ThreadWorker):
    """gunicorn's threads, where those who are slow to close a connection keep nobody waiting.

    gunicorn waits for them in the one thread that all connections of a worker need.
    """

    def handle(self, conn):
        """Serve a request in a thread; if its connection is to be closed, wait for the client here."""
        is_kept = super().handle(conn)
        if not is_kept:
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_WR)
                conn.sock.settimeout(LINGER)
                for _ in range(16):  # what is left unread would break off an answer on its way
                    if not conn.sock.recv(4096):
                        break
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)
        return is_kept


worker_class = PatientWorker


def when_ready(server):
    """Limit the silence of clients: connections take these options over from their listener."""
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            with suppress(OSError):  # on a system that counts time in another form
                listener.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE, 0))
    server.log.error_log.addFilter(is_no_silent_client)


def is_no_silent_client(record):
    """Keep clients that fell silent out of the log, where gunicorn would write a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def pre_request(worker, req):
    """Close the connection after a body that may not be read whole, and have the answer say so."""
    headers = dict(req.headers)
    if "TRANSFER-ENCODING" in headers or int(headers.get("CONTENT-LENGTH", 0)) >= 64 * 1024:
        req.force_close()


def post_worker_init(worker):
    """Give event streams half of the threads, and end them when the worker is to stop."""
    worker.wsgi.extensions["streams"] = BoundedSemaphore(worker.cfg.threads // 2)
    worker.wsgi.config["WORKER_IS_ALIVE"] = lambda: worker.alive


def post_fork(server, worker):
    """With PIN_WORKERS=1, keep each worker to one processor, where the system allows it."""
    if os.environ.get("PIN_WORKERS") == "1":
        with suppress(AttributeError, OSError):
            found = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {found[worker.age % len(found)]})

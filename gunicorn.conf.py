"""How gunicorn serves where it is started here: many threads in a worker, on one processor."""

import os
from contextlib import suppress
from random import random

preload_app = True  # an unusable setting stops the start once, with its one line
threads = 32
control_socket_disable = True
accesslog = "-"
access_log_format = "%(t)s %({x-request-id}o)s %(m)s %({todo.path}e)s %(s)s %(M)sms"


def pre_fork(server, worker):
    """Choose the processor of a new worker: one that the others have taken least.

    Python runs one thread of a process at a time. A second processor would only make it dearer to
    hand over from one to the next, which under load costs more than the requests themselves.
    """
    with suppress(AttributeError):  # on a system that does not tell processors apart
        taken = [other.processor for other in server.WORKERS.values()]
        found = os.sched_getaffinity(0)
        worker.processor = min(found, key=lambda number: (taken.count(number), random()))


def post_fork(server, worker):
    """Keep a worker, and the threads that it starts, on its processor."""
    with suppress(AttributeError, OSError):  # or where it is not allowed
        os.sched_setaffinity(0, {worker.processor})

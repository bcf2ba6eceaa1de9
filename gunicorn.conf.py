"""How gunicorn serves where it is started here: many threads in a worker, on one processor."""

import os
from contextlib import suppress
from random import random

preload_app = True  # an unusable setting stops the start once, with its one line
threads = 32
control_socket_disable = True
accesslog = "-"
access_log_format = "%(t)s %({x-request-id}o)s %(m)s %({todo.path}e)s %(s)s %(M)sms"


def post_fork(server, worker):
    """Keep a worker on the processor that the others have taken least.

    Python runs one thread of a process at a time: a second processor would only make each handover
    between threads dearer, which here costs more than the requests themselves.
    """
    with suppress(AttributeError, OSError):  # a system without this, a worker that has just ended
        taken = [cpu for pid in server.WORKERS for cpu in os.sched_getaffinity(pid)]
        mine = min(os.sched_getaffinity(0), key=lambda cpu: (taken.count(cpu), random()))
        os.sched_setaffinity(0, {mine})

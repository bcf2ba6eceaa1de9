"""The short form of `make torture`, and a stop that waits for those who are being answered."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from benchmarks.torture import on_postgresql, on_sqlite, torture
from test_todo import GOOD, call, log_in, serving


@pytest.mark.parametrize("engine", [on_sqlite, on_postgresql])
def test_what_was_acknowledged_is_there_once_after_every_fault(engine):
    with engine() as (database, directory, faults):
        counts = torture(database, directory, faults, writes=500, fault_count=5, clients=6)
        log = (directory / "log").read_text()
    assert counts["writes"] >= 500
    assert counts["faults"] == 5
    assert (counts["lost"], counts["twice"], counts["of others"]) == (0, 0, 0)
    assert "Traceback" not in log


def test_a_stop_waits_for_requests_in_flight(tmp_path):
    settings = {"APP_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db", "APP_BCRYPT_ROUNDS": "14"}
    with serving(tmp_path, workers=1, **settings) as (port, log):
        log_in(port)
        master = int(log.read_text().partition("] [INFO] Starting")[0].rpartition("[")[2])
        worker = Path(f"/proc/{master}/task/{master}/children").read_text().split()[0]
        before, answers = spent(worker), []
        flight = threading.Thread(
            target=lambda: answers.append(call(port, "POST", "/auth/token", GOOD)[0])
        )
        flight.start()
        while spent(worker) < before + 10:  # until it hashes
            time.sleep(0.01)
        os.kill(master, signal.SIGTERM)
        flight.join(30)
    assert answers == [200]
    with pytest.raises(OSError, match="refused"):
        call(port, "GET", "/health")


def spent(process):
    """The processor time of a process, in hundredths of a second."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])

"""What `make torture` does, in small."""

import pytest

from benchmarks.torture import on_pgbouncer, on_postgresql, on_sqlite, torture


@pytest.mark.parametrize(
    ("engine", "hosts"), [(on_sqlite, 1), (on_postgresql, 1), (on_pgbouncer, 2)]
)
def test_what_was_acknowledged_is_there_once_after_every_fault(engine, hosts):
    with engine() as (database, directory, faults):
        kinds = len(faults)
        row = torture(database, directory, faults, 500, fault_count=kinds, clients=6, hosts=hosts)
    assert row["writes"] >= 500
    assert row["faults"] == kinds
    assert (row["lost"], row["twice"], row["of others"]) == (0, 0, 0)

"""Several writers and readers of a key at once see what a single node could have shown them, and the check of that can
fail."""

from __future__ import annotations

from functools import partial

import pytest

from node.replication.co_owners import CoOwners
from tests.sim.apart import Apart, Run
from tests.sim.cluster import Cluster
from tests.sim.contention import Contention
from tests.sim.simulation import quieten

DURATION_S = 6.0


def simulate(seed: int, copies: int, is_atomic: bool) -> Run:
    quieten()
    if not is_atomic:
        CoOwners.has_spread = lambda *_: True  # type: ignore[method-assign]
    contention = Contention(Cluster(seed, 5, 4, repl_factor=copies, skew_ms_max=20), DURATION_S)
    try:
        contention.cluster.loop.run(contention.run())
    except Exception as error:
        return Run(contention.seen, repr(error.exceptions if isinstance(error, ExceptionGroup) else error))
    return Run(contention.seen, None)


@pytest.mark.parametrize(("seed", "copies"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3)])
def test_contention_every_history_is_linearizable(seed: int, copies: int, apart: Apart) -> None:
    run = apart(partial(simulate, seed, copies, is_atomic=True))
    assert run.fault is None
    assert run.seen["GET"] > 300 and run.seen["PUT"] > 100 and run.seen["DELETE"] > 20


def test_contention_reads_that_wait_for_nobody_are_noticed(apart: Apart) -> None:
    run = apart(partial(simulate, 2, 2, is_atomic=False))
    assert run.fault is not None and "not linearizable" in run.fault

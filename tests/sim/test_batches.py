"""Batches of several clients at once look as if a single node had done one operation after the other, and the check of
that can fail."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import partial

import pytest

from gossip.view import Address
from node.replication.streams import Streams
from tests.sim.apart import Apart, Run
from tests.sim.batches import Batches
from tests.sim.cluster import Cluster
from tests.sim.simulation import quieten

DURATION_S = 6.0


async def _no_wait(self: Streams, keys: Sequence[bytes], *_: object, **__: object) -> Set[Address]:
    return frozenset()


def simulate(seed: int, copies: int, cuts: bool = False, waits: bool = True) -> Run:
    quieten()
    if not waits:
        Streams.await_copies = _no_wait  # type: ignore[method-assign]
    batches = Batches(Cluster(seed, 5, 4, repl_factor=copies, skew_ms_max=20), DURATION_S, cuts)
    try:
        batches.cluster.loop.run(batches.run())
    except Exception as error:
        return Run(batches.seen, repr(error.exceptions if isinstance(error, ExceptionGroup) else error))
    return Run(batches.seen, None)


@pytest.mark.parametrize(("seed", "copies", "cuts"), [(1, 1, False), (2, 2, False), (3, 3, False), (4, 1, True)])
def test_batches_every_history_is_linearizable(seed: int, copies: int, cuts: bool, apart: Apart) -> None:
    run = apart(partial(simulate, seed, copies, cuts))
    assert run.fault is None
    assert run.seen["GET"] > 500 and run.seen["PUT"] > 500 and run.seen["DELETE"] > 100


def test_batches_that_wait_for_no_copies_are_noticed(apart: Apart) -> None:
    run = apart(partial(simulate, 2, 2, waits=False))
    assert run.fault is not None and "not linearizable" in run.fault

"""Keys that expire, in whole clusters: gone everywhere at their time, and for good, by whatever path they could come
back."""

from __future__ import annotations

from functools import partial

import pytest

from tests.sim.apart import Apart, Run
from tests.sim.cluster import Cluster
from tests.sim.expiring import Expiring
from tests.sim.simulation import quieten

DURATION_S = 10.0


def simulate(seed: int, copies: int | None, skew_ms_max: int, cuts: bool) -> Run:
    quieten()
    expiring = Expiring(Cluster(seed, 5, 4, repl_factor=copies, skew_ms_max=skew_ms_max), DURATION_S, cuts)
    try:
        expiring.cluster.loop.run(expiring.run())
    except Exception as error:
        return Run(expiring.seen, repr(error.exceptions if isinstance(error, ExceptionGroup) else error))
    return Run(expiring.seen, None)


@pytest.mark.parametrize("cuts", [False, True], ids=["one at a time", "cut too"])
@pytest.mark.parametrize(("seed", "copies", "skew_ms_max"), [(6, None, 20), (2, 2, 20), (5, 3, 20), (4, 2, 500)])
def test_expiring_keys_are_told_until_their_time_and_never_after(
    seed: int, copies: int | None, skew_ms_max: int, cuts: bool, apart: Apart
) -> None:
    seen, fault = apart(partial(simulate, seed, copies, skew_ms_max, cuts))
    assert fault is None, fault
    assert seen["writes of what expires"] > 50 and seen["records turned"] > 20 and seen["listings"] > 10, seen
    assert cuts or (seen["keys gone in time"] > 50 and seen["writes after an expiry"] > 3), seen

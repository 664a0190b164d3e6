"""Conditional writes while everything goes wrong, cuts of which both sides change the view included: what clients are
told makes sense in one order, and in peace each key can be decided again."""

from __future__ import annotations

from functools import partial

import pytest

from tests.sim.apart import Apart, Run
from tests.sim.cluster import Cluster
from tests.sim.deciding import Deciding
from tests.sim.simulation import quieten

DURATION_S = 20.0
CLOCKS_MS_APART = (20, 20, 2000, 20)


def simulate(seed: int) -> Run:
    quieten()
    skew_ms_max = CLOCKS_MS_APART[seed % len(CLOCKS_MS_APART)]
    deciding = Deciding(Cluster(seed, 5, 4, repl_factor=1 + seed % 3, skew_ms_max=skew_ms_max), DURATION_S)
    try:
        deciding.cluster.loop.run(deciding.run())
    except Exception as error:
        return Run(deciding.seen, repr(error.exceptions if isinstance(error, ExceptionGroup) else error))
    return Run(deciding.seen, None)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(1, id="by any owner"),
        pytest.param(2, id="without earlier owners, and clocks apart"),
        pytest.param(8, id="under rival views"),
        pytest.param(22, id="without silent owners"),
        pytest.param(39, id="without a removed node that just the new owner cannot hear"),
        pytest.param(1159, id="with what a silent owner lacks"),
    ],
)
def test_conditions_are_not_decided(seed: int, apart: Apart) -> None:
    run = apart(partial(simulate, seed))
    assert run.fault is None
    assert run.seen["made"] > 100 and run.seen["refused"] > 50

"""Sessions with causal contexts keep what they have seen, and the check of that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from node.net.messages import Wrote
from node.operations.causality import Demand
from node.replication.co_owners import CoOwners
from node.values.context import EMPTY
from tests.sim.apart import Apart, Run
from tests.sim.cluster import Cluster
from tests.sim.sessions import Sessions
from tests.sim.simulation import quieten

DURATION_S = 8.0
RULES: dict[str, Callable[[], None]] = {
    "what a context demands": lambda: setattr(Demand, "is_met", lambda *_: True),
    "what an answer adds": lambda: setattr(CoOwners, "is_everywhere", lambda *_: True),
}
"""How to switch each of them off."""


def simulate(seed: int, copies: int, skew_ms_max: int, off: str | None, moves: bool = False) -> Run:
    quieten()
    if off is not None:
        RULES[off]()
    cluster = Cluster(seed, 5, 5, repl_factor=copies, skew_ms_max=skew_ms_max)
    sessions = Sessions(cluster, DURATION_S, moves=moves)
    try:
        cluster.loop.run(sessions.run())
    except Exception as error:
        return Run(sessions.seen, repr(error.exceptions if isinstance(error, ExceptionGroup) else error))
    return Run(sessions.seen, None)


@pytest.mark.parametrize(("seed", "copies", "skew_ms_max"), [(7, 2, 20), (4, 3, 3000), (9, 5, 20)])
def test_sessions_never_see_less_than_before(seed: int, copies: int, skew_ms_max: int, apart: Apart) -> None:
    seen, fault = apart(partial(simulate, seed, copies, skew_ms_max, None))
    assert fault is None
    assert seen["reads under a context"] > 100 and seen["contexts"] > 100 and seen["reads refused"] > 0, seen


@pytest.mark.parametrize(("seed", "copies"), [(8, 2), (6, 3)])
def test_sessions_never_see_less_than_before_while_views_change(seed: int, copies: int, apart: Apart) -> None:
    seen, fault = apart(partial(simulate, seed, copies, 20, None, moves=True))
    assert fault is None
    assert seen["reads under a context"] > 100 and seen["view changes"] > 0, seen


@pytest.mark.parametrize("rule", RULES)
def test_ablation_sessions_see_less(rule: str, apart: Apart) -> None:
    faults = (apart(partial(simulate, seed, 2, 20, rule)).fault for seed in range(4))
    assert any(fault is not None and "was seen" in fault for fault in faults), "the check notices nothing"


async def _write_on_a_side(cluster: Cluster) -> None:
    machines = list(cluster.machines.values())
    for machine in machines:
        machine.start()
    await asyncio.sleep(2.0)
    for one in machines[:2]:
        for other in machines[2:]:
            cluster.cut(one.address, other.address)
    await asyncio.sleep(2.0)

    def write(number: int) -> Any:
        return machines[2 + number % 3].ask(lambda node: node.router.write(b"%d" % number, b"1", EMPTY))

    for outcome in await asyncio.gather(*map(write, range(15))):
        assert isinstance(outcome.answer, Wrote) and outcome.context
    cluster.heal()
    await asyncio.sleep(4.0)
    nodes = [machine.node for machine in machines if machine.node is not None]
    assert len(nodes) == 5 and not any(node.co_owners.unleased() for node in nodes)


def write_on_a_side() -> None:
    quieten()
    cluster = Cluster(1, 5, 5, repl_factor=5)
    cluster.loop.run(_write_on_a_side(cluster))


def test_writes_on_a_side_that_has_left_out_two_are_answered(apart: Apart) -> None:
    """Three co-owners tell each other, all at the same time, of two that they cannot reach."""
    apart(write_on_a_side)

"""Wherever in its change a coordinator dies, the cluster agrees in the end, whether the change happened or not."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gossip.view import ViewId
from node.errors import Unavailable
from tests.sim.changing import change
from tests.sim.cluster import Cluster, NoAnswer
from tests.sim.steps import Snare, Step

KEYS = 20
PATIENCE_S = 5.0


@pytest.mark.parametrize("step", Step)
def test_nemesis_kills_coordinator_at_step_and_cluster_agrees(step: Step) -> None:
    cluster = Cluster(seed=1, size=4, members=3)
    coordinator = cluster.machines["n4:1"]
    struck: list[Step] = []

    def strike() -> None:
        struck.append(step)
        coordinator.crash()

    async def live() -> set[ViewId]:
        for machine in cluster.machines.values():
            machine.start()
        await asyncio.sleep(PATIENCE_S)
        for number in range(KEYS):
            await coordinator.ask(lambda node, key=b"k%d" % number: node.router.write(key, b"1"))  # type: ignore[misc]
        Snare(cluster, coordinator, step, strike)
        with suppress(NoAnswer):
            await coordinator.ask(lambda node: change(node, ["n1:1", "n4:1"]), PATIENCE_S)
        coordinator.start()
        await asyncio.sleep(PATIENCE_S)
        nodes = [machine.node for machine in cluster.machines.values() if machine.node is not None]
        for node in nodes:
            node.check()
        assert all(node.handoff.is_settled() for node in nodes)
        assert sum(node.own_keys.count for node in nodes) == KEYS
        return {node.views.view_id for node in nodes}

    (view_id,) = cluster.loop.run(live())
    assert struck == [step]
    assert view_id.epoch == (0 if step in (Step.PROMISE, Step.PROMISES, Step.PROMISED) else 1)


def test_coordinator_with_a_full_disk_leaves_no_promise_behind() -> None:
    cluster = Cluster(seed=1, size=3, members=3)
    coordinator = cluster.machines["n2:1"]

    async def live() -> None:
        for machine in cluster.machines.values():
            machine.start()
        await asyncio.sleep(PATIENCE_S)
        coordinator.disk.exhausted = True
        with pytest.raises(Unavailable) as refusal:
            await coordinator.ask(lambda node: change(node, ["n1:1", "n3:1"]), PATIENCE_S)
        assert refusal.value.details == {"full": ["n2:1"]}
        coordinator.disk.mend()
        for machine in cluster.machines.values():
            assert machine.node is not None
            assert machine.node.status().target == ""

    cluster.loop.run(live())

"""What was queued under an earlier view is not done under the later one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from node.errors import RequestFault
from node.net.messages import ReadResult
from tests.sim.changing import change
from tests.sim.cluster import Cluster, NoAnswer
from tests.sim.disk import SLOW_SYNC_S
from tests.sim.peace import read
from tests.sim.steps import Snare, Step

STEADY_S = 5.0


@pytest.mark.parametrize("seed", range(3))
def test_write_queued_behind_a_new_view_is_seen_by_the_new_owner_or_not_acknowledged(seed: int) -> None:
    """The earlier owner, whose disk is slow, has told its successor by then that it holds nothing."""
    cluster = Cluster(seed, size=2, members=1)
    old, new = cluster.machines.values()
    pushed = asyncio.Event()

    async def write(number: int) -> bytes | None:
        """What the new owner says, once a write has been acknowledged by the earlier one."""
        key = b"k%d" % number
        await pushed.wait()
        await asyncio.sleep(0.004 * number)
        try:
            outcome = await old.ask(lambda node: node.router.write(key, b"1"))
        except (RequestFault, NoAnswer):
            return b"1"
        answer = (await new.ask(lambda node: read(node, key))).answer
        assert outcome.served_by in (None, new.address) and isinstance(answer, ReadResult)
        return answer.value

    async def tell() -> None:
        for machine in cluster.machines.values():
            machine.start()
        await asyncio.sleep(STEADY_S)
        old.disk.sync_s = SLOW_SYNC_S
        Snare(cluster, new, Step.PUSHED, pushed.set)
        writes = [asyncio.create_task(write(number)) for number in range(60)]
        with suppress(NoAnswer, RequestFault):
            await new.ask(lambda node: change(node, ["n2:1"]), STEADY_S)
        assert set(await asyncio.gather(*writes)) == {b"1"}

    cluster.loop.run(tell())

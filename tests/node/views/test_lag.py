"""When a node that has a later view to store serves nothing until it has."""

from __future__ import annotations

import asyncio

from node.views.lag import Lag
from tests.node.parts import A, B, node_a, on_virtual_time
from tests.node.samples import successor

LATE_S = 1.0


@on_virtual_time
async def test_lag_an_adoption_that_is_quick_is_none() -> None:
    lag = Lag(LATE_S)
    async with lag.adopting():
        await asyncio.sleep(0.9 * LATE_S)
        assert not lag.is_behind
    await asyncio.sleep(LATE_S)
    assert not lag.is_behind


@on_virtual_time
async def test_lag_ends_with_the_last_of_the_adoptions_that_are_late() -> None:
    lag = Lag(LATE_S)
    async with lag.adopting():
        async with lag.adopting():
            await asyncio.sleep(1.1 * LATE_S)
            assert lag.is_behind
        assert lag.is_behind
    assert not lag.is_behind


@on_virtual_time
async def test_lag_behind_a_view_that_the_disk_refuses_lasts_until_one_is_stored() -> None:
    lag = Lag(LATE_S)
    lag.note_refused()
    async with lag.adopting():
        assert lag.is_behind
    assert lag.is_behind
    assert lag.stored == 0
    lag.note_stored()
    assert not lag.is_behind and lag.stored == 1


@on_virtual_time
async def test_lag_of_a_node_whose_disk_hangs_over_a_later_view() -> None:
    parts = await node_a(A, B)
    parts.disk.hung = True
    adopting = asyncio.ensure_future(parts.views.adopt(successor(parts.views.current, B), B))
    await asyncio.sleep(1.1 * parts.config.adoption_s)
    assert parts.views.lag.is_behind
    parts.disk.mend()
    await adopting
    assert not parts.views.lag.is_behind and parts.views.current.nodes == {B}

"""A task for each co-owner of the view in force, and for no other."""

from __future__ import annotations

import asyncio

from node.replication.peer_state import PeerState
from tests.node.parts import A, B, C, node_a, on_virtual_time
from tests.node.samples import successor


@on_virtual_time
async def test_co_owner_tasks_begin_anew_with_the_co_owners_of_another_view() -> None:
    parts = await node_a(A, B, repl_factor=2)
    attended: set[PeerState] = set()
    begun: list[str] = []

    async def attend(state: PeerState) -> None:
        attended.add(state)
        begun.append(state.address)
        try:
            await asyncio.sleep(1e6)
        finally:
            attended.remove(state)

    async with parts.running(parts.co_owner_tasks.run(attend)):
        await asyncio.sleep(0.01)
        assert attended == {*parts.co_owners.all()} and begun == [B]
        await parts.views.adopt(successor(parts.views.current, A, B, C), B)
        await asyncio.sleep(0.01)
        assert attended == {*parts.co_owners.all()} and sorted(begun[1:]) == sorted(state.address for state in attended)
    assert not attended

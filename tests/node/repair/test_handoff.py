"""Who has to bring what to whom, and when."""

from __future__ import annotations

import asyncio

from node.net.messages import Answer, AskHolding, Compare, Differing, Holding, Push, Request, Taken, Unable
from node.values.donors import Kind
from ring.hashing import pack, partition_of
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.samples import Row


@on_virtual_time
async def test_holding_for_an_owner_is_what_the_owner_has_not_heard_of() -> None:
    parts = await node_a(A, B, repl_factor=1)
    theirs = parts.foreign_key()
    (own,) = parts.own_keys(1)
    await parts.keep((theirs, record(5)), (own, record(5)))
    assert parts.handoff.holding_for(B) == Holding(pack([partition_of(theirs)]))
    assert parts.handoff.holding_for(C) == Holding(b"")


@on_virtual_time
async def test_holding_for_a_co_owner_is_all_until_it_was_compared_with() -> None:
    parts = await node_a(A, B, repl_factor=2)
    keys = parts.own_keys(2)
    await parts.keep(*((key, record(5)) for key in keys))
    assert parts.handoff.holding_for(B) == Holding(pack(map(partition_of, keys)))
    assert not parts.handoff.is_settled() or parts.peers.is_down(B)
    parts.compare(B)
    assert parts.handoff.holding_for(B) == Holding(b"")


@on_virtual_time
async def test_settled_once_each_co_owner_that_can_be_reached_has_what_is_here() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    assert not parts.handoff.is_settled()
    parts.compare(B)
    assert parts.handoff.is_settled()
    parts.co_owner(C)
    assert not parts.handoff.is_settled()


@on_virtual_time
async def test_hand_over_goes_to_all_owners_that_can_be_reached() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    up, _down = others
    asked: list[Request] = []

    def take(request: Request) -> Answer:
        asked.append(request)
        return Differing(pack([partition_of(key)]), b"") if isinstance(request, Compare) else Taken()

    parts.peers.script[up] = take
    async with parts.running(parts.handoff.run()):
        while parts.held(key) is not None:
            await asyncio.sleep(0.01)
    assert [type(request) for request in asked] == [Holding, Compare, Push]
    assert parts.handoff.misplaced() == {}


@on_virtual_time
async def test_hand_over_waits_while_an_owner_that_answers_does_not_take_it() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    up, full = others
    parts.peers.script[up] = lambda request: Taken()
    parts.peers.script[full] = lambda request: Unable()
    async with parts.running(parts.handoff.run()):
        await asyncio.sleep(2.0)
    assert parts.held(key) == record(5)
    assert {type(request) for _, request in parts.peers.asked} == {Holding}


@on_virtual_time
async def test_donor_that_holds_nothing_is_found_out_by_asking() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await parts.wait_durably(Row(partition_of(key), C, Kind.ALONE))
    parts.peers.script[C] = lambda request: Holding(b"")
    async with parts.running(parts.handoff.run()):
        while parts.store.donors():
            await asyncio.sleep(0.01)
    assert parts.asked(AskHolding)[0] == (C, AskHolding())

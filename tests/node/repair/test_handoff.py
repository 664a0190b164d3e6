"""Who has to bring what to whom, and when."""

from __future__ import annotations

import asyncio

from node.net.messages import Answer, AskHolding, Compare, Differing, Holding, Push, Request, Taken, Unable
from node.net.transport import answer_of
from node.values.donors import Kind
from ring.hashing import pack, partition_of
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.samples import Row, successor


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


class Taker:
    """An owner that takes what it is brought; of `key`, it has nothing before."""

    def __init__(self, key: bytes) -> None:
        self.asked: list[type[Request]] = []
        self._partition = pack([partition_of(key)])

    def __call__(self, request: Request) -> Answer:
        has_it = Push in self.asked
        self.asked.append(type(request))
        return Differing(b"" if has_it else self._partition, b"") if isinstance(request, Compare) else Taken()


@on_virtual_time
async def test_hand_over_goes_to_all_owners_that_can_be_reached() -> None:
    """Two of three have it then, as many as the factor asks for."""
    parts = await node_a(B, C, D, repl_factor=2)
    key = parts.key_of(B, C, D)
    await parts.keep((key, record(5)))
    takers = [Taker(key), Taker(key)]
    parts.peers.script[B], parts.peers.script[C] = takers
    async with parts.running(parts.handoff.run()):
        while parts.held(key) is not None:
            await asyncio.sleep(0.01)
    assert [taker.asked for taker in takers] == [[Holding, Compare, Push]] * 2
    assert parts.handoff.misplaced() == {}


@on_virtual_time
async def test_hand_over_keeps_its_copy_until_as_many_have_it_as_the_factor_asks_for() -> None:
    """The one disk that has it may be the next that is lost."""
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    up, down = others
    first = parts.peers.script[up] = Taker(key)
    async with parts.running(parts.handoff.run()):
        while not parts.handoff.is_settled():
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        assert first.asked == [Holding, Compare, Push], "it is brought once"
        assert parts.held(key) == record(5) and parts.handoff.handing()[0].address == down
        assert (parts.handoff.to_hand_over(), parts.handoff.kept()) == (1, 1)
        second = parts.peers.script[down] = Taker(key)
        while parts.held(key) is not None:
            await asyncio.sleep(0.01)
        assert second.asked == [Holding, Compare, Push, Compare, Push], "brought, and confirmed before it is forgotten"
    assert parts.handoff.misplaced() == {} and parts.handoff.is_settled()
    assert (parts.handoff.to_hand_over(), parts.handoff.kept()) == (0, 0)


@on_virtual_time
async def test_hand_over_counts_live_keys_not_deletions() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    first, second = (key for key, _ in zip(parts.keys_of(*others), range(2), strict=False))
    await parts.keep((first, record(5)), (second, record(6, None)))
    assert (parts.handoff.to_hand_over(), parts.handoff.kept()) == (1, 0)


@on_virtual_time
async def test_hand_over_brings_it_to_an_owner_that_is_back_while_one_that_has_it_is_down() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    first, second = others
    taker = parts.peers.script[first] = Taker(key)
    async with parts.running(parts.handoff.run()):
        while Push not in taker.asked:
            await asyncio.sleep(0.01)
        del parts.peers.script[first]
        other = parts.peers.script[second] = Taker(key)
        while Push not in other.asked:
            await asyncio.sleep(0.01)
        while not parts.handoff.is_settled():
            await asyncio.sleep(0.01)
        assert parts.held(key) == record(5)
        parts.peers.script[first] = taker
        while parts.held(key) is not None:
            await asyncio.sleep(0.01)


@on_virtual_time
async def test_hand_over_brings_it_again_to_an_owner_that_has_lost_it() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    up, _down = others
    parts.peers.script[up] = Taker(key)
    async with parts.running(parts.handoff.run()):
        while not parts.handoff.is_settled():
            await asyncio.sleep(0.01)
        emptied = parts.peers.script[up] = Taker(key)
        assert parts.handoff.holding_for(up) == Holding(pack([partition_of(key)]))
        while Push not in emptied.asked:
            await asyncio.sleep(0.01)


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


@on_virtual_time
async def test_donor_that_answers_under_a_view_that_was_left_is_not_noted() -> None:
    """What it holds under that view says nothing about the one in force."""
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await parts.wait_durably(row := Row(partition_of(key), C, Kind.ALONE))

    async def answer_late(request: Request) -> Answer:
        await parts.views.adopt(successor(parts.views.current, A, B), B)
        await parts.wait_durably(row)
        return Holding(b"")

    parts.peers.script[C] = answer_late
    await parts.handoff._ask_for_holding(C)
    assert C in parts.views.donors.shares


@on_virtual_time
async def test_donor_that_has_handed_over_since_it_answered_is_waited_for_no_more() -> None:
    """Its answer is overtaken on the way: whoever asks would see the move begin once more."""
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await parts.wait_durably(Row(partition_of(key), C, Kind.ALONE))
    held = pack([partition_of(key)])

    async def answer_overtaken(request: Request) -> Answer:
        await answer_of(parts.arrivals.push(C, Push((), held)))
        return Holding(held)

    parts.peers.script[C] = answer_overtaken
    await parts.handoff._ask_for_holding(C)
    assert not parts.views.donors.shares


@on_virtual_time
async def test_hand_over_of_what_was_misplaced_under_an_earlier_view_forgets_nothing() -> None:
    """Under the later one there may be more of the same owners, which they would not hear of."""
    parts = await node_a(A, B, C, D, repl_factor=2)
    others = next(shard for shard in parts.views.ring.shards if A not in shard)
    key = parts.key_of(*others)
    await parts.keep((key, record(5)))
    before = parts.views.view_id
    await parts.views.adopt(successor(parts.views.current, A, B, C, D), B)
    for owner in others:
        parts.peers.script[owner] = Taker(key)
    await parts.handoff._hand_over(others, [partition_of(key)], before)
    assert parts.held(key) == record(5) and not parts.handoff._brought

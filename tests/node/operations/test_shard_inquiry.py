"""Whom an owner asks before it tells many keys, and when what it has found counts. What is told is tested beside those
who tell it: `test_listing`, `test_exporting`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from node.net.messages import Answer, Exported, FetchedRange, FetchPartitions, Stretch, Unable, ViewIs
from node.operations.key_order import Part
from node.operations.shard_inquiry import Telling, walked
from node.operations.sightings import Answers
from ring.hashing import partition_of
from ring.sets import BYTES, bits_of
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

DONE = Exported(b"", None)
NOTHING = FetchedRange((), None, 0, False)


class Teller:
    """Notes what others have answered, each time it is to tell."""

    def __init__(self, parts: Parts, *keys: bytes) -> None:
        self._parts = parts
        partitions = bits_of({partition_of(key) for key in keys})
        fetch = FetchPartitions(Stretch(partitions.to_bytes(BYTES), b"", b""), 1000)
        self.telling = Telling(partitions, fetch, self._tell)
        self.heard: list[Answers] = []

    async def _tell(self, answers: Answers) -> Answer:
        self.heard.append(answers)
        return DONE

    async def carry_out(self) -> Answer:
        inquiry = self._parts.shard_inquiry()
        return await inquiry.carry_out(self.telling, self._parts.views.view_id, self._parts.deadline)


@on_virtual_time
async def test_inquiry_asks_just_the_donors_of_what_is_to_be_told() -> None:
    parts = await node_a(A, B, C)
    one, two, three = parts.own_keys(3)
    parts.wait_for(B, one)
    parts.wait_for(C, two)
    parts.peers.script[B] = lambda _: NOTHING
    teller = Teller(parts, one, three)
    assert await teller.carry_out() == DONE and teller.heard == [{B: NOTHING}]
    assert parts.asked(FetchPartitions) == [(B, teller.telling.fetch)]


@on_virtual_time
async def test_inquiry_asks_a_co_owner_without_a_lease() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.peers.script[B] = lambda _: NOTHING
    teller = Teller(parts, *parts.own_keys(2))
    assert await teller.carry_out() == DONE and teller.heard == [{B: NOTHING}]


@on_virtual_time
async def test_inquiry_begins_anew_if_somebody_else_must_be_asked_by_then() -> None:
    parts = await node_a(A, B, C)
    (one,) = parts.own_keys(1)
    parts.wait_for(B, one)

    def b_answers(_: object) -> Answer:
        parts.wait_for(C, one)
        return NOTHING

    parts.peers.script = {B: b_answers, C: lambda _: NOTHING}
    teller = Teller(parts, one)
    assert await teller.carry_out() == DONE and teller.heard == [{B: NOTHING, C: NOTHING}]


@on_virtual_time
async def test_inquiry_under_a_view_that_is_over_tells_the_one_in_force() -> None:
    parts = await node_a(A, B)
    teller = Teller(parts, *parts.own_keys(1))
    answering = parts.shard_inquiry().serve(teller.telling, 1.0)
    await parts.views.adopt(successor(parts.views.current, A, B, C), C)
    assert isinstance(await answering, ViewIs) and not teller.heard


@on_virtual_time
async def test_inquiry_is_not_told_by_a_node_that_may_not_act() -> None:
    parts = await node_a(A, B)
    parts.readiness.pause()
    teller = Teller(parts, *parts.own_keys(1))
    assert await parts.shard_inquiry().serve(teller.telling, 1.0) == Unable() and not teller.heard


@on_virtual_time
async def test_inquiry_adds_what_is_newer_and_can_be_believed() -> None:
    parts = await node_a(A, B)
    one, two, three = (record(clock).encode() for clock in (3, 4, 5))
    newest = {b"a": two, b"b": two}
    told = {
        B: FetchedRange(((b"a", one), (b"b", three), (b"c", one)), b"c", 0, False),
        C: FetchedRange(((b"c", two),), None, 0, False),
        "d:1": None,
    }
    assert parts.shard_inquiry().add(newest, told) == [b"c", None]
    assert newest == {b"a": two, b"b": three, b"c": two}


@on_virtual_time
async def test_walk_leaves_others_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def walk() -> Iterator[Part | None]:
        nonlocal looks
        for looks in range(1, 4):  # noqa: B007
            yield None
        yield Part([], None)

    rests = list[int]()

    async def rest(seconds: float) -> None:
        assert seconds > 0, "others who share the processor need more than a turn of the loop"
        rests.append(looks)

    monkeypatch.setattr(asyncio, "sleep", rest)
    assert await walked(walk()) == Part([], None)
    assert rests == [1, 2, 3, 3], "and one before something is made of what was found"

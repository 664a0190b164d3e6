"""What is to be told is on every owner first; who was left out is named."""

from __future__ import annotations

import asyncio

import pytest

from node.net.messages import Replicate
from node.storage.transaction import Cause, Change
from node.watching import spreading as spreading_module
from node.watching.spreading import Spreading
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time, record


def change(key: bytes, cause: Cause) -> Change:
    return Change(key, record(5).encode(), cause)


def sent(a: Parts, key: bytes) -> int:
    return sum(key in dict(request.records) for _, request in a.asked(Replicate))


@on_virtual_time
async def test_what_was_taken_here_is_waited_for_and_not_sent_again() -> None:
    a = await node_a(A, B, repl_factor=2)
    b, spreading = a.co_owner(B), Spreading(a.co_owners, a.streams)
    async with a.running():
        a.compare(B)
        await a.change(b"k")
        for _ in range(2):
            assert await spreading.spread([change(b"k", Cause.TAKEN)]) == set()
        assert b"k" in b.held and sent(a, b"k") == 1


@on_virtual_time
async def test_what_a_co_owner_has_brought_is_brought_to_the_third_one_once() -> None:
    a = await node_a(A, B, C, repl_factor=3)
    c, spreading = a.co_owner(C), Spreading(a.co_owners, a.streams)
    a.co_owner(B)
    async with a.running():
        a.compare(B, C)
        await a.keep((b"k", record(5)))
        await asyncio.gather(*(spreading.spread([change(b"k", Cause.COPIED)]) for _ in range(3)))
        assert b"k" in c.held and sent(a, b"k") == 2


@on_virtual_time
async def test_who_was_left_out_is_named_to_all_who_ask() -> None:
    a = await node_a(A, B, C, repl_factor=3)
    spreading = Spreading(a.co_owners, a.streams)
    a.co_owner(B)
    async with a.running():
        a.compare(B)
        await asyncio.sleep(1)
        await a.keep((b"k", record(5)))
        for _ in range(2):
            assert await spreading.spread([change(b"k", Cause.RELAYED)]) == {C}


@on_virtual_time
async def test_who_was_left_out_is_named_of_what_is_forgotten_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where very much is written, what was brought is forgotten with each question."""
    monkeypatch.setattr(spreading_module, "REMEMBERED_MAX", 2)
    a = await node_a(A, B, C, repl_factor=3)
    spreading = Spreading(a.co_owners, a.streams)
    a.co_owner(B)
    keys = [b"1", b"2", b"3"]
    async with a.running():
        a.compare(B)
        await asyncio.sleep(1)
        await a.keep(*((key, record(5)) for key in keys))
        assert await spreading.spread([change(key, Cause.COPIED) for key in keys[:2]]) == {C}
        a.co_owner(C)
        a.compare(C)
        assert await spreading.spread([change(key, Cause.COPIED) for key in keys[1:]]) == {C}, "of the second"
        assert await spreading.spread([change(key, Cause.COPIED) for key in keys[1:]]) == set(), "it is found out anew"


@on_virtual_time
async def test_what_has_expired_needs_nobody() -> None:
    a = await node_a(A, B, repl_factor=2)
    assert await Spreading(a.co_owners, a.streams).spread([change(b"k", Cause.EXPIRED)]) == set()


@on_virtual_time
async def test_what_has_no_other_owner_needs_nobody() -> None:
    a = await node_a(A)
    spreading = Spreading(a.co_owners, a.streams)
    async with a.running():
        changes = [change(b"k", cause) for cause in (Cause.TAKEN, Cause.COPIED, Cause.RELAYED)]
        assert await spreading.spread(changes) == set()
        assert a.asked(Replicate) == []


@on_virtual_time
async def test_what_belongs_to_others_by_now_is_brought_to_nobody() -> None:
    """It happened under an earlier view. In an outbox it would be refused, and all behind it would wait for ever."""
    a = await node_a(A, B, C, D, repl_factor=2)
    (state,) = a.co_owners.all()
    a.co_owner(state.address)
    foreign, spreading = a.foreign_key(), Spreading(a.co_owners, a.streams)
    async with a.running():
        await a.keep((foreign, record(5)))
        for cause in (Cause.TAKEN, Cause.COPIED, Cause.RELAYED):
            assert await spreading.spread([change(foreign, cause)]) == set()
        assert sent(a, foreign) == 0 and not state.outbox

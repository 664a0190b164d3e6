"""How a write with a condition is decided: by whom, who must be heard for it, and what is told of it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gossip.view import Electors
from node.net.messages import (
    Answer,
    Confirm,
    Copies,
    Fetch,
    MayBeStored,
    NothingDeleted,
    Request,
    Superseded,
    Unable,
    Unheard,
    Unmet,
    ViewIs,
    WriteIf,
    Wrote,
)
from node.operations.decider import STORE_ID_MAX
from node.values.context import EMPTY, Sight, owner_id
from node.values.version import make_version
from ring.hashing import hash_of
from tests.node.operations.asking import EXISTS, IS_NEW, V5, has_version, write, write_if
from tests.node.operations.deciding import HOLDS, KEY, SOON_S, of_three, with_two_beside
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record
from tests.node.samples import successor

V9 = make_version(9 << 16, 3)


# Who decides


@on_virtual_time
async def test_decide_is_left_to_the_first_owner() -> None:
    parts = await node_a("0:1", A, repl_factor=2)
    parts.co_owner("0:1")
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == ViewIs(parts.views.current.encoded)
        assert parts.held(KEY) is None
        assert await write(parts, KEY) == Wrote(False), "any owner carries out what has no condition"


@on_virtual_time
async def test_decide_asks_all_co_owners_leases_or_not() -> None:
    parts, *_ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write(parts, KEY) == Wrote(False)
        assert parts.asked(Fetch) == []
        assert await write_if(parts, KEY, EXISTS, version=V9) == Wrote(True)
        assert sorted(node for node, _ in parts.asked(Fetch)) == [B, C]


# Who must be heard


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "no connection"])
@on_virtual_time
async def test_decide_without_a_co_owner_is_refused_and_names_it(is_silent: bool) -> None:
    parts, *_ = await of_three()
    del parts.peers.script[C]
    if is_silent:
        parts.peers.silent.add(C)
    async with parts.running():
        await asyncio.sleep(parts.config.silence_s + 1.0)
        assert await write_if(parts, KEY, IS_NEW) == Unheard((C,))
        assert parts.held(KEY) is None
        assert await write(parts, KEY) == Wrote(False, copies=Copies(2, 3)), "without a condition it is left out"


@on_virtual_time
async def test_decide_without_a_donor_is_refused_and_names_it() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(C, key)
    assert await write_if(parts, key, IS_NEW) == Unheard((C,))
    assert parts.held(key) is None
    assert await write(parts, key) == Wrote(False), "without a condition it is passed over"


@on_virtual_time
async def test_decide_goes_by_what_a_donor_has() -> None:
    parts = await node_a(A)
    parts.wait_for(C, KEY)
    parts.co_owner(C, (KEY, record(3)))
    assert await write_if(parts, KEY, IS_NEW) == Unmet(record(3).version)
    assert await write_if(parts, KEY, has_version(record(3).version)) == Wrote(True)


@pytest.mark.parametrize("is_absent", [True, False])
@on_virtual_time
async def test_decide_passes_over_a_donor_that_was_given_up_when_the_view_was_made(is_absent: bool) -> None:
    parts = await node_a(A)
    await parts.views.adopt(replace(successor(parts.views.current, A), absent=(C,) if is_absent else ()), A)
    parts.wait_for(C, KEY)
    assert await write_if(parts, KEY, IS_NEW) == (Wrote(False) if is_absent else Unheard((C,)))


@on_virtual_time
async def test_decide_without_a_co_owner_that_is_stuck_is_refused_and_names_it() -> None:
    """It answers, but nothing comes to it."""
    parts, b, _ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.has_room = False
        assert await write(parts, b"other") == Wrote(False, copies=Copies(2, 3))
        assert await write_if(parts, KEY, IS_NEW) == Unheard((B,))
        assert parts.held(KEY) is None


def holding(parts: Parts, times: int) -> None:
    """B says so often that it holds the view of A, and no more."""
    left = times

    def answer(request: Request) -> Answer:
        nonlocal left
        assert isinstance(request, Confirm)
        left -= 1
        return HOLDS if left >= 0 else Unable()

    parts.peers.script[B] = answer


@on_virtual_time
async def test_decide_without_a_quorum_is_refused_and_names_who_is_missing() -> None:
    parts, key = await with_two_beside()
    assert await write_if(parts, key, IS_NEW) == Unheard((B, C))
    assert parts.held(key) is None
    assert await write(parts, key) == Wrote(False)


@on_virtual_time
async def test_decide_when_the_quorum_is_lost_meanwhile_may_have_written() -> None:
    parts, key = await with_two_beside()
    holding(parts, 1)
    assert await write_if(parts, key, IS_NEW) == MayBeStored((B, C))
    held = parts.held(key)
    assert held is not None and held.version == V5
    assert len(parts.asked(Confirm)) == 3


@on_virtual_time
async def test_decide_with_a_quorum_before_and_after_is_acknowledged() -> None:
    parts, key = await with_two_beside()
    holding(parts, 2)
    assert await write_if(parts, key, IS_NEW) == Wrote(False)


@on_virtual_time
async def test_decide_with_those_that_have_it_for_a_quorum_asks_nobody_for_another() -> None:
    parts, *_ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
        assert parts.asked(Confirm) == []


@on_virtual_time
async def test_decide_under_a_view_that_is_not_established_is_refused_and_names_its_electors() -> None:
    parts, *_ = await of_three()
    old = parts.views.current
    electors = (Electors(old.id, (A, "x:1", "y:1")),)
    await parts.views.adopt(replace(successor(old, A, B, C), electors=electors), A)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        assert await write_if(parts, KEY, IS_NEW) == Unheard(("x:1", "y:1"))
        assert parts.held(KEY) is None
        await parts.views.standing.note_established(parts.views.current)
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)


# Under which version


@on_virtual_time
async def test_decide_takes_no_stamp_that_was_heard_of_before_the_view() -> None:
    """What another decider wrote without knowing of the view must lose against what is decided under it."""
    parts = await node_a(A)
    parts.clock.observe(8 << 16)
    assert await write_if(parts, b"before", IS_NEW) == Wrote(False)
    await parts.views.adopt(successor(parts.views.current, A), A)
    parts.clock.observe(99 << 16)
    for clock in (5, 8):
        refused = await write_if(parts, KEY, IS_NEW, version=make_version(clock << 16, 3))
        assert refused == Superseded(make_version(8 << 16, STORE_ID_MAX))
    assert parts.held(KEY) is None
    assert await write_if(parts, KEY, IS_NEW, version=make_version((8 << 16) + 1, 0)) == Wrote(False)


@on_virtual_time
async def test_decide_below_what_is_held_is_superseded() -> None:
    parts = await node_a(A)
    await parts.keep((KEY, record(7)))
    for condition in (has_version(record(7).version), IS_NEW):
        assert await write_if(parts, KEY, condition) == Superseded(record(7).version)
    assert parts.held(KEY) == record(7)


# What is told


@on_virtual_time
async def test_unmet_tells_the_version_once_it_has_come_to_all() -> None:
    parts, b, c = await of_three()
    c.held[KEY] = record(7)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.is_free.clear()
        asking = asyncio.create_task(write_if(parts, KEY, IS_NEW, version=V9))
        await asyncio.sleep(SOON_S)
        assert not asking.done() and parts.held(KEY) == record(7)
        b.is_free.set()
        assert await asking == Unmet(record(7).version)
        assert b.held[KEY] == record(7)


@on_virtual_time
async def test_unmet_is_not_told_of_what_one_of_the_owners_lacks() -> None:
    """It was asked, and takes nothing then: it may be all that is left of the owners under the next view."""
    parts, b, c = await of_three()
    c.held[KEY] = record(7)
    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.is_free.clear()
        assert await write_if(parts, KEY, IS_NEW, version=V9) == Unheard((B,))


@pytest.mark.parametrize(("held", "version"), [(None, None), (record(3, None), None), (record(3), record(3).version)])
@on_virtual_time
async def test_unmet_tells_what_there_is(held: object, version: bytes | None) -> None:
    parts = await node_a(A)
    if held is not None:
        await parts.keep((KEY, held))  # type: ignore[arg-type]
    for value in (b"1", None):
        assert await write_if(parts, KEY, has_version(V9), value) == Unmet(version)
    assert parts.held(KEY) == held


@on_virtual_time
async def test_unmet_is_not_told_once_the_quorum_is_lost() -> None:
    """Another first owner may have decided otherwise."""
    parts, key = await with_two_beside()
    holding(parts, 1)
    assert await write_if(parts, key, EXISTS) == Unheard((B, C))
    holding(parts, 2)
    assert await write_if(parts, key, EXISTS) == Unmet(None)


@on_virtual_time
async def test_repetition_of_a_write_that_was_made_is_told_so_though_its_condition_is_met_no_more() -> None:
    parts = await node_a(A)
    for _ in range(2):
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
    for _ in range(2):
        assert await write_if(parts, KEY, has_version(V5), None, V9) == Wrote(True)


@on_virtual_time
async def test_delete_whose_condition_is_met_by_there_being_nothing_deletes_nothing() -> None:
    parts = await node_a(A)
    assert await write_if(parts, KEY, IS_NEW, None) == NothingDeleted()
    assert parts.held(KEY) is None


@on_virtual_time
async def test_contexts_of_what_is_written_and_of_what_is_in_the_way() -> None:
    parts = await node_a(A)

    async def told(version: bytes) -> Answer:
        return await parts.owner.carry_out(WriteIf(KEY, version, b"1", IS_NEW, EMPTY), parts.deadline)

    assert await told(V5) == Wrote(False, EMPTY)
    assert await told(V9) == Unmet(V5, EMPTY)
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B, (KEY, record(3)))
    async with parts.running():
        await asyncio.sleep(SOON_S)
        expected = EMPTY.with_entry(hash_of(KEY), record(3).version, owner_id(A))
        assert Sight(record(3).version, owner_id(A)) in expected.entries.values()
        assert await told(V9) in (Unmet(record(3).version, expected), Unmet(record(3).version, EMPTY))
        assert peer.held[KEY] == record(3)

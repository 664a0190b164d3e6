"""What is told of a write with a condition, and what may come between the steps of deciding it."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import PeerLost
from node.net.messages import (
    Answer,
    MayBeStored,
    NothingDeleted,
    Superseded,
    Unable,
    Unheard,
    Unmet,
    ViewIs,
    WriteIf,
    Wrote,
)
from node.operations.decider import STORE_ID_MAX
from node.values.context import EMPTY, owner_id
from node.values.version import make_version
from ring.hashing import hash_of
from tests.node.operations.asking import EXISTS, IS_NEW, V5, has_version, write_if
from tests.node.operations.deciding import HOLDS, KEY, SOON_S, V9, answering_late, holding, of_three, with_two_beside
from tests.node.parts import A, B, C, node_a, on_virtual_time, record
from tests.node.samples import successor

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
    c.held[KEY], c.lease_granted = record(7), False
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
    c.held[KEY], c.lease_granted = record(7), False
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
    seen = EMPTY.with_entry(hash_of(KEY), V5, owner_id(B))
    refused = await parts.owner.carry_out(WriteIf(KEY, V9, b"1", IS_NEW, seen), parts.deadline)
    assert refused == Unmet(V5, EMPTY), "what is on all owners is nothing to depend on"


# What comes in between


@on_virtual_time
async def test_pause_while_it_is_stored_is_no_answer_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, b, _ = await of_three()
    real = parts.store.write

    async def write_slowly(*args: object) -> object:
        outcome = await real(*args)  # type: ignore[arg-type]
        parts.readiness.pause()
        return outcome

    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.is_free.clear()
        monkeypatch.setattr(parts.store, "write", write_slowly)
        began = parts.time.monotonic()
        with pytest.raises(PeerLost, match="paused"):
            await parts.owner.carry_out(WriteIf(KEY, V5, b"1", IS_NEW), parts.deadline)
        assert parts.time.monotonic() < began + SOON_S
        assert parts.held(KEY) is not None


@on_virtual_time
async def test_pause_while_it_is_brought_to_all_is_no_answer() -> None:
    parts, b, _ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.is_free.clear()
        writing = asyncio.create_task(parts.owner.carry_out(WriteIf(KEY, V5, b"1", IS_NEW), parts.deadline))
        await asyncio.sleep(SOON_S)
        parts.readiness.pause()
        b.is_free.set()
        with pytest.raises(PeerLost, match="paused"):
            await writing
        assert parts.held(KEY) is not None


@on_virtual_time
async def test_pause_while_others_are_asked_writes_nothing() -> None:
    parts, key = await with_two_beside()
    answering_late(parts, HOLDS)
    writing = asyncio.create_task(write_if(parts, key, IS_NEW))
    await asyncio.sleep(SOON_S / 2)
    parts.readiness.pause()
    assert await writing == Unable()
    assert parts.held(key) is None


@pytest.mark.parametrize("stays", [True, False], ids=["first owner still", "first owner no more"])
@on_virtual_time
async def test_view_that_changes_after_the_write_has_it_made_sure_of_or_may_be_stored(stays: bool) -> None:
    parts, b, _ = await of_three()
    async with parts.running():
        await asyncio.sleep(SOON_S)
        b.is_free.clear()
        writing = asyncio.create_task(write_if(parts, KEY, IS_NEW))
        await asyncio.sleep(SOON_S)
        assert parts.held(KEY) is not None
        await parts.views.adopt(successor(parts.views.current, *([A, B, C] if stays else [B, C])), B)
        b.is_free.set()
        assert await writing == (Wrote(False) if stays else MayBeStored())


@pytest.mark.parametrize("answer", [HOLDS, Unable()], ids=["a quorum", "no quorum"])
@on_virtual_time
async def test_view_that_changes_while_others_are_asked_has_it_decided_by_who_is_first_then(answer: Answer) -> None:
    parts, key = await with_two_beside()
    answering_late(parts, answer)
    writing = asyncio.create_task(write_if(parts, key, IS_NEW))
    await asyncio.sleep(SOON_S / 2)
    await parts.views.adopt(successor(parts.views.current, B, C), B)
    assert await writing == ViewIs(parts.views.current.encoded)
    assert parts.held(key) is None


@on_virtual_time
async def test_view_that_changes_while_others_confirm_what_is_written_may_have_replaced_it() -> None:
    parts, key = await with_two_beside()
    answering_late(parts, HOLDS, at_once=1)
    writing = asyncio.create_task(write_if(parts, key, IS_NEW))
    await asyncio.sleep(SOON_S / 2)
    assert parts.held(key) is not None
    await parts.views.adopt(successor(parts.views.current, B, C), B)
    assert await writing == MayBeStored()


@on_virtual_time
async def test_disk_that_takes_nothing_decides_nothing() -> None:
    parts = await node_a(A)
    parts.disk.full = True
    assert await write_if(parts, KEY, IS_NEW) == Unable()

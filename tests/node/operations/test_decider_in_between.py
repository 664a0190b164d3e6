"""What becomes of a condition if something comes in between: a pause, another view, a full disk, the end of a value."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import PeerLost
from node.net.messages import (
    Answer,
    MayBeStored,
    Request,
    Unable,
    Unmet,
    ViewIs,
    WriteIf,
    Wrote,
)
from tests.node.operations.asking import EXISTS, IS_NEW, V5, write_if
from tests.node.operations.deciding import HOLDS, KEY, SOON_S, of_three, with_two_beside
from tests.node.parts import A, B, C, node_a, on_virtual_time, record
from tests.node.samples import successor


@pytest.mark.parametrize("at", ["while it is stored", "while it is brought to all"])
@on_virtual_time
async def test_pause_after_the_write_is_no_answer(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, b, _ = await of_three()
    real = parts.store.write

    async def write_slowly(*args: object) -> object:
        outcome = await real(*args)  # type: ignore[arg-type]
        parts.readiness.pause()
        return outcome

    async with parts.running():
        await asyncio.sleep(SOON_S)
        if at == "while it is stored":
            monkeypatch.setattr(parts.store, "write", write_slowly)
        b.is_free.clear()
        request = WriteIf(KEY, V5, b"1", IS_NEW)
        writing = asyncio.create_task(parts.owner.carry_out(request, parts.deadline))
        await asyncio.sleep(SOON_S)
        parts.readiness.pause()
        b.is_free.set()
        with pytest.raises(PeerLost, match="paused"):
            await writing
        assert parts.held(KEY) is not None


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


@on_virtual_time
async def test_view_that_changes_while_others_are_asked_has_it_decided_by_who_is_first_then() -> None:
    parts, key = await with_two_beside()

    async def slow(request: Request) -> Answer:
        await asyncio.sleep(SOON_S)
        return HOLDS

    parts.peers.script[B] = slow
    writing = asyncio.create_task(write_if(parts, key, IS_NEW))
    await asyncio.sleep(SOON_S / 2)
    await parts.views.adopt(successor(parts.views.current, B, C), B)
    assert await writing == ViewIs(parts.views.current.encoded)
    assert parts.held(key) is None


@on_virtual_time
async def test_disk_that_takes_nothing_decides_nothing() -> None:
    parts = await node_a(A)
    parts.disk.full = True
    assert await write_if(parts, KEY, IS_NEW) == Unable()


# What expires


@on_virtual_time
async def test_value_that_has_expired_is_none_to_a_condition() -> None:
    parts = await node_a(A)
    await parts.keep((KEY, record(3)._replace(expires_ms=parts.time.wall_ms() + 1000)))
    assert await write_if(parts, KEY, IS_NEW) == Unmet(record(3).version)
    await asyncio.sleep(1.0)
    assert await write_if(parts, KEY, EXISTS) == Unmet(None)
    assert await write_if(parts, KEY, EXISTS, None) == Unmet(None)
    assert await write_if(parts, KEY, IS_NEW) == Wrote(False)


@on_virtual_time
async def test_conditional_put_expires_when_it_says() -> None:
    parts = await node_a(A)
    at = parts.time.wall_ms() + 1000
    request = WriteIf(KEY, V5, b"1", IS_NEW, None, at)
    assert await parts.owner.carry_out(request, parts.deadline) == Wrote(False)
    held = parts.held(KEY)
    assert held is not None and held.expires_ms == at


@on_virtual_time
async def test_conditional_put_of_what_expires_is_refused_while_a_co_owner_knows_of_no_expiry() -> None:
    parts, b, _ = await of_three()
    parts.peers.older = {B}
    async with parts.running():
        await asyncio.sleep(SOON_S)
        request = WriteIf(KEY, V5, b"1", IS_NEW, None, parts.time.wall_ms() + 1000)
        assert await parts.owner.carry_out(request, parts.deadline) == Unable()
        assert await write_if(parts, KEY, IS_NEW) == Wrote(False)
    assert b.held[KEY].value == b"1"

"""Owners under an earlier view: nothing is acknowledged that they might contradict, and none is taken for silent that
is merely slow."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import ViewId
from node.net.messages import Copies, Fetch, Read, ReadResult, Unable, ViewIs, Wrote
from node.values.donors import Kind
from tests.node.lone_owner import A, B, C, lone_owner
from tests.node.operations.asking import found, read, write
from tests.node.parts import node_a, on_virtual_time, record
from tests.node.samples import successor

KEY = b"k"


@pytest.mark.parametrize("silent", [True, False])
@on_virtual_time
async def test_write_past_a_silent_earlier_owner_waits_for_the_end_of_the_leases_that_it_may_have(silent: bool) -> None:
    """It may have one of B until B takes the new view, which B shows when it is heard."""
    parts = await node_a(A, B, repl_factor=2)
    parts.wait_for(C, KEY, Kind.COPY)
    parts.peers.silent.add(C) if silent else parts.co_owner(C)
    async with parts.running():
        writing = asyncio.create_task(write(parts, KEY))
        await asyncio.sleep(0.4)
        parts.co_owner(B)
        heard_at = parts.time.monotonic() + parts.config.heartbeat_s
        assert await writing == Wrote(False)
    waited = parts.time.monotonic() > heard_at + 0.5 * parts.config.lease_s
    assert waited == silent


@on_virtual_time
async def test_write_while_keys_move_leaves_nobody_out_before_an_old_lease_has_ended() -> None:
    """A co-owner that is down here may have had a lease of an earlier owner when the write began."""
    parts = await node_a(A, B, repl_factor=2)
    parts.wait_for(C, KEY, Kind.COPY)
    parts.co_owner(C)
    async with parts.running():
        await asyncio.sleep(2.0)
        began = parts.time.monotonic()
        assert await write(parts, KEY) == Wrote(False, copies=Copies(1, 2))
        assert parts.time.monotonic() - began == pytest.approx(parts.config.lease_s, abs=0.01)


@on_virtual_time
async def test_call_under_a_later_view_that_takes_long_to_store_is_answered_in_time() -> None:
    async with lone_owner(B) as lone:
        asked = asyncio.ensure_future(lone.node.answer(B, ViewId(5, 5), 0.45, Fetch(KEY)))  # type: ignore[arg-type]
        lone.peers.silent.add(B)
        await asyncio.sleep(0.4)
        assert asked.done() and asked.result() == Unable()


@on_virtual_time
async def test_write_of_an_owner_left_alone_waits_for_the_end_of_the_lease_that_it_gave_itself() -> None:
    """Its link to the earlier owner is down, but not the one back."""
    parts = await node_a(A, B, repl_factor=2)
    parts.peers.silent.add(B)
    parts.peers.found_silent.add(B)
    await parts.views.adopt(successor(parts.views.current, A), C)
    parts.wait_for(B, KEY, Kind.COPY)
    adopted_at = parts.time.monotonic()
    async with parts.running():
        assert await write(parts, KEY) == Wrote(False)
    assert parts.time.monotonic() >= adopted_at + parts.config.lease_s


@on_virtual_time
async def test_call_under_a_later_view_gets_what_is_left_of_its_time_once_that_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budgets_s: list[float] = []

    def serve(operation: object, budget_s: float) -> ReadResult:
        budgets_s.append(budget_s)
        return ReadResult(None)

    async with lone_owner(B) as lone:
        view = successor(lone.node.views.current, A, B)

        async def fetched(request: object) -> ViewIs:
            await asyncio.sleep(0.25)
            return ViewIs(view.encoded)

        lone.peers.script[B] = fetched
        monkeypatch.setattr(lone.node.owner, "serve", serve)
        assert await lone.node.answer(B, view.id, 0.6, Read(KEY)) == ReadResult(None)  # type: ignore[misc]
    assert budgets_s == [pytest.approx(0.35, abs=0.02)]


# What a node that is asked does


@on_virtual_time
async def test_fetch_counts_as_an_operation_here_for_somebody_waits_for_it() -> None:
    """Where all that is owned is on its way, it is the earlier owners that are asked, and clients wait for them."""
    parts = await node_a(A, B)
    await asyncio.sleep(1.0)
    parts.owner.fetch(parts.key_of(B))
    assert parts.owner.served_at == parts.time.monotonic()


@pytest.mark.parametrize("trouble", ["hung", "full", "exhausted"])
@pytest.mark.parametrize("both", [True, False])
@on_virtual_time
async def test_read_of_what_the_disk_cannot_keep_is_answered_only_where_all_earlier_owners_hold_it(
    both: bool, trouble: str
) -> None:
    """As the diagnosis of such a disk says: the next read may come to another one of them."""
    parts = await node_a(A)
    for donor, holds in ((B, True), (C, both)):
        parts.wait_for(donor, KEY, Kind.ALONE)
        parts.co_owner(donor, *([(KEY, record(3))] if holds else []))
    setattr(parts.disk, trouble, True)
    assert await read(parts, KEY) == (found(b"1", 3) if both else Unable())
    assert await write(parts, KEY) == Unable()

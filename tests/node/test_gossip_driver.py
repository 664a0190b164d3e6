"""What gossip wants is done, and what it tells of this node is true: on a lone node, among scripted peers."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import msgspec
import pytest

from gossip.messages import Delta, Digest, MemberRecord, Message, Rumour
from gossip.view import Address, ViewId
from node.config import Config
from node.net.messages import Answer, FetchView, Request, Unable, ViewIs
from node.storage.keys import Setting
from node.timing.clock import Clocks, Memory
from node.values.donors import DonorsChange, Kind
from node.values.record import Record
from node.values.version import make_version
from node.views.founding import recall
from node.views.rules import environment_view
from tests.node.fakes.peers import CoOwner
from tests.node.lone_owner import A, B, C, Lone, lone_owner
from tests.node.parts import on_virtual_time
from tests.node.samples import Row, shares_of, successor
from tests.sim.disk import Disk

ROUNDS_S = 1.0
"""A few rounds of gossip."""
STEADY_S = 4.0
"""For a view to be settled, and for what was written before to be announced."""


def record(address: Address, incarnation: int = 1) -> MemberRecord:
    return MemberRecord(address, incarnation, 0, 7, 0, 0)


def says(lone: Lone, message: Message) -> None:
    lone.node.hear(message.record.address, message)


def digest_of(lone: Lone, sender: Address, *rumours: Rumour, view_id: ViewId | None = None) -> Digest:
    return Digest(view_id or lone.node.views.view_id, record(sender), rumours, ())


@on_virtual_time
async def test_gossip_driver_casts_what_gossip_answers() -> None:
    async with lone_owner(B) as lone:
        lone.peers.casts.clear()
        says(lone, digest_of(lone, B))
        assert [(to, type(message)) for to, message in lone.peers.casts] == [(B, Delta)]


@on_virtual_time
async def test_gossip_driver_rounds_go_on_while_the_node_runs_and_no_longer() -> None:
    async with lone_owner(B, runs=True) as lone:
        await asyncio.sleep(ROUNDS_S)
        assert {to for to, _ in lone.peers.casts} == {B}
    told = len(lone.peers.casts)
    await asyncio.sleep(ROUNDS_S)
    assert len(lone.peers.casts) == told


@on_virtual_time
async def test_gossip_driver_fetches_a_newer_view_from_who_has_it() -> None:
    async with lone_owner(B, runs=True) as lone:
        later = successor(lone.node.views.current, A, B)

        def answer(request: Request) -> Answer:
            return ViewIs(later.encoded) if isinstance(request, FetchView) else Unable()

        lone.peers.script[B] = answer
        says(lone, digest_of(lone, B, view_id=later.id))
        await asyncio.sleep(ROUNDS_S)
        assert lone.node.views.current == later
        assert (B, FetchView()) in lone.peers.asked


@on_virtual_time
async def test_gossip_driver_incarnation_that_had_to_rise_is_on_disk() -> None:
    async with lone_owner(B, runs=True) as lone:
        rumoured = lone.node.gossip.record.incarnation + 4
        says(lone, digest_of(lone, B, Rumour(A, rumoured, dead=True)))
        await asyncio.sleep(ROUNDS_S)
        assert lone.node.gossip.record.incarnation == rumoured + 1
        assert lone.store.setting(Setting.INCARNATION) == (rumoured + 1).to_bytes(8)


@on_virtual_time
async def test_gossip_driver_full_disk_is_no_reason_to_die(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(random.Random(1))
    async with lone_owner(B, disk=disk, runs=True) as lone:
        disk.exhausted = True
        says(lone, digest_of(lone, B, Rumour(A, 9, dead=True)))
        lone.node.clock.hear(B, Clocks(0, lone.time.wall_ms() + 10 * lone.node.config.clock_lead_step_ms))
        await asyncio.sleep(ROUNDS_S)
        assert "cannot store incarnation 10" in caplog.text
        assert "cannot store by how much another clock leads" in caplog.text
        told = len(lone.peers.casts)
        await asyncio.sleep(ROUNDS_S)
        assert len(lone.peers.casts) > told


@on_virtual_time
async def test_gossip_driver_lead_of_another_clock_is_kept_with_the_next_round() -> None:
    async with lone_owner(B, runs=True) as lone:
        lead_ms = 10 * lone.node.config.clock_lead_step_ms
        lone.node.clock.hear(B, Clocks(0, lone.time.wall_ms() + lead_ms))
        await asyncio.sleep(ROUNDS_S)
        kept = msgspec.msgpack.decode(lone.store.setting(Setting.CLOCK) or b"", type=Memory)
        assert kept.lead_ms == pytest.approx(lead_ms, abs=1)
        assert not lone.node.clock.has_new_lead


@on_virtual_time
async def test_gossip_driver_settled_view_is_told_with_keys_and_watermarks() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        await lone.node.views.adopt(successor(lone.node.views.current, A, B), B)
        await lone.hold(b"k", Record(await lone.node.clock.stamp(), b"1", False))
        await asyncio.sleep(STEADY_S)
        told = lone.node.gossip.record
        assert (told.settled_epoch, told.settled_digest) == lone.node.views.view_id
        assert told.key_count == 1
        assert told.stable == lone.node.stability.announced > 0
        assert told.forgettable == lone.node.tombstones.forgettable()


@on_virtual_time
async def test_gossip_driver_unsettled_view_is_told_as_the_one_before_and_without_watermarks() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner()
        await lone.node.views.adopt(successor(lone.node.views.current, A, B), B)
        lone.node.views.donors.change(DonorsChange(put=shares_of(Row(7, B, Kind.ALONE))))
        await asyncio.sleep(STEADY_S)
        told = lone.node.gossip.record
        assert (told.settled_epoch, told.settled_digest, told.stable, told.forgettable) == (0, 0, 0, 0)


@on_virtual_time
async def test_gossip_driver_view_change_forgets_the_clocks_of_strangers_only() -> None:
    async with lone_owner(B) as lone:
        for peer in (B, "stranger:1"):
            lone.node.clock.hear(peer, Clocks(0, lone.time.wall_ms()))
        await lone.node.views.adopt(successor(lone.node.views.current, A, B, C), B)
        assert set(lone.node.clock.offsets_ms) == {B}
        assert set(lone.node.gossip.members) == {A, B, C}


# Aliens


@on_virtual_time
async def test_gossip_driver_asks_for_the_view_of_a_stranger_before_it_believes_it() -> None:
    """What it tells of itself, and of those it knows, would be told on to all nodes of this store."""
    async with lone_owner(B, runs=True) as lone:
        alien = environment_view(Config.for_test(C, (C,), Path("/nowhere")))
        lone.peers.script[C] = lambda _: ViewIs(alien.encoded, (C,))
        await lone.store.write(lone.node.views.view_id, 7, b"k", make_version(1, 1), b"1")
        for _ in range(5):
            says(lone, digest_of(lone, C, view_id=alien.id))
            await asyncio.sleep(ROUNDS_S)
        assert [request for to, request in lone.peers.asked if to == C] == [FetchView()]
        assert C not in lone.node.gossip.members
        assert C not in {to for to, _ in lone.peers.casts}


@on_virtual_time
async def test_gossip_driver_believes_a_node_of_this_store_that_is_behind() -> None:
    async with lone_owner(B, runs=True) as lone:
        before = lone.node.views.current
        await lone.node.views.adopt(successor(before, A, B), B)
        lone.peers.script[C] = lambda _: ViewIs(before.encoded)
        for _ in range(2):
            says(lone, digest_of(lone, C, view_id=before.id))
            await asyncio.sleep(ROUNDS_S)
        assert C in lone.node.gossip.members


@on_virtual_time
async def test_gossip_driver_says_nothing_to_an_alien_at_the_address_of_a_node() -> None:
    async with lone_owner(B, runs=True) as lone:
        await asyncio.sleep(ROUNDS_S)
        lone.node.views.kinship.note_foreign(B)
        lone.peers.casts.clear()
        await asyncio.sleep(ROUNDS_S)
        assert lone.peers.casts == []


@on_virtual_time
async def test_gossip_driver_learns_by_gossip_that_there_are_keys_and_keeps_it() -> None:
    async with lone_owner(B, C, runs=True) as lone:
        says(lone, Digest(lone.node.views.view_id, MemberRecord(B, 1, 0, 7, 0, key_count=3), (), ()))
        assert lone.node.views.founders == (A, B)
        await asyncio.sleep(ROUNDS_S)
        kept = lone.store.setting(Setting.FOUNDING)
        assert kept is not None and recall(kept, lone.node.views.current).founders == {A, B}


@on_virtual_time
async def test_gossip_driver_begins_nothing_while_the_node_ends(caplog: pytest.LogCaptureFixture) -> None:
    """A part of it takes its time, so that a round still comes, and what others say of a newer view."""
    async with lone_owner(B) as lone:
        ending = asyncio.Event()

        async def end_slowly() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ending.set()
                await asyncio.sleep(ROUNDS_S)

        lone.node.hub.run = end_slowly  # type: ignore[method-assign]
        life = asyncio.create_task(lone.node.run())
        await asyncio.sleep(ROUNDS_S)
        life.cancel()
        await ending.wait()
        lone.peers.asked.clear()
        lone.node.clock.hear(B, Clocks(0, lone.time.wall_ms() + 10 * lone.node.config.clock_lead_step_ms))
        says(lone, digest_of(lone, B, view_id=successor(lone.node.views.current, A, B).id))
        told = len(lone.peers.casts)
        await asyncio.wait([life])
        assert life.cancelled() and len(lone.peers.casts) > told
        assert "a round of gossip failed" not in caplog.text
        assert (B, FetchView()) not in lone.peers.asked

"""What one node makes of its parts: which of them answers a call, under which view, and what it says of the whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from unittest.mock import patch

import pytest

from gossip.view import Address, ViewId
from node.net.messages import (
    Adopt,
    Answer,
    AskStatus,
    CountKeys,
    FetchView,
    KeyCounts,
    NoRoom,
    Promise,
    Promised,
    Release,
    Replicate,
    Request,
    Status,
    Taken,
    Unable,
    ViewIs,
)
from node.net.transport import answer_of
from node.node import Node
from node.timing.clock import Clocks
from node.values.donors import DonorsChange, Kind
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import pack, partition_of
from tests.node.lone_owner import A, B, C, Lone, lone_owner
from tests.node.parts import on_virtual_time
from tests.node.samples import Row, shares_of, successor
from tests.sim.disk import Disk

KEY = b"k"
PARTITION = partition_of(KEY)
BUDGET_S = 1.0


def record(clock: int = 5, value: bytes | None = b"1") -> Record:
    return Record(make_version(clock << 16, 9), value, False)


async def asked(lone: Lone, request: Request, view_id: ViewId, sender: Address = B) -> Answer:
    return await answer_of(lone.node.answer(sender, view_id, BUDGET_S, request))


# Calls of other nodes


def replicate() -> Replicate:
    return Replicate(((KEY, record().encode()),), relayed=False)


@on_virtual_time
async def test_node_call_under_its_view_is_acted_on() -> None:
    async with lone_owner(B) as lone:
        assert await asked(lone, replicate(), lone.node.views.view_id) == Taken()
        assert lone.store.get(PARTITION, KEY) == record()


@on_virtual_time
async def test_node_call_that_waited_at_its_door_during_a_pause_is_not_acted_on() -> None:
    """Whoever sent it has gone on without this node, and may have told somebody so."""
    async with lone_owner(B) as lone:
        view_id = lone.node.views.view_id
        lone.time.jump(lone.node.config.pause_s + 0.1)
        assert await asked(lone, replicate(), view_id) == Unable()
        assert lone.store.get(PARTITION, KEY) is None and lone.peers.resets == 1
        assert await asked(lone, replicate(), view_id) == Taken(), "what comes by the new links is"


@on_virtual_time
async def test_node_clock_shown_before_a_pause_says_nothing_of_how_clocks_are_now() -> None:
    async with lone_owner(B) as lone:
        clock, shown_ms = lone.node.clock, lone.time.wall_ms()
        clock.hear(B, Clocks(0, shown_ms))
        lone.time.jump(5.0)
        clock.hear(B, Clocks(0, shown_ms))
        assert (clock.offsets_ms, lone.peers.resets) == ({B: 0}, 1)
        assert lone.node.expiry_now_ms() == lone.time.wall_ms()
        clock.hear(B, Clocks(0, shown_ms))
        assert clock.offsets_ms == {B: -5000}, "what comes by the new links does"


@on_virtual_time
async def test_node_call_under_an_older_view_is_refused_with_the_later_one_and_changes_nothing() -> None:
    async with lone_owner(B) as lone:
        older = lone.node.views.view_id
        later = successor(lone.node.views.current, A, B)
        await lone.node.views.adopt(later, B)
        assert await asked(lone, replicate(), older) == ViewIs(later.encoded)
        assert lone.store.get(PARTITION, KEY) is None


@on_virtual_time
async def test_node_call_under_a_later_view_is_acted_on_once_that_is_in_force_here() -> None:
    async with lone_owner(B) as lone:
        later = successor(lone.node.views.current, A, B)
        lone.peers.script[B] = lambda request: ViewIs(later.encoded) if request == FetchView() else Unable()
        assert await asked(lone, replicate(), later.id) == Taken()
        assert lone.node.views.current == later
        assert lone.store.get(PARTITION, KEY) == record()


@on_virtual_time
async def test_node_call_under_a_later_view_is_given_up_in_time_if_the_disk_is_slow() -> None:
    """Its sender waits for `BUDGET_S`, and passes over who has not answered by then."""
    disk = Disk(random.Random(1))
    async with lone_owner(B, disk=disk) as lone:
        later = successor(lone.node.views.current, A, B)
        lone.peers.script[B] = lambda request: ViewIs(later.encoded) if request == FetchView() else Unable()
        disk.sync_s = 100 * BUDGET_S
        began = lone.time.monotonic()
        assert await asked(lone, replicate(), later.id) == Unable()
        assert lone.time.monotonic() - began < BUDGET_S


@on_virtual_time
async def test_node_calls_about_views_are_answered_under_any_view() -> None:
    stranger = ViewId(7, 7)
    async with lone_owner(B) as lone:
        mine = lone.node.views.current
        assert await asked(lone, FetchView(), stranger) == ViewIs(mine.encoded)
        promise = Promise(1, C, "c:1", (A, B), mine.lineage_of_successor)
        assert await asked(lone, promise, stranger) == Promised()
        status = await asked(lone, AskStatus(), stranger)
        assert isinstance(status, Status)
        assert (status.view, status.promised, status.target) == (mine.id, 1, "c:1")
        assert await asked(lone, Release(1, C), stranger) == ViewIs(mine.encoded)
        assert not lone.node.views.promisee().is_held
        later = successor(mine, A, B, C)
        assert await asked(lone, Adopt(later.encoded), stranger) == ViewIs(later.encoded)
        assert lone.node.views.current == later


@on_virtual_time
async def test_node_counts_live_keys_of_the_partitions_it_is_asked_for() -> None:
    async with lone_owner(B) as lone:
        await lone.hold(KEY, record())
        counted = await asked(lone, CountKeys(pack([PARTITION, PARTITION ^ 1])), lone.node.views.view_id)
        assert counted == KeyCounts((1, 0))


@pytest.mark.parametrize("partitions", [b"\0", b"\xff\xff"], ids=["half a number", "beyond the last partition"])
@on_virtual_time
async def test_node_cannot_count_what_is_no_partition(partitions: bytes) -> None:
    async with lone_owner(B) as lone:
        assert await asked(lone, CountKeys(partitions), lone.node.views.view_id) == Unable()


@on_virtual_time
async def test_node_full_disk_refuses_a_promise_towards_itself_as_well() -> None:
    """A coordinator asks its own node too, and must not fail before it has released the promises of others."""
    disk = Disk(random.Random(1))
    async with lone_owner(B, disk=disk) as lone:
        disk.exhausted = True
        promise = Promise(1, A, "a:1", (A, B), lone.node.views.current.lineage_of_successor)
        assert await lone.node._answer_here(promise) == NoRoom()


# What it says of itself


@on_virtual_time
async def test_node_key_count_is_of_live_keys_it_owns_and_follows_store_and_view() -> None:
    async with lone_owner(B) as lone:
        assert lone.node.own_keys.count == 0
        for number in range(40):
            await lone.hold(b"k%d" % number, record())
        await lone.hold(b"k0", record(6, None))
        assert lone.node.own_keys.count == 39
        await lone.node.views.adopt(successor(lone.node.views.current, A, B, C, "d:1"), B)
        owned = lone.node.views.ring.partitions_of(A)
        mine = [number for number in range(1, 40) if partition_of(b"k%d" % number) in owned]
        assert lone.node.own_keys.count == len(mine)
        assert 0 < len(mine) < 39


@on_virtual_time
async def test_node_digest_is_that_of_what_is_held_however_it_came() -> None:
    digests = []
    for history in ([record(5), record(6)], [record(6)], [record(5)]):
        async with lone_owner(B) as lone:
            for held in history:
                await lone.hold(KEY, held)
            digests.append(lone.node.own_keys.digest)
    assert digests[0] == digests[1] != digests[2]


# Its life


@on_virtual_time
async def test_node_pause_drops_leases_and_links() -> None:
    async with lone_owner(B) as lone:
        with patch.object(lone.node.co_owners, "drop_leases") as dropped:
            lone.time.jump(lone.node.config.pause_s + 0.1)
            assert not lone.node.readiness.enter()
        assert (dropped.call_count, lone.peers.resets) == (1, 1)


@on_virtual_time
async def test_node_error_in_any_part_ends_the_whole() -> None:
    async with lone_owner(B) as lone:
        with (
            patch.object(lone.node.stability, "run", side_effect=ZeroDivisionError),
            pytest.raises(BaseExceptionGroup) as ended,
        ):
            await lone.node.run()
    assert ended.group_contains(ZeroDivisionError)


# What its check notices


def forget_a_donor(node: Node) -> None:
    node.views.donors.change(DonorsChange(put=shares_of(Row(PARTITION, "gone:1", Kind.ALONE))))


def lose_a_figure(node: Node) -> None:
    node.store._stats[PARTITION] = node.store._stats[PARTITION ^ 1]


def hold_another_view_than_the_disk(node: Node) -> None:
    node.views.current = successor(node.views.current, A, B)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (forget_a_donor, "forgotten by a restart"),
        (lose_a_figure, f"{PARTITION}: "),
        (hold_another_view_than_the_disk, "the view in force is not the one on disk"),
    ],
)
@on_virtual_time
async def test_node_check_notices(harm: Callable[[Node], None], said: str) -> None:
    async with lone_owner(B) as lone:
        await lone.hold(KEY, record())
        lone.node.check()
        harm(lone.node)
        with pytest.raises(AssertionError, match=said):
            lone.node.check()


# Zones


@pytest.mark.parametrize(("zone", "warned"), [("", False), ("a", False), ("rack-1", True)])
@on_virtual_time
async def test_node_start_warns_of_a_zone_that_the_view_in_force_does_not_go_by(
    caplog: pytest.LogCaptureFixture, zone: str, warned: bool
) -> None:
    async with lone_owner(B, zone=zone) as lone:
        assert lone.node.status().zone == zone
        assert lone.node.views.current.zone_of == {A: "a", B: "b"}
        view_id = lone.node.views.view_id
    line = f"ZONE is rack-1, but a in view {view_id}: the next view change goes by it"
    assert [record.getMessage() for record in caplog.records if "ZONE" in record.getMessage()] == [line] * warned

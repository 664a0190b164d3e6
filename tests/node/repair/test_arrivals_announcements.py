"""What a node notes of the donors that announce themselves."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import Address
from node.net.messages import (
    Holding,
    NoRoom,
    Taken,
    Unable,
    ViewIs,
)
from node.net.transport import answer_of
from ring.hashing import PARTITIONS, pack, partition_of
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.repair.arriving import ALONE, COPY, COVERED, announce, places, push, rows
from tests.node.samples import Row, rows_of, successor


@on_virtual_time
async def test_announcement_is_noted_on_a_full_disk_and_told_that_there_is_no_room() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    parts.disk.full = True
    holding = Holding(pack(places([key])))
    assert await answer_of(parts.arrivals.note_holding(C, holding)) == NoRoom()
    assert rows(parts) == [Row(partition_of(key), C, ALONE)]
    parts.disk.mend()
    assert await answer_of(parts.arrivals.note_holding(C, holding)) == Taken()


@on_virtual_time
async def test_announcement_that_cannot_be_noted_is_told_so_and_its_donor_is_asked_all_the_same() -> None:
    """Whoever reads what it has meanwhile must not hear that there is nothing; and the disk learns of it later."""
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    holding, row = Holding(pack(places([key]))), Row(partition_of(key), C, ALONE)
    parts.disk.exhausted = True
    for _ in range(2):
        assert await answer_of(parts.arrivals.note_holding(C, holding)) == NoRoom()
        assert C in parts.views.donors.of(partition_of(key)) and row not in rows_of(parts.store.donors())
        assert parts.arrivals.unsaved(C)
    parts.disk.mend()
    assert await answer_of(parts.arrivals.note_holding(C, holding)) == Taken()
    assert rows_of(parts.store.donors()) == [row] and not parts.arrivals.unsaved(C)
    assert await answer_of(parts.arrivals.note_holding(C, Holding(b""))) == Taken()
    assert rows(parts) == []


@on_virtual_time
async def test_announcement_on_a_disk_that_hangs_counts_at_once() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    parts.disk.hung = True
    noting = asyncio.ensure_future(answer_of(parts.arrivals.note_holding(C, Holding(pack(places([key]))))))
    await asyncio.sleep(0)
    assert C in parts.views.donors.of(partition_of(key)) and not noting.done()
    noting.cancel()


@on_virtual_time
async def test_announcement_is_complete_so_it_also_ends_what_is_not_in_it() -> None:
    parts = await node_a(A, B)
    first, second, third = parts.own_keys(3)
    await announce(parts, C, [first, second])
    await announce(parts, D, [first])
    await announce(parts, C, [second, third])
    expected = [Row(*row, ALONE) for row in zip(places([first, second, third]), (D, C, C), strict=True)]
    assert rows(parts) == sorted(expected)


@on_virtual_time
async def test_announcement_keeps_the_kind_of_a_donor_that_is_one_already() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await parts.wait_durably(Row(partition_of(key), C, COPY))
    await announce(parts, C, [key])
    assert rows(parts) == [Row(partition_of(key), C, COPY)]


@on_virtual_time
async def test_announcement_of_a_copy_that_holds_nothing_covers_the_others() -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    await parts.wait_durably(Row(partition_of(key), C, COPY), Row(partition_of(key), D, COPY))
    await announce(parts, C, [])
    assert rows(parts) == [Row(partition_of(key), D, COVERED)]


@on_virtual_time
async def test_announcement_of_a_co_owner_makes_it_no_donor_of_what_it_has_finished() -> None:
    """It brings records batch by batch, and is asked what it holds meanwhile: until the end it names all of them."""
    parts = await node_a(A, B, repl_factor=2)
    first, second = parts.own_keys(2)
    await parts.wait_durably(*(Row(partition, B, COPY) for partition in places([first, second])))
    await push(parts, B, (first, record(5)), finished=places([first]))
    await announce(parts, B, [first, second])
    assert rows(parts) == [Row(partition_of(second), B, COPY)]


@on_virtual_time
async def test_announcement_of_what_does_not_belong_here_is_refused() -> None:
    parts = await node_a(A, B)
    assert await announce(parts, C, [parts.foreign_key()]) == Unable()
    for packed in (b"\0", pack([PARTITIONS])):
        assert await answer_of(parts.arrivals.note_holding(C, Holding(packed))) == Unable()
    assert rows(parts) == []


@pytest.mark.parametrize("members", [(A, B), (B,)], ids=["still an owner", "an owner no more"])
@on_virtual_time
async def test_announcement_under_a_view_that_was_left_is_refused_with_the_present_one(
    members: tuple[Address, ...],
) -> None:
    parts = await node_a(A, B)
    (key,) = parts.own_keys(1)
    answering = parts.arrivals.note_holding(C, Holding(pack(places([key]))))
    await parts.views.adopt(successor(parts.views.current, *members), B)
    answer = await answer_of(answering)
    assert answer == ViewIs(parts.views.current.encoded)

"""Whom an owner without co-owners asks about a key before it acts, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gossip.view import Address
from node.net.messages import NothingDeleted, ReadResult, Superseded, Unable, ViewIs, Wrote
from node.values.donors import Kind
from tests.node.operations.asking import found, read, write
from tests.node.parts import A, B, C, D, node_a, on_virtual_time, record
from tests.node.samples import successor

ALONE, COPY, COVERED = Kind.ALONE, Kind.COPY, Kind.COVERED


# A partition with donors


@on_virtual_time
async def test_read_without_donors_asks_nobody() -> None:
    parts = await node_a(A, B)
    assert parts.owner.read_here(parts.key_of(A)) == ReadResult(None)
    assert parts.peers.asked == []


@on_virtual_time
async def test_read_of_a_key_on_its_way_asks_the_donor_and_keeps_what_it_has() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(B, key)
    parts.co_owner(B, (key, record(3, b'"old"')))
    assert parts.owner.read_here(key) is None
    assert await read(parts, key) == found(b'"old"', 3)
    assert parts.held(key) == record(3, b'"old"')


@on_virtual_time
async def test_read_newer_record_here_wins_over_the_donors() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    await parts.keep((key, record(4, b'"new"')))
    parts.wait_for(B, key)
    parts.co_owner(B, (key, record(3)))
    assert await read(parts, key) == found(b'"new"', 4)


@on_virtual_time
async def test_read_of_what_the_donor_deleted_is_a_miss() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    await parts.keep((key, record(3)))
    parts.wait_for(B, key)
    parts.co_owner(B, (key, record(4, None)))
    assert await read(parts, key) == ReadResult(None)


@on_virtual_time
async def test_write_finds_what_the_donor_has() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(B, key)
    parts.co_owner(B, (key, record(3)))
    assert await write(parts, key) == Wrote(True)


@on_virtual_time
async def test_write_below_what_the_donor_has_is_refused_with_its_version() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(B, key)
    parts.co_owner(B, (key, record(7)))
    assert await write(parts, key) == Superseded(record(7).version)
    assert parts.held(key) == record(7)


@on_virtual_time
async def test_delete_of_what_only_the_donor_has_leaves_a_tombstone() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(B, key)
    parts.co_owner(B, (key, record(3)))
    assert await write(parts, key, None) == Wrote(True)
    held = parts.held(key)
    assert held is not None and not held.has_value


@on_virtual_time
async def test_delete_of_what_nobody_has_writes_nothing() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(B, key)
    parts.co_owner(B)
    assert await write(parts, key, None) == NothingDeleted()
    assert parts.held(key) is None


# What a miss says while donors are silent

SILENT_INSIDE: list[tuple[str, Mapping[Address, Kind], Mapping[Address, bool], bool]] = [
    ("one alone", {B: ALONE}, {B: False}, False),
    ("one copy, the only one", {B: COPY}, {B: False}, False),
    ("one copy, another one heard", {B: COPY, C: COPY}, {B: False, C: True}, True),
    ("both copies", {B: COPY, C: COPY}, {B: False, C: False}, False),
    ("one copy, one that is none heard", {B: COPY, C: ALONE}, {B: False, C: True}, False),
    ("one copy, one covered heard", {B: COPY, C: COVERED}, {B: False, C: True}, False),
    ("one alone, a copy heard", {B: ALONE, C: COPY}, {B: False, C: True}, False),
    ("one covered", {B: COVERED}, {B: False}, True),
    ("one covered, another one too", {B: COVERED, C: COVERED}, {B: False, C: False}, True),
]


@pytest.mark.parametrize(
    ("donors", "heard", "fine"), [case[1:] for case in SILENT_INSIDE], ids=[c[0] for c in SILENT_INSIDE]
)
@on_virtual_time
async def test_miss_while_donors_inside_the_view_are_silent(
    donors: Mapping[Address, Kind], heard: Mapping[Address, bool], fine: bool
) -> None:
    parts = await node_a(A, B, C, D)
    key = parts.key_of(A)
    for donor, kind in donors.items():
        parts.wait_for(donor, key, kind)
        if heard[donor]:
            parts.co_owner(donor)
        else:
            parts.peers.silent.add(donor)
    assert await read(parts, key) == (ReadResult(None) if fine else Unable())
    assert await write(parts, key) == (Wrote(False) if fine else Unable())
    assert (parts.held(key) is not None) == fine


@on_virtual_time
async def test_hit_needs_no_silent_donor() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    await parts.keep((key, record(3)))
    parts.wait_for(B, key, ALONE)
    assert await read(parts, key) == found(b"1", 3)


@on_virtual_time
async def test_miss_silent_donor_outside_the_view_is_passed_over() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.wait_for(C, key)
    assert await read(parts, key) == ReadResult(None)
    assert await write(parts, key) == Wrote(False)


@on_virtual_time
async def test_miss_donor_outside_the_view_that_cannot_adopt_is_not_passed_over() -> None:
    """Its disk is full, say: it still serves what it has under the view it has."""
    parts = await node_a(A, B)
    before = parts.views.current
    await parts.views.adopt(successor(before, A, B), B)
    key = parts.key_of(A)
    parts.wait_for(C, key)
    parts.peers.script[C] = lambda _: ViewIs(before.encoded)
    assert await read(parts, key) == Unable()

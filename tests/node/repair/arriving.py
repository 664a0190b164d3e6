"""What comes from other nodes, as tests send it."""

from __future__ import annotations

from collections.abc import Iterable

from gossip.view import Address
from node.net.messages import (
    Answer,
    Holding,
    Push,
)
from node.net.transport import answer_of
from node.values.donors import Kind
from node.values.record import Record
from ring.hashing import pack, partition_of
from tests.node.parts import Parts
from tests.node.samples import Row, rows_of

ALONE, COPY, COVERED = Kind.ALONE, Kind.COPY, Kind.COVERED


def encoded(*items: tuple[bytes, Record]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((key, found.encode()) for key, found in items)


def places(keys: Iterable[bytes]) -> list[int]:
    return [partition_of(key) for key in keys]


async def push(parts: Parts, sender: Address, *items: tuple[bytes, Record], finished: Iterable[int] = ()) -> Answer:
    return await answer_of(parts.arrivals.push(sender, Push(encoded(*items), pack(finished))))


async def announce(parts: Parts, donor: Address, keys: Iterable[bytes]) -> Answer:
    return await answer_of(parts.arrivals.note_holding(donor, Holding(pack(places(keys)))))


def rows(parts: Parts) -> list[Row]:
    """In memory; and on disk, what is the same."""
    found = rows_of(parts.views.donors.shares)
    assert found == rows_of(parts.store.donors())
    return found

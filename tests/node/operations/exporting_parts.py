"""One node that exports, and what it is to tell."""

from __future__ import annotations

from itertools import islice

from gossip.view import Address
from node.net.messages import (
    Answer,
    Export,
    Stretch,
)
from node.operations import exporting
from node.operations.exporting import OwnerExport
from node.operations.partition_order import place_of
from ring.hashing import partition_of
from ring.sets import BYTES
from tests.node.parts import Parts


def owner_export(parts: Parts) -> OwnerExport:
    return OwnerExport(parts.config, parts.store, parts.views, parts.calls, parts.shard_inquiry(), parts.time.wall_ms)


def stretch_of(parts: Parts, node: Address, prefix: bytes = b"", after: bytes = b"") -> Stretch:
    """All that it owns, from there on."""
    bits = parts.views.ring.bits_of(node)
    begun = partition_of(after) if after else 0
    return Stretch((bits >> begun << begun).to_bytes(BYTES), prefix, after)


async def told_by(parts: Parts, stretch: Stretch) -> Answer:
    return await owner_export(parts).carry_out(
        Export(stretch, exporting.BLOCK_BYTES), parts.views.view_id, parts.deadline
    )


def keys_of(parts: Parts, node: Address, count: int) -> list[bytes]:
    """As they are exported."""
    return sorted(islice(parts.keys_of(node), count), key=place_of)


def lines(*entries: tuple[bytes, bytes]) -> bytes:
    return b"".join(b'{"key":"%b","value":%b}\n' % entry for entry in entries)

"""Where each thing stands in the store's one ordered key space; any engine with get, put, delete and scan will do.

    partition (2 bytes)             -> live (8) + records (8) + digest (8): beside its records, to share their page
    partition (2 bytes) + key       -> a record, see `values.record`
    0xFE + address                  -> of which partitions this donor may still hold keys, see `values.donors`
    0xFF + name                     -> a setting of the node, see `Setting`

Partition numbers end far below 0xFE00, so the four kinds never mix. The names are on disks in the field: to change one
is to change the form of what is on disk, see `identity.FORMAT`.
"""

from __future__ import annotations

from enum import StrEnum

from gossip.view import Address

DONORS = b"\xfe"
SETTINGS = b"\xff"


class Setting(StrEnum):
    """What a node remembers beside its records and donors."""

    FORMAT = "format"
    """In which form all this is written, see `identity`."""
    STORE_ID = "store_id"
    INCARNATION = "incarnation"
    UNFILLED = "unfilled"
    """Not empty while no co-owner has brought this disk all that the one before it may have held."""
    VIEW = "view"
    """The view in force, encoded."""
    FENCE = "fence"
    """The id of that view, which every job names that depends on it."""
    PROMISE = "promise"
    """To which coordinator this node has promised to wait, see `views.holder`."""
    CLOCK = "clock"
    """What the hybrid clock must know again, see `timing.clock`."""
    LOW_WATERMARK = "floor"
    """The clock reading at or below which no client's write is taken, see `retention.stability`."""
    STABLE_WATERMARK = "seen"
    """The clock reading up to which all that anybody took was on all its owners, see `retention.tombstones`."""
    PURGE_WATERMARK = "purged"
    """The clock reading up to which tombstones are dropped, and none is taken any more; see there."""


def partition_place(partition: int) -> bytes:
    """Of a partition's figures, and where its records begin."""
    return partition.to_bytes(2)


def record_place(partition: int, key: bytes) -> bytes:
    return partition.to_bytes(2) + key


def donor_place(donor: Address) -> bytes:
    return DONORS + donor.encode()


def setting_place(setting: Setting) -> bytes:
    return SETTINGS + setting.encode()

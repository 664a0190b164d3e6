"""Where each thing is kept in the store's one ordered key space. Any engine with get, put, delete and scan will do.

    partition (2 bytes)             -> live (8) + records (8) + digest (8): beside its records, to share their page
    partition (2 bytes) + key       -> a record, see `values.record`
    0xFD + time (6) + partition (2) + key
                                    -> nothing: the record there expires at this time, in milliseconds since 1970
    0xFE + address                  -> the partitions of which this donor may still hold keys, see `values.donors`
    0xFF + name                     -> a setting of the node, see `Setting`

Partition numbers end far below 0xFD00, so the five kinds never mix. The names are on users' disks: to change one is to
change the form of what is on disk, see `forms`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gossip.view import Address
from node.values.record import EXPIRY_BYTES

FORMAT, FORMAT_WITH_EXPIRIES = b"2", b"3"
"""The forms of what is on disk that this release reads. It is the second from the first record on that expires: what a
release before that can read, it goes on reading, and what it cannot, it refuses with one line."""

EXPIRIES = b"\xfd"
DONORS = b"\xfe"
SETTINGS = b"\xff"


class Setting(StrEnum):
    """What a node remembers beside its records and donors."""

    FORMAT = "format"
    """In which form all this is written, see `forms`."""
    CLUSTER = "cluster"
    """The name of the store, as it was when the directory was made; there is none in one that is older than names."""
    ADDRESS = "address"
    """That of the node whose directory this is; there is none in one that is older than this."""
    STORE_ID = "store_id"
    INCARNATION = "incarnation"
    UNFILLED = "unfilled"
    """Not empty while no co-owner has brought this disk what an earlier disk of this node may have held, or this one
    before an older copy of it was put back; see `identity`."""
    VIEW = "view"
    """The view in force, encoded."""
    FOUNDING = "founding"
    """At epoch 0, which nodes have held that view, and whether keys were written under it: see `views.founding`."""
    FENCE = "fence"
    """The id of that view. Each job that depends on the view names it."""
    PROMISE = "promise"
    """To which coordinator this node has promised to wait, see `views.holder`."""
    STRAYED = "strayed"
    """The id of the latest view that was held here and may be a rival of the one in force, see `views.quorum`; none in
    a directory that has seen no such view."""
    ESTABLISHED = "established"
    """The id of the latest view that is known to be established, see there."""
    CLOCK = "clock"
    """What the hybrid clock must know after a restart, see `timing.clock`."""
    CLOCK_ANCHOR = "anchor"
    """What it must know besides if only the process was started again, and not its machine."""
    LOW_WATERMARK = "floor"
    """The clock reading at or below which no client's write is taken, see `retention.stability`."""
    STABLE_WATERMARK = "seen"
    """The clock reading up to which all that anybody took was on all its owners, see `retention.tombstones`."""
    PURGE_WATERMARK = "purged"
    """The clock reading up to which tombstones are dropped, and no others are taken; see there."""
    EXPIRED = "expired"
    """The time up to which keys have been told to have expired, see `retention.expiry`."""


def partition_place(partition: int) -> bytes:
    """Where a partition's figures are, and where its records begin."""
    return partition.to_bytes(2)


def record_place(partition: int, key: bytes) -> bytes:
    return partition.to_bytes(2) + key


def expiry_place(expires_ms: int, partition: int, key: bytes) -> bytes:
    return EXPIRIES + expires_ms.to_bytes(EXPIRY_BYTES) + record_place(partition, key)


def expiries_until(ms: int) -> bytes:
    """Where the expiries up to this time end."""
    return EXPIRIES + (ms + 1).to_bytes(EXPIRY_BYTES)


class Expiring(NamedTuple):
    """A record that expires, as its place among the expiries tells."""

    expires_ms: int
    partition: int
    key: bytes


def expiring_at(place: bytes) -> Expiring:
    """The reverse of `expiry_place`."""
    return Expiring(int.from_bytes(place[1:7]), int.from_bytes(place[7:9]), place[9:])


def donor_place(donor: Address) -> bytes:
    return DONORS + donor.encode()


def setting_place(setting: Setting) -> bytes:
    return SETTINGS + setting.encode()

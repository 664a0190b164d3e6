"""One transaction of the store, as the jobs in it see it: what changes along with what.

Counts and digests of each partition, and the order in which records expire, change in the transaction that changes the
records, so nothing is ever scanned to find them. The id of the view in force, the *fence*, is part of the same
transactions: a job that was queued under an older view fails with `Fenced`, and has written nothing.

The engine that commits comes in from outside. Where each thing is kept on disk, `keys` says.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from enum import Enum, auto
from typing import Protocol, TypeAlias, TypeVar

import msgspec
from xxhash import xxh3_64_intdigest

from gossip.view import Address, View, ViewId
from node.errors import Fenced
from node.storage.disk import Disk
from node.storage.kept import number, read_kept
from node.storage.keys import (
    EXPIRIES,
    FORMAT_WITH_EXPIRIES,
    Expiring,
    Setting,
    donor_place,
    expiry_place,
    partition_place,
    record_place,
    setting_place,
)
from node.values.donors import NOTHING, DonorsChange, decode_share
from node.values.record import are_lasting, as_tombstone, due_of, expires, has_value, version_of
from node.values.version import Version, make_version
from ring.hashing import PARTITIONS

T = TypeVar("T")

_STATS = struct.Struct(">QQQ")
_view_ids = msgspec.msgpack.Decoder(ViewId)


class Stats(msgspec.Struct, frozen=True, gc=False):
    """What a partition holds, in figures. Two copies with equal digests hold the same versions of the same keys."""

    live: int
    """Values: those that have expired are counted until they are swept, see `retention.expiry`."""
    records: int
    """Live keys and tombstones."""
    digest: int
    """XOR of a 64-bit hash over (key, version) of each record."""


class EngineTransaction(Protocol):
    """What an engine offers to a transaction: reads see its own writes."""

    def get(self, key: bytes) -> bytes | None: ...
    def put(self, key: bytes, value: bytes) -> object: ...
    def delete(self, key: bytes) -> object: ...


class Engine(Disk, Protocol):
    """An ordered map of bytes on stable storage, with one writer. Readers see what was last committed."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """The items with start <= key < stop, in order: as many as fit in `bytes_max` bytes, but one at least if there
        is one."""

    def first_keys(self, ranges: Sequence[tuple[bytes, bytes]], count: int) -> list[list[bytes]]:
        """Of each range the first keys with start <= key < stop, in order, `count` at most."""

    @property
    def is_full(self) -> bool:
        """Whether jobs that grow the store are refused: the disk has no more room than what is kept for the others, or
        it has refused the last commit."""

    def submit(self, job: Callable[[Transaction], T], grows: bool = False) -> Awaitable[T]:
        """Queue a job. Gives its result once that is on stable storage. Raises what the job raised, which then has
        written nothing, or StorageFault if the disk refused. A job may run more than once before it is committed, so it
        must change nothing but its transaction. One that `grows` the store is refused while the disk is full; the
        others may use what is kept for them, see `reserve`. All are refused while the disk hangs, but for those of the
        commit that hangs, of which nobody can tell; see `stall`. Who stops waiting before the commit leaves the queue.
        """

    def close(self) -> None:
        """Commit what has been submitted, then close. Raises Unclosed if the disk hangs."""


EngineFactory: TypeAlias = Callable[
    [Callable[[EngineTransaction], "Transaction"], Callable[["Transaction"], None]], Engine
]
"""engine = factory(begin, committed): `begin` wraps each fresh transaction of the engine; `committed` is called in the
event loop's thread with each one that was committed, before the futures of its jobs resolve. `Transaction.finish` is
called before each commit."""


class News(msgspec.Struct, frozen=True, gc=False):
    """A key that has changed, and the co-owners that need not be told."""

    key: bytes
    exclude: Collection[Address]


class Cause(Enum):
    """Why there is another record of a key."""

    TAKEN = auto()
    """It came here first, or from one who is not to bring it to others: this node is."""
    RELAYED = auto()
    """A co-owner has brought it, and brings it to some others, this node to the rest."""
    COPIED = auto()
    """A co-owner has brought it, and brings it to all others."""
    EXPIRED = auto()
    """Its time has come."""


_TAKEN, _RELAYED, _COPIED = Cause.TAKEN, Cause.RELAYED, Cause.COPIED
"""A member of an enumeration takes as long to look up as a record to read."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What is held of a key from now on."""

    key: bytes
    record: bytes
    cause: Cause


class Transaction:
    """The jobs of one transaction see the store through this."""

    def __init__(self, transaction: EngineTransaction, stored: Sequence[Stats]) -> None:
        """`stored`: the figures of each partition as last committed, which saves reading them from disk."""
        self._raw = transaction
        self._stored = stored
        self._fence: ViewId | None = None
        self._lowest_version: Version | None = None
        self._purge_watermark: int | None = None
        self.stats: dict[int, Stats] = {}
        self.news: list[News] = []
        """What co-owners have yet to hear."""
        self.changes: list[Change] = []
        """All that has changed, in this order."""
        self.expiring = 0
        """How many more records expire than before, or less."""
        self.has_new_watermark = False
        """Whether `stable_watermark` or `purge_watermark` has been raised."""

    @property
    def fence(self) -> ViewId:
        if self._fence is None:
            self._fence = _decode_view_id(self.setting(Setting.FENCE))
        return self._fence

    def demand(self, fence: ViewId) -> None:
        """Raises Fenced unless `fence` is the id of the view in force."""
        if fence != self.fence:
            raise Fenced(str(self.fence))

    @property
    def lowest_version(self) -> Version:
        """The first version above the low watermark: no write is taken from a client under one below this."""
        if self._lowest_version is None:
            clock = reading_in(self, Setting.LOW_WATERMARK)
            self._lowest_version = make_version(clock + 1, 0) if clock else b""
        return self._lowest_version

    def raise_low_watermark(self, clock: int) -> None:
        """To `clock`, if it is lower: jobs that run from now on refuse writes that are stamped at or below it."""
        if clock > reading_in(self, Setting.LOW_WATERMARK):
            self.set(Setting.LOW_WATERMARK, clock.to_bytes(8))
            self._lowest_version = None

    @property
    def purge_watermark(self) -> int:
        """Tombstones up to this clock are forgotten, see `retention.tombstones`."""
        if self._purge_watermark is None:
            self._purge_watermark = reading_in(self, Setting.PURGE_WATERMARK)
        return self._purge_watermark

    def raise_purge_watermark(self, clock: int) -> None:
        """To `clock`, if it is lower: from now on, no tombstone up to it is taken."""
        self._purge_watermark = max(clock, self.purge_watermark)
        self.set(Setting.PURGE_WATERMARK, self._purge_watermark.to_bytes(8))
        self.has_new_watermark = True

    def raise_stable_watermark(self, clock: int) -> None:
        """To `clock`, if it is lower: all that was stamped up to it was on all owners, see `retention.tombstones`."""
        if clock > reading_in(self, Setting.STABLE_WATERMARK):
            self.set(Setting.STABLE_WATERMARK, clock.to_bytes(8))
            self.has_new_watermark = True

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The encoded record."""
        return self._raw.get(partition.to_bytes(2) + key)  # `record_place` written out: each write asks.

    def put(
        self,
        partition: int,
        key: bytes,
        encoded: bytes,
        held: bytes | None,
        exclude: Collection[Address] | None = None,
        cause: Cause | None = None,
    ) -> None:
        """`held`: what `get` has just given, since the figures change by the difference. `exclude`: the co-owners that
        need not be told once this is committed; None: all of them. `cause`: if that does not tell it."""
        self._raw.put(partition.to_bytes(2) + key, encoded)  # As in `get`.
        if held is not None and are_lasting(held, encoded):  # Of most, nothing but the digest changes.
            before = self.stats.get(partition) or self._stored[partition]
            digest = before.digest ^ digest_between(key, held, encoded)
            self.stats[partition] = Stats(before.live, before.records, digest)
        else:
            self._note(partition, key, held, encoded)
        if exclude is not None:
            cause = cause or (_TAKEN if len(exclude) < 2 else _RELAYED)
            self.news.append(News(key, exclude))
        self.changes.append(Change(key, encoded, cause or _COPIED))

    def delete(self, partition: int, key: bytes, held: bytes) -> None:
        """`held`: see `put`."""
        self._raw.delete(record_place(partition, key))
        self._note(partition, key, held, None)

    def expire(self, expiring: Expiring) -> None:
        """Turn the record that stands there into a tombstone, unless it is another one by now. No co-owner is told:
        each has the same record, and a clock."""
        due_ms, partition, key = expiring
        held = self.get(partition, key)
        if held is not None and due_of(held) == due_ms:
            self.put(partition, key, as_tombstone(held), held, None, Cause.EXPIRED)

    def set(self, setting: Setting, value: bytes) -> None:
        self._raw.put(setting_place(setting), value)

    def setting(self, setting: Setting) -> bytes | None:
        return self._raw.get(setting_place(setting))

    def enter(self, view: View) -> None:
        """Make `view` the one in force: from here on, jobs queued under another view fail."""
        self.set(Setting.VIEW, view.encoded)
        self.set(Setting.FENCE, msgspec.msgpack.encode(view.id))
        self._fence = view.id

    def change_donors(self, change: DonorsChange) -> None:
        for donor in change.donors():
            place = donor_place(donor)
            encoded = self._raw.get(place)
            share = change.applied(donor, NOTHING if encoded is None else decode_share(encoded))
            if share != NOTHING:
                self._raw.put(place, share.encode())
            elif encoded is not None:
                self._raw.delete(place)

    def finish(self) -> None:
        """Write what was gathered; the last call before the commit."""
        put, pack = self._raw.put, _STATS.pack
        for partition, stats in self.stats.items():
            put(partition.to_bytes(2), pack(stats.live, stats.records, stats.digest))  # `partition_place` written out.

    def _note(self, partition: int, key: bytes, gone: bytes | None, come: bytes | None) -> None:
        """What follows from a change of a record, in the same transaction."""
        if (gone is not None and expires(gone)) or (come is not None and expires(come)):
            self._note_expiry(partition, key, gone, come)
        before = self.stats.get(partition) or self._stored[partition]
        live, records, digest = before.live, before.records, before.digest
        if gone is not None:
            live, records, digest = live - has_value(gone), records - 1, digest ^ digest_of(key, gone)
        if come is not None:
            live, records, digest = live + has_value(come), records + 1, digest ^ digest_of(key, come)
        self.stats[partition] = Stats(live, records, digest)

    def _note_expiry(self, partition: int, key: bytes, gone: bytes | None, come: bytes | None) -> None:
        if gone is not None and (due_ms := due_of(gone)) is not None:
            self._raw.delete(expiry_place(due_ms, partition, key))
            self.expiring -= 1
        if come is not None and (due_ms := due_of(come)) is not None:
            self._raw.put(expiry_place(due_ms, partition, key), b"")
            self.expiring += 1
            if self.setting(Setting.FORMAT) != FORMAT_WITH_EXPIRIES:
                self.set(Setting.FORMAT, FORMAT_WITH_EXPIRIES)


class _Reads(Protocol):
    def get(self, key: bytes) -> bytes | None: ...


def stats_in(source: _Reads, partition: int) -> Stats:
    encoded = source.get(partition_place(partition))
    if encoded is None:
        return Stats(0, 0, 0)
    return Stats(*read_kept(f"figures of partition {partition}", _STATS.unpack, encoded))


def partitions_in(engine: Engine) -> Iterator[int]:
    """Those that have figures on disk: that have records, or once had. In a small store they are few, so the scan skips
    from one to the next. Raises StorageFault."""
    start = 0
    while found := engine.scan(partition_place(start), EXPIRIES, 0):
        partition = read_kept("records", _partition_at, found[0][0])
        yield partition
        start = partition + 1


def _partition_at(place: bytes) -> int:
    partition = int.from_bytes(place[:2])
    if len(place) < len(partition_place(0)) or partition >= PARTITIONS:
        raise ValueError(f"there is no partition {place[:2].hex()}")
    return partition


class _Settings(Protocol):
    def setting(self, setting: Setting) -> bytes | None: ...


def reading_in(source: _Settings, setting: Setting) -> int:
    """A clock reading that is kept as a setting; 0 if it never was."""
    kept = source.setting(setting)
    return 0 if kept is None else read_kept(setting, number, kept)


def digest_of(key: bytes, encoded: bytes) -> int:
    """Of a key and the version of its record, which an encoded record begins with."""
    return xxh3_64_intdigest(key + version_of(encoded))


def digest_between(key: bytes, gone: bytes, come: bytes) -> int:
    """By what the digest of a partition changes with a record, `digest_of` of one and of the other. The hot path."""
    return xxh3_64_intdigest(key + gone[:16]) ^ xxh3_64_intdigest(key + come[:16])


def _decode_view_id(encoded: bytes | None) -> ViewId:
    return ViewId(-1, 0) if encoded is None else read_kept(Setting.FENCE, _view_ids.decode, encoded)

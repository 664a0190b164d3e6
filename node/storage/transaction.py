"""One transaction of the store, as the jobs in it see it: where everything is on disk, and what changes along with it.

Counts and digests of each partition change in the transaction that changes its records, so they are read, never scanned
for. The stamp of the view in force, the *fence*, is part of the same transactions: a job that was queued under an older
view fails with `Fenced`, and has written nothing.

Layout, in one ordered key space (so that any engine with get, put, delete and scan will do):
    partition (2 bytes)             -> live (8) + records (8) + digest (8): beside its records, to share their page
    partition (2 bytes) + key       -> a record, see `records`
    0xFE + address                  -> of which partitions this donor may still hold keys, see `donors`
    0xFF + name                     -> a setting of the node
Must not import aiohttp or lmdb: the engine comes in from outside.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec
import xxhash

from gossip.view import Address, Stamp, View
from node.errors import Fenced
from node.values.donors import NOTHING, Change, decode_share
from node.values.record import Version, is_live, make_version, version_of

T = TypeVar("T")

_STATS = struct.Struct(">QQQ")
DONOR, SETTING = b"\xfe", b"\xff"


class Stats(NamedTuple):
    """What a partition holds, in figures. Two copies with equal digests hold the same versions of the same keys."""

    live: int
    records: int
    """Live keys and tombstones."""
    digest: int
    """XOR of a 64-bit hash over (key, version) of each record."""


class Transaction(Protocol):
    """What an engine offers to a batch: reads see the batch's own writes."""

    def get(self, key: bytes) -> bytes | None: ...
    def put(self, key: bytes, value: bytes) -> object: ...
    def delete(self, key: bytes) -> object: ...


class Engine(Protocol):
    """An ordered map of bytes on stable storage, with one writer. Readers see what was last committed."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, start: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """The items with start <= key < stop in order, as many as fit in `bytes_max` bytes, but one at least if there
        is one."""

    def submit(self, job: Callable[[Batch], T]) -> Awaitable[T]:
        """Queue a job. Its result, once it is on stable storage; its exception, if it raised one (it has then written
        nothing); StorageFault if the disk refused. A job may run more than once before it is committed, so it must
        change nothing but its batch."""

    def close(self) -> None:
        """Commit what has been submitted, then close."""


EngineFactory: TypeAlias = Callable[[Callable[[Transaction], "Batch"], Callable[["Batch"], None]], Engine]
"""engine = factory(begin, committed): `begin` makes a batch of a fresh transaction; `committed` is called in the event
loop's thread with each committed batch, before any future of its jobs resolves. `Batch.finish` is called before each
commit."""


class News(NamedTuple):
    """A key that has changed, and the co-owners that need not be told."""

    key: bytes
    but: Collection[Address]


class Batch:
    """The jobs of one transaction see the store through this."""

    def __init__(self, transaction: Transaction, stored: Sequence[Stats]) -> None:
        """`stored`: the figures of each partition as they were last committed, which spares a look at the disk."""
        self._transaction = transaction
        self._stored = stored
        self._fence: Stamp | None = None
        self._floor: Version | None = None
        self._purged: int | None = None
        self.stats: dict[int, Stats] = {}
        self.news: list[News] = []
        self.has_new_horizon = False
        """Whether `seen` or `purged` has been raised."""

    @property
    def fence(self) -> Stamp:
        if self._fence is None:
            self._fence = _decode_stamp(self._transaction.get(SETTING + b"fence"))
        return self._fence

    def demand(self, fence: Stamp) -> None:
        """Raises Fenced unless `fence` is the stamp of the view in force."""
        if fence != self.fence:
            raise Fenced(str(self.fence))

    @property
    def floor(self) -> Version:
        """No write is taken from a client under a version below this one."""
        if self._floor is None:
            clock = reading_in(self, "floor")
            self._floor = make_version(clock + 1, 0) if clock else b""
        return self._floor

    def raise_floor(self, clock: int) -> None:
        """Above `clock`: all jobs that are queued from now on stamp their writes higher."""
        if clock > reading_in(self, "floor"):
            self.set("floor", clock.to_bytes(8))
            self._floor = None

    @property
    def purged(self) -> int:
        """Tombstones up to this clock are forgotten, see `retention.tombstones`."""
        if self._purged is None:
            self._purged = reading_in(self, "purged")
        return self._purged

    def raise_purged(self, clock: int) -> None:
        self._purged = max(clock, self.purged)
        self.set("purged", self._purged.to_bytes(8))
        self.has_new_horizon = True

    def raise_seen(self, clock: int) -> None:
        """All that was stamped up to `clock` was on all owners; see `retention.tombstones`."""
        if clock > reading_in(self, "seen"):
            self.set("seen", clock.to_bytes(8))
            self.has_new_horizon = True

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The encoded record."""
        return self._transaction.get(partition.to_bytes(2) + key)

    def put(self, partition: int, key: bytes, encoded: bytes, held: bytes | None) -> None:
        """`held`: what `get` says is there; nobody puts or deletes without having looked."""
        self._transaction.put(partition.to_bytes(2) + key, encoded)
        self._count(partition, key, held, encoded)

    def delete(self, partition: int, key: bytes, held: bytes) -> None:
        """`held`: see `put`."""
        self._transaction.delete(partition.to_bytes(2) + key)
        self._count(partition, key, held, None)

    def set(self, name: str, value: bytes) -> None:
        self._transaction.put(SETTING + name.encode(), value)

    def setting(self, name: str) -> bytes | None:
        return self._transaction.get(SETTING + name.encode())

    def enter(self, view: View) -> None:
        """Make `view` the one in force: from here on, jobs queued under another are fenced off."""
        self.set("view", view.encoded)
        self.set("fence", msgspec.msgpack.encode(view.stamp))
        self._fence = view.stamp

    def change_donors(self, change: Change) -> None:
        for donor in change.donors():
            key = DONOR + donor.encode()
            encoded = self._transaction.get(key)
            share = change.applied(donor, NOTHING if encoded is None else decode_share(encoded))
            if share != NOTHING:
                self._transaction.put(key, share.encode())
            elif encoded is not None:
                self._transaction.delete(key)

    def finish(self) -> None:
        """Write what was gathered; the last call before the commit."""
        for partition, stats in self.stats.items():
            self._transaction.put(partition.to_bytes(2), _STATS.pack(*stats))

    def _count(self, partition: int, key: bytes, gone: bytes | None, come: bytes | None) -> None:
        live, records, digest = self.stats.get(partition) or self._stored[partition]
        if gone is not None:
            live, records, digest = live - is_live(gone), records - 1, digest ^ digest_of(key, version_of(gone))
        if come is not None:
            live, records, digest = live + is_live(come), records + 1, digest ^ digest_of(key, version_of(come))
        self.stats[partition] = Stats(live, records, digest)


class _Reads(Protocol):
    def get(self, key: bytes) -> bytes | None: ...


def stats_in(source: _Reads, partition: int) -> Stats:
    encoded = source.get(partition.to_bytes(2))
    return Stats(0, 0, 0) if encoded is None else Stats(*_STATS.unpack(encoded))


class _Settings(Protocol):
    def setting(self, name: str) -> bytes | None: ...


def reading_in(source: _Settings, name: str) -> int:
    """A clock reading that is kept as a setting; 0 if it never was."""
    return int.from_bytes(source.setting(name) or b"")


def digest_of(key: bytes, version: Version) -> int:
    return xxhash.xxh3_64_intdigest(key + version)


def _decode_stamp(encoded: bytes | None) -> Stamp:
    return Stamp(-1, 0) if encoded is None else msgspec.msgpack.decode(encoded, type=Stamp)

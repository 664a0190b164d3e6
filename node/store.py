"""What a node keeps, and the rules by which it changes.

Every change is a *job*: a function of a `Batch`, run by the engine's one writer in the order of submission. The engine
commits what has queued as one transaction, and only when that is on stable storage do the jobs' futures resolve. So a
decision ("is this key new?") and the write that follows from it are one step that nothing can come between, and no
await is needed.

A job that depends on the view carries its stamp. The stamp of the view in force, the *fence*, is part of the same
transactions: once a view has been adopted, every job queued under an older one fails with `Fenced` and has written
nothing. Without it, an owner that has told its successor "this is all I have" could still acknowledge a write that was
waiting in its queue.

Counts and digests of each partition change in the transaction that changes its records, so they are read, never scanned
for.

Layout, in one ordered key space (so that any engine with get, put, delete and scan will do):
    partition (2 bytes)             -> live (8) + records (8) + digest (8): beside its records, to share their page
    partition (2 bytes) + key       -> version (16) + flags (1) + value (JSON, as it was sent)
    0xFE + partition (2) + address  -> nothing: this donor may still hold keys of the partition
    0xFF + name                     -> a setting of the node
Must not import aiohttp or lmdb: the engine comes in from outside.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec
import xxhash

from gossip.view import Address, Stamp, View, decode_view
from node.errors import Fenced
from node.records import Record, Version, decode_record
from ring.hashing import PARTITIONS

T = TypeVar("T")

_STATS = struct.Struct(">QQQ")
_DONOR, _SETTING = b"\xfe", b"\xff"

CHECK_BYTES = 1024 * 1024
"""Of records that a check holds in memory at a time."""


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


class Batch:
    """The jobs of one transaction see the store through this."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._fence: Stamp | None = None
        self.stats: dict[int, Stats] = {}

    @property
    def fence(self) -> Stamp:
        if self._fence is None:
            self._fence = _decode_stamp(self._transaction.get(_SETTING + b"fence"))
        return self._fence

    def demand(self, fence: Stamp) -> None:
        """Raises Fenced unless `fence` is the stamp of the view in force."""
        if fence != self.fence:
            raise Fenced(str(self.fence))

    def get(self, partition: int, key: bytes) -> Record | None:
        encoded = self._transaction.get(partition.to_bytes(2) + key)
        return None if encoded is None else decode_record(encoded)

    def put(self, partition: int, key: bytes, record: Record, held: Record | None) -> None:
        """`held`: what `get` says is there; nobody puts or deletes without having looked."""
        self._transaction.put(partition.to_bytes(2) + key, record.encode())
        self._count(partition, key, held, record)

    def delete(self, partition: int, key: bytes, held: Record) -> None:
        """`held`: see `put`."""
        self._transaction.delete(partition.to_bytes(2) + key)
        self._count(partition, key, held, None)

    def set(self, name: str, value: bytes) -> None:
        self._transaction.put(_SETTING + name.encode(), value)

    def setting(self, name: str) -> bytes | None:
        return self._transaction.get(_SETTING + name.encode())

    def enter(self, view: View) -> None:
        """Make `view` the one in force: from here on, jobs queued under another are fenced off."""
        self.set("view", view.encoded)
        self.set("fence", msgspec.msgpack.encode(view.stamp))
        self._fence = view.stamp

    def add_donor(self, partition: int, donor: Address) -> None:
        self._transaction.put(_DONOR + partition.to_bytes(2) + donor.encode(), b"\0")

    def remove_donor(self, partition: int, donor: Address) -> None:
        self._transaction.delete(_DONOR + partition.to_bytes(2) + donor.encode())

    def finish(self) -> None:
        """Write what was gathered; the last call before the commit."""
        for partition, stats in self.stats.items():
            self._transaction.put(partition.to_bytes(2), _STATS.pack(*stats))

    def _count(self, partition: int, key: bytes, gone: Record | None, come: Record | None) -> None:
        live, records, digest = self.stats.get(partition) or _stats(self._transaction, partition)
        if gone is not None:
            live, records, digest = live - gone.live, records - 1, digest ^ _digest(key, gone)
        if come is not None:
            live, records, digest = live + come.live, records + 1, digest ^ _digest(key, come)
        self.stats[partition] = Stats(live, records, digest)


class Written(NamedTuple):
    """The write is in the store under its version. `replaced`: it found a live value."""

    replaced: bool


class Absent(NamedTuple):
    """A delete found nothing, and wrote nothing."""


class Newer(NamedTuple):
    """The key is held in a newer version: nothing was written, and the write must be stamped above this one."""

    version: Version


class Unsure(NamedTuple):
    """No record is held, but one may be where nobody can look now: nothing was written."""


WriteOutcome: TypeAlias = Written | Absent | Newer | Unsure


class Store:
    """The records, the view, and what else a node must remember. All writes resolve when they are on stable storage."""

    def __init__(self, open_engine: EngineFactory) -> None:
        self._stats: list[Stats] = [Stats(0, 0, 0)] * PARTITIONS
        self.occupied: frozenset[int] = frozenset()
        """The partitions of which there are records here; replaced by another set when that changes."""
        self._engine = open_engine(Batch, self._committed)
        self._note_stats({partition: _stats(self._engine, partition) for partition in self._stored_partitions()})

    def close(self) -> None:
        self._engine.close()

    # Records

    def get(self, partition: int, key: bytes) -> Record | None:
        encoded = self._engine.get(partition.to_bytes(2) + key)
        return None if encoded is None else decode_record(encoded)

    def scan(self, partition: int, after: bytes | None, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """(key, encoded record) of a partition in the order of keys, those beyond `after`, about `bytes_max` bytes of
        them."""
        start = partition.to_bytes(2) + (after or b"") + b"\0"
        return [
            (place[2:], encoded) for place, encoded in self._engine.scan(start, (partition + 1).to_bytes(2), bytes_max)
        ]

    def stats(self, partition: int) -> Stats:
        return self._stats[partition]

    def write(
        self,
        fence: Stamp,
        partition: int,
        key: bytes,
        version: Version,
        value: bytes | None,
        seen: Record | None = None,
        sure: bool = True,
    ) -> Awaitable[WriteOutcome]:
        """Put, or with `value` None delete, as the version says. `seen`: the newest record that peers hold, to be
        judged as if it were here, and kept. `sure`: a key that is neither here nor seen does not exist. Doing it twice
        is doing it once."""

        def job(batch: Batch) -> WriteOutcome:
            batch.demand(fence)
            held = batch.get(partition, key)
            if seen is not None and (held is None or seen.version > held.version):
                batch.put(partition, key, seen, held)
                held = seen
            if held is not None and held.version == version:
                return Written(held.replaced)
            if held is None and not sure:
                return Unsure()
            live = held is not None and held.live
            if value is None and not live:
                return Absent()
            if held is not None and held.version > version:
                return Newer(held.version)
            batch.put(partition, key, Record(version, value, live), held)
            return Written(live)

        return self._engine.submit(job)

    def merge(
        self,
        fence: Stamp,
        records: Sequence[tuple[int, bytes, Record]],
        finished: Sequence[tuple[int, Address]] = (),
    ) -> Awaitable[None]:
        """Take, of (partition, key, record), what is newer than what is held. `finished`: (partition, donor) where the
        donor then holds nothing more."""

        def job(batch: Batch) -> None:
            batch.demand(fence)
            for partition, key, record in records:
                held = batch.get(partition, key)
                if held is None or held.version < record.version:
                    batch.put(partition, key, record, held)
            for partition, donor in finished:
                batch.remove_donor(partition, donor)

        return self._engine.submit(job)

    def drop(self, fence: Stamp, versions: Sequence[tuple[int, bytes, Version]]) -> Awaitable[None]:
        """Forget these records, given by (partition, key, version), unless another version has taken their place."""

        def job(batch: Batch) -> None:
            batch.demand(fence)
            for partition, key, version in versions:
                held = batch.get(partition, key)
                if held is not None and held.version == version:
                    batch.delete(partition, key, held)

        return self._engine.submit(job)

    # Donors

    def donors(self) -> Iterator[tuple[int, Address]]:
        """(partition, donor) for each donor that may still hold keys of a partition owned here."""
        for key, _ in self._engine.scan(_DONOR, _SETTING, 2**30):
            yield int.from_bytes(key[1:3]), key[3:].decode()

    def change_donors(
        self, fence: Stamp, add: Iterable[tuple[int, Address]] = (), remove: Iterable[tuple[int, Address]] = ()
    ) -> Awaitable[None]:
        added, removed = tuple(add), tuple(remove)

        def job(batch: Batch) -> None:
            batch.demand(fence)
            for partition, donor in added:
                batch.add_donor(partition, donor)
            for partition, donor in removed:
                batch.remove_donor(partition, donor)

        return self._engine.submit(job)

    # The view, and settings

    def view(self) -> View | None:
        """The view in force; None on an empty disk."""
        encoded = self._engine.get(_SETTING + b"view")
        return None if encoded is None else decode_view(encoded)

    def setting(self, name: str) -> bytes | None:
        return self._engine.get(_SETTING + name.encode())

    def set(self, name: str, value: bytes) -> Awaitable[None]:
        return self._engine.submit(lambda batch: batch.set(name, value))

    def submit(self, job: Callable[[Batch], T]) -> Awaitable[T]:
        return self._engine.submit(job)

    def check(self, partitions: Iterable[int] | None = None) -> None:
        """Raises AssertionError unless the figures of these partitions, None: of all, are those of their records."""
        for partition in {*self.occupied, *self._stored_partitions()} if partitions is None else partitions:
            live, digest, keys = 0, 0, 0
            after: bytes | None = None
            while found := self.scan(partition, after, CHECK_BYTES):
                after = found[-1][0]
                for key, encoded in found:
                    record = decode_record(encoded)
                    live, digest, keys = live + record.live, digest ^ _digest(key, record), keys + 1
            counted, stored = Stats(live, keys, digest), _stats(self._engine, partition)
            assert counted == stored == self._stats[partition], f"{partition}: {counted}, {stored} on disk"
            assert (keys > 0) == (partition in self.occupied), f"{partition}: {keys} records, yet it is not so listed"

    def _stored_partitions(self) -> Iterator[int]:
        """Those of which the disk says anything: that have or once had records. In a small store they are few, so it
        skips from one to the next."""
        start = 0
        while found := self._engine.scan(start.to_bytes(2), _DONOR, 0):
            partition = int.from_bytes(found[0][0][:2])
            yield partition
            start = partition + 1

    def _committed(self, batch: Batch) -> None:
        self._note_stats(batch.stats)

    def _note_stats(self, changed: Mapping[int, Stats]) -> None:
        for partition, stats in changed.items():
            self._stats[partition] = stats
        differing = {
            partition for partition, stats in changed.items() if (partition in self.occupied) != (stats.records > 0)
        }
        if differing:
            self.occupied ^= differing


class _Reads(Protocol):
    def get(self, key: bytes) -> bytes | None: ...


def _stats(source: _Reads, partition: int) -> Stats:
    encoded = source.get(partition.to_bytes(2))
    return Stats(0, 0, 0) if encoded is None else Stats(*_STATS.unpack(encoded))


def _digest(key: bytes, record: Record) -> int:
    return xxhash.xxh3_64_intdigest(key + record.version)


def _decode_stamp(encoded: bytes | None) -> Stamp:
    return Stamp(-1, 0) if encoded is None else msgspec.msgpack.decode(encoded, type=Stamp)

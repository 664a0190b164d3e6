"""What a node keeps, and the rules by which it changes.

Every change is a *job*: a function of a `Transaction`, run by the engine's one writer in the order of submission. The
engine commits what has queued as one transaction, and only when that is on stable storage do the jobs' futures resolve.
So a decision ("is this key new?") and the write that follows from it are one step, and nothing can come between them.

A job that depends on the view carries the view's id: once another view has been adopted, every job queued under an
older one fails with `Fenced`. Without this, an owner that has told its successor "this is all I have" could still
acknowledge a write that was waiting in its queue. Where each thing is kept on disk, `keys` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from gossip.view import Address, View, ViewId, decode_view
from node.errors import StorageFault
from node.storage.audit import check_partition
from node.storage.disk import Disk
from node.storage.expiries import Expiries
from node.storage.kept import read_kept
from node.storage.keys import DONORS, SETTINGS, Setting, partition_place, record_place, setting_place
from node.storage.ranges import Ranges
from node.storage.transaction import EngineFactory, Stats, Transaction, partitions_in, reading_in, stats_in
from node.storage.writes import WriteOutcome, write
from node.values.condition import NO_CONDITION, Condition
from node.values.donors import NO_CHANGE, DonorsChange, Share, decode_share
from node.values.record import Record, decode_record, has_value, is_forgotten, version_of
from node.values.version import Version, clock_of, make_version
from ring.hashing import PARTITIONS

D = TypeVar("D")
T = TypeVar("T")


def _donor_in(item: tuple[bytes, bytes]) -> tuple[Address, Share]:
    place, encoded = item
    return place[1:].decode(), decode_share(encoded)


class Store:
    """The records, the view, and what else a node must remember. All writes resolve when they are on stable storage."""

    def __init__(self, open_engine: EngineFactory) -> None:
        """Raises StorageFault if what is on the disk is damaged."""
        self._on_commit: Callable[[Transaction], None] = lambda _: None
        self._stats: list[Stats] = [Stats(0, 0, 0)] * PARTITIONS
        self.occupied: frozenset[int] = frozenset()
        """The partitions of which there are records here; replaced by another set when that changes."""
        self.revision = 0
        """Rises whenever what `stats` says changes."""
        self.sweep_watermark = 0
        """The clock up to which no tombstones are left here, as was found since the start. Two copies with different
        sweep watermarks may differ just in tombstones that one of them has dropped."""
        self._engine = open_engine(lambda transaction: Transaction(transaction, self._stats), self._committed)
        self.disk: Disk = self._engine
        self.expiries = Expiries(self._engine)
        self.ranges = Ranges(self._engine, self._stats)
        try:
            found = partitions_in(self._engine)
            self._note_stats({partition: stats_in(self._engine, partition) for partition in found})
            self._note_watermarks()
        except StorageFault:
            self.close()
            raise

    def attach(self, on_commit: Callable[[Transaction], None]) -> None:
        """From now on, tell `on_commit` of each commit, before its jobs' futures resolve. To be called before anything
        is written."""
        self._on_commit = on_commit

    def close(self) -> None:
        """Raises Unclosed if the disk hangs."""
        self._engine.close()

    # Records

    def get(self, partition: int, key: bytes) -> Record | None:
        encoded = self.encoded(partition, key)
        return None if encoded is None else decode_record(encoded)

    def encoded(self, partition: int, key: bytes) -> bytes | None:
        """The record as it stands on disk, and as it travels."""
        return self._engine.get(record_place(partition, key))

    def scan(self, partition: int, after: bytes | None, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """(key, encoded record) of the keys beyond `after` in a partition, in the order of keys: as many as fit in
        about `bytes_max` bytes, but one at least if there is one."""
        start = record_place(partition, (after or b"") + b"\0")
        found = self._engine.scan(start, partition_place(partition + 1), bytes_max)
        return [(place[2:], encoded) for place, encoded in found]

    def scan_above(
        self, partition: int, after: bytes | None, bytes_max: int, clock: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        """Of what `scan` finds, the records stamped above `clock`; and the last key that was looked at, None once the
        partition has no more."""
        found, floor = self.scan(partition, after, bytes_max), make_version(clock + 1, 0)
        above = [item for item in found if item[1] >= floor]  # A record begins with its version.
        return above, found[-1][0] if found else None

    def stats(self, partition: int) -> Stats:
        return self._stats[partition]

    def digests(self, partitions: Iterable[int]) -> bytes:
        """Those of the figures of `partitions`, 8 bytes each, as nodes compare them."""
        return b"".join(self._stats[partition].digest.to_bytes(8) for partition in partitions)

    def write(
        self,
        fence: ViewId,
        partition: int,
        key: bytes,
        version: Version,
        value: bytes | None,
        peers_newest: Record | None = None,
        sure: bool = True,
        context: bytes = b"",
        condition: Condition = NO_CONDITION,
        expires_ms: int | None = None,
        now_ms: Callable[[], int] = lambda: 0,
    ) -> Awaitable[WriteOutcome]:
        """Put, or delete if `value` is None, under `version`. `peers_newest`: the newest record that peers hold; it is
        kept, and judged as if it had been here. `sure`: a key that is neither here nor there does not exist. `context`
        is kept with the value, which is to expire at `expires_ms`. `now_ms`: by which it is told what has expired;
        asked about what expires only. Nothing is written unless `condition` is met, but for what was written already:
        doing it twice is the same as doing it once. On a full disk, only deletions of what is larger than its tombstone
        are carried out."""

        def job(transaction: Transaction) -> WriteOutcome:
            transaction.demand(fence)
            about = transaction, partition, key, version, value, now_ms
            return write(*about, peers_newest, sure, context, condition, expires_ms)

        grows = value is not None or self._grows(partition, key, Record(version, None, True, context), peers_newest)
        return self._engine.submit(job, grows)

    def write_together(
        self, fence: ViewId, writes: Sequence[tuple[int, bytes, Version, bytes | None]], now_ms: Callable[[], int]
    ) -> Awaitable[list[WriteOutcome]]:
        """`write` of each of these (partition, key, version, value) by what is here, in this order and in one
        transaction; on a full disk, none is carried out."""

        def job(transaction: Transaction) -> list[WriteOutcome]:
            transaction.demand(fence)
            return [
                write(transaction, partition, key, version, value, now_ms) for partition, key, version, value in writes
            ]

        return self._engine.submit(job, grows=True)

    def merge(
        self,
        fence: ViewId,
        records: Sequence[tuple[int, bytes, bytes]],
        exclude: Collection[Address] | None = (),
        change: DonorsChange = NO_CHANGE,
    ) -> Awaitable[list[bytes]]:
        """Of `records` (partition, key, encoded record), take those that are newer than what is held, except deletions
        that are to be forgotten. Returns the keys of those taken. `exclude`: the co-owners that need not be told; None:
        all of them. `change`: of the donors, made in the same transaction. On a full disk, only tombstones of what is
        larger are taken."""

        def job(transaction: Transaction) -> list[bytes]:
            transaction.demand(fence)
            purge_watermark = transaction.purge_watermark
            taken: list[bytes] = []
            for partition, key, encoded in records:
                if is_forgotten(encoded, purge_watermark):
                    continue
                held = transaction.get(partition, key)
                if held is None or version_of(held) < version_of(encoded):
                    transaction.put(partition, key, encoded, held, exclude)
                    taken.append(key)
            transaction.change_donors(change)
            return taken

        return self._engine.submit(job, self._grow_together(records))

    # A full disk

    @property
    def is_full(self) -> bool:
        """Whether the disk takes no more records; but see `write` and `merge` about deletions."""
        return self._engine.is_full

    def _grows(self, partition: int, key: bytes, tombstone: Record, peers_newest: Record | None) -> bool:
        """Whether a deletion takes more room than what it replaces. On a disk with room it does not matter."""
        if not self._engine.is_full:
            return False
        held = self.encoded(partition, key)
        if held is None or not has_value(held):
            return peers_newest is not None  # If nobody else holds anything, there is nothing to write.
        return len(held) < len(tombstone.encode())

    def _grow_together(self, records: Sequence[tuple[int, bytes, bytes]]) -> bool:
        """Whether these records take more room than what they replace."""
        if not records or not self._engine.is_full:
            return bool(records)
        return len(self.relief_of(records)) < len(records)

    def relief_of(self, records: Sequence[tuple[int, bytes, bytes]]) -> Sequence[tuple[int, bytes, bytes]]:
        """Those of these records that take no more room than what they replace; none if the disk is not full."""
        if not self._engine.is_full:
            return ()
        held = ((record, self.encoded(record[0], record[1])) for record in records)
        return [record for record, old in held if old and not has_value(record[2]) and len(old) >= len(record[2])]

    def drop(self, fence: ViewId, versions: Sequence[tuple[int, bytes, Version]]) -> Awaitable[None]:
        """Forget these records, given by (partition, key, version), except where another version is held now."""

        def job(transaction: Transaction) -> None:
            transaction.demand(fence)
            for partition, key, version in versions:
                held = transaction.get(partition, key)
                if held is not None and version_of(held) == version:
                    transaction.delete(partition, key, held)

        return self._engine.submit(job)

    # Donors

    def donors(self) -> dict[Address, Share]:
        """The donors that may still hold keys of partitions owned here, as they are on disk. Raises StorageFault."""
        found = self._engine.scan(DONORS, SETTINGS, 2**30)
        return dict(read_kept("donor", _donor_in, item) for item in found)

    def change_donors(self, fence: ViewId, change: DonorsChange) -> Awaitable[None]:
        """Change them on disk."""

        def job(transaction: Transaction) -> None:
            transaction.demand(fence)
            transaction.change_donors(change)

        return self._engine.submit(job)

    # The view, and settings

    def view(self) -> View | None:
        """The view in force; None on an empty disk. Raises StorageFault."""
        return self.kept(Setting.VIEW, decode_view, None)

    def setting(self, setting: Setting) -> bytes | None:
        return self._engine.get(setting_place(setting))

    def kept(self, setting: Setting, decode: Callable[[bytes], T], absent: D) -> T | D:
        """What `decode` makes of a setting; `absent`: if there is none. Raises StorageFault if it cannot."""
        encoded = self.setting(setting)
        return absent if encoded is None else read_kept(setting, decode, encoded)

    def set(self, setting: Setting, value: bytes) -> Awaitable[None]:
        return self._engine.submit(lambda transaction: transaction.set(setting, value))

    def low_watermark(self) -> int:
        """The clock at or below which no write is taken from a client."""
        return reading_in(self, Setting.LOW_WATERMARK)

    @property
    def stable_watermark(self) -> int:
        """The clock up to which all that anybody took was on all its owners."""
        return self._stable_watermark

    @property
    def purge_watermark(self) -> int:
        """The clock up to which deletions are forgotten, and no others are taken."""
        return self._purge_watermark

    def note_swept(self, clock: int) -> None:
        """All tombstones up to `clock`, a reading that was the purge watermark, have been dropped."""
        assert self.sweep_watermark <= clock <= self._purge_watermark, "swept what was not to be forgotten"
        self.sweep_watermark = clock

    def has_forgotten_beyond(self, stable_watermark: int) -> bool:
        """Whether deletions are forgotten here that a node with this stable watermark may have missed."""
        return stable_watermark < self._purge_watermark

    def may_revive(self, version: Version, stable_watermark: int) -> bool:
        """Whether a record may be of a key that was deleted since, and whose deletion is forgotten here. To be asked of
        what comes from a node outside the view, which has this stable watermark; see `retention.tombstones`."""
        return self.has_forgotten_beyond(stable_watermark) and clock_of(version) <= self._purge_watermark

    def submit(self, job: Callable[[Transaction], T]) -> Awaitable[T]:
        return self._engine.submit(job)

    def check(self, partitions: Iterable[int] | None = None) -> None:
        """Raises AssertionError unless the figures of these partitions (None: of all), and what is noted of when it
        expires, are those of their records."""
        expiries = self.expiries.by_partition()
        assert self.expiries.count == sum(map(len, expiries.values())), "what expires is not what is counted"
        if partitions is None:
            partitions = {*self.occupied, *expiries, *partitions_in(self._engine)}
        for partition in partitions:
            stats = self._stats[partition]
            check_partition(self._engine, partition, stats, expiries.get(partition, set()))
            assert (stats.records > 0) == (partition in self.occupied), f"{partition}: {stats}, but not by `occupied`"

    def _committed(self, transaction: Transaction) -> None:
        self._note_stats(transaction.stats)
        self.expiries.note(transaction)
        if transaction.has_new_watermark:
            self._note_watermarks()
        self._on_commit(transaction)

    def _note_watermarks(self) -> None:
        self._stable_watermark = reading_in(self, Setting.STABLE_WATERMARK)
        self._purge_watermark = reading_in(self, Setting.PURGE_WATERMARK)

    def _note_stats(self, changed: Mapping[int, Stats]) -> None:
        if not changed:
            return
        self.revision += 1
        differing, known, occupied = set[int](), self._stats, self.occupied
        for partition, stats in changed.items():
            known[partition] = stats
            if (partition in occupied) != (stats.records > 0):
                differing.add(partition)
        if differing:
            self.occupied ^= differing

"""What is kept of the records besides them, held against the records themselves: figures, and when they expire.

It reads all of a partition, so it is for tests, and for whoever doubts a disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from node.storage.keys import Expiring, partition_place, record_place
from node.storage.transaction import Engine, Stats, digest_of, stats_in
from node.values.record import due_of, has_value

CHECK_BYTES = 1024 * 1024
"""How much of the records a check holds in memory at a time."""


def check_partition(engine: Engine, partition: int, stats: Stats, expiring: Collection[Expiring]) -> None:
    """Raises AssertionError unless the figures of the partition, those on disk and `stats` in memory, and what stands
    among the `expiring`, are those of its records."""
    counted, due = contents_of(partition, records_in(engine, partition))
    stored = stats_in(engine, partition)
    assert counted == stored == stats, f"{partition}: {counted}, {stored} on disk, {stats} in memory"
    assert due == expiring, f"{partition}: what is noted of when records expire is not what they say"


def contents_of(partition: int, records: Iterable[tuple[bytes, bytes]]) -> tuple[Stats, Collection[Expiring]]:
    """The figures of a partition with these records, (key, encoded record) each; and what of it is to expire."""
    live, digest, count, due = 0, 0, 0, set[Expiring]()
    for key, encoded in records:
        live, digest, count = live + has_value(encoded), digest ^ digest_of(key, encoded), count + 1
        if (due_ms := due_of(encoded)) is not None:
            due.add(Expiring(due_ms, partition, key))
    return Stats(live, count, digest), due


def records_in(engine: Engine, partition: int) -> Iterator[tuple[bytes, bytes]]:
    start = record_place(partition, b"\0")
    while found := engine.scan(start, partition_place(partition + 1), CHECK_BYTES):
        yield from ((place[2:], encoded) for place, encoded in found)
        start = found[-1][0] + b"\0"

"""What is read of ranges of keys: their records in one partition, or just the next keys of many."""

from __future__ import annotations

from collections.abc import Sequence

from node.storage.keys import partition_place, record_place
from node.storage.transaction import Engine, Stats


class Ranges:
    """`first` is not empty; with `stop` empty, a range goes to the end of its partition. Raises StorageFault."""

    def __init__(self, engine: Engine, stats: Sequence[Stats]) -> None:
        """`stats`: the figures of each partition; a live sequence."""
        self._engine = engine
        self._stats = stats

    def records(self, partition: int, first: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        """(key, encoded record) of the keys from `first` on and before `stop`, in the order of keys: as many as fit in
        about `bytes_max` bytes, but one at least if there is one."""
        found = self._engine.scan(*_range(partition, first, stop), bytes_max)
        return [(place[2:], encoded) for place, encoded in found]

    def first_keys(self, partitions: Sequence[int], first: bytes, stop: bytes, count: int) -> list[list[bytes]]:
        """Of each partition the first keys from `first` on and before `stop`, in order, `count` at most."""
        ranges = [_range(partition, first, stop) for partition in partitions]
        return [[place[2:] for place in found] for found in self._engine.first_keys(ranges, count)]

    def encoded(self, partition: int, key: bytes) -> bytes | None:
        """The record of a key."""
        return self._engine.get(record_place(partition, key))

    @property
    def figures(self) -> Sequence[Stats]:
        """Of each partition, live: replaced by another object whenever a record of it changes."""
        return self._stats


def _range(partition: int, first: bytes, stop: bytes) -> tuple[bytes, bytes]:
    return record_place(partition, first), record_place(partition, stop) if stop else partition_place(partition + 1)

"""Records in memory, by partition: what a walk reads of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ring.hashing import PARTITIONS


class Shelves:
    """`shelf_of`: the partition of a key."""

    def __init__(self, records: dict[bytes, bytes], shelf_of: Callable[[bytes], int]) -> None:
        self._records = records
        self._shelf_of = shelf_of
        self.figures: list[object] = [object() for _ in range(PARTITIONS)]
        self.reads = 0
        """Of how many partitions records, or keys, were read."""

    def put(self, key: bytes, record: bytes) -> None:
        self._records[key] = record
        self.figures[self._shelf_of(key)] = object()

    def drop(self, key: bytes) -> None:
        del self._records[key]
        self.figures[self._shelf_of(key)] = object()

    def records(self, partition: int, first: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        self.reads += 1
        found: list[tuple[bytes, bytes]] = []
        for key in self._keys(partition, first, stop):
            bytes_max -= len(key) + len(self._records[key])
            if bytes_max < 0 and found:
                break
            found.append((key, self._records[key]))
        return found

    def first_keys(self, partitions: Sequence[int], first: bytes, stop: bytes, count: int) -> list[list[bytes]]:
        self.reads += len(partitions)
        return [self._keys(partition, first, stop)[:count] for partition in partitions]

    def encoded(self, partition: int, key: bytes) -> bytes | None:
        assert self._shelf_of(key) == partition
        return self._records.get(key)

    def _keys(self, partition: int, first: bytes, stop: bytes) -> list[bytes]:
        in_range = (key for key in self._records if first <= key and (not stop or key < stop))
        return sorted(key for key in in_range if self._shelf_of(key) == partition)

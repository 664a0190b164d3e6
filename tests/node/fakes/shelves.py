"""Records in memory, by partition: what a walk reads of a store."""

from __future__ import annotations

from collections.abc import Callable


class Shelves:
    """`shelf_of`: the partition of a key."""

    def __init__(self, records: dict[bytes, bytes], shelf_of: Callable[[bytes], int]) -> None:
        self.records = records
        self.scans = 0
        self._shelf_of = shelf_of

    def scan_range(self, partition: int, first: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]:
        self.scans += 1
        found: list[tuple[bytes, bytes]] = []
        for key in sorted(self.records):
            if self._shelf_of(key) == partition and first <= key and (not stop or key < stop):
                bytes_max -= len(key) + len(self.records[key])
                if bytes_max < 0 and found:
                    break
                found.append((key, self.records[key]))
        return found

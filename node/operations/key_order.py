"""The keys of many partitions in one order, a part at a time.

A store keeps its records by partition, and within each by key. So the keys of a range, in the order of their bytes, are
a merge over all partitions: the next is the least of those that come next in each. Nothing else is kept in that order,
since every write would have to keep it too. A walk does a bounded part of the work each time it is asked, so that
nobody has to wait for its end; each part sees the store as it is then. Pure but for what it reads of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from node.net.messages import Range

RUN_BYTES = 512
"""How much of a partition is read ahead: most often, a page has one or two keys of each."""

LOOKS_MAX = 100_000
"""So many records are looked at for one part at most, if there is nothing to be taken of most of them."""


class Records(Protocol):
    """A `Store`, as far as it is read here."""

    def scan_range(self, partition: int, first: bytes, stop: bytes, bytes_max: int) -> list[tuple[bytes, bytes]]: ...


class Part(NamedTuple):
    """What was found of a range so far."""

    records: list[tuple[bytes, bytes]]
    """(key, what was taken of its encoded record), ascending by key."""
    end: bytes | None
    """There may be more after this key; None: there are no more."""


def bounds_of(range_: Range) -> tuple[bytes, bytes]:
    """The first key that there may be in a range, and the one before which it ends; empty: it has no end."""
    prefix, after = range_.prefix, range_.after
    first = after + b"\0" if after >= prefix and after else prefix or b"\0"
    stem = prefix.rstrip(b"\xff")
    return first, stem[:-1] + bytes([stem[-1] + 1]) if stem else b""


def walk(
    records: Records, partitions: Iterable[int], range_: Range, take: Callable[[bytes], bytes | None]
) -> Iterator[Part | None]:
    """The records of a range, in the end as one `Part`; before it comes None, once for each bounded part of the work.
    `take`: what of an encoded record, None: nothing; `range_.limit` and `range_.bytes_max` count what is taken."""
    first, stop = bounds_of(range_)
    heap: list[tuple[bytes, int, int, list[tuple[bytes, bytes]]]] = []
    for partition in partitions if not stop or first < stop else ():
        if run := records.scan_range(partition, first, stop, RUN_BYTES):
            heap.append((run[0][0], partition, 0, run))
        yield None
    heapify(heap)
    found: list[tuple[bytes, bytes]] = []
    room, looked, last = range_.bytes_max, 0, b""
    while heap:
        key, partition, index, run = heap[0]
        if (record := take(run[index][1])) is not None:
            room -= len(key) + len(record)
            if found and (len(found) == range_.limit or room < 0):
                last = found[-1][0]
                break
            found.append((key, record))
        elif looked >= LOOKS_MAX:
            break
        looked, last = looked + 1, key
        heappop(heap)
        if index + 1 == len(run):
            index, run = -1, records.scan_range(partition, key + b"\0", stop, RUN_BYTES)
            yield None
        if run:
            heappush(heap, (run[index + 1][0], partition, index + 1, run))
    yield Part(found, last if heap else None)

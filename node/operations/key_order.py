"""The keys of many partitions in one order, a part at a time.

A store keeps its records by partition, and within each by key. So the keys of a range, in the order of their bytes, are
a merge over all partitions: the next is the least of those that come next in each. Nothing else is kept in that order,
since every write would have to keep it too. A walk does a bounded part of the work each time it is asked, so that
nobody has to wait for its end; each part sees the store as it is then.

Of each partition a few keys are read ahead, and not their records, which may be large. What a walk has read so and not
used may serve the next one, which begins where it ends; but not what was read of a partition that has changed since.
Pure but for what it reads of the store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple, Protocol

from node.net.messages import Range

RUN_KEYS = 8
"""So many keys of a partition are read ahead: most often, a page has one or two of each."""
GLANCES_A_TURN, READS_A_TURN, LOOKS_A_TURN = 256, 32, 32
"""How many partitions are asked whether their next keys have been read, of how many they are read, and how many records
are looked at, at once: a tenth of a millisecond each."""
LOOKS_MAX = 100_000
"""So many records are looked at for one part at most, if there is nothing to be taken of most of them."""


class Keys(Protocol):
    """A `Ranges`, as far as it is read here."""

    def first_keys(self, partitions: Sequence[int], first: bytes, stop: bytes, count: int) -> list[list[bytes]]: ...
    def encoded(self, partition: int, key: bytes) -> bytes | None: ...
    @property
    def figures(self) -> Sequence[object]: ...


class Run(NamedTuple):
    """What was read ahead of one partition."""

    keys: list[bytes]
    """Ascending; none is left out."""
    is_all: bool
    """Whether there are no more after them."""
    figures: object
    """Those of the partition when the first of them was read. If they are others now, there may be other keys."""


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
    keys: Keys,
    partitions: Sequence[int],
    range_: Range,
    take: Callable[[bytes], bytes | None],
    runs: dict[int, Run],
) -> Iterator[Part | None]:
    """The records of a range, in the end as one `Part`; before it comes None, once for each bounded part of the work.
    `take`: what of an encoded record, None: nothing; `range_.limit` and `range_.bytes_max` count what is taken. `runs`:
    what was read ahead of the keys from there on, by partition; when this ends, what may serve the next walk."""
    first, stop = bounds_of(range_)
    heap: list[tuple[bytes, int, int]] = []
    """Of each partition the next key, and its index in the run."""
    figures = keys.figures
    for some in _batches(() if stop and first >= stop else partitions, GLANCES_A_TURN):
        unread = list[int]()
        for partition in some:  # Thousands for each page: nothing is called that need not be.
            run = runs.get(partition)
            if run is None or run.figures is not figures[partition]:
                unread.append(partition)
                continue
            ahead = run.keys
            if ahead and ahead[0] < first:
                del ahead[: bisect_left(ahead, first)]
            if ahead:
                heap.append((ahead[0], partition, 0))
            elif not run.is_all:
                unread.append(partition)
        for batch in _batches(unread, READS_A_TURN):
            for partition, found in zip(batch, keys.first_keys(batch, first, stop, RUN_KEYS), strict=True):
                runs[partition] = Run(found, len(found) < RUN_KEYS, figures[partition])
                if found:
                    heap.append((found[0], partition, 0))
            yield None
        yield None
    heapify(heap)
    records: list[tuple[bytes, bytes]] = []
    room, looked, last = range_.bytes_max, 0, b""
    encoded_of = keys.encoded
    while heap:
        key, partition, index = heap[0]
        encoded = encoded_of(partition, key)
        if encoded is not None and (record := take(encoded)) is not None:
            room -= len(key) + len(record)
            if records and (len(records) == range_.limit or room < 0):
                last = records[-1][0]
                break
            records.append((key, record))
        elif looked >= LOOKS_MAX:
            break
        looked, last = looked + 1, key
        run = runs[partition]
        if index + 1 == len(run.keys) and not run.is_all:
            (more,) = keys.first_keys([partition], key + b"\0", stop, RUN_KEYS)
            run = runs[partition] = Run(run.keys + more, len(more) < RUN_KEYS, run.figures)
        if index + 1 < len(run.keys):
            heapreplace(heap, (run.keys[index + 1], partition, index + 1))
        else:
            heappop(heap)
        if looked % LOOKS_A_TURN == 0:
            yield None
    yield Part(records, last if heap else None)


def _batches(partitions: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (partitions[start : start + size] for start in range(0, len(partitions), size))

"""The keys of many partitions in one order, a part at a time.

A store keeps its records by partition, and within each by key. So the keys of a range, in the order of their bytes, are
a merge over all partitions: the next is the least of those that come next in each. Nothing else is kept in that order,
since every write would have to keep it too. A walk does a bounded part of the work each time it is asked, so that
nobody has to wait for its end; each part sees the store as it is then.

Of each partition a few keys are read ahead, and not their records, which may be large. A walk that begins where another
has ended goes on with its merge; but not with what was read of a partition that has changed since. It may begin before
that end, too: what was passed from there on is passed again. Pure but for what it reads of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import inf
from typing import NamedTuple, Protocol, TypeAlias

from node.net.messages import Range

RUN_KEYS = 8
"""So many keys of a partition are read ahead: most often, a page has one or two of each."""
READS_A_TURN, LOOKS_A_TURN = 32, 40
"""Of how many partitions keys are read, and how many records are looked at, at once: a tenth of a millisecond each."""


class Keys(Protocol):
    """A `Ranges`, as far as it is read here."""

    def first_keys(self, partitions: Sequence[int], first: bytes, stop: bytes, count: int) -> list[list[bytes]]: ...
    def encoded(self, partition: int, key: bytes) -> bytes | None: ...
    @property
    def figures(self) -> Sequence[object]: ...


Place: TypeAlias = tuple[bytes, int]
"""A key and its partition."""
Next: TypeAlias = tuple[bytes, int, list[bytes] | None]
"""The same of a key that has yet to be passed, and what was read of the keys after it in its partition: the next one is
last, and after the last of all comes an empty one. None: it was passed before, and they have places of their own."""


class Merge:
    """How far walks have come through the keys of a range."""

    def __init__(self) -> None:
        self._heap: list[Next] = []
        self._figures: dict[int, object] = {}
        """Of each partition, those that it had when the first of its keys was read. If they are others now, there may
        be other keys."""
        self._passed: list[Place] = []
        """By the walk that goes on, in order."""

    @property
    def is_over(self) -> bool:
        return not self._heap

    def go_on(self, first: bytes, partitions: Sequence[int], figures: Sequence[object]) -> list[int]:
        """From this key on, which comes after that from which the last walk went on, through these partitions, whose
        figures are these by now. Returns those whose next keys have to be read."""
        for key, partition in reversed(self._passed):
            if key < first:
                break
            heappush(self._heap, (key, partition, None))
        self._passed = []
        known = self._figures
        unread = [number for number in partitions if known.get(number) is not figures[number]]
        if len(partitions) - len(unread) < len(known):
            unchanged = set(partitions).difference(unread)
            self._figures = {number: known[number] for number in unchanged}
            self._heap = [following for following in self._heap if following[1] in unchanged]
            heapify(self._heap)
        return unread

    def add(self, partition: int, keys: list[bytes], figures: object) -> None:
        """What was read of a partition that has these figures: its next keys."""
        self._figures[partition] = figures
        run = _run_of(keys)
        if key := run.pop():
            heappush(self._heap, (key, partition, run))

    def take(self, count: int, keys_after: Callable[[Place], list[bytes]]) -> list[Place]:
        """Pass the next keys, so many at most. `keys_after`: which come next in the partition of this one."""
        heap, taken = self._heap, list[Place]()
        while heap and len(taken) < count:  # Hundreds for each page: nothing is called that need not be.
            key, partition, run = heap[0]
            taken.append((key, partition))
            if run is None:
                heappop(heap)
                continue
            run = run or _run_of(keys_after((key, partition)))
            if following := run.pop():
                heapreplace(heap, (following, partition, run))
            else:
                heappop(heap)
        self._passed += taken
        return taken


def _run_of(keys: list[bytes]) -> list[bytes]:
    """See `Next`."""
    return keys[::-1] if len(keys) == RUN_KEYS else [b"", *reversed(keys)]


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
    merge: Merge,
    now: Callable[[], float] = lambda: 0.0,
    looks_s: float = inf,
) -> Iterator[Part | None]:
    """The records of a range, in the end as one `Part`; before it comes None, once for each bounded part of the work.
    `take`: what of an encoded record, None: nothing; `range_.limit` and `range_.bytes_max` count what is taken.
    `merge`: where to go on; when this ends, where the next walk may. `looks_s`: how long to look at records, by `now`:
    where there is nothing to be taken of most of them, it ends with few, or none."""
    first, stop = bounds_of(range_)
    if stop and first >= stop:
        yield Part([], None)
        return

    def keys_after(place: Place) -> list[bytes]:
        key, partition = place
        return keys.first_keys([partition], key + b"\0", stop, RUN_KEYS)[0]

    unread = merge.go_on(first, partitions, keys.figures)
    yield None
    for start in range(0, len(unread), READS_A_TURN):
        batch = unread[start : start + READS_A_TURN]
        for partition, found in zip(batch, keys.first_keys(batch, first, stop, RUN_KEYS), strict=True):
            merge.add(partition, found, keys.figures[partition])
        yield None
    records: list[tuple[bytes, bytes]] = []
    room, looked, last, until = range_.bytes_max, 0, b"", now() + looks_s

    def count() -> int:
        """How many to look at next: as many as there is room for in this turn and the range, and one that tells whether
        there is more."""
        return min(LOOKS_A_TURN - looked % LOOKS_A_TURN, range_.limit + 1 - len(records))

    while some := merge.take(count(), keys_after):
        for key, partition in some:
            encoded = keys.encoded(partition, key)
            if encoded is None or (record := take(encoded)) is None:
                continue
            room -= len(key) + len(record)
            if records and (len(records) == range_.limit or room < 0):
                yield Part(records, records[-1][0])
                return
            records.append((key, record))
        looked, (last, _) = looked + len(some), some[-1]
        if looked % LOOKS_A_TURN == 0:
            yield None
            if now() >= until:
                break
    yield Part(records, None if merge.is_over else last)

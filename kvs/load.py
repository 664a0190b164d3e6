"""Loads many entries into the store, as one batch, and counts what became of each.

Owns in which order they go, when to give up, and how far everything is stored: whoever breaks off a load, or has to,
can go on with what follows.

Entries go in the order of their hashes, some ten thousands at a time, fewer where the store is slow. So those that an
owner commits together are neighbours on its disk too, and share pages, and the figures of their partitions: with a
million keys on three nodes, that costs the nodes half. Entries of one key stay in their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from kvs.errors import BadRequest, KvsError
from kvs.load_input import BadLine, Source
from kvs.operating import Operator
from kvs.operations import Slot
from kvs.repeating import Patience
from ring.hashing import hash_of

PATIENCE = Patience(10.0, 5.0, None)
"""With each entry: a node that restarts, or was found dead, is back or done without by then."""
UNDELIVERED_MAX = 100
"""After so many entries that no node took, the store is down."""
FAILURES_NAMED_MAX = 10
GROUP_ENTRIES_MIN, GROUP_ENTRIES_MAX = 1024, 64 * 1024
GROUP_BYTES_MAX = 16 * 1024 * 1024
"""So much is put in order at a time."""
GROUP_S_MIN, GROUP_S_MAX = 0.5, 2.0
"""As long as it takes the store is how much has to be done again after a break, so groups grow and shrink with it."""
SLICE_ENTRIES = 4096
"""So many of a group are handed on at a time: what is under way stays within the bounds of a batch."""
GATHER_S = 0.05
"""What comes through a pipe waits no longer than this for more to go with it."""


class Failure(msgspec.Struct, frozen=True):
    entry: str
    """The key, quoted, or the number of a line that has none."""
    error: str


@dataclass
class Tally:
    """What became of the entries so far."""

    stored: int = 0
    expired: int = 0
    """Not stored, as their time had passed."""
    refused: int = 0
    """By the store, or because they are malformed: trying again would not help."""
    undelivered: int = 0
    through: int = 0
    """All lines, or members, up to this number are done with."""
    failures: list[Failure] = field(default_factory=list)
    """The first few."""
    _under_way: deque[Slot] = field(default_factory=deque)
    """In the order of the input, from the first on that is not done with."""

    @property
    def failed(self) -> int:
        return self.refused + self.undelivered

    @property
    def gave_up(self) -> bool:
        """Whether the rest of the input was left untried."""
        return self.undelivered >= UNDELIVERED_MAX

    def refuse(self, bad: Iterable[BadLine]) -> None:
        for line in bad:
            self.refused += 1
            self._note(f"line {line.number}", line.fault)

    def begin(self, slots: Iterable[Slot]) -> None:
        """These are under way from now on, in the order of the input. Behind one that was undelivered none is noted:
        there a load has to go on."""
        if not self._under_way or not _is_undelivered(self._under_way[0]):
            self._under_way.extend(slots)

    def count(self, slots: Iterable[Slot]) -> None:
        """Take note of results, in whatever order they come."""
        for slot in slots:
            if not isinstance(slot.outcome, KvsError):
                self.stored += 1
            else:
                self.refused += isinstance(slot.outcome, BadRequest)
                self.undelivered += _is_undelivered(slot)
                self._note(repr(slot.key.decode()), str(slot.outcome))
        under_way = self._under_way
        while under_way and under_way[0].outcome is not None and not _is_undelivered(under_way[0]):
            self.through = under_way.popleft().number

    def _note(self, entry: str, error: str) -> None:
        if len(self.failures) < FAILURES_NAMED_MAX:
            self.failures.append(Failure(entry, error))


async def load(client: Operator, source: Source, tally: Tally, on_progress: Callable[[Tally], None]) -> None:
    """Write every entry of an open source. An entry that fails raises nothing: the tally says what became of it. Raises
    BadInput."""
    batch = client.begin_batch(PATIENCE)
    try:
        async for group in _groups(source, tally):
            tally.begin(group)
            group.sort(key=lambda slot: hash_of(slot.key))
            for start in range(0, len(group), SLICE_ENTRIES):
                some = group[start : start + SLICE_ENTRIES]
                source.date(some)
                await batch.exchange(some, tally.count)
                on_progress(tally)
                if tally.gave_up:
                    return
        while rest := await batch.rest():
            tally.count(rest)
            on_progress(tally)
        if not tally.undelivered:
            tally.through = source.numbers
    finally:
        tally.count(batch.take())
        await batch.close()


async def _groups(source: Source, tally: Tally) -> AsyncIterator[list[Slot]]:
    """The entries of the source, in its order: as many at a time as are there, within bounds. Raises BadInput."""
    loop = asyncio.get_running_loop()
    group, room, end = list[Slot](), GROUP_BYTES_MAX, None
    size, began = GROUP_ENTRIES_MIN, loop.time()
    async for block in source.blocks():
        tally.refuse(block.bad)
        tally.expired += block.expired
        group += block.puts
        room -= sum(len(slot.line) for slot in block.puts)
        end = end or loop.time() + GATHER_S
        is_full = room <= 0 or len(group) >= size
        if is_full or not await source.has_more(end - loop.time()):
            yield group
            took_s, began = loop.time() - began, loop.time()
            size = _next_size(size, took_s)
            group, room, end = [], GROUP_BYTES_MAX, None
    yield group


def _next_size(size: int, took_s: float) -> int:
    if took_s < GROUP_S_MIN:
        return min(2 * size, GROUP_ENTRIES_MAX)
    return max(size // 2, GROUP_ENTRIES_MIN) if took_s > GROUP_S_MAX else size


def _is_undelivered(slot: Slot) -> bool:
    return isinstance(slot.outcome, KvsError) and not isinstance(slot.outcome, BadRequest)

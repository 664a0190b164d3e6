"""Loads many entries into the store, as one batch, and counts what became of each.

Owns when to give up, and how far everything is stored: results come in the order of the input, so whoever breaks off a
load, or has to, can go on with what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from kvs.errors import BadRequest, KvsError
from kvs.load_input import BadLine, Source
from kvs.operating import Operator
from kvs.operations import Slot
from kvs.repeating import Patience

PATIENCE = Patience(10.0, 5.0, None)
"""With each entry: a node that restarts, or was found dead, is back or done without by then."""
UNDELIVERED_MAX = 100
"""After so many entries that no node took, the store is down."""
FAILURES_NAMED_MAX = 10


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

    def count(self, slots: Iterable[Slot]) -> None:
        """Take note of results, which are in the order of the input."""
        for slot in slots:
            if not isinstance(slot.outcome, KvsError):
                self.stored += 1
            else:
                self.refused += isinstance(slot.outcome, BadRequest)
                self.undelivered += not isinstance(slot.outcome, BadRequest)
                self._note(repr(slot.key.decode()), str(slot.outcome))
            if not self.undelivered:
                self.through = slot.number

    def _note(self, entry: str, error: str) -> None:
        if len(self.failures) < FAILURES_NAMED_MAX:
            self.failures.append(Failure(entry, error))


async def load(client: Operator, source: Source, tally: Tally, on_progress: Callable[[Tally], None]) -> None:
    """Write every entry of an open source. An entry that fails raises nothing: the tally says what became of it. Raises
    BadInput."""
    batch = client.begin_batch(PATIENCE)
    try:
        async for block in source.blocks():
            tally.refuse(block.bad)
            tally.expired += block.expired
            await batch.exchange(block.puts, tally.count)
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

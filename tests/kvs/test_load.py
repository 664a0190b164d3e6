"""What a load counts, and how far it says that everything is stored."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import cast

import pytest

from kvs import load as loading
from kvs.errors import BadRequest, KvsError, OutcomeUnknown, Unreachable
from kvs.load import FAILURES_NAMED_MAX, UNDELIVERED_MAX, Failure, Tally
from kvs.load_input import BadLine, Source
from kvs.operating import Operator
from kvs.operations import AnswerLine, Slot
from ring.hashing import hash_of


def done(number: int, outcome: AnswerLine | KvsError | None = None) -> Slot:
    return Slot(b"k%d" % number, b"", "PUT", False, number, outcome or AnswerLine(status=201))


def begun(tally: Tally, *slots: Slot) -> list[Slot]:
    tally.begin(slots)
    return [*slots]


def test_tally_goes_as_far_as_everything_is_stored_or_refused() -> None:
    tally = Tally(through=7)
    tally.count(begun(tally, done(8), done(9, BadRequest("Key is too long")), done(11)))
    assert (tally.stored, tally.refused, tally.through) == (2, 1, 11)
    tally.count(begun(tally, done(12, Unreachable({})), done(13)))
    tally.count(begun(tally, done(14), done(15, OutcomeUnknown({}))))
    assert (tally.stored, tally.undelivered, tally.failed) == (4, 2, 3)
    assert tally.through == 11, "what follows one that no node took has to be tried again with it"


def test_tally_goes_no_further_than_the_first_of_the_input_that_is_not_done() -> None:
    tally = Tally()
    slots = begun(tally, *(Slot(b"k%d" % number, b"", "PUT", False, number) for number in range(1, 6)))
    for number, through in ((3, 0), (1, 1), (5, 1), (2, 3)):
        slots[number - 1].outcome = AnswerLine(status=201)
        tally.count([slots[number - 1]])
        assert tally.through == through
    slots[3].outcome = Unreachable({})
    tally.count([slots[3]])
    assert (tally.through, tally.stored, tally.undelivered) == (3, 4, 1)


def test_tally_gives_up_after_many_that_no_node_took_and_names_the_first_few() -> None:
    tally = Tally()
    tally.refuse([BadLine(1, "no entry")])
    tally.count([done(n, Unreachable({})) for n in range(2, UNDELIVERED_MAX + 1)])
    assert not tally.gave_up
    tally.count([done(1000, Unreachable({}))])
    assert tally.gave_up and tally.failed == UNDELIVERED_MAX + 1
    assert len(tally.failures) == FAILURES_NAMED_MAX
    assert tally.failures[:2] == [
        Failure("line 1", "no entry"),
        Failure("'k2'", "no node gave a result: there was no time"),
    ]


class Recorded:
    """A batch whose operations are all stored when it ends, and the client that begins it."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []

    def begin_batch(self, _patience: object) -> Recorded:
        return self

    async def exchange(self, slots: list[Slot], _got: Callable[[list[Slot]], None]) -> None:
        self.slots += slots

    async def rest(self) -> list[Slot]:
        ended = [slot for slot in self.slots if slot.outcome is None]
        for slot in ended:
            slot.outcome = AnswerLine(status=201)
        return ended

    def take(self) -> list[Slot]:
        return []

    async def close(self) -> None:
        """Nothing is under way."""


@pytest.mark.parametrize("bound", ["GROUP_ENTRIES_MIN", "GROUP_BYTES_MAX"])
async def test_load_brings_neighbours_together_a_bounded_group_at_a_time(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(loading, "GROUP_ENTRIES_MAX", 1 if bound == "GROUP_ENTRIES_MIN" else 1_000_000)
    monkeypatch.setattr(loading, bound, 1)  # A group is what is read at a time: some 2,000 lines.
    keys = [f"k{number}" for number in range(5000)]
    lines = "".join(json.dumps({"key": key, "value": turn}) + "\n" for turn in (0, 1) for key in keys)
    recorded, tally, source = Recorded(), Tally(), Source(io.BytesIO(lines.encode()), "words.jsonl")
    await source.open()
    await loading.load(cast(Operator, recorded), source, tally, lambda _tally: None)
    assert (tally.stored, tally.through) == (10_000, 10_000)
    hashes = [hash_of(slot.key) for slot in recorded.slots]
    groups = 1 + sum(before > after for before, after in pairwise(hashes))
    assert 3 <= groups <= 8, "all in one group, or in no order"
    last = {slot.key: slot.number for slot in recorded.slots}
    assert min(last.values()) > len(keys), "what came last of a key has to be what it has"


def test_load_takes_as_much_at_a_time_as_the_store_does_in_a_second_or_so() -> None:
    """After a break, no more than that has to be done again."""
    fast = list(accumulate(range(10), lambda size, _: loading._next_size(size, 0.1), initial=1024))
    assert fast[:4] == [1024, 2048, 4096, 8192] and fast[-1] == loading.GROUP_ENTRIES_MAX
    assert loading._next_size(8192, 1.0) == 8192
    slow = list(accumulate(range(5), lambda size, _: loading._next_size(size, 10.0), initial=8192))
    assert slow == [8192, 4096, 2048, 1024, 1024, 1024]


async def test_load_tells_how_long_an_entry_stays_when_it_is_sent_not_when_it_was_read() -> None:
    """It may have waited for as long as others took, and is to expire when it was to."""
    times = iter((1000.0, 1000.0, 1004.0))  # As each line is read, and as they are sent.
    lines = (
        b'{"key":"a","value":1,"expires":1010}\n{"key":"b","value":1,"expires":1003}\n{"key":"c","value":1,"ttl":7}\n'
    )
    recorded, source = Recorded(), Source(io.BytesIO(lines), "words.jsonl", now=lambda: next(times))
    await source.open()
    await loading.load(cast(Operator, recorded), source, Tally(), lambda _tally: None)
    sent = {slot.key: json.loads(slot.line) for slot in recorded.slots}
    assert {key: line["ttl"] for key, line in sent.items()} == {b"a": 6.0, b"b": 0.001, b"c": 7.0}

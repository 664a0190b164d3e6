"""The checker of histories is checked against such as are known to be good or bad."""

from __future__ import annotations

import random
from collections import Counter
from math import inf

import pytest

from tests.linearizability import Kind, Operation, Value, unexplained


def get(value: Value, called: float, answered: float) -> Operation:
    return Operation(Kind.GET, value, called, answered)


def put(value: bytes, called: float, answered: float = inf, found: bool | None = None) -> Operation:
    return Operation(Kind.PUT, value, called, answered, found)


def delete(called: float, answered: float = inf, found: bool | None = None) -> Operation:
    return Operation(Kind.DELETE, None, called, answered, found)


GOOD = {
    "nothing": [],
    "one after the other": [put(b"1", 0, 1), get(b"1", 2, 3), delete(4, 5), get(None, 6, 7)],
    "a read beside a write sees either": [put(b"1", 0, 9), get(None, 1, 2), get(b"1", 3, 4)],
    "two writes at once, in either order": [put(b"1", 0, 9), put(b"2", 0, 9), get(b"2", 1, 2), get(b"1", 3, 4)],
    "a write without answer that happened": [put(b"1", 0), get(None, 1, 2), get(b"1", 50, 51)],
    "one that never did": [put(b"1", 0, 1), put(b"2", 2), get(b"1", 50, 51)],
    "a deletion without answer": [put(b"1", 0, 1), delete(2), get(b"1", 3, 4), get(None, 5, 6)],
    "a write that found nothing, after a deletion": [
        put(b"1", 0, 1, found=False),
        delete(2, 3, found=True),
        put(b"2", 4, 5, found=False),
    ],
    "a deletion that found nothing beside a write": [put(b"1", 0, 9, found=False), delete(1, 2, found=False)],
}
BAD = {
    "a read of what was never written": [get(b"1", 0, 1)],
    "a stale read": [put(b"1", 0, 1), put(b"2", 2, 3), get(b"1", 4, 5)],
    "a lost write": [put(b"1", 0, 1), get(None, 2, 3)],
    "an older read after a newer one, while the write goes on": [
        put(b"1", 0, 1),
        put(b"2", 2, 99),
        get(b"2", 3, 4),
        get(b"1", 5, 6),
    ],
    "a read back and forth": [
        put(b"1", 0, 9),
        put(b"2", 0, 9),
        get(b"2", 1, 2),
        get(b"1", 3, 4),
        get(b"2", 5, 6),
    ],
    "a deleted value that returns": [put(b"1", 0, 1), delete(2, 3), get(None, 4, 5), get(b"1", 6, 7)],
    "a write that happens twice": [put(b"1", 0), put(b"2", 1, 2), get(b"1", 3, 4), get(b"2", 5, 6), get(b"1", 7, 8)],
    "a write that found what was not there": [put(b"1", 0, 1, found=True)],
    "a deletion that missed what was there": [put(b"1", 0, 1), delete(2, 3, found=False)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_linearizable(history: list[Operation]) -> None:
    assert not unexplained(history)
    assert not unexplained(reversed(history)), "in whatever order they are told"


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_not_linearizable(history: list[Operation]) -> None:
    assert unexplained(history)
    assert unexplained(reversed(history))


def test_unexplained_names_what_could_not_follow() -> None:
    stale = get(b"1", 4, 5)
    assert list(unexplained([put(b"1", 0, 1), put(b"2", 2, 3), stale, get(b"2", 6, 7)])) == [stale]


def test_unexplained_begins_with_what_is_held() -> None:
    assert not unexplained([get(b"0", 0, 1)], b"0") and unexplained([get(b"0", 0, 1)], b"1")


def real_history(rng: random.Random, length: int) -> list[Operation]:
    """What clients of a single register would see: each operation happens at one moment within its time."""
    held: Value = None
    history = []
    for number in range(length):
        called = number + rng.uniform(-4, 0)
        answered = number + rng.uniform(0, 4) if rng.random() < 0.95 else inf
        kind = rng.choice([Kind.GET, Kind.GET, Kind.PUT, Kind.DELETE])
        found, value = held is not None, b"%d" % number if kind is Kind.PUT else held if kind is Kind.GET else None
        if kind is not Kind.GET:
            held = value
        told = None if kind is Kind.GET or answered == inf else found
        history.append(Operation(kind, value, called, answered, told))
    return history


@pytest.mark.parametrize("seed", range(20))
def test_linearizable_whatever_a_real_register_does(seed: int) -> None:
    rng = random.Random(seed)
    history = real_history(rng, 400)
    assert not unexplained(history)


@pytest.mark.parametrize("seed", range(20))
def test_not_linearizable_with_one_read_of_long_ago(seed: int) -> None:
    rng = random.Random(seed)
    history = real_history(rng, 120)
    puts = [op for op in history if op.kind is Kind.PUT and op.is_answered and op.answered < 60]
    history.append(get(rng.choice(puts).value, 90, 91))
    assert unexplained(history)


def random_history(rng: random.Random) -> list[Operation]:
    """Of few values and much at once, so that many are wrong, and by little."""
    history = []
    for _ in range(rng.randint(2, 7)):
        kind, called = rng.choice(list(Kind)), rng.randint(0, 6)
        answered = called + rng.randint(0, 4) if rng.random() < 0.7 else inf
        value = None if kind is Kind.DELETE else rng.choice([b"1", b"2", None] if kind is Kind.GET else [b"1", b"2"])
        found = None if kind is Kind.GET or answered == inf else rng.choice([None, True, False])
        history.append(Operation(kind, value, called, answered, found))
    return history


def makes_sense_in_some_row(left: list[Operation], held: Value) -> bool:
    """By trying all rows."""
    if not any(op.is_answered for op in left):
        return True
    end = min(op.answered for op in left)
    return any(
        op.called <= end and op.fits(held) and makes_sense_in_some_row([*left[:at], *left[at + 1 :]], op.after(held))
        for at, op in enumerate(left)
    )


def test_linearizable_is_what_some_row_explains() -> None:
    rng, seen = random.Random(1), Counter[bool]()
    for _ in range(3000):
        history = random_history(rng)
        makes_sense = makes_sense_in_some_row(history, None)
        seen[makes_sense] += 1
        assert (not unexplained(history)) == makes_sense, history
    assert min(seen.values()) > 500, seen


def test_unexplained_takes_time_as_the_length_of_a_history_that_is_not_linearizable() -> None:
    """Ten clients at once, a tenth of the writes never answered, and an old read at the end: a search that goes back,
    and tries other rows, would not come to an end."""
    rng = random.Random(1)
    history = [op._replace(called=op.called * 2, answered=op.answered * 2 + 10) for op in real_history(rng, 500)]
    stale = get(next(op.value for op in history if op.kind is Kind.PUT and op.is_answered), 1200, 1201)
    assert stale in unexplained([*history, stale])

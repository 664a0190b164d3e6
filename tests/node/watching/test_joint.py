"""What the owners of a shard have told, put in order."""

from __future__ import annotations

import random
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from node.values.record import Record, as_tombstone
from node.values.version import make_version
from node.watching.joint import Joint

A, B, C = "a:1", "b:1", "c:1"


def record(clock: int, value: bytes | None = b"1", expires_ms: int | None = None) -> bytes:
    return Record(make_version(clock << 16, 1), value, False, expires_ms=expires_ms).encode()


def briefs(events: list) -> list[tuple[bytes, bytes]]:  # type: ignore[type-arg]
    return [(event.key, event.record) for event in events]


def test_joint_of_one_owner_tells_on_at_once() -> None:
    joint = Joint({A: 3})
    events = joint.hear(A, joint.ask(), [(4, b"k", record(1)), (6, b"j", record(2, None))], 7, True)
    assert briefs(events) == [(b"k", record(1)), (b"j", record(2, None))]
    assert [(event.is_put, event.is_expiry) for event in events] == [(True, False), (False, False)]
    assert joint.told == joint.heard == {A: 7}


def test_joint_waits_until_the_others_were_asked_once_more() -> None:
    joint = Joint({A: 0, B: 0})
    before = joint.ask()
    assert joint.hear(A, joint.ask(), [(1, b"k", record(2))], 1, True) == []
    assert joint.is_awaited(B, before) and not joint.is_awaited(A, before)
    assert joint.hear(B, before, [], 0, True) == [], "it was asked before"
    assert joint.hear(B, asked := joint.ask(), [], 0, False) == [], "it has more to tell"
    assert not joint.is_awaited(B, asked)
    assert briefs(joint.hear(B, joint.ask(), [], 0, True)) == [(b"k", record(2))]


def test_joint_tells_the_older_version_first_that_another_owner_had_taken() -> None:
    joint = Joint({A: 0, B: 0})
    joint.hear(A, joint.ask(), [(1, b"k", record(2))], 1, True)
    events = joint.hear(B, joint.ask(), [(1, b"k", record(1)), (2, b"j", record(3))], 2, True)
    assert briefs(events) == [(b"k", record(1)), (b"k", record(2))]
    assert joint.told == {A: 0, B: 0}, "whoever goes on from here is told both again, in order"
    assert briefs(joint.hear(A, joint.ask(), [], 1, True)) == [(b"j", record(3))]
    assert joint.told == {A: 1, B: 2}


def test_joint_tells_once_what_two_owners_have_told() -> None:
    joint = Joint({A: 0, B: 5})
    joint.hear(A, joint.ask(), [(1, b"k", record(1))], 1, True)
    (event,) = joint.hear(B, joint.ask(), [(6, b"k", record(1))], 6, True)
    assert sorted(event.places) == [(A, 1), (B, 6)]
    assert joint.hear(A, joint.ask(), [], 1, True) == []


def test_joint_passes_over_what_it_has_heard() -> None:
    joint = Joint({A: 0})
    first = joint.ask()
    assert len(joint.hear(A, joint.ask(), [(1, b"k", record(1)), (2, b"k", record(2))], 2, True)) == 2
    assert joint.hear(A, first, [(1, b"k", record(1))], 1, True) == []
    assert briefs(joint.hear(A, first, [(2, b"k", record(2)), (3, b"k", record(3))], 3, True)) == [(b"k", record(3))]


def test_joint_tells_an_expiry_after_the_put_of_its_version() -> None:
    put = record(1, b"1", expires_ms=9)
    joint = Joint({A: 0, B: 0})
    joint.hear(B, joint.ask(), [(1, b"k", as_tombstone(put))], 1, True)
    events = joint.hear(A, joint.ask(), [(1, b"k", put)], 1, True)
    assert briefs(events) == [(b"k", put), (b"k", as_tombstone(put))] and events[1].is_expiry


@given(st.integers(0, 2**32), st.integers(1, 3))
def test_joint_tells_each_version_once_and_in_order_whatever_is_heard_when(seed: int, owners: int) -> None:
    """Owners take versions of few keys, and bring each other what they have; what an owner tells is on all."""
    rng = random.Random(seed)
    names = [A, B, C][:owners]
    logs: dict[str, list[tuple[bytes, int]]] = {name: [] for name in names}
    held: dict[str, dict[bytes, int]] = {name: defaultdict(int) for name in names}
    taken: set[tuple[bytes, int]] = set()
    joint, told = Joint(dict.fromkeys(names, 0)), list[tuple[bytes, int]]()

    def take(name: str) -> None:
        key, clock = rng.choice([b"k", b"j"]), rng.randint(1, 60)
        if clock > held[name][key] and (key, clock) not in taken:
            held[name][key] = clock
            logs[name].append((key, clock))
            taken.add((key, clock))

    def hear(name: str) -> None:
        asked, after, end = joint.ask(), joint.heard[name], len(logs[name])
        for _ in range(rng.randint(0, 2)):
            take(rng.choice(names))
        part = logs[name][after:end]
        for key, clock in part:
            for other in names:
                held[other][key] = max(held[other][key], clock)
        changes = [(after + at, key, record(clock)) for at, (key, clock) in enumerate(part, 1)]
        events = joint.hear(name, asked, changes, end, True)
        told.extend((event.key, int.from_bytes(event.record[:6])) for event in events)

    for _ in range(30):
        take(rng.choice(names))
        hear(rng.choice(names))
    for _ in range(2):
        for name in names:
            asked, end = joint.ask(), len(logs[name])
            part = logs[name][joint.heard[name] : end]
            for key, clock in part:
                for other in names:
                    held[other][key] = max(held[other][key], clock)
            start = joint.heard[name]
            changes = [(start + at, key, record(clock)) for at, (key, clock) in enumerate(part, 1)]
            events = joint.hear(name, asked, changes, end, True)
            told.extend((event.key, int.from_bytes(event.record[:6])) for event in events)
    assert len(told) == len(set(told)) and set(told) == taken
    for key in (b"k", b"j"):
        versions = [clock for told_key, clock in told if told_key == key]
        assert versions == sorted(versions)
    assert joint.told == {name: len(log) for name, log in logs.items()}

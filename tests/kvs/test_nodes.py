"""Whom to ask: owners that can be reached, then others, then who failed; and when the ring is looked at."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from kvs.nodes import LOOK_S, LOOK_S_MAX, OTHERS_MAX, Nodes, owners_in
from kvs.responses import RingMap, ShardShare
from ring.hashing import PARTITIONS, partition_of

HALF = PARTITIONS // 2
SHARES = (ShardShare("1", ("a:1", "b:1"), HALF), ShardShare("2", ("c:1",), HALF))
RING = RingMap(3, "", 2, PARTITIONS, SHARES, ((0, HALF - 1, "1"), (HALF, PARTITIONS - 1, "2")))
FIRST = next(key for key in (b"%d" % n for n in range(100)) if partition_of(key) < HALF)
"""A key of the first shard."""
SECOND = next(key for key in (b"%d" % n for n in range(100)) if partition_of(key) >= HALF)


def knowing(ring: RingMap = RING, *up: str, endpoints: tuple[str, ...] = ("a:1",)) -> Nodes:
    """Nodes of a client that has learned the ring, and has been introduced to those that are up."""
    nodes = Nodes(endpoints, random.Random(7))
    nodes.learned(ring)
    for node in up:
        nodes.answered(node)
    return nodes


def test_nodes_endpoints_are_asked_in_their_order_while_nothing_is_known() -> None:
    nodes = Nodes(("b:1", "a:1"), random.Random(7))
    assert list(nodes.in_turn(FIRST, reads=True)) == list(nodes.in_turn(None, reads=True)) == ["b:1", "a:1"]


def test_nodes_owner_of_the_key_is_asked_first() -> None:
    nodes = knowing(RING, "b:1", "c:1")
    assert next(nodes.in_turn(FIRST, reads=False)) == "a:1"
    assert next(nodes.in_turn(SECOND, reads=False)) == "c:1"


def test_nodes_reads_go_round_the_owners_and_writes_to_the_first() -> None:
    nodes = knowing(RING, "b:1", "c:1")
    assert Counter(next(nodes.in_turn(FIRST, reads=True)) for _ in range(10)) == {"a:1": 5, "b:1": 5}
    assert Counter(next(nodes.in_turn(FIRST, reads=False)) for _ in range(10)) == {"a:1": 10}


def test_nodes_owner_that_was_not_introduced_is_not_asked() -> None:
    """Its address may lead nowhere from here, and each call would wait for that; or to another store."""
    nodes = knowing()
    assert list(nodes.in_turn(SECOND, reads=True)) == ["a:1"]
    nodes.answered("c:1")
    assert next(nodes.in_turn(SECOND, reads=True)) == "c:1"


def test_nodes_that_failed_is_asked_last_until_it_answers() -> None:
    nodes = knowing(RING, "b:1", "c:1")
    nodes.failed("a:1")
    assert next(nodes.in_turn(FIRST, reads=False)) == "b:1"
    assert list(nodes.in_turn(FIRST, reads=False))[-1] == "a:1"
    nodes.answered("a:1")
    assert next(nodes.in_turn(FIRST, reads=False)) == "a:1"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("key", [None, FIRST, SECOND])
def test_nodes_each_is_asked_once_a_round_also_if_it_fails(key: bytes | None, fails: bool) -> None:
    nodes = knowing(RING, "b:1", "c:1")
    nodes.failed("c:1")
    asked = []
    for node in nodes.in_turn(key, reads=True):
        asked.append(node)
        if fails:
            nodes.failed(node)
    assert sorted(asked) == ["a:1", "b:1", "c:1"]


def test_nodes_of_a_large_store_are_not_all_asked_for_one_key() -> None:
    many = tuple(f"n{n}:1" for n in range(100))
    ring = RingMap(3, "", 100, PARTITIONS, (ShardShare("1", many[:1], PARTITIONS),), ((0, PARTITIONS - 1, "1"),))
    ring = msgspec.structs.replace(ring, shards=(*ring.shards, ShardShare("2", many[1:], 0)))
    nodes = knowing(ring, *many, endpoints=("a:1",))
    assert len(list(nodes.in_turn(FIRST, reads=False))) <= 2 + OTHERS_MAX


@pytest.mark.parametrize("change", [{"hash": "other"}, {"partitions": 8192}], ids=["hash", "partitions"])
def test_nodes_ring_that_is_not_understood_spreads_keys_over_endpoints(change: dict[str, object]) -> None:
    nodes = knowing(msgspec.structs.replace(RING, **change), endpoints=("a:1", "b:1", "c:1"))
    first = Counter(next(nodes.in_turn(b"%d" % n, reads=False)) for n in range(300))
    assert min(first[node] for node in ("a:1", "b:1", "c:1")) > 50


@pytest.mark.parametrize(
    ("ranges", "is_whole"),
    [
        (RING.ranges, True),
        (RING.ranges[:1], False),
        (((0, PARTITIONS, "1"),), False),
        (((5, 2, "1"), *RING.ranges), False),
        (((-1, PARTITIONS - 1, "1"),), False),
        (((0, PARTITIONS - 1, "7"),), False),
    ],
)
def test_nodes_ring_with_a_gap_or_of_nonsense_is_not_used(
    ranges: tuple[tuple[int, int, str], ...], is_whole: bool
) -> None:
    assert (owners_in(msgspec.structs.replace(RING, ranges=ranges)) is not None) == is_whole


def test_nodes_ring_gives_each_partition_its_owners() -> None:
    owners = owners_in(RING)
    assert owners is not None
    assert (owners[0], owners[HALF - 1], owners[HALF], owners[-1]) == (
        ("a:1", "b:1"),
        ("a:1", "b:1"),
        ("c:1",),
        ("c:1",),
    )


def test_nodes_learned_names_those_to_be_introduced() -> None:
    nodes = Nodes(("a:1", "z:1"), random.Random(7))
    nodes.failed("z:1")
    assert set(nodes.learned(RING)) == {"b:1", "c:1", "z:1"}


def test_nodes_ring_is_not_looked_at_while_all_is_well() -> None:
    nodes = knowing(RING, "b:1", "c:1")
    for key in (FIRST, SECOND):
        assert next(nodes.in_turn(key, reads=True))
    assert not nodes.should_look(0.0)
    nodes.forwarded(FIRST, "c:1")
    assert not nodes.should_look(0.0), "who is no owner forwards, and says nothing new by that"


@pytest.mark.parametrize("ring", [None, RING])
def test_nodes_ring_is_looked_at_if_an_answer_shows_that_it_helps(ring: RingMap | None) -> None:
    nodes = Nodes(("a:1",), random.Random(7)) if ring is None else knowing(ring, "b:1", "c:1")
    nodes.forwarded(FIRST, "a:1")
    assert nodes.should_look(0.0)
    assert not nodes.should_look(0.0), "once"


def test_nodes_ring_is_looked_at_after_a_failure_and_while_an_owner_is_missed() -> None:
    nodes = knowing(RING, "b:1", "c:1")
    nodes.failed("c:1")
    assert nodes.should_look(0.0)
    list(nodes.in_turn(SECOND, reads=True))
    assert not nodes.should_look(0.5 * LOOK_S)
    assert nodes.should_look(2 * LOOK_S)


def test_nodes_ring_is_looked_at_less_often_the_longer_it_does_not_help() -> None:
    nodes, now, looks = knowing(RING, "b:1"), 0.0, []
    for _ in range(5000):
        list(nodes.in_turn(SECOND, reads=True))
        if nodes.should_look(now):
            looks.append(now)
            nodes.introduced(is_whole=False)
        now += 0.1
    gaps = [later - sooner for sooner, later in pairwise(looks)]
    assert gaps[0] < 2 * LOOK_S and LOOK_S_MAX / 2 < gaps[-1] < 2 * LOOK_S_MAX
    nodes.introduced(is_whole=True)
    nodes.failed("b:1")
    now += 2 * LOOK_S_MAX
    assert nodes.should_look(now)
    nodes.failed("b:1")
    assert nodes.should_look(now + 2 * LOOK_S), "once all are there again, as often as at first"


def test_nodes_that_left_the_ring_are_forgotten() -> None:
    nodes = knowing(RING, "b:1", "c:1")
    nodes.learned(msgspec.structs.replace(RING, shards=SHARES[:1], ranges=((0, PARTITIONS - 1, "1"),)))
    assert "c:1" not in list(nodes.in_turn(SECOND, reads=True))

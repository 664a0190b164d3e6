"""The look-ups of a Ring, against the placement it is made from; and what a Ring refuses."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS, pack
from ring.placement import Placement, first_placement, next_placement
from ring.ring import Ring

memberships = st.sets(st.sampled_from("abcdefghij"), min_size=1)
factors = st.none() | st.integers(1, 4)


@given(memberships, memberships, factors)
def test_ring_look_ups_agree(earlier: set[str], members: set[str], factor: int | None) -> None:
    ring = Ring(next_placement(first_placement(earlier, factor), members, factor))
    owned = {address: ring.partitions_of(address) for address in members}
    of_one_each = [owned[replicas[0]] for replicas in ring.shards]
    assert sorted(chain.from_iterable(of_one_each)) == list(range(PARTITIONS))
    for address, partitions in owned.items():
        shard = ring.shard_of(address)
        assert shard is not None
        assert address in ring.shards[shard]
        assert {address, *ring.co_owners(address)} == set(ring.shards[shard])
        assert all(ring.table[partition] == shard for partition in partitions)
        assert all(ring.owners(partition) == ring.shards[shard] for partition in partitions)


def test_ring_every_replica_owns_what_its_shard_has() -> None:
    ring = Ring(first_placement("abcd", 2))
    assert (ring.owners(0), ring.owners(PARTITIONS - 1)) == (("a", "b"), ("c", "d"))
    assert ring.partitions_of("a") == ring.partitions_of("b")
    assert len(ring.partitions_of("b")) == PARTITIONS // 2
    assert ring.owns("b", 0) and not ring.owns("c", 0)


def test_ring_co_owners_are_the_other_replicas() -> None:
    ring = Ring(first_placement("abcde", 2))
    assert [ring.co_owners(address) for address in "abe"] == [("b", "c"), ("a", "c"), ("d",)]
    assert Ring(first_placement("ab", 1)).co_owners("a") == ()


def test_ring_shards_and_replicas() -> None:
    ring = Ring(first_placement("abcde", 2))
    assert ring.shards == (("a", "b", "c"), ("d", "e"))
    assert [ring.shard_of(address) for address in "abcde"] == [0, 0, 0, 1, 1]


def test_ring_node_outside_the_view() -> None:
    ring = Ring(first_placement("abc", None))
    assert ring.shard_of("z") is None
    assert ring.co_owners("z") == ()
    assert ring.partitions_of("z") == frozenset()


def test_ring_shard_without_partitions() -> None:
    """More shards than partitions."""
    ring = Ring(first_placement([f"n{number:04}:1" for number in range(PARTITIONS + 1)], None))
    assert ring.shard_of("n4096:1") == PARTITIONS
    assert ring.partitions_of("n4096:1") == frozenset()


@pytest.mark.parametrize(
    ("shards", "table", "complaint"),
    [
        ((("a",),), b"", "0 partitions"),
        ((("a",),), pack([0] * (PARTITIONS - 1)), "4095 partitions"),
        ((("a",),), pack([0] * (PARTITIONS + 1)), "4097 partitions"),
        ((("a",),), b"\0" * (2 * PARTITIONS + 1), "8193 bytes"),
        ((("a",),), pack([0] * (PARTITIONS - 1) + [1]), "shard index 1 of 1"),
        ((), pack([0] * PARTITIONS), "shard index 0 of 0"),
        ((("a",), ()), pack([0] * PARTITIONS), "no replicas"),
        ((("a", "b"), ("b",)), pack([0] * PARTITIONS), "named twice"),
        ((("a", "a"),), pack([0] * PARTITIONS), "named twice"),
    ],
)
def test_ring_of_bad_placement_raises(shards: tuple[tuple[str, ...], ...], table: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Ring(Placement(shards, table))


def test_ring_owns_only_partitions_that_are() -> None:
    ring = Ring(first_placement("ab", None))
    owned = [partition for partition in (-1, 0, PARTITIONS - 1, PARTITIONS, 65535) if ring.owns("a", partition)]
    assert owned == [0]
    assert not ring.owns("z", 0)

"""The moves between two rings: exactly the partitions whose owners differ, with their owners before and after."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS
from ring.placement import first_placement, next_placement
from ring.reshard import Move, moves, regions
from ring.ring import Ring
from ring.sets import partitions_in

memberships = st.sets(st.sampled_from("abcdefghij"), min_size=1)
factors = st.none() | st.integers(1, 4)


@given(memberships, factors, memberships, factors)
def test_moves_turn_old_owners_into_new(
    members: set[str], factor: int | None, new_members: set[str], new_factor: int | None
) -> None:
    first = first_placement(members, factor)
    old, new = Ring(first), Ring(next_placement(first, new_members, new_factor))
    planned = {move.partition: move for move in moves(old, new)}
    assert list(planned) == sorted(planned)
    for partition in range(PARTITIONS):
        before, after = set(old.owners(partition)), set(new.owners(partition))
        assert (partition in planned) == (before != after)
        if move := planned.get(partition):
            assert set(move.sources) == before
            assert set(move.targets) == after - before


def test_moves_of_same_view_none() -> None:
    assert list(moves(Ring(first_placement("abc", 2)), Ring(first_placement("abc", 2)))) == []


def test_moves_of_two_nodes_to_three_take_a_share_from_each() -> None:
    first = first_placement("ab", None)
    planned = list(moves(Ring(first), Ring(next_placement(first, "abc", None))))
    assert planned[0] == Move(1366, ("a",), ("c",))
    assert planned[-1] == Move(4095, ("b",), ("c",))
    assert [sum(move.sources == (source,) for move in planned) for source in "ab"] == [682, 683]


def test_moves_when_another_copy_joins_a_shard_its_partitions_to_the_newcomer() -> None:
    first = first_placement("abcd", 2)
    old = Ring(first)
    new = Ring(next_placement(first, "abcde", 2))
    assert new.shards[0] == ("a", "b", "e")
    assert list(moves(old, new)) == [
        Move(partition, ("a", "b"), ("e",)) for partition in range(PARTITIONS) if old.owns("a", partition)
    ]


def test_moves_when_a_copy_leaves_a_shard_nobody_gains() -> None:
    first = first_placement("abcde", 2)
    lost = list(moves(Ring(first), Ring(next_placement(first, "abde", 2))))
    assert [move.partition for move in lost] == sorted(Ring(first).partitions_of("c"))
    assert {move.targets for move in lost} == {()}


def test_regions_cover_all_partitions_by_owners_before_and_after() -> None:
    first = first_placement("abcd", 2)
    old, new = Ring(first), Ring(next_placement(first, "abc", 2))
    found = regions(old, new)
    assert sorted(chain.from_iterable(map(partitions_in, found.values()))) == list(range(PARTITIONS))
    for (before, after), bits in found.items():
        assert {(old.owners(partition), new.owners(partition)) for partition in partitions_in(bits)} == {
            (before, after)
        }

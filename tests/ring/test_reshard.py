"""The moves between two rings: exactly the partitions whose owners differ, from whom and to whom."""

from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS
from ring.placement import first_placement, next_placement
from ring.reshard import Move, moves
from ring.ring import Ring

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


def test_moves_when_another_copy_joins_a_shard_none() -> None:
    first = first_placement("abcd", 2)
    assert list(moves(Ring(first), Ring(next_placement(first, "abcde", 2)))) == []

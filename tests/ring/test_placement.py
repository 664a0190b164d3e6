"""The bounds of placements: even, minimal, stable, the same everywhere; and known tables, which never change."""

import hashlib
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS, pack, unpack
from ring.placement import Placement, first_placement, next_placement, shard_count
from tests.ring.placements import ALPHABET, check, factors, firsts, histories, memberships, moved


def nodes(count: int, start: int = 0) -> list[str]:
    return [f"10.0.{number // 250}.{number % 250}:13800" for number in range(start, start + count)]


# --- The shape of a store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "factor", "shards"),
    [(1, None, 1), (4, None, 4), (4, 1, 4), (4, 2, 2), (5, 2, 2), (3, 4, 1), (7, 3, 2), (200, 200, 1)],
)
def test_shard_count_of_nodes_and_factor(count: int, factor: int | None, shards: int) -> None:
    assert shard_count(count, factor) == shards


@pytest.mark.parametrize(
    ("count", "factor", "shards"),
    [
        (1, None, "a"),
        (3, None, "a b c"),
        (4, 2, "ab cd"),
        (5, 2, "abc de"),
        (3, 4, "abc"),
        (8, 3, "abcd efgh"),
        (11, 3, "abcd efgh ijk"),
    ],
)
def test_first_placement_shards_are_sorted_nodes_and_spares_spread(count: int, factor: int | None, shards: str) -> None:
    assert first_placement("abcdefghijk"[:count], factor).shards == tuple(map(tuple, shards.split()))


def test_first_placement_partitions_are_ranges() -> None:
    table = unpack(first_placement("abc", None).table)
    assert table == (0,) * 1366 + (1,) * 1365 + (2,) * 1365


@pytest.mark.parametrize(
    ("count", "factor", "digest"),
    [
        (3, None, "aae0e970ed165c59d54aa02e6ef39ddd68de054970bcdf6c327812d4ae6d4c28"),
        (5, 2, "7acb6ce2322d7c3f74012619db18a5d5b630bbb1012adebedf6cbc0d204957d5"),
    ],
)
def test_first_placement_of_known_nodes_never_changes(count: int, factor: int | None, digest: str) -> None:
    placement = first_placement([f"10.10.0.{host}:13800" for host in range(4, 4 + count)], factor)
    assert hashlib.sha256(placement.table).hexdigest() == digest


def test_next_placement_of_known_history_never_changes() -> None:
    """Two releases that disagreed here would plan different tables for the same view change."""
    placement = first_placement("abcde", 2)
    for members, factor in [("abcdefg", 2), ("bcdefg", 2), ("bcdefg", 1), ("bdfgxyz", 3), ("fxyz", 2)]:
        placement = next_placement(placement, members, factor)
    assert placement.shards == (("f", "x"), ("y", "z"))
    digest = "9bdf4862406d8ffe6587440a8ec0d880d1ae92caf7123ad326db7908fb44720d"
    assert hashlib.sha256(placement.table).hexdigest() == digest


def test_first_placement_without_nodes_raises() -> None:
    with pytest.raises(ValueError, match="at least one node"):
        first_placement([], None)


# --- One node more or less, at 1 to 200 shards --------------------------------------------------------------


def removals(count: int) -> Iterable[int]:
    """Every node of a small store; of a large one both ends and a random one."""
    return range(count) if count <= 10 else (0, random.Random(count).randrange(1, count - 1), count - 1)


@pytest.mark.parametrize("factor", [None, 3])
@pytest.mark.parametrize("decade", range(0, 200, 20))
def test_next_placement_one_node_moves_at_most_a_share(decade: int, factor: int | None) -> None:
    """From first tables. With a factor there are spares, so most changes leave the number of shards as it is."""
    for shards in range(decade + 1, decade + 21):
        count = shards * (factor or 1) + shards % (factor or 1)
        members = nodes(count)
        first = first_placement(members, factor)
        check(first, members, factor)

        more = nodes(count + 1)
        grown = next_placement(first, more, factor)
        check(grown, more, factor)
        assert moved(first, grown) <= math.ceil(PARTITIONS / len(grown.shards))

        for gone in removals(count) if count > 1 else ():
            fewer = members[:gone] + members[gone + 1 :]
            shrunk = next_placement(first, fewer, factor)
            check(shrunk, fewer, factor)
            assert moved(first, shrunk) <= math.ceil(PARTITIONS / len(first.shards))


@pytest.mark.parametrize("factor", [None, 2])
def test_next_placement_grown_and_shrunk_one_by_one_stays_within_bounds(factor: int | None) -> None:
    """From tables with a history: up to 200 shards, and down again by random nodes."""
    rng = random.Random(3)
    members = nodes(1)
    placement = first_placement(members, factor)
    top = 200 * (factor or 1)
    steps = [*nodes(top)[1:], *[None] * (top - 1)]
    for joining in steps:
        if joining is None:
            members.remove(rng.choice(members))
        else:
            members.append(joining)
        old, placement = placement, next_placement(placement, members, factor)
        check(placement, members, factor)
        assert moved(old, placement) <= math.ceil(PARTITIONS / max(len(old.shards), len(placement.shards)))


def test_next_placement_more_shards_than_partitions() -> None:
    members = nodes(PARTITIONS + 904)
    first = first_placement(members, None)
    check(first, members, None)
    grown = next_placement(first, [*members, "new:1"], None)
    check(grown, [*members, "new:1"], None)
    assert moved(first, grown) == 0
    shrunk = next_placement(grown, members[1:], None)
    check(shrunk, members[1:], None)
    assert moved(grown, shrunk) == 1


# --- Laws, for any change -----------------------------------------------------------------------------------

changes = st.tuples(memberships, factors)


@st.composite
def uneven(draw: st.DrawFn) -> Placement:
    """One node to a shard, and a table that no rule has made."""
    shards = draw(st.integers(1, 5))
    weights = draw(st.lists(st.integers(0, 9), min_size=shards, max_size=shards).filter(any))
    rng = random.Random(draw(st.integers(0, 2**32)))
    return Placement(
        tuple((address,) for address in ALPHABET[:shards]),
        pack(rng.choices(range(shards), weights, k=PARTITIONS)),
    )


@given(histories(), changes)
def test_next_placement_any_change_is_even_and_complete(old: Placement, change: tuple[str, int | None]) -> None:
    members, factor = change
    check(next_placement(old, members, factor), members, factor)


@given(histories(), memberships, factors, st.randoms(use_true_random=False))
def test_next_placement_order_of_nodes_does_not_count(
    old: Placement, members: str, factor: int | None, rng: random.Random
) -> None:
    shuffled = list(members)
    rng.shuffle(shuffled)
    assert next_placement(old, shuffled, factor) == next_placement(old, members, factor)
    assert first_placement(shuffled, factor) == first_placement(members, factor)


@given(histories(), memberships, factors)
def test_next_placement_again_changes_nothing(old: Placement, members: str, factor: int | None) -> None:
    new = next_placement(old, members, factor)
    assert next_placement(new, members, factor) == new


@given(memberships, changes, memberships, factors)
def test_next_placement_only_adding_moves_only_to_new_shards(
    members: str, earlier: tuple[str, int | None], added: str, factor: int | None
) -> None:
    old = next_placement(first_placement(*earlier), members, factor)
    new = next_placement(old, {*members, *added}, factor)
    for replicas, former in zip(new.shards, old.shards, strict=False):
        assert replicas[0] == former[0]
    for before, after in zip(unpack(old.table), unpack(new.table), strict=True):
        assert after == before or after >= len(old.shards)


@given(histories(), changes)
def test_next_placement_surviving_shard_keeps_its_replicas_in_order(
    old: Placement, change: tuple[str, int | None]
) -> None:
    members, factor = change
    new = next_placement(old, members, factor)
    staying = [tuple(address for address in shard if address in members) for shard in old.shards]
    with_first = [left for shard, left in zip(old.shards, staying, strict=True) if left[:1] == shard[:1]]
    by_first = {replicas[0]: replicas for replicas in new.shards}

    survivors = [left for left in with_first if left[0] in by_first]
    assert len(survivors) == min(len(with_first), len(new.shards)), "a first replica was replaced needlessly"
    for left in survivors:
        replicas = by_first[left[0]]
        common = min(len(left), len(replicas))
        assert replicas[:common] == left[:common]
    order = [new.shards.index(by_first[left[0]]) for left in survivors]
    assert all(earlier < later for earlier, later in pairwise(order)), "surviving shards changed places"


def dumb_most_that_can_stay(old: Placement, members: Sequence[str]) -> int:
    """With one node to a shard: try every choice of the nodes whose share is rounded up."""
    held = Counter(firsts(old))
    share, rounded_up = divmod(PARTITIONS, len(members))
    return max(
        sum(min(held[member], share + (member in lucky)) for member in members)
        for lucky in combinations(members, rounded_up)
    )


@given(histories(st.none()) | uneven(), st.sets(st.sampled_from(ALPHABET[:7]), min_size=1).map(sorted))
def test_next_placement_moves_no_more_than_dumb_oracle(old: Placement, members: list[str]) -> None:
    new = next_placement(old, members, None)
    check(new, members, None)
    assert PARTITIONS - moved(old, new) == dumb_most_that_can_stay(old, members)


# --- Cases with a story -------------------------------------------------------------------------------------


def test_next_placement_all_nodes_replaced_keeps_the_table() -> None:
    """Each old node hands all that it has to one new node."""
    old = next_placement(first_placement("abc", None), "abcd", None)
    new = next_placement(old, "wxyz", None)
    assert new == Placement(tuple(map(tuple, "wxyz")), old.table)


def test_next_placement_one_node_replaced_moves_its_partitions_only() -> None:
    old = first_placement("abcd", 1)
    new = next_placement(old, "acdz", 1)
    assert new == Placement((("a",), ("z",), ("c",), ("d",)), old.table)


@pytest.mark.parametrize(
    ("old", "members", "factor", "shards"),
    [
        ("abc:2", "abcd", 2, "ab cd"),  # a spare founds the new shard
        ("abcde:2", "abde", 2, "ab de"),  # the spare itself leaves
        ("abcde:2", "abce", 2, "ab ec"),  # the first replica leaves: the next one becomes first, the spare moves over
        ("abcde:2", "acde", 2, "ac de"),
        ("abcd:2", "acd", 2, "cda"),  # the shard with a hole dissolves
        ("abcd:2", "bcd", 2, "cdb"),
        ("abcd:2", "abc", 2, "abc"),
        ("abcd:2", "abcd", 1, "a c b d"),
        ("abcd:2", "abcd", None, "a c b d"),
        ("abcd:1", "abcd", 2, "ac bd"),
        ("abcdef:2", "abcdef", 3, "abe cdf"),
        ("abcdef:3", "abcdef", 2, "ab de cf"),
        ("abcdef:2", "bxy", 2, "bxy"),
        ("abcde:2", "bcd", 3, "dbc"),  # a shard with its first replica outlives one with more of its others
        ("abcd:2", "wxyz", 2, "wx yz"),
        ("abcd:2", "abcd", 4, "abcd"),
    ],
)
def test_next_placement_shards_after_change(old: str, members: str, factor: int | None, shards: str) -> None:
    earlier, _, copies = old.partition(":")
    new = next_placement(first_placement(earlier, int(copies)), members, factor)
    assert new.shards == tuple(map(tuple, shards.split()))


def test_next_placement_of_two_equal_shards_the_one_with_more_partitions_survives() -> None:
    old = Placement((("a",), ("b",)), pack([0] * 1000 + [1] * (PARTITIONS - 1000)))
    assert next_placement(old, "ab", 2).shards == (("b", "a"),)


def test_next_placement_lower_factor_leaves_partitions_with_nodes_that_had_them() -> None:
    old = first_placement("abcd", 2)
    new = next_placement(old, "abcd", 1)
    for before, after in zip(unpack(old.table), unpack(new.table), strict=True):
        assert set(new.shards[after]) <= set(old.shards[before])


def test_next_placement_higher_factor_follows_the_node_of_a_dissolved_shard() -> None:
    old = first_placement("abcd", 1)
    new = next_placement(old, "abcd", 2)
    for before, after in zip(unpack(old.table), unpack(new.table), strict=True):
        assert set(old.shards[before]) <= set(new.shards[after])

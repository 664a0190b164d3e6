"""How many nodes of each zone a shard gets: spread, and as few moves as a dumb oracle finds; and who is told of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring.zones import crowded, deal_zones

QUICK_S = 5.0
"""Of processor time; it takes a hundredth at 200 shards."""


@pytest.mark.parametrize(
    ("shards", "shared"),
    [
        ("ab cd", {}),
        ("aa bb", {0: "a", 1: "b"}),
        ("ab ab", {}),
        ("aa ab", {}),  # three nodes in one zone, two shards: one of them has to take two
        ("aab ab", {}),
        ("aaa bbb", {0: "a", 1: "b"}),
        ("aaab abbb", {0: "a", 1: "b"}),
        ("aaabb abbbb", {0: "ab", 1: "b"}),
        ("aa aa bb", {0: "a", 1: "a", 2: "b"}),
        ("aa aa ab", {}),
        ("abc aa", {1: "a"}),  # the first is in two zones more, and can spare one
        ("aabc aabc aaa", {2: "a"}),
        ("aaab aabc aac", {}),
        ("aaa", {}),
        ("a a a", {}),
        ("", {}),
    ],
)
def test_crowded_shards_and_what_they_share(shards: str, shared: dict[int, str]) -> None:
    assert crowded(shards.split()) == {shard: tuple(zones) for shard, zones in shared.items()}


@pytest.mark.parametrize(
    ("staying", "count", "nodes", "dealt"),
    [
        ("", 2, "aabb", "ab ab"),
        ("", 2, "aaab", "aa ab"),
        ("", 2, "aaabc", "aac ab"),
        ("", 3, "aabbcc", "bc ab ac"),
        ("aa bb", 2, "aabb", "ab ab"),
        ("ab cd", 2, "abcdx", "abx cd"),  # a spare, wherever it is not in the way
        ("ab cd", 3, "abcdab", "ab cd ab"),
        ("aa", 2, "aabb", "ab ab"),  # the other of the first zone founds the new shard
        ("ab ba", 2, "aabb", "ab ab"),
        ("bc", 2, "aaabc", "ab aac"),  # or the other shard would be in one zone alone
        ("ba", 3, "aaaabcd", "ab aad ac"),
        ("ab ab", 3, "aabbcc", "ac ab bc"),  # the newcomers share a zone, so one shard has to give
    ],
)
def test_deal_zones_table(staying: str, count: int, nodes: str, dealt: str) -> None:
    found = deal_zones(staying.split(), count, Counter(nodes))
    assert ["".join(sorted(seats.elements())) for seats in found] == dealt.split()


def splits(total: int, shards: int) -> Iterator[tuple[int, ...]]:
    """Every way to deal so many nodes to so many shards."""
    if shards == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for others in splits(total - first, shards - 1):
            yield (first, *others)


def dumb_dealings(count: int, sizes: Counter[str]) -> Iterator[list[Counter[str]]]:
    """All that there are, of even sizes."""
    for columns in product(*(splits(size, count) for size in sizes.values())):
        shards = [+Counter(dict(zip(sizes, row, strict=True))) for row in zip(*columns, strict=True)]
        totals = [shard.total() for shard in shards]
        if max(totals) - min(totals) <= 1:
            yield shards


def is_spread(shards: Sequence[Counter[str]], sizes: Counter[str]) -> bool:
    """To the letter of the definition."""
    counts = [[shard[zone] for shard in shards] for zone in sizes] + [list(map(len, shards))]
    return all(max(column) - min(column) <= 1 for column in counts)


def worth(staying: Sequence[str], shards: Sequence[Counter[str]]) -> tuple[int, int]:
    """How many replicas stay in their shard, and how many of these are the first ones there."""
    pairs = list(zip(staying, shards, strict=False))
    stays = sum((Counter(zones) & seats).total() for zones, seats in pairs)
    return stays, sum(1 for zones, seats in pairs if zones and seats[zones[0]])


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[str], int, Counter[str]]:
    """The zones of the replicas that stay, shard by shard; the number of shards; the nodes of each zone."""
    nodes = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=7))
    count = draw(st.integers(1, min(4, len(nodes))))
    homes = draw(st.lists(st.integers(-1, draw(st.integers(0, count)) - 1), min_size=len(nodes), max_size=len(nodes)))
    kept = max(homes) + 1
    staying = ["".join(zone for zone, home in zip(nodes, homes, strict=True) if home == shard) for shard in range(kept)]
    return staying, count, Counter(nodes)


@given(changes())
def test_deal_zones_is_spread_and_leaves_as_much_as_dumb_oracle(change: tuple[list[str], int, Counter[str]]) -> None:
    staying, count, sizes = change
    dealt = deal_zones(staying, count, sizes)
    assert sum(dealt, Counter()) == sizes
    dealings = [shards for shards in dumb_dealings(count, sizes) if is_spread(shards, sizes)]
    assert dealt in dealings
    assert worth(staying, dealt) == max(worth(staying, shards) for shards in dealings)


@given(changes())
def test_spread_is_in_as_many_zones_as_any_dealing_can_be(change: tuple[list[str], int, Counter[str]]) -> None:
    """Together, and the shard that is in the fewest."""
    staying, count, sizes = change
    zones = list(map(len, deal_zones(staying, count, sizes)))
    others = [list(map(len, shards)) for shards in dumb_dealings(count, sizes)]
    assert sum(zones) == max(map(sum, others))
    assert min(zones) == max(map(min, others))


@given(changes())
def test_crowded_nowhere_if_and_only_if_spread(change: tuple[list[str], int, Counter[str]]) -> None:
    _, count, sizes = change
    for shards in dumb_dealings(count, sizes):
        assert (not crowded(shard.elements() for shard in shards)) == is_spread(shards, sizes)


@given(changes())
def test_crowded_shards_do_share_a_zone(change: tuple[list[str], int, Counter[str]]) -> None:
    _, count, sizes = change
    for shards in dumb_dealings(count, sizes):
        assert all(crowded(shard.elements() for shard in shards).values())


@given(changes())
def test_deal_zones_again_changes_nothing(change: tuple[list[str], int, Counter[str]]) -> None:
    dealt = deal_zones(*change)
    assert deal_zones(["".join(seats.elements()) for seats in dealt], *change[1:]) == dealt


@pytest.mark.parametrize(("nodes", "copies", "zones"), [(400, 2, 200), (600, 3, 3), (600, 3, 200), (1000, 2, 500)])
def test_deal_zones_of_hundreds_of_shards_is_quick(nodes: int, copies: int, zones: int) -> None:
    """All from one zone in each shard at first, which moves about half of all nodes."""
    homes = sorted(f"z{number % zones:03}" for number in range(nodes))
    staying = [homes[first : first + copies] for first in range(0, nodes, copies)]
    began = time.process_time()
    dealt = deal_zones(staying, nodes // copies, Counter(homes))
    assert time.process_time() - began < QUICK_S
    assert not crowded(seats.elements() for seats in dealt)

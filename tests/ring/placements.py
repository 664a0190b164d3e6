"""What holds for every placement, and placements with a history, for Hypothesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from ring.hashing import PARTITIONS, unpack
from ring.placement import Placement, first_placement, next_placement, shard_count

ALPHABET = "abcdefghijklmnop"
factors = st.none() | st.integers(1, 5)
memberships = st.sets(st.sampled_from(ALPHABET), min_size=1).map(lambda chosen: "".join(sorted(chosen)))


def firsts(placement: Placement) -> list[str]:
    """Per partition, the first replica of its shard."""
    return [placement.shards[shard][0] for shard in unpack(placement.table)]


def moved(old: Placement, new: Placement) -> int:
    return sum(before != after for before, after in zip(firsts(old), firsts(new), strict=True))


def spread(sizes: Iterable[int]) -> int:
    sizes = list(sizes)
    return max(sizes) - min(sizes)


def check(placement: Placement, members: Sequence[str], factor: int | None) -> None:
    """What holds for every placement, whatever its history."""
    assert len(placement.shards) == shard_count(len(members), factor)
    assert sorted(address for replicas in placement.shards for address in replicas) == sorted(members)
    assert spread(map(len, placement.shards)) <= 1
    assert len(placement.table) == 2 * PARTITIONS
    counts = Counter(unpack(placement.table))
    assert counts.total() == PARTITIONS
    assert spread(counts[shard] for shard in range(len(placement.shards))) <= 1


@st.composite
def histories(draw: st.DrawFn, factors: st.SearchStrategy[int | None] = factors) -> Placement:
    """A placement that went through up to three view changes of any kind."""
    placement = first_placement(draw(memberships), draw(factors))
    for members in draw(st.lists(memberships, max_size=3)):
        placement = next_placement(placement, members, draw(factors))
    return placement

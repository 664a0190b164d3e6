"""Whom an owner must ask, after each way in which it can come to a view, and when it may stop asking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gossip.view import Address, View
from node.values.donors import NO_CHANGE, NO_DONORS, Donors, DonorsChange, Kind, Share, decode_share, shares_under
from node.views.rules import ring_of
from ring.hashing import PARTITIONS, pack
from ring.sets import ALL, bits_of
from tests.node.samples import Row, rows_of, shares_of, successor
from tests.node.views.bench import environment

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
ALONE, COPY, COVERED = Kind.ALONE, Kind.COPY, Kind.COVERED
OLD = environment(A, B)
"""Two shards of one node each."""
SHARD = environment(A, B, C, D, repl_factor=2)
"""A and B in one shard, C and D in the other."""


def naming(view: View, *donors: tuple[Address, bool, Iterable[int]]) -> View:
    return replace(view, donors=tuple((address, alone, pack(held)) for address, alone, held in sorted(donors)))


def under(
    new: View,
    old: View = OLD,
    donors: Sequence[Row] = (),
    me: Address = A,
    holders: Sequence[Address] | None = None,
) -> list[Row]:
    waited = Donors(shares_of(*donors))
    held = old.nodes if holders is None else frozenset(holders)
    return rows_of(shares_under(new, ring_of(new), old, ring_of(old), waited, me, held))


# What comes with a view


def test_shares_under_only_the_named_donors_of_owned_partitions() -> None:
    new = successor(OLD, A)
    lost = sorted(ring_of(OLD).partitions_of(B))
    assert under(naming(new, (B, False, lost))) == [Row(partition, B, COPY) for partition in lost]
    assert under(naming(successor(OLD, A, B), (B, False, lost))) == []


def test_shares_under_named_as_having_what_nobody_else_has_alone() -> None:
    new = successor(OLD, A)
    lost = sorted(ring_of(OLD).partitions_of(B))
    assert under(naming(new, (B, False, lost), (B, True, lost[1:]))) == [
        Row(partition, B, COPY if partition == lost[0] else ALONE) for partition in lost
    ]


def test_shares_under_what_was_owned_before_covered() -> None:
    """It has all that its former co-owner acknowledged, and asks it all the same: it may still be at work."""
    new = successor(SHARD, A, C)
    mine = sorted(ring_of(new).partitions_of(A))
    before = set(ring_of(SHARD).partitions_of(A))
    assert before & set(mine) and set(mine) - before
    found = under(naming(new, (B, False, mine), (D, False, mine)), SHARD)
    assert found == [
        Row(partition, donor, COVERED if partition in before else COPY) for partition in mine for donor in (B, D)
    ]


def test_shares_under_owned_before_but_alone_is_not_covered() -> None:
    new = successor(SHARD, A, C)
    mine = sorted(ring_of(SHARD).partitions_of(A))[:3]
    assert under(naming(new, (B, True, mine)), SHARD) == [Row(partition, B, ALONE) for partition in mine]


def test_shares_under_never_names_the_node_itself() -> None:
    new = successor(OLD, A)
    assert under(naming(new, (A, False, range(PARTITIONS)), (A, True, range(PARTITIONS)))) == []


# What is kept of those before


def test_shares_under_keeps_whom_it_still_waited_for() -> None:
    new = successor(OLD, A, C)
    first, second, third = sorted(ring_of(new).partitions_of(A))[:3]
    kept = [Row(first, C, ALONE), Row(second, C, COPY), Row(third, C, COVERED)]
    assert under(new, donors=kept) == kept


def test_shares_under_kept_and_named_the_strictest_kind_holds() -> None:
    new = successor(OLD, A, C)
    mine = sorted(ring_of(new).partitions_of(A))[:3]
    waited = [Row(partition, C, kind) for partition, kind in zip(mine, Kind, strict=True)]
    assert under(naming(new, (C, False, mine)), donors=waited) == [
        Row(mine[0], C, ALONE),
        Row(mine[1], C, COPY),
        Row(mine[2], C, COVERED),
    ]
    assert under(naming(new, (C, True, mine)), donors=waited) == [Row(partition, C, ALONE) for partition in mine]


def test_shares_under_passes_over_a_donor_that_left_and_is_not_named() -> None:
    new = successor(OLD, A, C)
    mine = min(ring_of(new).partitions_of(A))
    assert under(new, donors=[Row(mine, B, ALONE)]) == []
    assert under(naming(new, (B, True, [mine])), donors=[Row(mine, B, COPY)]) == [Row(mine, B, ALONE)]


def test_shares_under_forgets_partitions_that_it_lost() -> None:
    new = successor(OLD, A, C)
    lost = set(ring_of(OLD).partitions_of(A)) - set(ring_of(new).partitions_of(A))
    assert under(new, donors=[Row(partition, C, ALONE) for partition in lost]) == []


def test_shares_under_view_built_on_an_unknown_one_everybody_is_a_donor_alone() -> None:
    rival = successor(OLD, B, C)
    new = naming(successor(rival, A, C), (D, False, [0]))
    mine = sorted(ring_of(new).partitions_of(A))
    assert under(new) == [Row(partition, donor, ALONE) for partition in mine for donor in (B, C, D)]


def test_shares_under_who_never_held_the_view_before_is_no_donor() -> None:
    """A node that lost its disk was started anew with a name in its VIEW that nobody has: it would be waited for."""
    new = successor(successor(OLD, C), A, C)
    mine = sorted(ring_of(new).partitions_of(A))
    assert under(new, holders=[A]) == [Row(partition, C, ALONE) for partition in mine]


def test_shares_under_alone_in_the_world_nobody_is_a_donor() -> None:
    alone = environment(A)
    assert under(successor(successor(alone, A), A), old=alone) == []


# The list


def listing(*rows: Row) -> Donors:
    return Donors(shares_of(*rows))


def test_donors_a_partition_ends_with_its_last_donor() -> None:
    donors = listing(Row(1, A, ALONE), Row(1, B, COPY), Row(2, B, COVERED))
    donors.change(DonorsChange({A: 1 << 1}))
    donors.change(DonorsChange({A: 1 << 1}))
    assert [donors.of(partition) for partition in (1, 2, 3)] == [{B: COPY}, {B: COVERED}, NO_DONORS]
    donors.change(DonorsChange({B: 1 << 1}))
    assert rows_of(donors.shares) == [Row(2, B, COVERED)]
    donors.change(DonorsChange({B: ALL}))
    assert donors.shares == {} and donors.of(2) is NO_DONORS


def test_donors_of_follows_each_change() -> None:
    donors, last = listing(Row(1, A, ALONE)), PARTITIONS - 1
    assert (donors.of(1), donors.of(last)) == ({A: ALONE}, {})
    donors.change(DonorsChange({A: 1 << 1}, put=shares_of(Row(last, B, ALONE))))
    assert (donors.of(1), donors.of(last)) == ({}, {B: ALONE})


def test_donors_removed_and_put_in_one_change_are_there() -> None:
    donors = listing(Row(1, A, COPY), Row(2, A, COPY), Row(2, B, COPY))
    donors.change(DonorsChange({A: ALL, B: ALL}, put=shares_of(Row(2, A, COVERED))))
    assert rows_of(donors.shares) == [Row(2, A, COVERED)]


def test_donors_put_again_takes_the_later_kind() -> None:
    donors = listing(Row(1, A, COVERED), Row(2, A, COPY))
    donors.change(DonorsChange(put=shares_of(Row(1, A, ALONE))))
    assert rows_of(donors.shares) == [Row(1, A, ALONE), Row(2, A, COPY)]


def test_donors_finish_covers_the_other_copies_of_what_was_heard() -> None:
    donors = listing(Row(1, A, COPY), Row(1, B, COPY), Row(1, C, ALONE), Row(2, A, COPY), Row(2, B, COPY))
    donors.change(donors.finish(A, 1 << 1 | 1 << 3))
    assert rows_of(donors.shares) == [Row(1, B, COVERED), Row(1, C, ALONE), Row(2, A, COPY), Row(2, B, COPY)]


def test_donors_finish_of_one_that_was_no_copy_covers_nobody() -> None:
    for kind in (ALONE, COVERED):
        donors = listing(Row(1, A, kind), Row(1, B, COPY))
        donors.change(donors.finish(A, 1 << 1))
        assert rows_of(donors.shares) == [Row(1, B, COPY)]


def test_donors_finish_covers_a_copy_only_as_far_as_it_is_still_there() -> None:
    """Both finish at the same time: each change was made while the other one was not yet on disk."""
    donors = listing(Row(1, A, COPY), Row(1, B, COPY))
    first, second = donors.finish(A, 1 << 1), donors.finish(B, 1 << 1)
    donors.change(first)
    donors.change(second)
    assert donors.shares == {} and donors.of(1) == NO_DONORS


def test_donors_cover_leaves_what_has_become_more_than_a_copy() -> None:
    """It has announced itself anew since somebody else was heard as its copy."""
    donors = listing(Row(1, A, COPY), Row(1, B, COPY))
    late = donors.finish(A, 1 << 1)
    donors.change(DonorsChange({B: 1 << 1}, put=shares_of(Row(1, B, ALONE))))
    donors.change(late)
    assert rows_of(donors.shares) == [Row(1, B, ALONE)]


def test_donors_finish_of_a_stranger_changes_nothing() -> None:
    assert listing(Row(1, A, COPY)).finish(B, 1 << 1 | 1 << 2) == NO_CHANGE


# One share

partitions = st.sets(st.sampled_from([0, 1, 2, 8, 100, PARTITIONS - 1]))
listings = st.dictionaries(st.sampled_from([0, 1, 2, 8, 100, PARTITIONS - 1]), st.sampled_from(Kind))


def share(kinds: Mapping[int, Kind]) -> Share:
    return shares_of(*(Row(partition, A, kind) for partition, kind in kinds.items())).get(A, Share())


@given(st.dictionaries(st.sampled_from([A, B, C]), listings), partitions)
def test_donors_of_each_is_once_what_is_told_of_any(kinds: dict[str, dict[int, Kind]], some: set[int]) -> None:
    donors = listing(*(Row(partition, donor, kind) for donor in kinds for partition, kind in kinds[donor].items()))
    told = donors.of_each(bits_of(some))
    assert {frozenset(one.items()) for one in told} == {frozenset(donors.of(partition).items()) for partition in some}
    assert all(one not in told[:number] for number, one in enumerate(told))


@given(listings, listings, partitions)
def test_share_is_a_dict_of_kinds(one: dict[int, Kind], other: dict[int, Kind], some: set[int]) -> None:
    bits = bits_of(some)
    assert {p: share(one).kind_of(p) for p in one} == one
    assert share(one).kind_of(5) is None
    assert share(one).partitions == bits_of(one)
    assert share(one).within(bits) == share({p: kind for p, kind in one.items() if p in some})
    assert share(one).without(bits) == share({p: kind for p, kind in one.items() if p not in some})
    covered = {p: COVERED if kind is COPY and p in some else kind for p, kind in one.items()}
    assert share(one).with_cover(bits) == share(covered)
    assert share(one).replaced(share(other)) == share(one | other)
    strictest = {p: min(one.get(p, COVERED), other.get(p, COVERED)) for p in one | other}
    assert share(one).joined(share(other)) == share(strictest)
    assert decode_share(share(one).encode()) == share(one)

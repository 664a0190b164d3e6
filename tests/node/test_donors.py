"""Whom an owner must ask, after each way in which it can come to a view, and whom it need not ask any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from gossip.view import Address, View
from node.donors import NONE, Change, Donors, Kind, Row, rows_under
from node.views import ring_of
from ring.hashing import PARTITIONS, pack
from tests.node.fakes import successor
from tests.node.test_views import environment

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
ALONE, COPY, COVERED = Kind.ALONE, Kind.COPY, Kind.COVERED
OLD = environment(A, B)
"""Two shards of one node each."""
SHARD = environment(A, B, C, D, repl_factor=2)
"""A and B in one shard, C and D in the other."""


def naming(view: View, *donors: tuple[Address, bool, Iterable[int]]) -> View:
    return replace(view, donors=tuple((address, alone, pack(held)) for address, alone, held in sorted(donors)))


def under(new: View, old: View = OLD, donors: Sequence[Row] = (), me: Address = A) -> list[Row]:
    return rows_under(new, ring_of(new), old, ring_of(old), Donors(donors), me)


# What comes with a view


def test_rows_under_only_the_named_donors_of_owned_partitions() -> None:
    new = successor(OLD, A)
    lost = ring_of(OLD).partitions_of(B)
    assert under(naming(new, (B, False, lost))) == [Row(partition, B, COPY) for partition in lost]
    assert under(naming(successor(OLD, A, B), (B, False, lost))) == []


def test_rows_under_named_as_having_what_nobody_else_has_alone() -> None:
    new = successor(OLD, A)
    lost = ring_of(OLD).partitions_of(B)
    assert under(naming(new, (B, False, lost), (B, True, lost[1:]))) == [
        Row(partition, B, COPY if partition == lost[0] else ALONE) for partition in lost
    ]


def test_rows_under_what_was_owned_before_covered() -> None:
    """It has all that its former co-owner acknowledged, and asks it all the same: it may still be at work."""
    new = successor(SHARD, A, C)
    mine = ring_of(new).partitions_of(A)
    before = set(ring_of(SHARD).partitions_of(A))
    assert before & set(mine) and set(mine) - before
    found = under(naming(new, (B, False, mine), (D, False, mine)), SHARD)
    assert found == [
        Row(partition, donor, COVERED if partition in before else COPY) for partition in mine for donor in (B, D)
    ]


def test_rows_under_owned_before_but_alone_is_not_covered() -> None:
    new = successor(SHARD, A, C)
    mine = ring_of(SHARD).partitions_of(A)[:3]
    assert under(naming(new, (B, True, mine)), SHARD) == [Row(partition, B, ALONE) for partition in mine]


def test_rows_under_never_names_the_node_itself() -> None:
    new = successor(OLD, A)
    assert under(naming(new, (A, False, range(PARTITIONS)), (A, True, range(PARTITIONS)))) == []


# What is kept of those before


def test_rows_under_keeps_whom_it_still_waited_for() -> None:
    new = successor(OLD, A, C)
    first, second, third = ring_of(new).partitions_of(A)[:3]
    kept = [Row(first, C, ALONE), Row(second, C, COPY), Row(third, C, COVERED)]
    assert under(new, donors=kept) == kept


def test_rows_under_kept_and_named_the_strictest_kind_holds() -> None:
    new = successor(OLD, A, C)
    mine = ring_of(new).partitions_of(A)[:3]
    waited = [Row(partition, C, kind) for partition, kind in zip(mine, Kind, strict=True)]
    assert under(naming(new, (C, False, mine)), donors=waited) == [
        Row(mine[0], C, ALONE),
        Row(mine[1], C, COPY),
        Row(mine[2], C, COVERED),
    ]
    assert under(naming(new, (C, True, mine)), donors=waited) == [Row(partition, C, ALONE) for partition in mine]


def test_rows_under_passes_over_a_donor_that_left_and_is_not_named() -> None:
    new = successor(OLD, A, C)
    mine = ring_of(new).partitions_of(A)[0]
    assert under(new, donors=[Row(mine, B, ALONE)]) == []
    assert under(naming(new, (B, True, [mine])), donors=[Row(mine, B, COPY)]) == [Row(mine, B, ALONE)]


def test_rows_under_forgets_partitions_that_it_lost() -> None:
    new = successor(OLD, A, C)
    lost = set(ring_of(OLD).partitions_of(A)) - set(ring_of(new).partitions_of(A))
    assert under(new, donors=[Row(partition, C, ALONE) for partition in lost]) == []


def test_rows_under_view_built_on_an_unknown_one_everybody_is_a_donor_alone() -> None:
    rival = successor(OLD, B, C)
    new = naming(successor(rival, A, C), (D, False, [0]))
    mine = ring_of(new).partitions_of(A)
    assert under(new) == [Row(partition, donor, ALONE) for partition in mine for donor in (B, C, D)]


def test_rows_under_alone_in_the_world_nobody_is_a_donor() -> None:
    alone = environment(A)
    assert under(successor(successor(alone, A), A), old=alone) == []


# The list


def test_donors_a_partition_ends_with_its_last_donor() -> None:
    donors = Donors([Row(1, A, ALONE), Row(1, B, COPY), Row(2, B, COVERED)])
    donors.change(Change(remove=[(1, A), (1, A)]))
    assert [donors.of(partition) for partition in (1, 2, 3)] == [{B: COPY}, {B: COVERED}, NONE]
    donors.change(Change(remove=[(1, B)]))
    assert donors.by_donor() == {B: [2]}
    assert sorted(donors.rows()) == [(2, B, COVERED)]


def test_donors_by_donor_follows_each_change() -> None:
    donors = Donors([Row(1, A, ALONE)])
    assert donors.by_donor() == {A: [1]}
    donors.change(Change([Row(PARTITIONS - 1, B, ALONE)], remove=[(1, A)]))
    assert donors.by_donor() == {B: [PARTITIONS - 1]}


def test_donors_put_again_takes_the_later_kind() -> None:
    donors = Donors([Row(1, A, COVERED)])
    donors.change(Change([Row(1, A, ALONE)]))
    assert donors.of(1) == {A: ALONE}


def test_donors_finish_covers_the_other_copies_of_what_was_heard() -> None:
    donors = Donors([Row(1, A, COPY), Row(1, B, COPY), Row(1, C, ALONE), Row(2, A, COPY), Row(2, B, COPY)])
    donors.change(donors.finish(A, [1, 3]))
    assert sorted(donors.rows()) == [(1, B, COVERED), (1, C, ALONE), (2, A, COPY), (2, B, COPY)]


def test_donors_finish_of_one_that_was_no_copy_covers_nobody() -> None:
    for kind in (ALONE, COVERED):
        donors = Donors([Row(1, A, kind), Row(1, B, COPY)])
        donors.change(donors.finish(A, [1]))
        assert sorted(donors.rows()) == [(1, B, COPY)]


def test_donors_finish_covers_a_copy_only_as_far_as_it_is_still_there() -> None:
    """Both finish at the same time: each change was made while the other one was not yet on disk."""
    donors = Donors([Row(1, A, COPY), Row(1, B, COPY)])
    first, second = donors.finish(A, [1]), donors.finish(B, [1])
    donors.change(first)
    donors.change(second)
    assert list(donors.rows()) == [] and donors.of(1) == NONE


def test_donors_finish_of_a_stranger_changes_nothing() -> None:
    assert Donors([Row(1, A, COPY)]).finish(B, [1, 2]) == Change((), [], [])


def test_donors_finish_puts_what_the_donor_holds_besides() -> None:
    donors = Donors([Row(1, A, COPY)])
    donors.change(donors.finish(A, [1], [Row(2, A, ALONE)]))
    assert list(donors.rows()) == [(2, A, ALONE)]

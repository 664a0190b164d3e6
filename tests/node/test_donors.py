"""Whom an owner must ask, after each way in which it can come to a view."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from gossip.view import Address, View
from node.donors import Donors, Pending, pending_under
from node.views import ring_of
from ring.hashing import PARTITIONS, pack
from tests.node.fakes import successor
from tests.node.test_views import environment

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
OLD = environment(A, B)


def with_donors(view: View, donors: Mapping[Address, tuple[int, ...]]) -> View:
    return replace(view, donors=tuple((address, pack(donors[address])) for address in sorted(donors)))


def under(new: View, old: View = OLD, pending: Pending | None = None, me: Address = A) -> Pending:
    return pending_under(new, ring_of(new), old, pending or {}, me)


def test_pending_under_only_the_named_donors_of_owned_partitions() -> None:
    new = successor(OLD, A)
    lost = ring_of(OLD).partitions_of(B)
    assert under(with_donors(new, {B: lost})) == {partition: {B} for partition in lost}
    assert under(with_donors(successor(OLD, A, B), {B: lost})) == {}


def test_pending_under_keeps_whom_it_still_waited_for() -> None:
    new = successor(OLD, A, C)
    mine = ring_of(new).partitions_of(A)
    assert under(new, pending={mine[0]: frozenset({C})}) == {mine[0]: {C}}


def test_pending_under_passes_over_a_donor_that_left_and_is_not_named() -> None:
    new = successor(OLD, A, C)
    mine = ring_of(new).partitions_of(A)
    assert under(new, pending={mine[0]: frozenset({B})}) == {}
    assert under(with_donors(new, {B: (mine[0],)}), pending={mine[0]: frozenset({B})}) == {mine[0]: {B}}


def test_pending_under_forgets_partitions_that_it_lost() -> None:
    new = successor(OLD, A, C)
    lost = set(ring_of(OLD).partitions_of(A)) - set(ring_of(new).partitions_of(A))
    assert under(new, pending={partition: frozenset({C}) for partition in lost}) == {}


def test_pending_under_view_built_on_an_unknown_one_everybody_is_a_donor() -> None:
    rival = successor(OLD, B, C)
    new = successor(rival, A, C, D)
    mine = ring_of(new).partitions_of(A)
    assert under(new) == {partition: {B, C, D} for partition in mine}


def test_pending_under_alone_in_the_world_nobody_is_a_donor() -> None:
    alone = environment(A)
    assert under(successor(successor(alone, A), A), old=alone) == {}


def test_donors_a_partition_ends_with_its_last_donor() -> None:
    donors = Donors([(1, A), (1, B), (2, B)])
    donors.remove([(1, A), (1, A)])
    assert [donors.of(partition) for partition in (1, 2, 3)] == [{B}, {B}, frozenset()]
    donors.remove([(1, B)])
    assert donors.pending == {2: {B}}
    assert donors.by_donor() == {B: [2]}
    assert sorted(donors.rows()) == [(2, B)]


def test_donors_replace() -> None:
    donors = Donors([(1, A)])
    donors.replace({PARTITIONS - 1: frozenset({B})})
    assert donors.by_donor() == {B: [PARTITIONS - 1]}

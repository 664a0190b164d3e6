"""Which view may follow which: tables, and that none of it depends on anything else."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gossip.view import Address, View
from node.views.rules import (
    EPOCH_LEAP_MAX,
    Succession,
    ViewHolder,
    decide_succession,
    environments_contradict,
    is_foreign,
    may_be_promised,
    next_epoch,
)
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D, environment
from tests.node.views.holders import MINE, NOBODY, heard, holder

ALONE: tuple[Address, ...] = (A,)
BOTH = (A, B)


def test_environment_view_order_of_nodes_does_not_matter() -> None:
    assert environment(A, B, C).id == environment(C, A, B).id


def test_environment_view_factor_unset_and_one_differ() -> None:
    assert environment(A, B).id != environment(A, B, repl_factor=1).id


def test_environment_view_goes_by_hosts() -> None:
    """Whatever zones its nodes were told of: a node knows only its own."""
    view = environment("h1:1", "h1:2", "h2:1", "h2:2", repl_factor=2)
    assert (view.shards, view.zones) == ((("h1:1", "h2:1"), ("h2:2", "h1:2")), ())


# While no key was written


@pytest.mark.parametrize(
    ("theirs", "source", "expected"),
    [
        pytest.param((A, B), B, Succession.KEEP, id="the same"),
        pytest.param((B, C), B, Succession.TAKE, id="a named peer's view that omits this node"),
        pytest.param((C, D), C, Succession.KEEP, id="that of a peer not named"),
        pytest.param((A, B, C), C, Succession.KEEP, id="that of a peer not named, though it names this node"),
    ],
)
def test_succession_environment_views(theirs: tuple[Address, ...], source: Address, expected: Succession) -> None:
    assert decide_succession(holder(), heard(environment(*theirs), source)) is expected


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("e:1",), ("f:1",)])
def test_succession_environment_views_that_name_both_higher_digest_wins(others: tuple[Address, ...]) -> None:
    theirs = environment(A, B, *others)
    higher = theirs.id > MINE.id
    assert decide_succession(holder(), heard(theirs, B)) is (Succession.TAKE if higher else Succession.KEEP)


def test_succession_environment_view_never_replaces_a_later_one() -> None:
    assert decide_succession(holder(successor(MINE, A, B, C)), heard(environment(B), B)) is Succession.KEEP


@pytest.mark.parametrize("others", [(), (A,), ("e:1",), ("f:1",)])
def test_succession_environment_view_of_the_node_followed_is_followed_on(others: tuple[Address, ...]) -> None:
    """A node has no say in a view that omits it."""
    theirs = heard(environment(B, C, *others), B)
    assert decide_succession(holder(environment(B), followed=B), theirs) is Succession.TAKE


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("e:1",), ("f:1",)])
def test_succession_store_of_a_named_peer_is_joined_whatever_its_digest(others: tuple[Address, ...]) -> None:
    theirs = heard(environment(A, B, *others), B, founders=(B,))
    assert decide_succession(holder(), theirs) is Succession.TAKE


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("x:1", "y:1")])
def test_newcomer_outside_both_views_follows_the_store_that_its_environment_names(others: tuple[Address, ...]) -> None:
    """Whatever the digests: an environment may be wrong, a store is there."""
    mine, theirs = environment(B, "z:1"), environment(B, *others)
    assert decide_succession(holder(mine), heard(theirs, B, founders=(B,))) is Succession.TAKE
    assert decide_succession(holder(theirs), heard(mine, B, founders=(B,))) is Succession.TAKE


@pytest.mark.parametrize(
    ("founders", "has_asked_around", "expected"),
    [
        pytest.param((A, C), True, Succession.TAKE, id="it is one of them, and has lost its disk"),
        pytest.param((A, C), False, Succession.KEEP, id="but its own are asked first"),
        pytest.param((C, D), True, Succession.KEEP, id="it is only named there"),
        pytest.param((), True, Succession.KEEP, id="it is no store"),
    ],
)
def test_succession_emptied_member_with_a_wrong_environment_follows_its_store(
    founders: tuple[Address, ...], has_asked_around: bool, expected: Succession
) -> None:
    theirs = heard(environment(A, C, D), C, founders)
    assert decide_succession(holder(has_asked_around=has_asked_around), theirs) is expected


def test_succession_node_that_knows_nobody_joins_the_store_that_names_it() -> None:
    me = holder(environment(A))._replace(environment=frozenset())
    assert decide_succession(me, heard(environment(A, C, D), C, (C,))) is Succession.TAKE


# Once a key was


class Case(NamedTuple):
    founders: tuple[Address, ...]
    """Of the view that A holds, of A and B."""
    theirs: View
    their_founders: tuple[Address, ...]
    source: Address
    expected: Succession


STORE = {
    "an alien has the address of a founder": Case(BOTH, environment(B), (B,), B, Succession.FOREIGN),
    "... in a view of several": Case(BOTH, environment(B, C), (B, C), B, Succession.FOREIGN),
    "... at a later epoch": Case(BOTH, successor(environment(B), B), NOBODY, B, Succession.FOREIGN),
    "... and asks to join": Case(BOTH, successor(environment(B), A, B), NOBODY, B, Succession.FOREIGN),
    "... and has no keys yet": Case(BOTH, environment(B), NOBODY, B, Succession.AWAIT),
    "a founder has lost its disk, and a wrong environment": Case(
        BOTH, environment(A, B, C), NOBODY, B, Succession.AWAIT
    ),
    "a newcomer has a longer environment": Case(BOTH, environment(A, B, C), NOBODY, C, Succession.AWAIT),
    "a stranger that names this node": Case(BOTH, environment(A, C), (C,), C, Succession.FOREIGN),
    "own lineage": Case(BOTH, successor(MINE, A, B, C), NOBODY, C, Succession.TAKE),
    "own lineage, without this node": Case(BOTH, successor(MINE, B, C), NOBODY, C, Succession.TAKE),
    "a lone newcomer meets the store it was told of": Case(ALONE, environment(B, C), NOBODY, B, Succession.TAKE),
    "... that has keys": Case(ALONE, environment(B, C), (B, C), B, Succession.TAKE),
    "... that had a view change": Case(ALONE, successor(environment(B, C), B, C), NOBODY, C, Succession.TAKE),
    "... that names it, and has several founders": Case(ALONE, environment(A, B, C), (B, C), B, Succession.TAKE),
    "... that names it, and has no keys": Case(ALONE, environment(A, B, C), NOBODY, B, Succession.AWAIT),
    "... but not a stranger": Case(ALONE, successor(environment(C, D), A, C, D), NOBODY, C, Succession.FOREIGN),
}

WITH_C = environment(A, B, C)
FOUND_BY_TWO = {
    "an alien where nobody ever was": Case(BOTH, environment(C), (C,), C, Succession.FOREIGN),
    "... at a later epoch": Case(BOTH, successor(environment(C), C), NOBODY, C, Succession.FOREIGN),
    "who was expected there has another environment": Case(BOTH, environment(C, D), NOBODY, C, Succession.AWAIT),
    "who was expected there takes this node in": Case(
        BOTH, successor(environment(C, D), A, B, C), NOBODY, C, Succession.TAKE
    ),
    "a lone one that was expected": Case(BOTH, environment(A, C), (C,), C, Succession.KEEP),
    "two stores that expect each other": Case(BOTH, environment(A, C, D), (C, D), C, Succession.FOREIGN),
}


@pytest.mark.parametrize("case", STORE.values(), ids=STORE)
def test_succession_of_a_view_under_which_keys_were_written(case: Case) -> None:
    theirs = heard(case.theirs, case.source, case.their_founders)
    assert decide_succession(holder(MINE, case.founders), theirs) is case.expected


@pytest.mark.parametrize("case", FOUND_BY_TWO.values(), ids=FOUND_BY_TWO)
def test_succession_of_a_store_a_node_of_which_was_never_there(case: Case) -> None:
    theirs = heard(case.theirs, case.source, case.their_founders)
    assert decide_succession(holder(WITH_C, case.founders), theirs) is case.expected


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("e:1",), ("f:1",)])
def test_succession_two_lone_newcomers_agree_who_gives_way(others: tuple[Address, ...]) -> None:
    theirs = environment(A, B, *others)
    one = decide_succession(holder(MINE, (A,)), heard(theirs, B, (B,)))
    as_b = ViewHolder(B, frozenset({A}), theirs, frozenset({B}), True, None, True)
    other = decide_succession(as_b, heard(MINE, A, (A,)))
    assert {one, other} == {Succession.TAKE, Succession.KEEP}


def test_succession_copy_that_holds_no_key_belongs_to_the_store_all_the_same() -> None:
    me = holder(WITH_C, (B, C))._replace(holds_keys=False)
    assert decide_succession(me, heard(environment(B), B, (B,))) is Succession.FOREIGN


def test_succession_who_merely_forwards_to_a_store_joins_another_that_takes_it_in() -> None:
    me = holder(environment(B, C), (B, C))
    assert decide_succession(me, heard(successor(environment(D), A, D), D)) is Succession.TAKE


@pytest.mark.parametrize(
    ("theirs", "founders", "expected"),
    [
        (environment(B), (B,), Succession.FOREIGN),
        (successor(environment(B), B), NOBODY, Succession.FOREIGN),
        (environment(B, D), NOBODY, Succession.AWAIT),
        (environment(A, B, D), (B, D), Succession.TAKE),
    ],
    ids=["epoch 0", "a later epoch", "that has nothing", "but one that takes it in"],
)
def test_succession_guest_of_a_store_does_not_follow_an_alien_in_its_place(
    theirs: View, founders: tuple[Address, ...], expected: Succession
) -> None:
    """Its clients would be served by another store."""
    assert decide_succession(holder(environment(B, C), (B, C)), heard(theirs, B, founders)) is expected


@pytest.mark.parametrize(
    ("theirs", "founders"),
    [(successor(environment(B, C), B, C), NOBODY), (environment(B, C), (B, C))],
    ids=["a later epoch", "epoch 0"],
)
def test_succession_guest_of_an_alien_leaves_it_for_the_store_that_its_environment_names(
    theirs: View, founders: tuple[Address, ...]
) -> None:
    """An alien had the address of one of its nodes, and was heard first."""
    me = holder(environment(B, D), (B, D))._replace(environment=frozenset({B, C}))
    assert decide_succession(me, heard(theirs, C, founders)) is Succession.TAKE


def test_succession_guest_of_an_alien_leaves_it_for_the_store_of_most_nodes_that_its_environment_names() -> None:
    """They were removed from the view of that store, and bring clients to it."""
    alien, moved = environment(B, "f:1"), successor(environment(A, B, C, D), "e:1")
    me = holder(alien, (B, "f:1"))._replace(environment=frozenset({B, C, D}))
    theirs, ours = moved.lineage_of_successor, alien.lineage_of_successor
    one_of_each = me._replace(stores={B: ours, D: theirs})
    assert decide_succession(one_of_each, heard(moved, D)) is Succession.FOREIGN
    two_of_them = me._replace(stores={B: ours, C: theirs, D: theirs})
    assert decide_succession(two_of_them, heard(moved, D)) is Succession.TAKE


# Later views

FIRST = successor(MINE, A, B, C)
ALIEN = successor(environment(C, D), A, C, D)


@pytest.mark.parametrize(
    ("mine", "holds_keys", "theirs", "source", "expected"),
    [
        pytest.param(MINE, True, FIRST, C, Succession.TAKE, id="own lineage"),
        pytest.param(MINE, True, ALIEN, C, Succession.FOREIGN, id="another lineage, with keys at stake"),
        pytest.param(MINE, False, ALIEN, C, Succession.TAKE, id="another lineage that takes an empty node in"),
        pytest.param(
            MINE, False, successor(environment(C, D), C, D), C, Succession.FOREIGN, id="and one that does not"
        ),
        pytest.param(MINE, True, ALIEN, B, Succession.TAKE, id="another lineage, of a node that the environment names"),
        pytest.param(FIRST, False, successor(FIRST, A, B), B, Succession.TAKE, id="higher epoch"),
        pytest.param(successor(FIRST, A, B), False, FIRST, B, Succession.KEEP, id="lower epoch"),
        pytest.param(FIRST, False, successor(ALIEN, A, C), B, Succession.FOREIGN, id="another lineage later on"),
    ],
)
def test_succession_later_views(
    mine: View, holds_keys: bool, theirs: View, source: Address, expected: Succession
) -> None:
    assert decide_succession(holder(mine, ALONE if holds_keys else NOBODY), heard(theirs, source)) is expected


def test_succession_later_view_of_a_stranger_waits_until_the_nodes_of_the_environment_were_asked() -> None:
    """One of them may have keys, and this node would be the first step to taking them along."""
    assert decide_succession(holder(has_asked_around=False), heard(ALIEN, C)) is Succession.KEEP


@pytest.mark.parametrize(
    ("theirs", "founders", "expected"),
    [
        pytest.param(environment(A, B), BOTH, Succession.KEEP, id="of the own base"),
        pytest.param(environment(C), NOBODY, Succession.KEEP, id="of one that has nothing"),
        pytest.param(environment(A, C), (C,), Succession.KEEP, id="of a newcomer with keys, which is about to follow"),
        pytest.param(environment(B), (B,), Succession.FOREIGN, id="of an alien that has keys"),
    ],
)
def test_succession_environment_view_under_a_later_one(
    theirs: View, founders: tuple[Address, ...], expected: Succession
) -> None:
    assert decide_succession(holder(FIRST), heard(theirs, B, founders)) is expected


@pytest.mark.parametrize(
    ("theirs", "source", "contradict"),
    [
        pytest.param(environment(A, B), B, False, id="the same"),
        pytest.param(environment(A, B, C), B, True, id="both name both"),
        pytest.param(environment(B, C), B, False, id="theirs omits this node"),
        pytest.param(environment(A, B, C), C, False, id="of a node that this one was not told of"),
        pytest.param(FIRST, B, False, id="not an environment's"),
    ],
)
def test_environments_contradict(theirs: View, source: Address, contradict: bool) -> None:
    assert environments_contradict(holder(), heard(theirs, source)) is contradict
    assert not environments_contradict(holder(founders=BOTH), heard(theirs, source)), "the store's holds"


@pytest.mark.parametrize(
    ("mine", "founders", "lineage", "asking", "foreign"),
    [
        pytest.param(MINE, BOTH, MINE.id.digest, (A, B), False, id="builds on the view held"),
        pytest.param(MINE, ALONE, 7, (C, D), True, id="another one, with keys at stake"),
        pytest.param(MINE, NOBODY, 7, (C, D), False, id="another one, of a node without keys"),
        pytest.param(MINE, ALONE, 7, (B, C), False, id="a node of its own base asks"),
        pytest.param(MINE, BOTH, 7, (B, C), True, id="an alien at the address of one"),
        pytest.param(FIRST, NOBODY, FIRST.lineage, (A, B), False, id="own lineage"),
        pytest.param(FIRST, NOBODY, 7, (A, B), True, id="another lineage later on"),
    ],
)
def test_is_foreign(
    mine: View, founders: tuple[Address, ...], lineage: int, asking: tuple[Address, ...], foreign: bool
) -> None:
    coordinator, *old_nodes = asking
    assert is_foreign(holder(mine, founders), lineage, coordinator, old_nodes) is foreign
    assert is_foreign(holder(mine, founders), lineage, "e:1", asking) is foreign


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([], 4),
        ([0, 2, 3], 4),
        ([3, 7], 8),
        ([3, 7, 3 + EPOCH_LEAP_MAX], 8),
        ([3, 2**63 - 1], 4),
        ([3 + EPOCH_LEAP_MAX - 1], 3 + EPOCH_LEAP_MAX),
    ],
    ids=["nobody", "all behind", "promised", "one out of reach", "the highest there is", "the highest believed"],
)
def test_next_epoch_is_above_all_that_can_be_believed(heard: list[int], expected: int) -> None:
    assert next_epoch(3, heard) == expected
    assert may_be_promised(expected, 3 + 1), "whoever holds the same view promises it"

"""Which view may follow which: tables, and that none of it depends on anything else."""

from __future__ import annotations

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

MINE = environment(A, B)


def holder(view: View = MINE, holds_keys: bool = False, followed: Address | None = None) -> ViewHolder:
    """Node A, whose environment names A and B."""
    return ViewHolder(A, frozenset({B}), view, holds_keys, followed)


def test_environment_view_order_of_nodes_does_not_matter() -> None:
    assert environment(A, B, C).id == environment(C, A, B).id


def test_environment_view_factor_unset_and_one_differ() -> None:
    assert environment(A, B).id != environment(A, B, repl_factor=1).id


def test_environment_view_goes_by_hosts() -> None:
    """Whatever zones its nodes were told of: a node knows only its own."""
    view = environment("h1:1", "h1:2", "h2:1", "h2:2", repl_factor=2)
    assert (view.shards, view.zones) == ((("h1:1", "h2:1"), ("h2:2", "h1:2")), ())


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
    assert decide_succession(holder(), environment(*theirs), source) is expected


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("e:1",), ("f:1",)])
def test_succession_environment_views_that_name_both_higher_digest_wins(others: tuple[Address, ...]) -> None:
    theirs = environment(A, B, *others)
    higher = theirs.id > MINE.id
    assert decide_succession(holder(), theirs, B) is (Succession.TAKE if higher else Succession.KEEP)


def test_succession_environment_view_never_replaces_a_later_one() -> None:
    assert decide_succession(holder(successor(MINE, A, B, C)), environment(B), B) is Succession.KEEP


def test_succession_environment_view_of_the_node_followed_is_followed_on() -> None:
    """A node has no say in a view that omits it."""
    assert decide_succession(holder(environment(B), followed=B), environment(A, B, C), B) is Succession.TAKE
    assert decide_succession(holder(environment(B), followed=None), environment(A, B, C), B) is Succession.KEEP


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
    assert decide_succession(holder(mine, holds_keys), theirs, source) is expected


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
    assert environments_contradict(holder(), theirs, source) is contradict


@pytest.mark.parametrize(
    ("mine", "holds_keys", "lineage", "old_nodes", "foreign"),
    [
        pytest.param(MINE, True, MINE.id.digest, (A, B), False, id="builds on the view held"),
        pytest.param(MINE, True, 7, (C, D), True, id="another one, with keys at stake"),
        pytest.param(MINE, False, 7, (C, D), False, id="another one, of a node without keys"),
        pytest.param(MINE, True, 7, (B, C), False, id="names a node that the environment names"),
        pytest.param(FIRST, False, FIRST.lineage, (A, B), False, id="own lineage"),
        pytest.param(FIRST, False, 7, (A, B), True, id="another lineage later on"),
    ],
)
def test_is_foreign(mine: View, holds_keys: bool, lineage: int, old_nodes: tuple[Address, ...], foreign: bool) -> None:
    assert is_foreign(holder(mine, holds_keys), lineage, old_nodes) is foreign


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

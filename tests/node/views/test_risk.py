"""Which keys a change would lose, and how many these are at most: tables."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from gossip.view import Address, Former, View
from node.errors import Conflict
from node.net.messages import Owed, Status
from node.views.census import LastHeard
from node.views.risk import NO_RISK, Risk, demand_safe, left_behind, risk_of
from node.views.rules import ring_of
from ring.hashing import pack
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D, environment

ALONE = environment(A, B, C)
"""One copy."""
PAIRS = environment(A, B, C, D, repl_factor=2)
"""A and B in one shard, C and D in the other."""
KEYS = {A: (10, 0), B: (20, 1), C: (30, 0), D: (40, 3)}
"""What was last heard of each: the keys that it owns, and those to hand over."""


def status(view: View, *waiting: Address, may_lack: bool = False) -> Status:
    awaited = tuple(Owed(donor, 1, 0) for donor in waiting)
    return Status(view.id, 0, "", 0, (), awaited, not waiting, True, may_lack=may_lack)


def at_risk(
    view: View,
    nodes: str,
    statuses: Mapping[Address, Status],
    heard: Mapping[Address, tuple[int, int]] = KEYS,
    settled: View | None = None,
) -> Risk:
    """`settled`: the view that those who were heard had settled by then; None: `view`."""
    last = {node: LastHeard(*keys, (settled or view).id) for node, keys in heard.items()}
    return risk_of(view, {f"{name}:1" for name in nodes}, statuses, last)


def all_up(view: View, but: str = "") -> dict[Address, Status]:
    return {node: status(view) for node in view.nodes if node[0] not in but}


@pytest.mark.parametrize(
    ("view", "nodes", "down", "risk"),
    [
        (ALONE, "ab", "", NO_RISK),
        (ALONE, "ab", "c", Risk(30, (C,))),
        (ALONE, "a", "bc", Risk(50, (B, C))),
        (ALONE, "abc", "c", NO_RISK),
        (ALONE, "a", "c", Risk(30, (C,))),
        (PAIRS, "abc", "d", NO_RISK),
        (PAIRS, "ac", "bd", NO_RISK),
        (PAIRS, "ab", "cd", Risk(40, (C, D))),
    ],
    ids=[
        "a node that can be asked brings its keys home",
        "the only holder",
        "two only holders",
        "one that stays",
        "one of two that go",
        "a copy of it is there",
        "of each a copy is there",
        "both copies: not counted twice",
    ],
)
def test_risk_of_owners(view: View, nodes: str, down: str, risk: Risk) -> None:
    assert at_risk(view, nodes, all_up(view, but=down)) == risk


def test_risk_of_an_owner_that_had_no_keys_is_not_known() -> None:
    """Hundreds may have come to it since it last spoke. If it had some then, that is the number there is."""
    statuses = all_up(ALONE, but="c")
    assert at_risk(ALONE, "ab", statuses, {C: (0, 0)}) == Risk(None, (C,))
    assert at_risk(ALONE, "a", all_up(ALONE, but="bc"), {B: (0, 0), C: (9, 0)}) == Risk(None, (B, C))
    view = moving((B, False))
    assert at_risk(view, "abc", all_up(view, but="d"), {D: (9, 0)}, settled=ALONE) == Risk(9, (D,))
    assert at_risk(PAIRS, "abc", all_up(PAIRS, but="d"), {D: (0, 0)}) == NO_RISK, "its copy is there"


def test_risk_of_a_donor_that_had_no_keys_is_none_if_it_had_settled() -> None:
    """Nobody writes to what it does not own."""
    view = moving((B, True))
    statuses = {**all_up(view, but="b"), D: status(view, B)}
    owned = at_risk(view, "acd", statuses, {B: (20, 0)})
    assert owned == Risk(20, (B,))
    assert at_risk(view, "acd", statuses, {B: (20, 0)}, settled=ALONE) == Risk(None, (B,))


def test_risk_of_one_that_was_never_heard_is_not_known() -> None:
    """Not none: it may have had any number."""
    assert at_risk(ALONE, "ab", all_up(ALONE, but="c"), {}) == Risk(None, (C,))
    assert at_risk(ALONE, "a", all_up(ALONE, but="bc"), {B: (20, 0)}) == Risk(None, (B, C))
    assert at_risk(PAIRS, "ab", all_up(PAIRS, but="cd"), {C: (5, 0)}) == Risk(5, (C, D)), "copies are alike"
    assert at_risk(PAIRS, "ab", all_up(PAIRS, but="cd"), {C: (0, 0)}) == Risk(None, (C, D)), "or one was emptied"


@pytest.mark.parametrize(
    "left",
    [status(PAIRS, may_lack=True), status(ALONE)],
    ids=["whose disk was emptied", "that holds another view"],
)
def test_risk_of_the_copy_of_one(left: Status) -> None:
    """It can be reached, but is no full copy."""
    assert at_risk(PAIRS, "abc", {**all_up(PAIRS, but="d"), C: left}) == Risk(40, (D,))


def moving(*donors: tuple[Address, bool]) -> View:
    """A view of all four, one copy each, in which D has got ten partitions of these donors."""
    view = successor(ALONE, A, B, C, D)
    partitions = pack(sorted(ring_of(view).partitions_of(D))[:10])
    return msgspec.structs.replace(view, donors=tuple((donor, alone, partitions) for donor, alone in donors))


def test_risk_of_a_donor_that_has_yet_to_hand_over() -> None:
    """B stays an owner of others, which only it has; of those that D waits for too."""
    view = moving((B, False))
    statuses = all_up(view, but="b")
    assert at_risk(view, "acd", statuses) == Risk(20, (B,)), "D has all that B was to bring"
    assert at_risk(view, "acd", statuses | {D: status(view, B)}) == Risk(21, (B,))


@pytest.mark.parametrize(
    ("donors", "risk"),
    [
        (((B, False), (C, False)), Risk(20, (B,))),
        (((B, True), (C, False)), Risk(21, (B,))),
        (((B, True),), Risk(21, (B,))),
    ],
    ids=["of which another copy is there", "which alone had some", "with no copies"],
)
def test_risk_of_a_donor_among_others(donors: tuple[tuple[Address, bool], ...], risk: Risk) -> None:
    view = moving(*donors)
    assert at_risk(view, "acd", {**all_up(view, but="b"), D: status(view, B, C)}) == risk


def test_risk_of_a_donor_that_the_view_does_not_name() -> None:
    """It came home and was taken in while another view was in force: what it may have is not known in detail."""
    view = moving()
    assert at_risk(view, "acd", {**all_up(view, but="b"), D: status(view, B)}) == Risk(21, (B,))


def test_risk_of_a_donor_outside_the_view_was_told_when_it_was_removed() -> None:
    view = moving(("e:1", False))
    assert at_risk(view, "abc", {**all_up(view), D: status(view, "e:1")}) == NO_RISK


E = "e:1"


@pytest.mark.parametrize(
    ("donors", "waiting", "heard", "risk"),
    [
        (((E, False),), (E,), {E: (30, 0)}, Risk(30, (E,))),
        (((E, False),), (E,), {E: (0, 4)}, Risk(4, (E,))),
        (((E, False),), (E,), {E: (1, 4)}, Risk(5, (E,))),
        (((E, False),), (E,), {}, Risk(None, (E,))),
        (((E, False),), (), {E: (30, 0)}, NO_RISK),
        (((C, False), (E, False)), (E,), {E: (30, 0)}, NO_RISK),
        (((C, False), (E, True)), (E,), {E: (30, 0)}, Risk(30, (E,))),
        ((), (E,), {E: (30, 0)}, Risk(30, (E,))),
    ],
    ids=[
        "heard of before it was removed",
        "heard of since",
        "heard of between",
        "never heard of",
        "all that it has was brought",
        "a copy was brought by another",
        "which it alone had",
        "not named by the view",
    ],
)
def test_left_behind_is_what_a_removed_node_that_is_gone_was_to_bring(
    donors: tuple[tuple[Address, bool], ...],
    waiting: tuple[Address, ...],
    heard: Mapping[Address, tuple[int, int]],
    risk: Risk,
) -> None:
    view = moving(*donors)
    last = {node: LastHeard(*keys, ALONE.id) for node, keys in heard.items()}
    statuses = all_up(view) | {D: status(view, *waiting)}
    assert left_behind(view, frozenset([E]), statuses, last, NO_RISK) == risk
    assert left_behind(view, frozenset(), statuses, last, NO_RISK) == NO_RISK, "another change has removed it"
    assert left_behind(view, frozenset([E]), statuses | {E: status(view)}, last, NO_RISK) == NO_RISK, "it is there"


def test_left_behind_nothing_of_which_another_owner_has_its_own_copy() -> None:
    """D had it all before, as E did: it waits for E to hear what else there may be."""
    pair = msgspec.structs.replace(ALONE, shards=((D, E), (A,)), table=pack([0, 0, 1, 1] * 1024), repl_factor=2)
    former = (Former(pair.id, 2, pair.shards),)
    alone = msgspec.structs.replace(
        successor(pair, A, D), shards=((D,), (A,)), table=pair.table, donors=((E, False, pack([0, 1, 4, 5])),)
    )
    last = {E: LastHeard(30, 0, pair.id)}
    statuses = {A: status(alone), D: status(alone, E)}
    behind = msgspec.structs.replace(alone, former=former)
    assert (
        left_behind(behind, frozenset([E]), {**statuses, D: status(behind, E), A: status(behind)}, last, NO_RISK)
        == NO_RISK
    )
    assert left_behind(alone, frozenset([E]), statuses, last, NO_RISK) == Risk(30, (E,)), "it cannot be told"
    grown = msgspec.structs.replace(behind, shards=((A,), (D,)))
    heard = {A: status(grown, E), D: status(grown)}
    assert left_behind(grown, frozenset([E]), heard, last, NO_RISK).nodes == (E,), "A had none of it"


def test_left_behind_goes_with_what_was_given_up_as_the_change_was_made() -> None:
    view = moving((E, False), ("f:1", True))
    last = {E: LastHeard(3, 0, ALONE.id), "f:1": LastHeard(2, 0, ALONE.id)}
    statuses = all_up(view) | {D: status(view, E, "f:1")}
    assert left_behind(view, frozenset([E, "f:1"]), statuses, last, Risk(7, (E,))) == Risk(9, (E, "f:1"))
    assert left_behind(view, frozenset([E, "f:1"]), statuses, last, Risk(None, (E,))) == Risk(None, (E, "f:1"))
    assert left_behind(view, frozenset([E, "f:1"]), statuses, {}, Risk(7, (E, "f:1"))) == Risk(7, (E, "f:1"))


def test_left_behind_nothing_that_was_heard_to_be_settled_and_empty() -> None:
    view = moving((E, True))
    statuses = all_up(view) | {D: status(view, E)}
    assert left_behind(view, frozenset([E]), statuses, {E: LastHeard(0, 0, view.id)}, NO_RISK) == NO_RISK
    assert left_behind(view, frozenset([E]), statuses, {E: LastHeard(0, 0, ALONE.id)}, NO_RISK) == Risk(None, (E,))


def test_demand_safe_says_how_many_and_where() -> None:
    demand_safe(NO_RISK)
    for keys in (7, None):
        with pytest.raises(Conflict, match="Keys would be lost") as refusal:
            demand_safe(Risk(keys, (B, C)))
        assert refusal.value.details == {"keys-at-risk": keys, "unreachable": [B, C]}

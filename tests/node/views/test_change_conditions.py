"""What stands in the way of a view change, and how it is said: tables."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import Address, View, ViewId
from node.errors import Conflict, Reason, Unavailable
from node.net.messages import Answer, Busy, NoRoom, Promised, Status, ViewIs
from node.views.change_conditions import (
    Again,
    State,
    Target,
    Wish,
    demand_native,
    demand_nothing_moves,
    demand_promises,
    demand_reachable,
    full_in_the_way,
    is_settled,
    returning,
    state_of,
)
from tests.node.views.bench import A, B, C, D, environment
from tests.node.views.statuses import KEEPS_FOR_B, NOW_MS, OLD, STALL_S, START, TARGET, status, still


def test_target_name_is_of_the_set_of_nodes_and_of_the_factor() -> None:
    assert Target(frozenset({A, B}), 2).name == Target(frozenset({B, A}), 2).name
    assert len({Target(frozenset({A, B}), factor).name for factor in (None, 1, 2)}) == 3


@pytest.mark.parametrize(
    ("statuses", "settled"),
    [
        ([status(), status()], True),
        ([status(), status(START)], False),
        ([status(), status(handing=(B,))], False),
        ([status(), status(waiting=(B,))], False),
    ],
    ids=["all", "one holds another view", "one hands over", "one waits"],
)
def test_is_settled(statuses: list[Status], settled: bool) -> None:
    assert is_settled(OLD.id, statuses) is settled


PROMISED = msgspec.structs.replace(status(), promised=5, target="t")


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ({A: status(), B: status()}, State.SETTLED),
        ({A: status()}, State.MOVING),
        ({A: status(), B: status(START)}, State.MOVING),
        ({A: status(), B: status(handing=(B,))}, State.MOVING),
        ({}, State.MOVING),
        ({A: PROMISED, B: status(START)}, State.PREPARING),
        ({B: PROMISED}, State.PREPARING),
    ],
    ids=["all settled", "one silent", "another view", "one hands over", "all silent", "promised", "silent, promised"],
)
def test_state_of(statuses: dict[Address, Status], state: State) -> None:
    assert state_of(OLD, statuses) is state


@pytest.mark.parametrize(
    ("returned", "comes"),
    [
        (status(START, handing=(B,)), True),
        (status(START, handing=(D,), holds=True), True),
        (status(START, holds=False), False),
        (status(OLD, handing=(D,)), False),
        (status(OLD, handing=(B,)), True),
    ],
    ids=[
        "to one that is there",
        "holds an earlier view's",
        "holds nothing",
        "to nobody that is there",
        "under this view",
    ],
)
def test_returning_is_who_has_something_to_bring(returned: Status, comes: bool) -> None:
    statuses = {A: status(), B: status(), C: returned}
    assert returning(OLD, TARGET, statuses, STALL_S, NOW_MS) == ({C: returned} if comes else {})


def test_returning_is_nobody_who_stays() -> None:
    target = Target(frozenset({A, B}), None)
    assert returning(OLD, target, {A: status(START, handing=(B,)), B: status()}, STALL_S, NOW_MS) == {}


@pytest.mark.parametrize(
    ("returned", "taker_is_full", "spare_until_ms", "comes"),
    [
        (status(handing=(B,)), True, NOW_MS + 1, False),
        (status(handing=(B,)), True, NOW_MS, True),
        (status(handing=(B,)), False, NOW_MS + 1, True),
        (still(status(handing=(B,))), False, NOW_MS + 1, False),
        (still(status(START, handing=(B,))), True, NOW_MS + 1, True),
    ],
    ids=[
        "to a full disk",
        "and deletions may be forgotten by now",
        "to one that takes it",
        "nothing has moved for long",
        "under an earlier view",
    ],
)
def test_returning_is_nobody_whose_records_are_taken_by_no_disk(
    returned: Status, taker_is_full: bool, spare_until_ms: int, comes: bool
) -> None:
    old = msgspec.structs.replace(OLD, spare_until_ms=spare_until_ms)
    if returned.view == OLD.id:
        returned = msgspec.structs.replace(returned, view=old.id)
    statuses = {B: still(status(old), full=taker_is_full), C: returned}
    assert returning(old, TARGET, statuses, STALL_S, NOW_MS) == ({C: returned} if comes else {})


def test_demand_reachable_names_who_is_not() -> None:
    with pytest.raises(Unavailable) as refusal:
        demand_reachable([A, C, B], {A: status()})
    assert refusal.value.details == {"unreachable": [B, C]}
    demand_reachable([A], {A: status()})


def test_demand_native_of_who_comes_in_only() -> None:
    demand_native(TARGET.nodes, [A])
    with pytest.raises(Conflict) as refusal:
        demand_native(TARGET.nodes, [A, C])
    assert refusal.value.details == {"foreign": [C]}


@pytest.mark.parametrize(
    ("old", "statuses", "refusal"),
    [
        (OLD, {A: status(), B: status()}, None),
        (OLD, {A: status(handing=(B,)), B: status()}, Conflict),
        (OLD, {A: KEEPS_FOR_B, B: status()}, None),
        (OLD, {A: status(waiting=(B,)), B: status()}, Conflict),
        (OLD, {A: status(handing=(D,)), B: status(waiting=(D,))}, None),
        (OLD, {A: status(), B: status(START)}, Conflict),
        (OLD, {A: status(), C: status(START)}, None),
        (START, {A: status(START, handing=(B,)), B: status(START)}, Again),
    ],
    ids=[
        "all at rest",
        "one hands over",
        "keys are kept for one that can be reached, but not by who keeps them",
        "one waits",
        "both only for one that is gone",
        "a member that has yet to take the view",
        "so has a newcomer",
        "of an environment's view",
    ],
)
def test_demand_nothing_moves(old: View, statuses: dict[Address, Status], refusal: type[Exception] | None) -> None:
    if refusal is None:
        demand_nothing_moves(old, statuses, STALL_S)
    else:
        with pytest.raises(refusal):
            demand_nothing_moves(old, statuses, STALL_S)


@pytest.mark.parametrize(
    ("statuses", "refused"),
    [
        ({A: still(status(handing=(B,))), B: still(status())}, False),
        ({A: still(status(handing=(B,)), still_s=STALL_S - 1), B: still(status())}, True),
        ({A: status(handing=(B,)), B: still(status(waiting=(A,)), full=True)}, False),
        ({A: status(handing=(B,)), B: still(status(), full=True), C: status(waiting=(A,))}, True),
        ({A: still(status(handing=(B,)), full=True, still_s=0), B: status()}, True),
        ({A: still(status()), B: still(status(START), still_s=9 * STALL_S)}, False),
        ({A: status(), B: still(status(START), still_s=9 * STALL_S)}, True),
        ({A: status(), B: still(status(START), full=True)}, False),
    ],
    ids=[
        "nothing has moved for long",
        "something has",
        "all that is left is for a full disk",
        "a third one takes what it waits for",
        "a full disk hands over",
        "a member does not take a view that is not new",
        "a member is late to take a new one",
        "a member has no room for it",
    ],
)
def test_change_gets_on_by_what_has_moved_lately(statuses: dict[Address, Status], refused: bool) -> None:
    if refused:
        with pytest.raises(Conflict):
            demand_nothing_moves(OLD, statuses, STALL_S)
    else:
        demand_nothing_moves(OLD, statuses, STALL_S)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({A: still(status(handing=(B,))), B: still(status(waiting=(A,)), full=True)}, [B]),
        ({A: still(status(handing=(B,)), still_s=0), B: still(status(waiting=(A,)), full=True)}, []),
        ({A: still(status(handing=(B,))), B: still(status(waiting=(A,)))}, []),
        ({A: still(status()), B: still(status(), full=True)}, []),
        ({A: still(status()), B: still(status(START), full=True)}, [B]),
        ({A: status(), B: still(status(START), full=True)}, []),
    ],
    ids=[
        "one is full",
        "but something moves",
        "none is",
        "one is, and has all",
        "one is, and cannot take the view",
        "which is new",
    ],
)
def test_full_in_the_way_is_named_once_nothing_moves(statuses: dict[Address, Status], expected: list[Address]) -> None:
    assert full_in_the_way(OLD.id, statuses, STALL_S) == expected


@pytest.mark.parametrize(
    ("replies", "refusal"),
    [
        ({A: Promised(), B: Promised(), C: Promised()}, None),
        ({A: None, B: Promised(), C: Promised()}, None),
        ({A: NoRoom(), B: Promised(), C: Promised()}, None),
        ({A: Promised(), B: Promised(), C: None}, Unavailable),
        ({A: Busy(3, D, "another"), B: Promised(), C: Promised()}, Conflict),
        ({A: Busy(3, D, TARGET.name), B: Promised(), C: Promised()}, Again),
        ({A: ViewIs(OLD.encoded), B: Promised(), C: Promised()}, Again),
    ],
    ids=[
        "all",
        "one that goes is silent",
        "one that goes has no room",
        "one that comes is silent",
        "another change",
        "the same one",
        "another view",
    ],
)
def test_demand_promises(replies: dict[Address, Answer | None], refusal: type[Exception] | None) -> None:
    if refusal is None:
        demand_promises(TARGET, replies)
    else:
        with pytest.raises(refusal):
            demand_promises(TARGET, replies)


def test_demand_promises_names_who_has_no_room() -> None:
    with pytest.raises(Unavailable) as refusal:
        demand_promises(TARGET, {A: NoRoom(), B: None, C: NoRoom()})
    assert refusal.value.details == {"full": [C]} and refusal.value.reason is Reason.DISK


def test_target_is_met_by_nodes_and_factor() -> None:
    assert Target(START.nodes, None).is_met_by(OLD)
    assert not Target(START.nodes, 1).is_met_by(OLD)
    assert OLD.id > ViewId(0, 0)


def test_wish_keeps_the_factor_of_the_present_view_unless_one_is_given() -> None:
    of_two = environment(A, B, repl_factor=2)
    assert Wish(frozenset({C})).under(of_two) == Target(frozenset({C}), 2)
    assert Wish(frozenset({C}), 1).under(of_two) == Target(frozenset({C}), 1)

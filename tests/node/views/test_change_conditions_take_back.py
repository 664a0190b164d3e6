"""What a change is taken back to, and what stands in the way of that: tables."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import FORMER_MAX, Address, Former, View
from node.errors import Conflict
from node.net.messages import Status
from node.views.change_conditions import (
    Again,
    TakeBack,
    Target,
    demand_all_hold,
    demand_epoch,
    demand_to_be_taken_back,
    former_of_next,
    has_settled,
    is_believed,
)
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D
from tests.node.views.statuses import OLD, STALL_S, START, status, still

BEFORE = Former(START.id, 2, ((A, B),))
MOVING = msgspec.structs.replace(successor(OLD, A, C), former=(Former(OLD.id, None, OLD.shards), BEFORE))


def test_take_back_is_of_the_view_before_with_its_own_factor() -> None:
    assert TakeBack().under(MOVING) == Target(OLD.nodes, None)
    assert TakeBack().under(OLD).is_met_by(OLD), "where there is none, it is the present one"


def test_has_settled_once_all_that_it_concerns_say_so() -> None:
    with_donor = msgspec.structs.replace(OLD, donors=((D, False, b"\0\0"),))
    settled = status(with_donor)
    assert has_settled(with_donor, {A: settled, B: settled, D: settled, C: status(START)})
    assert not has_settled(with_donor, {A: settled, B: settled, D: status(with_donor, handing=(A,))})
    assert not has_settled(with_donor, {A: settled, D: settled})


def test_has_settled_though_a_donor_that_nobody_waits_for_was_stopped_since() -> None:
    """It has handed over, and whoever asks how far the change is must not be told that keys move once more."""
    with_donor = msgspec.structs.replace(OLD, donors=((D, False, b"\0\0"),))
    settled = status(with_donor)
    assert has_settled(with_donor, {A: settled, B: settled})
    waits = msgspec.structs.replace(settled, waiting=status(waiting=(D,)).waiting)
    assert not has_settled(with_donor, {A: settled, B: waits}), "it may have something that nobody else has"


def test_former_of_next_goes_back_to_the_last_that_has_settled() -> None:
    at_rest, moves = {A: status(MOVING), C: status(MOVING)}, {A: status(MOVING, waiting=(C,)), C: status(MOVING)}
    itself = Former(MOVING.id, None, MOVING.shards)
    assert former_of_next(MOVING, at_rest, takes_back=False) == (itself,)
    assert former_of_next(MOVING, moves, takes_back=False) == (itself, *MOVING.former)
    assert former_of_next(MOVING, moves, takes_back=True) == (BEFORE,)
    many = msgspec.structs.replace(MOVING, former=(BEFORE,) * FORMER_MAX)
    assert len(former_of_next(many, moves, takes_back=False)) == FORMER_MAX


def test_demand_epoch_names_that_in_force() -> None:
    demand_epoch(OLD, None)
    demand_epoch(OLD, OLD.epoch)
    for other in (OLD.epoch - 1, OLD.epoch + 1):
        with pytest.raises(Conflict, match=f"of epoch {OLD.epoch}, not {other}") as refusal:
            demand_epoch(OLD, other)
        assert refusal.value.details == {"epoch": OLD.epoch}


@pytest.mark.parametrize(
    ("view", "statuses", "error"),
    [
        (START, {A: status(START, waiting=(B,)), B: status(START)}, "There is no view change"),
        (MOVING, {A: status(MOVING), C: status(MOVING)}, "has settled"),
        (OLD, {A: status(waiting=(B,)), B: status()}, "Nothing to go back to"),
        (MOVING, {A: status(MOVING, waiting=(C,)), C: status(MOVING)}, None),
        (MOVING, {A: status(MOVING)}, None),
    ],
    ids=["of the start", "settled", "none before it", "moves", "waits for one that is down"],
)
def test_demand_to_be_taken_back(view: View, statuses: dict[Address, Status], error: str | None) -> None:
    if error is None:
        demand_to_be_taken_back(view, statuses)
    else:
        with pytest.raises(Conflict, match=error):
            demand_to_be_taken_back(view, statuses)


def test_demand_all_hold_of_owners_that_can_be_reached() -> None:
    """One that has yet to take the view does not know for whom it will wait, so who has its keys would not be named."""
    demand_all_hold(OLD, {A: status(), D: status(START)}, STALL_S)
    with pytest.raises(Again):
        demand_all_hold(OLD, {A: status(), B: status(START)}, STALL_S)


def test_demand_all_hold_of_no_disk_that_does_not_take_the_view() -> None:
    demand_all_hold(OLD, {A: status(), B: still(status(START), full=True)}, STALL_S)
    demand_all_hold(OLD, {A: still(status()), B: status(START)}, STALL_S)


@pytest.mark.parametrize(
    ("returned", "now_ms", "believed"),
    [
        (status(handing=(B,)), 9, True),
        (status(handing=(B,)), 10, False),
        (status(START, handing=(B,)), 9, False),
    ],
    ids=["within the grace", "after it", "under an earlier view"],
)
def test_is_believed_of_whom_the_change_has_removed(returned: Status, now_ms: int, believed: bool) -> None:
    """Later, what it has may have been deleted and forgotten."""
    view = msgspec.structs.replace(OLD, donors=((C, False, b"\0\0"),), spare_until_ms=10)
    returned = msgspec.structs.replace(returned, view=view.id if returned.view == OLD.id else returned.view)
    assert is_believed(C, returned, view, now_ms) is believed
    assert not is_believed(D, returned, view, now_ms), "the change was not about it"

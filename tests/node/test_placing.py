"""What a coordinator puts into the next view."""

from __future__ import annotations

from msgspec import structs

from gossip.view import Address, Stamp, check_view
from node.placing import plan_change
from node.views import ring_of
from node.wire import Owed, Status
from ring.hashing import unpack
from tests.node.test_views import environment

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
OLD = environment(A, B)


def status(*waiting: Address) -> Status:
    return Status(Stamp(0, 0), 0, "", 0, (), tuple(Owed(address, 1, 0) for address in waiting), not waiting)


def test_plan_growth_donors_are_the_owners_that_lose_partitions() -> None:
    plan = plan_change(OLD, [A, B, C], None, {A: status(), B: status(), C: status()})
    view = plan.view(OLD, 1, A)
    check_view(view)
    gained = ring_of(view).partitions_of(C)
    donated = {address: unpack(partitions) for address, partitions in view.donors}
    assert sorted(donated[A] + donated[B]) == list(gained)
    assert set(donated) == {A, B}
    assert {move.partition for move in plan.moves} == set(gained)


def test_plan_is_built_on_the_old_view() -> None:
    view = plan_change(OLD, [A], 1, {A: status(), B: status()}).view(OLD, 5, B)
    assert (view.epoch, view.base, view.lineage, view.coordinator, view.repl_factor) == (
        5,
        OLD.stamp,
        OLD.stamp.digest,
        B,
        1,
    )


def test_plan_removed_node_that_was_silent_is_asked_all_the_same() -> None:
    """It may be at work again before the view is in force, and must not serve on what its successor overwrites."""
    view = plan_change(OLD, [A, C], None, {A: status(), C: status()}).view(OLD, 1, A)
    assert B in dict(view.donors)


def test_plan_successor_takes_over_whom_the_owner_waited_for() -> None:
    """Also where the owner stays: the donor is being removed, and only named donors are asked then."""
    plan = plan_change(OLD, [A, C], None, {A: status(D), B: status(), C: status(), D: status()})
    donated = {address: set(partitions) for address, partitions in plan.donors.items()}
    assert donated[D] == set(ring_of(OLD).partitions_of(A))
    assert donated[B] <= set(plan.ring.partitions_of(C))


def test_plan_successor_of_a_silent_owner_takes_over_who_had_something_for_it() -> None:
    """The owner was killed before it had taken what a donor was bringing it."""
    giver = structs.replace(status(), handing=(Owed(B, 1, 1),))
    plan = plan_change(OLD, [A, C], None, {A: status(), C: status(), D: giver})
    donated = {address: set(partitions) for address, partitions in plan.donors.items()}
    assert donated[D] == donated[B] == set(ring_of(OLD).partitions_of(B))


def test_plan_waited_for_but_silent_is_no_donor() -> None:
    plan = plan_change(OLD, [A, C], None, {A: status(D), B: status(), C: status()})
    assert D not in plan.donors


def test_plan_same_nodes_moves_nothing() -> None:
    plan = plan_change(OLD, [A, B], 1, {A: status(), B: status()})
    assert (plan.moves, dict(plan.donors)) == ((), {})

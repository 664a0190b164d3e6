"""What a coordinator puts into the next view."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gossip.view import Address, Former, View, ViewId, check_view
from node.net.messages import Owed, Status
from node.views.change_conditions import TakeBack, Wish
from node.views.plan import Plan, is_dealt_by_zones, placement_before, plan_change, plan_for, zones_told
from node.views.rules import ring_of
from ring.hashing import PARTITIONS, unpack
from ring.sets import ALL, partitions_in
from tests.node.views.bench import environment

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
OLD = environment(A, B)


SHARDS = environment(A, B, C, D, repl_factor=2)
"""A and B in one shard, C and D in the other."""


def status(*waiting: Address) -> Status:
    return Status(ViewId(0, 0), 0, "", 0, (), tuple(Owed(address, 1, 0) for address in waiting), not waiting, False)


def donated(plan: Plan, donor: Address, alone: bool = False) -> set[int]:
    return set(partitions_in(plan.donors.get((donor, alone), 0)))


def test_plan_growth_donors_are_the_owners_that_lose_partitions() -> None:
    plan = plan_change(OLD, [A, B, C], None, {A: status(), B: status(), C: status()})
    view = plan.view(OLD, 1, A, 0)
    check_view(view)
    gained = ring_of(view).partitions_of(C)
    donated = {(address, alone): unpack(partitions) for address, alone, partitions in view.donors}
    assert sorted(donated[A, False] + donated[B, False]) == sorted(gained)
    assert set(donated) == {(A, False), (B, False)}
    assert {move.partition for move in plan.moves} == set(gained)


def test_plan_is_built_on_the_old_view() -> None:
    view = plan_change(OLD, [A], 1, {A: status(), B: status()}).view(OLD, 5, B, 0)
    assert (view.epoch, view.base, view.lineage, view.coordinator, view.repl_factor) == (
        5,
        OLD.id,
        OLD.id.digest,
        B,
        1,
    )


def test_plan_removed_node_that_was_silent_is_asked_all_the_same() -> None:
    """It may be at work again before the view is in force, and must not serve on what its successor overwrites."""
    view = plan_change(OLD, [A, C], None, {A: status(), C: status()}).view(OLD, 1, A, 0)
    assert B in {address for address, *_ in view.donors}


def test_plan_successor_takes_over_whom_the_owner_waited_for() -> None:
    """Also where the owner stays: the donor is being removed, and only named donors are asked then."""
    plan = plan_change(OLD, [A, C], None, {A: status(D), B: status(), C: status(), D: status()})
    assert donated(plan, D, alone=True) == set(ring_of(OLD).partitions_of(A))
    assert donated(plan, B) == set(ring_of(OLD).partitions_of(B))


def test_plan_successor_of_a_silent_owner_takes_over_who_had_something_for_it() -> None:
    """The owner was killed before it had taken what a donor was bringing it."""
    giver = structs.replace(status(), handing=(Owed(B, 1, 1),))
    plan = plan_change(OLD, [A, C], None, {A: status(), C: status(), D: giver})
    assert donated(plan, D, alone=True) == donated(plan, B) == set(ring_of(OLD).partitions_of(B))


def test_plan_waited_for_but_silent_is_no_donor() -> None:
    plan = plan_change(OLD, [A, C], None, {A: status(D), B: status(), C: status()})
    assert D not in {address for address, _ in plan.donors}


def test_plan_same_nodes_moves_nothing() -> None:
    plan = plan_change(OLD, [A, B], 1, {A: status(), B: status()})
    assert (plan.moves, dict(plan.donors)) == ((), {})


# Zones


def in_zone(zone: str) -> Status:
    return structs.replace(status(), zone=zone)


RACKS = {A: in_zone("r1"), B: in_zone("r1"), C: in_zone("r2"), D: in_zone("r2")}
"""The copies of each of SHARDS are in one rack."""


def test_plan_nodes_are_dealt_by_the_zones_that_they_tell() -> None:
    plan = plan_change(SHARDS, [A, B, C, D], 2, RACKS)
    assert plan.ring.shards == ((A, D), (C, B))
    view = plan.view(SHARDS, 1, A, 0)
    check_view(view)
    assert view.zones == ((A, "r1"), (B, "r1"), (C, "r2"), (D, "r2"))


def test_plan_zone_that_is_the_host_is_not_told() -> None:
    view = plan_change(SHARDS, [A, B, C, D], 2, everybody(A, B, C) | {D: in_zone("d")}).view(SHARDS, 1, A, 0)
    assert (view.zones, view.zone_of) == ((), {A: "a", B: "b", C: "c", D: "d"})


def test_zones_told_a_silent_node_is_where_it_was() -> None:
    old = plan_change(SHARDS, [A, B, C], 2, RACKS).view(SHARDS, 1, A, 0)
    assert zones_told(old, [A, C, D], {A: in_zone("r9")}) == {A: "r9", C: "r2", D: "d"}


def test_view_is_dealt_by_zones_until_a_node_tells_of_another_one() -> None:
    view = plan_change(SHARDS, [A, B, C, D], 2, RACKS).view(SHARDS, 1, A, 0)
    assert is_dealt_by_zones(view, RACKS) and is_dealt_by_zones(view, {})
    assert not is_dealt_by_zones(view, RACKS | {A: in_zone("r3")})
    assert not is_dealt_by_zones(SHARDS, RACKS)


def test_view_is_not_dealt_by_zones_if_copies_share_one_that_need_not() -> None:
    """As in a view that was made when nobody asked for zones."""
    view = structs.replace(plan_change(SHARDS, [A, B, C, D], 2, RACKS).view(SHARDS, 1, A, 0), shards=SHARDS.shards)
    assert view.zone_of == {node: told.zone for node, told in RACKS.items()}
    assert not is_dealt_by_zones(view, RACKS)


# Shards of several copies


def everybody(*nodes: Address) -> dict[Address, Status]:
    return dict.fromkeys(nodes, status())


def test_plan_newcomer_to_a_shard_hears_those_who_were_there() -> None:
    """Those that stay need not hear each other: only its partitions' owners before are named, and not the newcomer."""
    old = environment(A, B, repl_factor=2)
    plan = plan_change(old, [A, B, C], 2, everybody(A, B, C))
    lease_granted = set(range(PARTITIONS))
    assert plan.ring.shards == ((A, B, C),)
    assert (donated(plan, A), donated(plan, B), donated(plan, C)) == (lease_granted, lease_granted, set())
    check_view(plan.view(old, 1, A, 0))


def test_plan_copy_that_leaves_a_shard_is_a_donor_to_those_that_stay() -> None:
    """It may have kept what it could not share."""
    old = environment(A, B, C, repl_factor=2)
    plan = plan_change(old, [A, B], 2, everybody(A, B, C))
    assert plan.ring.shards == ((A, B),)
    assert dict(plan.donors) == {(C, False): ALL}


def test_plan_all_copies_of_a_partition_that_changes_hands_are_donors() -> None:
    plan = plan_change(SHARDS, [A, B], 2, everybody(A, B, C, D))
    theirs = set(ring_of(SHARDS).partitions_of(C))
    assert plan.ring.shards == ((A, B),)
    assert donated(plan, C) == donated(plan, D) == theirs
    assert donated(plan, A) == donated(plan, B) == set()


def test_plan_waited_for_by_a_copy_is_named_alone_unless_it_was_a_copy_itself() -> None:
    answered = {**everybody(A, B, C, D), A: status(B, C)}
    plan = plan_change(SHARDS, [A, B], 2, answered)
    mine = set(ring_of(SHARDS).partitions_of(A))
    assert donated(plan, C, alone=True) == mine
    assert donated(plan, B, alone=True) == set()


def changed(old: View, nodes: list[Address], repl_factor: int | None) -> View:
    """By a change that all nodes hear of, and that may be taken back."""
    answered = {node: status() for node in (*old.nodes, *nodes)}
    former = (Former(old.id, old.repl_factor, old.shards),)
    return plan_change(old, nodes, repl_factor, answered).view(old, old.epoch + 1, A, 0, former)


MEMBERS = st.lists(st.sampled_from([f"{name}:1" for name in "abcdefgh"]), min_size=1, unique=True)


@given(st.lists(st.tuples(MEMBERS, st.sampled_from([None, 1, 2, 3])), min_size=2, max_size=4))
def test_placement_before_is_just_what_it_was(steps: list[tuple[list[Address], int | None]]) -> None:
    """Whatever the change was: what has not moved yet is at home again."""
    (nodes, factor), *rest = steps
    view = environment(*nodes, repl_factor=factor)
    for nodes, factor in rest:
        before, view = view, changed(view, nodes, factor)
        check_view(view)
        assert placement_before(view) == (before.shards, before.table)


def test_placement_before_is_told_by_the_next_view_only() -> None:
    """A view that has taken another one back does not know how the one before that was laid out."""
    grown = changed(OLD, [A, B, C], None)
    assert placement_before(OLD) is None
    assert placement_before(structs.replace(grown, former=())) is None
    assert placement_before(structs.replace(grown, base=ViewId(0, 1))) is None


def test_plan_for_taking_back_moves_what_has_moved_and_nothing_else() -> None:
    grown = changed(OLD, [A, B, C], None)
    answered = {A: status(), B: status(), C: status(A, B)}
    plan = plan_for(grown, TakeBack(), answered)
    assert plan.placement == (OLD.shards, OLD.table)
    gained = set(ring_of(grown).partitions_of(C))
    assert {move.partition for move in plan.moves} == gained
    assert donated(plan, C) == gained, "it may have them"
    assert donated(plan, A, alone=True) | donated(plan, B, alone=True) == gained, (
        "or those from whom it was to get them"
    )
    assert plan_for(grown, Wish(frozenset({A, B})), answered).placement.shards == OLD.shards

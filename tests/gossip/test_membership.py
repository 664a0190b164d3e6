"""The table of members: merging is a join, rumours are refuted or ripen, strangers are bounded and forgotten."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gossip.membership import Member, State
from gossip.messages import MemberRecord, Rumour
from tests.gossip.members import DEAD, OWN, SETTINGS, SUSPECTED, B, membership, stranger, tell


def test_membership_starts_with_the_view() -> None:
    members = membership()
    assert dict(members) == {
        "a:1": Member(State.ALIVE, OWN),
        "b:1": Member(State.UNKNOWN, None),
        "c:1": Member(State.UNKNOWN, None),
    }
    assert "d:1" not in members and members.get("d:1") is None


@pytest.mark.parametrize(
    ("held", "came", "kept"),
    [
        (B, replace(B, version=3, key_count=1), "came"),
        (B, replace(B, incarnation=6, version=0), "came"),
        (B, replace(B, store_id=9), "came"),
        (B, B, "held"),
        (B, replace(B, version=1, key_count=99), "held"),
        (B, replace(B, incarnation=4, version=9), "held"),
        (B, replace(B, store_id=1), "held"),
    ],
)
def test_record_newer_wins_and_stale_is_a_no_op(held: MemberRecord, came: MemberRecord, kept: str) -> None:
    members = membership(held)
    changed = members.merge_record(came)
    assert changed == (kept == "came")
    assert members.record("b:1") == (came if changed else held)


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (SUSPECTED, None, State.SUSPECT),
        (DEAD, None, State.DEAD),
        (SUSPECTED, DEAD, State.DEAD),
        (DEAD, SUSPECTED, State.DEAD),
        (DEAD, replace(SUSPECTED, incarnation=6), State.SUSPECT),
        (replace(DEAD, incarnation=4), None, State.ALIVE),
        (SUSPECTED, replace(B, incarnation=6), State.ALIVE),
        (DEAD, replace(B, incarnation=6), State.ALIVE),
        (DEAD, replace(B, version=9), State.DEAD),
        (replace(B, incarnation=6), DEAD, State.ALIVE),
    ],
)
def test_rumour_of_an_incarnation_holds_until_a_higher_one(
    first: Rumour | MemberRecord, second: Rumour | MemberRecord | None, state: State
) -> None:
    members = membership(B)
    tell(members, [first] if second is None else [first, second])
    assert members["b:1"].state is state


def test_rumour_about_an_unknown_node_is_ignored() -> None:
    members = membership()
    assert not members.merge_rumour(Rumour("x:1", 1, dead=True), now=0.0)
    assert "x:1" not in members


def test_rumour_about_a_node_without_record_ends_with_its_first_record() -> None:
    members = membership()
    members.suspect("b:1", now=0.0)
    assert members.rumour("b:1") == Rumour("b:1", 0, dead=False)
    members.merge_record(B)
    assert members["b:1"] == (State.ALIVE, B)


def test_own_record_next_version_only_if_it_changes() -> None:
    members = membership()
    members.update(settled_epoch=1, key_count=10)
    assert members.own == OWN
    members.update(settled_epoch=1, key_count=11)
    assert members.own == replace(OWN, version=3, key_count=11)


@pytest.mark.parametrize(
    ("heard", "incarnation"),
    [
        (OWN, 5),
        (replace(OWN, version=1, key_count=3), 5),
        (replace(OWN, incarnation=4, version=99), 5),
        (replace(OWN, version=3), 6),
        (replace(OWN, store_id=1), 6),
        (replace(OWN, incarnation=9, store_id=1), 10),
        (replace(OWN, incarnation=2**62, store_id=1), 5),
    ],
)
def test_own_record_goes_above_one_that_it_never_wrote(heard: MemberRecord, incarnation: int) -> None:
    members = membership()
    assert members.merge_record(heard) == (incarnation > 5)
    assert members.own.incarnation == incarnation
    assert members.own.store_id == OWN.store_id
    assert not members.merge_record(heard), "heard again, it is stale"


@pytest.mark.parametrize(("rumoured", "incarnation"), [(4, 5), (5, 6), (8, 9), (2**62, 5)])
@pytest.mark.parametrize("dead", [False, True])
def test_own_incarnation_refutes_a_rumour_unless_stale(rumoured: int, incarnation: int, dead: bool) -> None:
    members = membership()
    rumour = Rumour("a:1", rumoured, dead)
    assert members.merge_rumour(rumour, now=0.0) == (incarnation > 5)
    assert members.own.incarnation == incarnation
    assert members["a:1"].state is State.ALIVE
    assert not members.merge_rumour(rumour, now=0.0), "heard again, it is stale"


@pytest.mark.parametrize(
    ("sent", "has_rival"),
    [
        (B, False),
        (replace(B, version=3), False),
        (replace(B, incarnation=6, version=0, store_id=1), False),
        (replace(B, store_id=9), True),
        (replace(B, incarnation=1, version=0, store_id=9), True),
    ],
)
def test_rival_is_what_an_emptied_node_has_to_go_above(sent: MemberRecord, has_rival: bool) -> None:
    assert membership(B).rival(sent) == (B if has_rival else None)


@pytest.mark.parametrize(
    ("sent", "has_predecessor"),
    [
        (replace(B, incarnation=6, version=0, store_id=1), True),
        (replace(B, incarnation=1, version=0, store_id=1), True),
        (replace(B, incarnation=6, version=0, store_id=1, stable=9), False),
        (replace(B, version=3), False),
    ],
    ids=["another store", "an older one", "one that has announced as much", "the same process"],
)
def test_predecessor_is_what_another_process_has_announced(sent: MemberRecord, has_predecessor: bool) -> None:
    known = replace(B, stable=9)
    assert membership(known).predecessor(sent) == (known if has_predecessor else None)
    assert membership().predecessor(sent) is None


def test_predecessor_is_remembered_until_its_successor_has_announced_as_much() -> None:
    """Whoever brings the record of the new process first: the process itself must still hear what it announced."""
    old, new = replace(B, stable=9), replace(B, incarnation=6, version=0, store_id=1)
    members = membership(old)
    members.merge_record(new)
    assert members.predecessor(new) == members.predecessor(replace(new, version=1, stable=8)) == old
    members.merge_record(replace(new, version=1, stable=8))
    assert members.predecessor(replace(new, version=1, stable=8)) == old
    members.merge_record(replace(new, version=2, stable=9))
    assert members.predecessor(replace(new, version=2, stable=9)) is None
    assert members.predecessor(replace(new, version=3, stable=8)) is None


def test_stable_before_is_the_highest_that_another_process_announced_under_this_address() -> None:
    members = membership()
    for incarnation, store_id, stable in ((9, OWN.store_id, 50), (1, 3, 20), (9, 4, 10), (1, 3, 20)):
        members.merge_record(replace(OWN, incarnation=incarnation, store_id=store_id, stable=stable))
    assert members.stable_before == 20


def test_suspect_ripens_to_dead_in_time_that_grows_with_the_cluster() -> None:
    for size in (3, 30, 300):
        nodes = ["a:1", "b:1", *(f"n{i}:1" for i in range(size - 2))]
        members = membership(B, nodes=nodes)
        members.suspect("b:1", now=100.0)
        suspicion_s = SETTINGS.suspicion_s(size)
        assert members.ripen(100.0 + suspicion_s * 0.99) == []
        assert members.rumour("b:1") == SUSPECTED
        assert members.ripen(100.0 + suspicion_s * 1.01) == ["b:1"]
        assert members.rumour("b:1") == DEAD
        assert members.ripen(1e6) == [] and "b:1" in members, "a member of the view is never forgotten"
    assert SETTINGS.suspicion_s(300) / SETTINGS.suspicion_s(3) == pytest.approx(4.1, abs=0.1)


def test_suspect_gets_more_time_when_granted() -> None:
    members = membership(B)
    members.suspect("b:1", now=100.0)
    members.grant(50.0)
    assert members.ripen(149.0) == []
    assert members.ripen(152.0) == ["b:1"]


@pytest.mark.parametrize("rumour", [SUSPECTED, DEAD])
def test_hear_overrules_a_rumour_here_and_keeps_it_to_be_refuted(rumour: Rumour) -> None:
    members = membership(B)
    members.merge_rumour(rumour, now=100.0)
    assert members.hear("b:1")
    assert not members.hear("b:1"), "already overruled"
    assert members["b:1"].state is State.ALIVE and members.is_well("b:1")
    assert members.rumour("b:1") == rumour
    assert members.ripen(1e6) == []
    assert not members.merge_rumour(rumour, now=101.0), "the same rumour again is stale"
    assert members["b:1"].state is State.ALIVE
    members.suspect("b:1", now=102.0)
    assert members["b:1"].state is (State.DEAD if rumour.dead else State.SUSPECT)


def test_hear_of_a_well_or_unknown_node_is_a_no_op() -> None:
    members = membership(B)
    assert not members.hear("b:1")
    assert not members.hear("x:1")
    assert not members.hear("a:1")


@pytest.mark.parametrize(
    ("settled_epoch", "memory_s"), [(4, SETTINGS.forget_settled_s), (3, SETTINGS.forget_unsettled_s)]
)
def test_stranger_dead_is_forgotten_later_if_unsettled(settled_epoch: int, memory_s: float) -> None:
    members = membership(stranger("x", settled_epoch), epoch=4)
    members.merge_rumour(Rumour("x:1", 1, dead=True), now=100.0)
    members.ripen(100.0 + memory_s - 1)
    assert members["x:1"].state is State.DEAD
    members.ripen(100.0 + memory_s)
    assert "x:1" not in members
    members.check()


def test_stranger_alive_is_not_forgotten() -> None:
    members = membership(stranger("x", settled_epoch=9))
    members.ripen(1e9)
    assert members["x:1"].state is State.ALIVE


def test_removed_node_stays_known_and_a_member_without_record_too() -> None:
    members = membership(B)
    assert members.set_view(2, frozenset(["a:1", "d:1"])) == ["d:1"]
    assert set(members) == {"a:1", "b:1", "c:1", "d:1"}


def test_mentionable_all_but_dead_strangers_and_unknown() -> None:
    members = membership(B, stranger("x"), stranger("y"))
    for address, dead in (("b:1", True), ("x:1", True), ("y:1", False)):
        members.merge_rumour(Rumour(address, 9, dead), now=0.0)
    assert [a for a in ("a:1", "b:1", "c:1", "x:1", "y:1", "z:1") if members.is_mentionable(a)] == [
        "a:1",
        "b:1",
        "c:1",
        "y:1",
    ]


def test_strangers_are_bounded_and_the_longest_dead_makes_way() -> None:
    members = membership(*(stranger(name) for name in "xyz"))
    assert not members.merge_record(stranger("w"))
    members.merge_rumour(Rumour("y:1", 1, dead=True), now=2.0)
    members.merge_rumour(Rumour("x:1", 1, dead=True), now=3.0)
    members.merge_rumour(Rumour("z:1", 1, dead=False), now=1.0)
    assert members.merge_record(stranger("w"))
    assert set(members) == {"a:1", "b:1", "c:1", "x:1", "z:1", "w:1"}
    members.check()


def test_strangers_are_bounded_when_a_view_removes_many() -> None:
    members = membership(nodes=["a:1", *(f"n{i}:1" for i in range(10))])
    members.merge_rumour(Rumour("n5:1", 1, dead=True), now=1.0)
    members.set_view(2, frozenset(["a:1"]))
    assert len(members) == 1 + SETTINGS.strangers_max
    assert "n5:1" not in members
    members.check()


def test_check_notices_a_rumour_that_should_be_cleared() -> None:
    members = membership(B)
    members.merge_rumour(DEAD, now=0.0)
    members._records["b:1"] = replace(B, incarnation=6)
    with pytest.raises(AssertionError, match="stands against"):
        members.check()


def test_membership_counts_each_probe_of_its_own_that_was_left_unanswered_and_no_rumour() -> None:
    members = membership(B)
    assert members.suspected == 0
    members.merge_rumour(SUSPECTED, 0.0)
    assert members.suspected == 0
    members.suspect("b:1", now=0.0)
    members.suspect("b:1", now=1.0)
    assert members.suspected == 2

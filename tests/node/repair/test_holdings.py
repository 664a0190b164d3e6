"""What is misplaced, what is owed, and when a node is settled: tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from gossip.view import Address
from node.net.messages import Answer, NoRoom, Owed, Taken, Unable
from node.repair.holdings import (
    Handover,
    change_by_holding,
    copies_needed,
    given_up,
    handing,
    handover,
    in_turn,
    is_settled,
    kept,
    misplaced,
    misplaced_of,
    waiting,
)
from node.values.donors import NO_CHANGE, Donors, DonorsChange, Share
from ring.hashing import PARTITIONS, pack
from ring.placement import first_placement
from ring.ring import Ring

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
RING = Ring(first_placement((A, B, C, D), 2))
MINE = sorted(RING.partitions_of(A))
OTHERS = next(shard for shard in RING.shards if A not in shard)
THEIRS = sorted(RING.partitions_of(OTHERS[0]))


def test_misplaced_is_what_is_held_and_not_owned_by_owners_ascending() -> None:
    held = {MINE[0], *THEIRS[2::-1]}
    assert misplaced(A, RING, held) == {OTHERS: THEIRS[:3]}
    assert misplaced(A, RING, {MINE[0]}) == {}


def test_misplaced_of_a_node_outside_the_view_is_all_that_it_holds() -> None:
    assert sum(map(len, misplaced("e:1", RING, range(PARTITIONS)).values())) == PARTITIONS


def test_misplaced_of_an_owner_is_its_share() -> None:
    found = misplaced(A, RING, THEIRS[:2])
    assert all(misplaced_of(owner, found) == THEIRS[:2] for owner in OTHERS)
    assert misplaced_of(A, found) == []


@pytest.mark.parametrize(
    ("me", "donors", "expected"),
    [
        (A, [], ((B, C), [1, 2, 3, 4])),
        (A, [(A, False, pack([1])), (D, False, pack([1, 2]))], ((B, C), [1, 2, 3, 4])),
        (D, [(A, False, pack([1])), (D, False, pack([1, 2]))], ((C, B), [3, 4, 1, 2])),
        ("e:1", [(A, False, pack([1])), (D, True, pack([1]))], ((B, C), [3, 4, 1, 2])),
        (D, [(A, False, pack([7, 8])), (D, False, pack([1, 2]))], ((B, C), [1, 2, 3, 4])),
    ],
    ids=["alone", "the first of two", "the second of two", "one that the view does not name", "another has others"],
)
def test_donors_of_the_same_begin_with_different_parts_and_owners(
    me: Address, donors: list[tuple[Address, bool, bytes]], expected: tuple[tuple[Address, ...], list[int]]
) -> None:
    assert in_turn(me, (B, C), [1, 2, 3, 4], donors) == expected


def test_donors_of_the_same_share_the_work_evenly() -> None:
    donors = [(donor, False, pack(THEIRS)) for donor in (A, B, C)]
    begin = [in_turn(donor, OTHERS, THEIRS, donors)[1] for donor in (A, B, C)]
    assert all(sorted(partitions) == THEIRS for partitions in begin)
    thirds = [set(partitions[: len(THEIRS) // 3]) for partitions in begin]
    assert not thirds[0] & thirds[1] and not thirds[1] & thirds[2] and not thirds[0] & thirds[2]


@pytest.mark.parametrize(
    ("have", "answers", "expected"),
    [
        ([], {B: Taken(), C: Taken()}, Handover((B, C), forget=True)),
        ([], {B: None, C: Taken()}, Handover((C,), forget=False)),
        ([C], {B: Taken()}, Handover((B,), forget=False)),
        ([C, B], {}, Handover((B, C), forget=True)),
        ([C], {B: None}, Handover((), forget=False)),
        ([], {B: None, C: None}, Handover((), forget=False)),
        ([], {B: Taken(), C: Unable()}, Handover((), forget=False)),
        ([], {B: None, C: Unable()}, Handover((), forget=False)),
        ([], {B: NoRoom(), C: Taken()}, Handover((C,), forget=False)),
        ([C], {B: NoRoom()}, Handover((), forget=False)),
    ],
    ids=[
        "all",
        "one cannot be reached",
        "one that could not be reached is back",
        "it has them too",
        "and one is not",
        "none can be reached",
        "one does not take it",
        "the only one does not take it",
        "one is full",
        "the last one is full",
    ],
)
def test_handover_of_two_copies(
    have: Collection[Address], answers: Mapping[Address, Answer | None], expected: Handover
) -> None:
    assert handover(have, answers, needed=2) == expected


def test_handing_names_the_first_owner_that_lacks_it_and_counts_records() -> None:
    found = misplaced(A, RING, THEIRS[:2])
    assert handing(found, {}, lambda partition: 10) == (Owed(OTHERS[0], 2, 20),)
    assert handing(found, {OTHERS: {OTHERS[0]}}, lambda partition: 10) == (Owed(OTHERS[1], 2, 20),)


@pytest.mark.parametrize(
    ("owners", "repl_factor", "needed"),
    [((A,), None, 1), ((A, B), 1, 1), ((A, B), 2, 2), ((A, B, C), 2, 2), ((A,), 3, 1)],
    ids=["plain", "a spare copy", "both", "two of three", "all there are"],
)
def test_copies_needed(owners: tuple[Address, ...], repl_factor: int | None, needed: int) -> None:
    assert copies_needed(owners, repl_factor) == needed


def test_waiting_counts_partitions_of_every_kind() -> None:
    assert waiting({B: Share(alone=0b1, copy=0b110, covered=0b1000)}) == (Owed(B, 4, 0),)


@pytest.mark.parametrize(
    ("partitions", "donors", "out_of_step", "down", "expected"),
    [
        ([], [], [], [], True),
        (THEIRS[:1], [], [], [], False),
        (THEIRS[:1], [], [], OTHERS, False),
        ([], [B], [], [], False),
        ([], [B], [], [B], False),
        ([], ["gone:1"], [], [], False),
        ([], ["gone:1"], [], ["gone:1"], True),
        ([], [], [B], [], False),
        ([], [], [B], [B], True),
        ([], [], [B, C], [B], False),
    ],
    ids=[
        "nothing to do",
        "something misplaced",
        "misplaced, though its owners are down",
        "a donor",
        "a donor of the view, even one that is down",
        "a removed donor that can be reached",
        "a removed donor that is down",
        "a co-owner out of step",
        "a co-owner that is down",
        "one of two that is down",
    ],
)
def test_settled_table(
    partitions: Collection[int],
    donors: Collection[Address],
    out_of_step: Collection[Address],
    down: Collection[Address],
    expected: bool,
) -> None:
    found = misplaced(A, RING, partitions)
    assert is_settled(found, {}, donors, {A, B, C, D}, out_of_step, lambda peer: peer in down) is expected


@pytest.mark.parametrize(
    ("brought", "down", "expected"),
    [
        (OTHERS[:1], OTHERS[1:], True),
        (OTHERS[:1], [], False),
        ([], OTHERS, False),
        (OTHERS, OTHERS[:1], True),
        (OTHERS, [], False),
    ],
    ids=["to all that can be reached", "not yet to one that is back", "to nobody", "to all", "and can be forgotten"],
)
def test_settled_with_what_is_kept_for_owners_that_are_down(
    brought: Collection[Address], down: Collection[Address], expected: bool
) -> None:
    found = misplaced(A, RING, THEIRS[:1])
    assert is_settled(found, {OTHERS: brought}, [], {A, B, C, D}, [], lambda peer: peer in down) is expected


@pytest.mark.parametrize(
    ("is_silent", "is_grace_over", "expected"),
    [
        (True, False, NO_CHANGE._replace(remove={D: 0b100})),
        (True, True, NO_CHANGE._replace(remove={D: 0b111})),
        (False, True, NO_CHANGE),
    ],
    ids=["what another copy has told", "all, after the grace", "nothing of one that answers"],
)
def test_given_up_is_a_silent_donor_outside_the_view(
    is_silent: bool, is_grace_over: bool, expected: DonorsChange
) -> None:
    shares = {C: Share(0b1, 0b10, 0b100), D: Share(0b1, 0b10, 0b100)}
    assert given_up(shares, {A, B, C}, lambda _: is_silent, lambda _: is_grace_over) == expected


def test_given_up_is_nobody_who_may_hold_what_nobody_else_has() -> None:
    assert given_up({D: Share(alone=0b1, copy=0b10)}, {A}, lambda _: True, lambda _: False) == NO_CHANGE


@pytest.mark.parametrize(
    ("held", "is_co_owner", "expected"),
    [
        (0b11, False, NO_CHANGE),
        (0b01, False, DonorsChange({C: 0b10})),
        (0b111, False, DonorsChange(put={C: Share(alone=0b100)})),
        (0b100, False, DonorsChange({C: 0b11}, put={C: Share(alone=0b100)})),
        (0b100, True, DonorsChange({C: 0b11})),
        (0b111, True, NO_CHANGE),
    ],
    ids=["as known", "less", "more", "something else", "something else, of a co-owner", "more, of a co-owner"],
)
def test_change_by_holding_table(held: int, is_co_owner: bool, expected: DonorsChange) -> None:
    assert change_by_holding(Donors({C: Share(alone=0b11)}), C, held, is_co_owner) == expected


@pytest.mark.parametrize(
    ("is_co_owner", "expected"),
    [
        (False, DonorsChange({C: 0b010}, put={C: Share(alone=0b101)})),
        (True, DonorsChange({C: 0b010})),
    ],
    ids=["stands alone", "is compared with, if it is a co-owner"],
)
def test_what_is_held_by_who_may_lack_something_covers_no_other_copy(is_co_owner: bool, expected: DonorsChange) -> None:
    donors = Donors({C: Share(copy=0b011, covered=0b100), D: Share(copy=0b011)})
    assert change_by_holding(donors, C, 0b101, is_co_owner, may_lack=True) == expected


def test_kept_is_what_some_owners_have_but_too_few() -> None:
    found = misplaced(A, RING, THEIRS[:3])
    assert kept(found, {}) == []
    assert kept(found, {OTHERS: ()}) == []
    assert kept(found, {OTHERS: (OTHERS[0],)}) == THEIRS[:3]

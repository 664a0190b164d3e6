"""What takes a node out of service, and what is only worth knowing."""

from __future__ import annotations

from typing import Any

import pytest

from node.health import NAMED_MAX, RETURNS_S, Check, Facts, Isolation, Verdict, checks_of, is_ready

WELL = Facts(
    loop_late_s=0.0,
    loop_late_s_max=1.0,
    has_asked_around=True,
    lacks_view=False,
    clock_is_refused=False,
    disk_hangs=False,
    disk_fails=False,
    disk_has_no_room=False,
    is_to_be_filled=False,
    is_owed=False,
    keys_arrive=False,
    peers=("b:1", "c:1", "d:1"),
    unreachable=(),
    is_returning=False,
)
NAMES = ["loop", "gate", "view", "clock", "disk", "room", "caught-up", "peers"]


def wrong(**facts: Any) -> list[Check]:
    return [check for check in checks_of(WELL._replace(**facts)) if check.verdict is not Verdict.OK]


def test_health_of_a_node_that_is_well_is_ok_throughout() -> None:
    checks = checks_of(WELL)
    assert [check.name for check in checks] == NAMES
    assert [str(check) for check in checks] == [f"[+]{name} ok" for name in NAMES]
    assert is_ready(checks)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"loop_late_s": 1.25}, "[-]loop was 1.2 s late: "),
        ({"has_asked_around": False}, "[-]gate is closed: this node asks the others "),
        ({"lacks_view": True}, "[-]view is out of date: "),
        ({"clock_is_refused": True}, "[-]clock is ahead of all others: "),
        ({"disk_hangs": True}, "[-]disk hangs: "),
        ({"disk_fails": True}, "[-]disk fails: "),
        ({"disk_has_no_room": True}, "[-]room is used up: the disk is full, and takes no writes"),
        ({"is_to_be_filled": True}, "[-]caught-up not yet: the disk lacks "),
        ({"is_to_be_filled": True, "keys_arrive": True}, "[-]caught-up not yet: the disk lacks "),
        ({"is_owed": True}, "[-]caught-up not yet: a co-owner "),
        ({"unreachable": WELL.peers}, "[-]peers none of the 3 other nodes "),
        ({"peers": ("b:1", "c:1"), "unreachable": ("b:1", "c:1")}, "[-]peers none of the 2 other nodes "),
        ({"unreachable": ("b:1",), "is_returning": True}, "[-]peers are being found again: not yet b:1"),
    ],
)
def test_health_fault_fails_readiness_and_says_why(facts: dict[str, Any], line: str) -> None:
    checks = checks_of(WELL._replace(**facts))
    (check,) = wrong(**facts)
    assert str(check).startswith(line) and not is_ready(checks)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"keys_arrive": True}, "[!]caught-up not yet: keys arrive, "),
        ({"keys_arrive": True, "is_owed": True}, "[!]caught-up not yet: keys arrive, "),
        ({"unreachable": ("b:1",)}, "[!]peers cannot be reached: b:1"),
        ({"unreachable": ("b:1", "c:1")}, "[!]peers cannot be reached: b:1, c:1"),
        ({"peers": ("b:1",), "unreachable": ("b:1",)}, "[!]peers cannot be reached: b:1"),
    ],
)
def test_health_what_is_no_fault_of_this_node_is_noted_and_it_stays_in_service(
    facts: dict[str, Any], line: str
) -> None:
    (check,) = wrong(**facts)
    assert str(check).startswith(line) and is_ready(checks_of(WELL._replace(**facts)))


@pytest.mark.parametrize("trouble", ["disk_hangs", "disk_fails", "disk_has_no_room"])
def test_health_of_a_disk_that_takes_no_keys_promises_nothing_of_those_that_are_to_arrive(trouble: str) -> None:
    facts = {trouble: True, "keys_arrive": True}
    _, arriving = wrong(**facts)
    assert str(arriving) == (
        "[!]caught-up not yet: keys are to arrive, and the disk takes none; they cannot be written here, and reads of "
        "them may be refused"
    )


def test_health_one_that_is_late_for_as_long_as_it_may_be_is_ok() -> None:
    assert wrong(loop_late_s=1.0) == []


def test_health_of_a_store_of_one_node_needs_no_peers() -> None:
    assert wrong(peers=()) == []


def test_health_of_two_faults_both_are_told_in_order() -> None:
    assert [check.name for check in wrong(disk_hangs=True, has_asked_around=False)] == ["gate", "disk"]


def test_health_names_so_many_nodes_and_counts_the_rest() -> None:
    peers = [f"n{number}:1" for number in range(20)]
    (check,) = wrong(peers=peers, unreachable=peers[: NAMED_MAX + 3])
    assert check.reason == "cannot be reached: n0:1, n1:1, n2:1, n3:1, n4:1 and 3 more"


def test_isolation_is_over_when_all_are_found_again() -> None:
    isolation, peers = Isolation(), WELL.peers
    assert not isolation.look(peers, peers[:2], 0.0), "it was never cut off"
    assert not isolation.look(peers, peers, 1.0), "it has not found one yet"
    assert isolation.look(peers, peers[:2], 9.0)
    assert isolation.look(peers, peers[:1], 9.5)
    assert not isolation.look(peers, (), 9.6)
    assert not isolation.look(peers, peers[:1], 9.7)


def test_isolation_is_over_after_a_while_though_some_are_never_found() -> None:
    isolation, peers = Isolation(), WELL.peers
    isolation.look(peers, peers, 1.0)
    assert isolation.look(peers, peers[:2], 9.0) and isolation.look(peers, peers[:2], 8.9 + RETURNS_S)
    assert not isolation.look(peers, peers[:2], 9.0 + RETURNS_S)
    assert not isolation.look(peers, peers[:1], 9.1 + RETURNS_S)
    isolation.look(peers, peers, 20.0)
    assert isolation.look(peers, peers[:1], 21.0)

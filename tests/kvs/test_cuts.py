"""Who is cut off, told once; and what is left of what each side of a cut says of the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvs.asked import Asked, Finding
from kvs.cuts import main_of, parts_of
from kvs.findings import findings_of
from kvs.responses import Problem
from tests.kvs.reports import A, B, C, asked, report, ring, status

LOST = {"reached": False}
DOWN = Problem("node-down", "warning", "c:1 is down, or cannot be reached from a:1", "start c:1", (C,), None, 9.0)
COPIES = Problem("fewer-copies", "warning", "4 keys have 1 of 2 copies", "start c:1; or --replace c:1 NEW", (C,), 4)
HANGS = Problem("disk-hangs", "critical", "the disk of c:1 hangs", "mend it", (C,))
FALSE_VIEW = Problem("keys-without-owner", "critical", "0 keys", "kvs view-change --remove a:1,b:1 --force", (A, B), 0)


def of_codes(told: Asked) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings_of(told)}


def cut(*off: str, **problems: tuple[Problem, ...]) -> Asked:
    """`off`: who reach each other alone. `problems`: what each node says, by the letter in its name."""
    nodes = (A, B, C)

    def seen_from(node: str) -> dict[str, dict[str, Any]]:
        return {other: LOST for other in nodes if (other in off) != (node in off)}

    reports = {node: report(node, seen_from(node)) for node in nodes}
    statuses = {node: status(node, *problems.get(node[0], ())) for node in nodes}
    return asked()._replace(reports=reports, statuses=statuses)


@pytest.mark.parametrize(
    ("reach", "parts", "main"),
    [
        ({"a": "bc", "b": "ac", "c": "ab", "d": ""}, ["abc", "d"], "abc"),
        ({"a": "bc", "b": "c", "c": "a", "d": "a"}, ["abcd"], "abcd"),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, ["ab", "cd"], None),
        ({"a": "b", "d": ""}, ["ab", "d"], "ab"),
        ({"a": "", "b": "", "c": "ab"}, ["abc"], "abc"),
        ({}, [], None),
    ],
    ids=["one alone", "a way in one direction", "two halves", "through who is not asked", "joined at last", "nobody"],
)
def test_cuts_parts_are_who_can_reach_each_other(reach: dict[str, str], parts: list[str], main: str | None) -> None:
    found = parts_of(reach)
    assert found == [frozenset(part) for part in parts]
    assert main_of(found) == (None if main is None else frozenset(main))


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_cuts_parts_are_disjoint_and_no_way_leads_out_of_one(reach: dict[str, set[str]]) -> None:
    parts = parts_of(reach)
    assert sum(map(len, parts)) == len(frozenset().union(*parts))
    for node, others in reach.items():
        (part,) = (part for part in parts if node in part)
        assert others <= part


def test_cuts_a_node_that_runs_alone_is_one_critical_finding() -> None:
    finding, copies = findings_of(cut(C, a=(DOWN, COPIES), b=(DOWN, COPIES), c=(FALSE_VIEW,)))
    assert (finding.code, finding.severity, finding.nodes) == ("cut-off", "critical", (C,))
    assert finding.what == (
        "c:1 is cut off: it runs, but reaches none of the others, nor they it; keys with owners on both sides take "
        "plain writes on both, each side reads its own, and the newer write holds once they meet; writes on a "
        "condition get a 503"
    )
    assert finding.do == (
        "mend routes or the firewall of c:1; start nothing anew, remove nothing; until then send no clients there"
    )
    assert finding.for_seconds == 9.0
    assert (copies.code, copies.keys) == ("fewer-copies", 4)
    assert copies.do == "mend the way to c:1, which is not down: this follows from the cut"


@pytest.mark.parametrize(
    ("told", "severity"), [((FALSE_VIEW,), "critical"), ((COPIES,), "warning"), ((HANGS, COPIES), "warning")]
)
def test_cuts_are_as_bad_as_who_is_cut_off_says_itself(told: tuple[Problem, ...], severity: str) -> None:
    """So that `kvs status` there, the page and this command agree."""
    assert of_codes(cut(C, a=(DOWN, COPIES), c=told))["cut-off"].severity == severity


def test_cuts_refuse_clients_what_nobody_on_their_side_owns() -> None:
    apart = cut(C, a=(DOWN,), c=(FALSE_VIEW,))._replace(ring=ring(None, (A,), (B,), (C,)))
    assert of_codes(apart)["cut-off"].what.endswith(
        "nor they it; clients there get a 503 for keys of which no owner is on their side"
    )


def test_cuts_what_is_wrong_with_the_node_itself_is_told_by_it_alone() -> None:
    assert set(of_codes(cut(C, c=(FALSE_VIEW, HANGS)))) == {"cut-off", "disk-hangs"}


def test_cuts_who_is_down_besides_is_to_be_started() -> None:
    both = Problem("node-down", "warning", "c:1, d:1 are down", "start c:1, d:1", (C, "d:1"))
    found = of_codes(cut(C, a=(both,))._replace(silent={"d:1": "refused"}))
    assert found["node-down"].do.startswith(
        "start d:1 again, with its disk; and mend the way to c:1, which is not down"
    )


def test_cuts_of_two_halves_nobody_can_tell_which_is_cut_off() -> None:
    halves = cut(C, a=(DOWN,), c=(FALSE_VIEW,))
    peers = {A: {B: LOST, C: LOST}, C: {A: LOST, B: LOST}}
    halves = halves._replace(reports={node: report(node, seen) for node, seen in peers.items()}, silent={B: "refused"})
    found = of_codes(halves)
    assert found["no-way-between"].what.startswith(
        "there is no way between a:1 and c:1, though all of them run; keys with "
    )
    assert "node-down" not in found
    assert "--remove" not in found["keys-without-owner"].do and "--force" not in found["keys-without-owner"].do


def test_cuts_two_nodes_with_a_way_through_others_are_not_cut_off() -> None:
    (finding,) = findings_of(asked(report(A, {B: LOST, C: LOST})))
    assert (finding.code, finding.severity, finding.nodes) == ("no-way-between", "critical", (A, B, C))


@pytest.mark.parametrize("code", ["foreign-node", "turned-away"])
def test_cuts_a_node_that_the_others_will_not_speak_to_is_not_cut_off(code: str) -> None:
    def unwanted(*nodes: str) -> Problem:
        return Problem(code, "critical", "it is none of this cluster's", "stop it", nodes)

    found = findings_of(cut(C, a=(unwanted(C),), b=(unwanted(C),), c=(unwanted(A, B),)))
    assert {finding.code for finding in found} == {code}


def test_cuts_what_nodes_say_themselves_is_told_once_with_who_sees_them() -> None:
    first, second = findings_of(asked(statuses={A: status(A, DOWN), B: status(B, FALSE_VIEW, DOWN), C: status(C)}))
    assert (first.code, first.seen_by, first.keys) == ("keys-without-owner", (B,), 0)
    assert (second.code, second.seen_by, second.what) == ("node-down", (A, B), DOWN.what)

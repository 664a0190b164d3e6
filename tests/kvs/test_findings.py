"""What comes of comparing all nodes: a table for each rule."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvs import cuts, findings
from kvs.asked import Asked, Finding
from kvs.findings import findings_of
from kvs.responses import Disk, Problem
from tests.kvs.reports import GIB, NODES, A, B, C, asked, report, ring, status, told_environment

DOWN = Problem("node-down", "warning", "c:1 is down, or cannot be reached from a:1", "start it", (C,))
LOST = Problem("keys-without-owner", "critical", "4 keys have no live owner", "start it", (C,), 4)


def codes(told: Asked) -> dict[str, tuple[str, ...]]:
    return {finding.code: finding.nodes for finding in findings_of(told)}


def test_findings_are_none_where_all_is_well() -> None:
    assert findings_of(asked()) == []


def test_findings_are_told_the_worst_first() -> None:
    told = asked(report(A, {B: {"reached": False}}), report(B, environment=told_environment(view=(A,))))
    told = told._replace(statuses={A: status(A, DOWN)})
    assert [finding.severity for finding in findings_of(told)] == ["critical", "warning", "note"]


def test_findings_a_node_that_answers_nobody_is_not_called_cut_off() -> None:
    reports = {node: report(node, {C: {"reached": False}}) for node in (A, B)}
    silent = {C: "connection refused"}
    assert codes(asked(reports=reports, silent=silent)) == {}, "the nodes say so themselves"
    reports = {node: report(node) for node in (A, B)}
    assert codes(asked(reports=reports, silent=silent)) == {"not-asked": (C,)}


def test_findings_of_names_releases_and_environments() -> None:
    fault = {B: {"name_fault": "Name or service not known"}}
    assert codes(asked(report(A, fault))) == {"name-unresolved": (A, B)}
    (finding,) = findings_of(asked(report(C, release="4.1.0")))
    assert finding.what == "nodes are of different releases: 4.0.1 on a:1, b:1; 4.1.0 on c:1"
    (finding,) = findings_of(asked(report(C, environment=told_environment(repl_factor=None))))
    assert (finding.code, finding.severity) == ("environments-differ", "warning")
    assert finding.what == "REPL_FACTOR differs: 2 on a:1, b:1; None on c:1"


@pytest.mark.parametrize(("view", "is_told"), [((A, B), False), ((A,), True), ((A, B, "d:1"), True)])
def test_findings_of_a_view_variable_that_names_others_are_a_note(view: tuple[str, ...], is_told: bool) -> None:
    """It may leave out the node itself."""
    told = findings_of(asked(report(C, environment=told_environment(view=view))))
    assert [(finding.code, finding.severity) for finding in told] == [("view-variable", "note")] * is_told


def test_findings_of_view_variables_are_one_and_none_while_the_view_changes() -> None:
    other = told_environment(view=("d:1",))
    (finding,) = findings_of(asked(report(A, environment=other), report(C, environment=other)))
    assert finding.nodes == (A, C) and finding.what == "VIEW on a:1, c:1 names other nodes than the view in force"
    assert findings_of(asked(report(A, environment=other), report(C, environment=other, settled=False))) == []


def test_findings_of_zones() -> None:
    (finding,) = findings_of(asked(report(C, zone="rack-2")))
    assert (finding.code, finding.what) == ("zone-differs", "ZONE on c:1 is rack-2, and the view takes it for c")
    assert findings_of(asked(report(C, zone="rack-2", zone_in_view=None))) == []
    assert codes(asked(ring=ring(2, zones=("a", "a", "a")))) == {"too-few-zones": ("a",)}
    assert "too-few-zones" not in codes(asked(ring=ring(None, zones=("a", "a", "a"))))


@pytest.mark.parametrize(
    ("disk", "is_told"),
    [
        (Disk(10 * GIB, 100 * GIB, False, False), False),
        (Disk(10 * GIB - 1, 100 * GIB, False, False), True),
        (Disk(0, 100 * GIB, True, False), False),
        (Disk(None, None, False, False), False),
    ],
    ids=["a tenth is left", "less is", "it is full, which the node says", "nobody can tell"],
)
def test_findings_of_disks_that_are_about_to_be_full(disk: Disk, is_told: bool) -> None:
    assert codes(asked(report(B, disk=disk))) == ({"disk-low": (B,)} if is_told else {})


@pytest.mark.parametrize(
    ("free", "what", "do"),
    [
        (2 * GIB, "the disk of b:1 has 2.0 GiB left, 2%", "make room before it is full; or let another node"),
        (5 * 2**20, "the disk of b:1 has 5 MiB left, 0%", "make room before it is full; or let another node"),
        (0, "the disk of b:1 is full", "make room; or let another node"),
    ],
)
def test_findings_of_disks_say_how_much_is_left(free: int, what: str, do: str) -> None:
    (finding,) = findings_of(asked(report(B, disk=Disk(free, 100 * GIB, False, False))))
    assert finding.what == what and finding.do.startswith(do)


@pytest.mark.parametrize("code", ["disk-low", "disk-full"])
def test_findings_of_a_disk_of_which_nodes_tell_themselves_are_theirs(code: str) -> None:
    said = Problem(code, "warning", "so it is", "make room", (B,))
    told = asked(report(B, disk=Disk(1, 100 * GIB, False, False)), report(C, disk=Disk(1, 100 * GIB, False, False)))
    found = findings_of(told._replace(statuses={A: status(A, said), B: status(B)}))
    assert [(finding.code, finding.nodes) for finding in found] == [(code, (B,)), ("disk-low", (C,))]


def test_findings_of_clocks_are_what_most_others_see() -> None:
    off = {C: {"clock_offset_ms": 1000}}
    assert codes(asked(report(A, off))) == {}
    assert codes(asked(report(A, off), report(B, off))) == {"clock-drifts": (C,)}
    unheard = {C: {"clock_offset_ms": 1000, "reached": False}}
    assert "clock-drifts" not in codes(asked(report(A, unheard), report(B, unheard)))
    loud = Problem("clock-off", "warning", "", "", (C,))
    said = asked(report(A, off), report(B, off), statuses={A: status(A, loud)})
    assert codes(said) == {"clock-off": (C,)}, "it is said once"


@pytest.mark.parametrize(("took_ms", "is_told"), [(50.0, False), (50.1, True), (None, False)])
def test_findings_of_round_trips_longer_than_made_for(took_ms: float | None, is_told: bool) -> None:
    assert codes(asked(report(A, {C: {"took_ms": took_ms}}))) == ({"round-trip-long": (A, C)} if is_told else {})


def test_findings_of_keys_that_one_more_disk_would_take() -> None:
    assert codes(asked(report(B, whole=False))) == {}
    (finding,) = findings_of(asked(report(B, whole=False), report(C, whole=False)))
    assert (finding.code, finding.nodes, finding.keys) == ("keys-at-risk", (A,), 10)
    assert codes(asked()._replace(reports={A: report(A)})) == {"keys-at-risk": (A,)}


def at_risk(told: Asked) -> Finding:
    (finding,) = (finding for finding in findings_of(told) if finding.code == "keys-at-risk")
    return finding


@pytest.mark.parametrize(
    ("fields", "do"),
    [
        ({"disk": Disk(9 * GIB, 9 * GIB, False, True)}, "mend the disk of c:1, which hangs"),
        ({"disk": Disk(9 * GIB, 9 * GIB, True, False)}, "make room on the disk of c:1, which is full"),
        ({}, "wait until c:1 has caught up"),
    ],
    ids=["it hangs", "it is full", "it catches up"],
)
def test_findings_of_keys_at_risk_say_what_keeps_the_other_copies_back(fields: dict[str, Any], do: str) -> None:
    told = asked(report(C, whole=False, **fields), ring=ring(2, (A, C)))
    assert at_risk(told).do == f"{do}; until then, touch the disk of a:1 only with care"


def test_findings_of_keys_at_risk_tell_a_node_that_is_down_from_one_that_is_not_asked() -> None:
    gone = {C: {"reached": False}}
    down = asked(silent={C: "refused"})._replace(reports={A: report(A, gone)})
    assert at_risk(down._replace(ring=ring(2, (A, C)))).do.startswith("start c:1 again; until then")
    unasked = asked()._replace(reports={A: report(A)}, ring=ring(2, (A, C)))
    assert at_risk(unasked).do.startswith("see why this command cannot ask c:1; until then")


def test_findings_of_keys_at_risk_leave_out_what_earlier_owners_keep() -> None:
    def told(kept: int) -> Asked:
        seen = status(A)
        keeping = [
            msgspec.structs.replace(n, keys_waiting_for_copies=kept) if n.address == B else n for n in seen.nodes
        ]
        statuses = {A: msgspec.structs.replace(seen, nodes=tuple(keeping)), C: status(C)}
        return asked(report(C, whole=False), ring=ring(2, (A, C)), statuses=statuses)

    some = at_risk(told(4))
    assert (some.keys, some.nodes) == (6, (A,))
    assert some.what == "6 keys would be lost with one more disk: only a:1 has them now; 4 more are kept by b:1"
    assert "keys-at-risk" not in codes(told(10)) and "keys-at-risk" not in codes(told(55))


def test_findings_of_one_copy_are_a_note() -> None:
    (finding,) = findings_of(asked(ring=ring(None, (A,), (B,), (C,))))
    assert (finding.code, finding.severity, finding.nodes, finding.keys) == ("one-copy", "note", NODES, 30)

    assert finding.what.endswith("its keys (30 in all)")
    assert finding.do == "kvs view-change --repl-factor 2, if they matter"


def one_copy(told: Asked) -> Finding:
    (finding,) = (finding for finding in findings_of(told) if finding.code == "one-copy")
    return finding


ONE_COPY = asked(ring=ring(None, (A,), (B,), (C,)))
NOT_YET = "nothing yet: first see to what else is wrong, or under way; then more copies can be asked for"


def test_findings_of_one_copy_say_whose_keys_are_not_counted() -> None:
    finding = one_copy(ONE_COPY._replace(reports={A: report(A), B: report(B)}, silent={C: "refused"}))
    assert finding.what.endswith("its keys (at least 20 in all; those of c:1 cannot be counted)")
    assert (finding.keys, finding.do) == (20, NOT_YET)


def test_findings_of_one_copy_count_what_is_on_its_way() -> None:
    seen = status(A)
    handing = tuple(msgspec.structs.replace(n, keys_to_hand_over=5) if n.address == B else n for n in seen.nodes)
    moving = {A: msgspec.structs.replace(seen, nodes=handing), B: status(B)}
    finding = one_copy(ONE_COPY._replace(statuses=moving))
    assert (
        finding.what.endswith("its keys (35 in all, of which 5 are on their way to a new owner)") and finding.keys == 35
    )


@pytest.mark.parametrize(
    "more",
    [
        {"statuses": {A: status(A, DOWN)}},
        {"reports": {node: report(node, settled=node != C) for node in NODES}},
        {"reports": {n: report(n, disk=Disk(1, 1, False, hangs=n == C)) for n in NODES}},
        {"reports": {n: report(n, disk=Disk(1, 1, n == C, hangs=False)) for n in NODES}},
    ],
    ids=["something is wrong", "keys move", "a disk hangs", "a disk is full"],
)
def test_findings_of_one_copy_propose_no_other_while_nobody_could_make_it(more: dict[str, Any]) -> None:
    assert one_copy(ONE_COPY._replace(**more)).do == NOT_YET


def test_findings_are_in_the_manual() -> None:
    root = Path(__file__).parents[2]
    code = "".join(inspect.getsource(module) for module in (cuts, findings))
    manual = (root / "docs" / "operations.md").read_text()
    section = manual.partition("## What `kvs doctor` finds")[2].partition("\n## ")[0]
    assert set(re.findall(r'Finding\("([a-z-]+)"', code)) == set(
        re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    )

"""`kvs doctor` for people: what was found, then all nodes side by side."""

from __future__ import annotations

import io

from rich.console import Console

from kvs.asked import Asked
from kvs.findings import findings_of
from kvs.render_doctor import shown_findings
from kvs.responses import Disk, Problem
from tests.kvs.reports import A, B, C, asked, report, status


def text_of(told: Asked) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=1000, markup=False, emoji=False, highlight=False)
    console.print(shown_findings(told, findings_of(told)))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_doctor_table_has_all_nodes_side_by_side() -> None:
    far = report(B, {C: {"took_ms": 7.25, "clock_offset_ms": 12}}, disk=Disk(0, 1, True, False))
    lines = text_of(asked(far))
    assert lines[0] == "Nothing is wrong."
    assert "3 of 3 nodes answered; epoch 3" in lines
    assert "NODE RELEASE ZONE KEYS DISK FREE CLOCK SLOWEST ANSWER" in lines
    assert "b:1 4.0.1 b 10 full +0.000 s 7.2 ms, c:1" in lines
    assert "c:1 4.0.1 c 10 50.0 GiB +0.012 s 1.5 ms, b:1" in lines


def test_doctor_says_who_sees_it_unless_all_do_and_who_has_not_answered() -> None:
    down = Problem("node-down", "warning", "c:1 is down", "start it", (C,))
    told = asked(statuses={A: status(A, down), B: status(B)}, silent={C: "refused"})
    told = told._replace(reports={node: report(node, {C: {"reached": False}}) for node in (A, B)})
    lines = text_of(told)
    assert lines[0] == "WARNING node-down: c:1 is down (seen by a:1)"
    assert "2 of 3 nodes answered; epoch 3" in lines
    assert "c:1 (no answer) - - - - - -" in lines
    assert text_of(told._replace(statuses={A: status(A, down)}))[0] == "WARNING node-down: c:1 is down"


def test_doctor_table_marks_disks_that_are_about_to_be_full() -> None:
    lines = text_of(asked(report(B, disk=Disk(5 * 2**20, 2**30, False, False))))
    assert "b:1 4.0.1 b 10 low: 5 MiB +0.000 s 1.5 ms, c:1" in lines

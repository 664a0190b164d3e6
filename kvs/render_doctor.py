"""What people see of `kvs doctor`: what was found, then all nodes side by side."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.text import Text

from kvs.asked import Asked, Finding
from kvs.findings import is_low
from kvs.render import problem_lines
from kvs.responses import NodeReport
from kvs.tables import NONE, number, offset, size, table


def shown_findings(asked: Asked, findings: Iterable[Finding]) -> Group:
    lines = [line for finding in findings for line in problem_lines(finding, _seen_by(finding, asked))]
    nodes = table("NODE", "RELEASE", "ZONE", "#KEYS", "#DISK FREE", "#CLOCK", "#SLOWEST ANSWER")
    for node, report in asked.reports.items():
        nodes.add_row(
            node,
            report.release or NONE,
            report.zone,
            number(report.key_count),
            _free(report),
            _clock(node, asked),
            _slowest(report),
        )
    for node in asked.silent:
        nodes.add_row(Text(f"{node} (no answer)", "red"), *[NONE] * 6)
    head = (
        f"{len(asked.reports)} of {len(asked.reports) + len(asked.silent)} nodes answered; epoch {asked.ring.epoch}\n"
    )
    return Group(*(lines or [Text("Nothing is wrong.\n", "green")]), Text(head), nodes)


def _seen_by(finding: Finding, asked: Asked) -> str:
    """Who of all sees it, where it is not everybody."""
    seen = finding.seen_by
    return f" (seen by {', '.join(seen)})" if seen and len(seen) < len(asked.statuses) else ""


def _free(report: NodeReport) -> Text:
    disk = report.disk
    if disk.hangs or disk.full:
        return Text("hangs" if disk.hangs else "full", "red")
    if is_low(report):
        return Text(f"low: {size(disk.free_bytes or 0)}", "yellow")
    return Text(NONE if disk.free_bytes is None else size(disk.free_bytes))


def _clock(node: str, asked: Asked) -> str:
    """How far it is off as others see it, in the middle of what they say."""
    offsets = sorted(
        peer.clock_offset_ms
        for report in asked.reports.values()
        for peer in report.peers
        if peer.address == node and peer.reached and peer.clock_offset_ms is not None
    )
    return offset(offsets[len(offsets) // 2]) if offsets else NONE


def _slowest(report: NodeReport) -> str:
    took = [(peer.took_ms, peer.address) for peer in report.peers if peer.took_ms is not None]
    return f"{max(took)[0]:,.1f} ms, {max(took)[1]}" if took else NONE

"""What comes of comparing all nodes: what each of them says is wrong, and what only shows beside each other.

Pure: answers in, findings out. A *note* is worth knowing, and nothing that has to be mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from kvs.responses import NodeReport, Problem, RingMap, Status

NOTE = "note"
LOW_SHARE = 0.1
"""A disk with less than this part of it free is about to be full."""
CLOCK_MS = 1000
"""NTP keeps clocks a hundred times nearer than this."""
ORDER = ("critical", "warning", NOTE)


class Asked(NamedTuple):
    """What was told when all nodes were asked."""

    statuses: Mapping[str, Status]
    """By the node that was asked, as all else."""
    reports: Mapping[str, NodeReport]
    ring: RingMap
    silent: Mapping[str, str] = {}
    """The members that did not answer this command, and why."""


class Finding(Problem, frozen=True):
    """A problem, and which nodes see it; none: it shows by comparing them."""

    seen_by: tuple[str, ...] = ()


Rule = Callable[[Asked], Iterator[Finding]]


def findings_of(asked: Asked) -> list[Finding]:
    """All there is to say, the worst first."""
    found = [finding for rule in RULES for finding in rule(asked)]
    return sorted(found, key=lambda finding: ORDER.index(finding.severity) if finding.severity in ORDER else 0)


def _told(asked: Asked) -> Iterator[Finding]:
    """What the nodes say themselves, once for all who say the same of the same nodes."""
    seen: dict[tuple[str, tuple[str, ...]], list[tuple[str, Problem]]] = {}
    for node, status in asked.statuses.items():
        for problem in status.problems:
            seen.setdefault((problem.code, problem.nodes), []).append((node, problem))
    for told in seen.values():
        fields = msgspec.structs.asdict(told[0][1])
        yield Finding(**fields, seen_by=tuple(node for node, _ in told))


def _silent(asked: Asked) -> Iterator[Finding]:
    """Nodes that answer others, but not this command."""
    reached = {peer.address for report in asked.reports.values() for peer in report.peers if peer.reached}
    for node, why in asked.silent.items():
        if node in reached:
            what = f"{node} answers other nodes, and not this command: {why}"
            yield Finding("not-asked", "warning", what, f"look at the way from this machine to {node}", (node,))


def _cut(asked: Asked) -> Iterator[Finding]:
    """Two nodes that both answer here, and not each other."""
    for node, report in asked.reports.items():
        lost = tuple(peer.address for peer in report.peers if not peer.reached and peer.address in asked.reports)
        if lost:
            what = f"{node} cannot reach {', '.join(lost)}, though all of them answer this command"
            do = "mend the network between them: routes, firewalls, the port that both use"
            yield Finding("no-way-between", "critical", what, do, (node, *lost))


def _names(asked: Asked) -> Iterator[Finding]:
    for node, report in asked.reports.items():
        for peer in report.peers:
            if peer.name_fault is not None:
                what = f"the name of {peer.address} leads nowhere on {node}: {peer.name_fault}"
                do = f"mend the name server that {node} asks, or its /etc/hosts"
                yield Finding("name-unresolved", "warning", what, do, (node, peer.address))


def _releases(asked: Asked) -> Iterator[Finding]:
    releases = {node: report.release or "unknown" for node, report in asked.reports.items()}
    if len(set(releases.values())) > 1:
        what = f"nodes are of different releases: {_each(releases)}"
        yield Finding("releases-differ", "warning", what, "upgrade the rest, one node after the other", tuple(releases))


def _environments(asked: Asked) -> Iterator[Finding]:
    """Nodes are to be told the same, so that one whose disk is lost comes back right."""
    factors = {node: str(report.environment.repl_factor) for node, report in asked.reports.items()}
    if len(set(factors.values())) > 1:
        what = f"REPL_FACTOR differs: {_each(factors)}"
        do = "make it the same on all: it counts where a disk is empty, and would keep such a node out"
        yield Finding("environments-differ", "warning", what, do, tuple(factors))
    members = set(asked.ring.nodes)
    for node, report in asked.reports.items():
        if node in members and {*report.environment.view, node} != members:
            what = f"VIEW on {node} names other nodes than the view in force"
            do = (
                f"it counts only if the disk of {node} is lost, and one node that runs is enough then; to be sure, set "
            )
            do += f"VIEW={','.join(sorted(members))}"
            yield Finding("view-variable", NOTE, what, do, (node,))


def _zones(asked: Asked) -> Iterator[Finding]:
    for node, report in asked.reports.items():
        if report.zone_in_view not in (None, report.zone):
            what = f"ZONE on {node} is {report.zone}, and the view takes it for {report.zone_in_view}"
            do = f"ask for the same nodes again: kvs view-change --to {','.join(sorted(asked.ring.nodes))}"
            yield Finding("zone-differs", "warning", what, do, (node,))
    zones, factor = {zone for shard in asked.ring.shards for zone in shard.zones}, asked.ring.repl_factor or 1
    if 0 < len(zones) < factor:
        what = f"there are {len(zones)} zones for {factor} copies: what fails together has more than one of them"
        yield Finding("too-few-zones", "warning", what, "start nodes in other zones, see ZONE", tuple(sorted(zones)))


def _disks(asked: Asked) -> Iterator[Finding]:
    for node, report in asked.reports.items():
        disk = report.disk
        if disk.free_bytes is not None and disk.bytes and disk.free_bytes < LOW_SHARE * disk.bytes and not disk.full:
            what = f"the disk of {node} has {disk.free_bytes / 2**20:,.0f} MiB left, {disk.free_bytes / disk.bytes:.0%}"
            do = "make room before it is full; or let another node take some of its keys: kvs view-change --add NEW"
            yield Finding("disk-low", "warning", what, do, (node,))


def _clocks(asked: Asked) -> Iterator[Finding]:
    """Clocks that are off by less than nodes complain of themselves, as most of them see it."""
    off: Counter[str] = Counter()
    for report in asked.reports.values():
        off.update(peer.address for peer in report.peers if abs(peer.clock_offset_ms or 0) >= CLOCK_MS)
    for node, count in sorted(off.items()):
        told = {problem.code for status in asked.statuses.values() for problem in status.problems}
        if 2 * count > len(asked.reports) - 1 and not told & {"clock-off", "clock-ahead"}:
            what = f"the clock of {node} is more than a second off those of most others"
            yield Finding("clock-drifts", "warning", what, f"mend NTP on {node} (chronyc tracking)", (node,))


def _round_trips(asked: Asked) -> Iterator[Finding]:
    for node, report in asked.reports.items():
        made_for = report.environment.round_trip_ms
        far = {peer.address: peer.took_ms for peer in report.peers if (peer.took_ms or 0) > made_for}
        if far:
            each = ", ".join(f"{peer} {took:.0f} ms" for peer, took in far.items())
            what = f"from {node} an answer takes longer than the {made_for} ms that it is made for: {each}"
            do = "if that is the way, set ROUND_TRIP_MS on all nodes; if it is load, give these machines more room"
            yield Finding("round-trip-long", "warning", what, do, (node, *far))


def _at_risk(asked: Asked) -> Iterator[Finding]:
    """Keys that would be lost with the disk of one more node."""
    factor, single = asked.ring.repl_factor or 1, dict[str, str]()
    for shard in asked.ring.shards:
        whole = [node for node in shard.replicas if (report := asked.reports.get(node)) and report.whole]
        if len(whole) == 1:
            single[shard.shard_id] = whole[0]
    if not single:
        return
    nodes, keys = tuple(single.values()), sum(asked.reports[node].key_count for node in single.values())
    if factor == 1:
        what = f"there is one copy of each key: the disk of any node is the only one with its keys ({keys:,} in all)"
        yield Finding("one-copy", NOTE, what, "kvs view-change --repl-factor 2, if they matter", nodes, keys)
    else:
        have = f"only {', '.join(nodes)} {'has' if len(nodes) == 1 else 'have'} them now"
        what = f"{keys:,} keys would be lost with one more disk: {have}"
        do = "start the others again before anything else, and touch these disks only with care"
        yield Finding("keys-at-risk", "warning", what, do, nodes, keys)


def _each(by_node: Mapping[str, str]) -> str:
    values = sorted(set(by_node.values()))
    return "; ".join(f"{value} on {', '.join(node for node in by_node if by_node[node] == value)}" for value in values)


RULES: tuple[Rule, ...] = (
    _told,
    _cut,
    _silent,
    _at_risk,
    _names,
    _releases,
    _environments,
    _zones,
    _disks,
    _clocks,
    _round_trips,
)

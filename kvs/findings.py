"""What comes of comparing all nodes: what each of them says is wrong, and what only shows beside each other.

Pure: answers in, findings out. What comes of who reaches whom is in `kvs.cuts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from kvs import cuts
from kvs.asked import NOTE, Asked, Finding, Rule
from kvs.responses import NodeReport, NodeStatus
from kvs.tables import size

LOW_SHARE = 0.1
"""A disk with less than this part of it free is about to be full."""
CLOCK_MS = 1000
"""NTP keeps clocks a hundred times nearer than this."""
ORDER = ("critical", "warning", NOTE)


def findings_of(asked: Asked) -> list[Finding]:
    """All there is to say, the worst first."""
    found = [finding for rule in RULES for finding in rule(asked)]
    return sorted(found, key=lambda finding: ORDER.index(finding.severity) if finding.severity in ORDER else 0)


def _silent(asked: Asked) -> Iterator[Finding]:
    """Nodes that answer others, but not this command."""
    reached = {peer.address for report in asked.reports.values() for peer in report.peers if peer.reached}
    for node, why in asked.silent.items():
        if node in reached:
            what = f"{node} answers other nodes, and not this command: {why}"
            yield Finding("not-asked", "warning", what, f"look at the way from this machine to {node}", (node,))


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


def _view_variables(asked: Asked) -> Iterator[Finding]:
    """None is wrong while a change of the view is under way: it is to be set for the view that comes of it."""
    members = set(asked.ring.nodes)
    if any(not report.settled for report in asked.reports.values()):
        return
    others = tuple(
        node for node, told in asked.reports.items() if node in members and {*told.environment.view, node} != members
    )
    if others:
        what = f"VIEW on {', '.join(others)} names other nodes than the view in force"
        do = "it counts only where a disk is lost, and one node that runs is enough then; to be sure, set "
        yield Finding("view-variable", NOTE, what, f"{do}VIEW={','.join(sorted(members))}", others)


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
    """Where no node says so itself, as those of an earlier release do not."""
    for node, report in asked.reports.items():
        if is_low(report) and not asked.told_of(node) & {"disk-low", "disk-full"}:
            free, all_bytes = report.disk.free_bytes or 0, report.disk.bytes or 1
            what, do = f"the disk of {node} is full", "make room"
            if free:
                what, do = (
                    f"the disk of {node} has {size(free)} left, {free / all_bytes:.0%}",
                    f"{do} before it is full",
                )
            do += "; or let another node take some of its keys: kvs view-change --add NEW"
            yield Finding("disk-low", "warning", what, do, (node,))


def is_low(report: NodeReport) -> bool:
    """Whether its disk is about to be full, and not taken for full by the node itself."""
    free, whole = report.disk.free_bytes, report.disk.bytes
    return free is not None and whole is not None and free < LOW_SHARE * whole and not report.disk.full


def _clocks(asked: Asked) -> Iterator[Finding]:
    """Clocks that are off by less than nodes complain of themselves, as most of them see it. What was heard of one that
    is not reached any more is no word of it."""
    off: Counter[str] = Counter()
    for report in asked.reports.values():
        off.update(peer.address for peer in report.peers if peer.reached and abs(peer.clock_offset_ms or 0) >= CLOCK_MS)
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
    factor, single, others = asked.ring.repl_factor or 1, dict[str, str](), list[str]()
    for shard in asked.ring.shards:
        whole = [node for node in shard.replicas if (report := asked.reports.get(node)) and report.whole]
        if len(whole) == 1:
            single[shard.shard_id] = whole[0]
            others += (node for node in shard.replicas if node != whole[0])
    if not single:
        return
    nodes, keys = tuple(single.values()), sum(asked.reports[node].key_count for node in single.values())
    if factor == 1:
        yield _one_copy(asked, nodes, keys)
        return
    kept = {node: count for node, count in _kept(asked).items() if node not in nodes}
    at_risk = keys - sum(kept.values())
    if at_risk > 0:
        have = f"only {', '.join(nodes)} {'has' if len(nodes) == 1 else 'have'} them now"
        have += "".join(f"; {count:,} more are kept by {node}" for node, count in kept.items())
        what = f"{at_risk:,} keys would be lost with one more disk: {have}"
        do = f"{_to_get_others_back(asked, others)}; until then, touch {_disks_of(nodes)} only with care"
        yield Finding("keys-at-risk", "warning", what, do, nodes, at_risk)


def _one_copy(asked: Asked, nodes: tuple[str, ...], owned: int) -> Finding:
    """`owned`: the keys of those owners that told how many they have."""
    coming = sum(_told_most(asked, lambda node: node.keys_to_hand_over).values())
    uncounted = sorted(node for shard in asked.ring.shards for node in shard.replicas if node not in nodes)
    count = f"{'at least ' if uncounted else ''}{owned + coming:,} in all"
    count += f", of which {coming:,} are on their way to a new owner" if coming else ""
    count += f"; those of {', '.join(uncounted)} cannot be counted" if uncounted else ""
    what = f"there is one copy of each key: the disk of any node is the only one with its keys ({count})"
    do = "kvs view-change --repl-factor 2, if they matter"
    if uncounted or not _is_calm(asked):
        do = "nothing yet: first see to what else is wrong, or under way; then more copies can be asked for"
    return Finding("one-copy", NOTE, what, do, nodes, owned + coming)


def _is_calm(asked: Asked) -> bool:
    """Whether this is the time to ask for more copies: all nodes are there, nothing is wrong, and nothing moves. A copy
    on a disk that hangs would be none, and of keys that nobody can reach none can be made."""
    is_well = not asked.silent and not any(status.problems for status in asked.statuses.values())
    return is_well and all(
        report.settled and not report.disk.hangs and not report.disk.full for report in asked.reports.values()
    )


def _kept(asked: Asked) -> Mapping[str, int]:
    """How many keys earlier owners keep until more of the present ones have them, as far as anybody has heard."""
    return _told_most(asked, lambda node: node.keys_waiting_for_copies)


def _told_most(asked: Asked, of: Callable[[NodeStatus], int | None]) -> Mapping[str, int]:
    """By node, the most that anybody has heard of something that it has."""
    most: Counter[str] = Counter()
    for status in asked.statuses.values():
        for node in status.nodes:
            most[node.address] = max(most[node.address], of(node) or 0)
    return +most


def _disks_of(nodes: tuple[str, ...]) -> str:
    return f"the {'disk' if len(nodes) == 1 else 'disks'} of {', '.join(nodes)}"


def _to_get_others_back(asked: Asked, others: list[str]) -> str:
    """What makes whole copies of these nodes again: of each, why it is none."""
    reached = {peer.address for report in asked.reports.values() for peer in report.peers if peer.reached}
    to_do: dict[str, list[str]] = {}
    for node in others:
        report = asked.reports.get(node)
        if report is None:
            why = "see why this command cannot ask {}" if node in reached else "start {} again"
        elif report.disk.hangs:
            why = "mend the disk of {}, which hangs"
        elif report.disk.full:
            why = "make room on the disk of {}, which is full"
        else:
            why = "wait until {} {} caught up"
        to_do.setdefault(why, []).append(node)
    return "; ".join(why.format(", ".join(nodes), "has" if len(nodes) == 1 else "have") for why, nodes in to_do.items())


def _each(by_node: Mapping[str, str]) -> str:
    values = sorted(set(by_node.values()))
    return "; ".join(f"{value} on {', '.join(node for node in by_node if by_node[node] == value)}" for value in values)


RULES: tuple[Rule, ...] = (
    cuts.cut_off,
    cuts.told,
    cuts.no_way_between,
    _silent,
    _at_risk,
    _names,
    _releases,
    _environments,
    _view_variables,
    _zones,
    _disks,
    _clocks,
    _round_trips,
)

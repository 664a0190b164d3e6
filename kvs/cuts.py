"""Who reaches whom, and what is left of what nodes say of each other where a cut is between them.

A node takes whom it does not reach for down, and says how to get on without it: to start it again, or to remove it.
Where both answer this command, neither would help, and to remove the healthy side on the word of the other one would
lose its keys. So it is told once who is cut off; of what follows from it, the remedy is to mend the cut, and what only
those see who are cut off is not told at all. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

import msgspec

from kvs.asked import Asked, Finding, is_are, start
from kvs.responses import Problem

Part: TypeAlias = frozenset[str]
"""Nodes between which there is a way, be it in one direction, or through others of them."""

MEND = "mend the network between them: routes, firewalls, the port that both use"
THERE = ("foreign-node", "turned-away")
"""Codes of what is said of nodes that count as down, though something answers at their addresses."""
SAYS_NO_MORE = ("node-down", "minority")
"""Codes of what is said by the finding of the cut as well."""
FOLLOWS = (
    *SAYS_NO_MORE,
    "keys-without-owner",
    "fewer-copies",
    "keys-waiting-for-copies",
    "conditions-undecided",
    "change-waits",
    "removed-node-missing",
)
"""Codes of what is so because a node cannot be reached."""


def parts_of(reach: Mapping[str, Collection[str]]) -> list[Part]:
    """`reach`: whom each node reaches, of those who say it. The parts in which there is one of these, the largest
    first: no node of one reaches any of another."""
    parts: list[set[str]] = []
    for node, others in reach.items():
        joined = {node, *others}
        apart = []
        for part in parts:
            if part.isdisjoint(joined):
                apart.append(part)
            else:
                joined |= part
        parts = [*apart, joined]
    return sorted(map(frozenset, parts), key=lambda part: (-len(part), sorted(part)))


def main_of(parts: list[Part]) -> Part | None:
    """The part that is larger than any other; None: there is none such, and nobody can tell who is cut off."""
    is_largest = len(parts) == 1 or (len(parts) > 1 and len(parts[0]) > len(parts[1]))
    return parts[0] if is_largest else None


def told(asked: Asked) -> Iterator[Finding]:
    """What the nodes say themselves, once for all who say the same of the same nodes."""
    seen: dict[tuple[str, tuple[str, ...]], list[tuple[str, Problem]]] = {}
    for node, problem in _told_by_each(asked):
        seen.setdefault((problem.code, problem.nodes), []).append((node, problem))
    for same in seen.values():
        fields = msgspec.structs.asdict(same[0][1])
        yield Finding(**fields, seen_by=tuple(node for node, _ in same))


def cut_off(asked: Asked) -> Iterator[Finding]:
    """Nodes that answer here, and do not reach the rest, nor does that reach them."""
    parts = parts_of(_reach(asked))
    main = main_of(parts)
    if main is None and len(parts) > 1:
        between = " and ".join(", ".join(sorted(part)) for part in parts)
        nodes = tuple(sorted(node for part in parts for node in part))
        what = f"there is no way between {between}, though all of them run; {_apart(asked, *parts)}"
        severity = _severity(asked, nodes)
        yield Finding("no-way-between", severity, what, f"{MEND}; start nothing anew, remove nothing", nodes)
        return
    for part in parts:
        if part is not main:
            yield _cut_off(asked, tuple(sorted(part)))


def no_way_between(asked: Asked) -> Iterator[Finding]:
    """Two nodes that both answer here, and not each other, though there is a way through others."""
    reach = _reach(asked)
    part_of = {node: part for part in parts_of(reach) for node in part}
    for node in asked.reports:
        lost = tuple(
            peer.address
            for peer in asked.reports[node].peers
            if peer.address in asked.reports and peer.address not in reach[node] and peer.address in part_of[node]
        )
        if lost:
            what = f"{node} cannot reach {', '.join(lost)}, though all of them answer this command"
            yield Finding("no-way-between", "critical", what, MEND, (node, *lost))


def _cut_off(asked: Asked, nodes: tuple[str, ...]) -> Finding:
    named = ", ".join(nodes)
    if len(nodes) == 1:
        what = f"{named} is cut off: it runs, but reaches none of the others, nor they it"
    else:
        what = f"{named} are cut off: they run, and reach each other, but none of the others, nor do these reach them"
    what += f"; {_apart(asked, frozenset(nodes))}"
    do = f"mend routes or the firewall of {named}; start nothing anew, remove nothing; until then send no clients there"
    lasted = (
        problem.for_seconds
        for node, status in asked.statuses.items()
        for problem in status.problems
        if problem.code == "node-down" and node not in nodes and set(problem.nodes) <= set(nodes)
    )
    longest = max((seconds for seconds in lasted if seconds is not None), default=None)
    return Finding("cut-off", _severity(asked, nodes), what, do, nodes, None, longest)


def _severity(asked: Asked, nodes: Collection[str]) -> str:
    """As bad as the nodes that are cut off say themselves that it is: what is critical to `kvs status` is to this
    command, and no more."""
    told = (problem for node in nodes if node in asked.statuses for problem in asked.statuses[node].problems)
    return "critical" if any(problem.is_critical and problem.code in FOLLOWS for problem in told) else "warning"


def _apart(asked: Asked, *parts: Part) -> str:
    """What clients can do on the sides of a cut, of which these are `parts`."""
    shards = [frozenset(shard.replicas) for shard in asked.ring.shards]
    told = []
    if any(part.isdisjoint(shard) for part in parts for shard in shards):
        told.append("clients there get a 503 for keys of which no owner is on their side")
    if any(shard & part and shard - part for part in parts for shard in shards):
        shared = "keys with owners on both sides take plain writes on both, each side reads its own, and the newer "
        told.append(f"{shared}write holds once they meet; writes on a condition get a 503")
    return "; ".join(told) or "each side reads and writes its own keys"


def _reach(asked: Asked) -> Mapping[str, Collection[str]]:
    """Whom each reaches, of those that say it. To a node of another cluster, or one that is
    turned away, there is a way too."""
    reach: dict[str, set[str]] = {}
    for node, report in asked.reports.items():
        reach[node] = {peer.address for peer in report.peers if peer.reached}
        if status := asked.statuses.get(node):
            reach[node].update(*(problem.nodes for problem in status.problems if problem.code in THERE))
    return reach


def _told_by_each(asked: Asked) -> Iterator[tuple[str, Problem]]:
    """Who says what, as far as no cut makes them say it."""
    parts = parts_of(_reach(asked))
    main = main_of(parts)
    part_of = {node: part for part in parts for node in part}
    for node, status in asked.statuses.items():
        part = part_of.get(node, frozenset())
        away = frozenset(part_of).difference(part)
        for problem in status.problems:
            if main is None or part == main:
                kept = _with_the_cut_in_view(asked, problem, away)
            else:
                kept = problem if _is_of_their_own(problem, part) else None
            if kept is not None:
                yield node, kept


def _is_of_their_own(problem: Problem, part: Part) -> bool:
    """Whether it is wrong with those who are cut off themselves, be they cut off or not."""
    return bool(problem.nodes) and part.issuperset(problem.nodes) and problem.code not in (*FOLLOWS, "not-ready")


def _with_the_cut_in_view(asked: Asked, problem: Problem, away: Part) -> Problem | None:
    """`away`: who runs beyond the cut. What follows from it has no remedy of its own."""
    lost = away if problem.code == "keys-waiting-for-copies" else away.intersection(problem.nodes)
    if problem.code not in FOLLOWS or not lost:
        return problem
    if problem.code in SAYS_NO_MORE and away.issuperset(problem.nodes):
        return None
    named = ", ".join(sorted(lost))
    do = f"mend the way to {named}, which {is_are(lost)} not down: this follows from the cut"
    down = sorted(set(asked.silent).intersection(asked.silent if lost is away else problem.nodes))
    return msgspec.structs.replace(problem, do=f"{start(down)}; and {do}" if down else do)

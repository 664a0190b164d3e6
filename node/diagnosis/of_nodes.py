"""What is wrong with single nodes: down, of another cluster, slow, off in time, of another release. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import is_are, named, remove, replace, start

CLOCK_OFF_MS = 60_000
"""A clock that is this far off is worth mentioning."""
SLOW_S = 0.25
"""A node that takes so much longer than the way to it has too much to do, or too little to do it with."""
UNREADY_S = 3.0
"""To ask around takes a silence or two."""


def down(survey: Survey) -> Iterator[Problem]:
    """Nodes of the view that do not answer, and of which nothing more is known."""
    nodes = tuple(node for node in survey.down if not survey.seen(node).is_foreign and not survey.is_turned_away(node))
    if nodes:
        is_one = len(nodes) == 1
        what = f"{named(nodes)} {'does' if is_one else 'do'} not answer {survey.me}: "
        what += f"{'it is' if is_one else 'they are'} down, or cut off"
        do = f"see whether {'it runs' if is_one else 'they run'} before you replace {'it' if is_one else 'them'}: "
        do += f"{start(nodes)}, or mend the network; if gone for good: {replace(nodes)}, or {remove(nodes)}"
        if alone := [node for node in nodes if survey.is_only(node)]:
            do += f"; either gives up the keys that only {named(alone)} {'has' if len(alone) == 1 else 'have'}, and "
            do += "takes --force"
        do += f"; if {'it runs' if is_one else 'they run'}, cut off, send no clients there: for keys of which "
        do += f"{'it reaches' if is_one else 'they reach'} no owner they get a 503"
        yield Problem("node-down", Severity.WARNING, what, do, nodes, None, survey.dead_s(nodes))


def foreign(survey: Survey) -> Iterator[Problem]:
    nodes = tuple(sorted(node for node, seen in survey.nodes.items() if seen.is_foreign and node in survey.view.nodes))
    if nodes:
        what = f"what answers at {named(nodes)} is of another cluster, by its CLUSTER or its data, and counts as down"
        do = f"stop what runs there, and start this store's node; or leave the address to it: {remove(nodes)}"
        yield Problem("foreign-node", Severity.CRITICAL, what, do, nodes)


def turned_away(survey: Survey) -> Iterator[Problem]:
    """Nodes of the view that speak, but not in a way, or with proofs, that both ends take."""
    for node in filter(survey.is_turned_away, survey.down):
        why = survey.seen(node).why_refused
        what = f"{node} counts as down, for {survey.me} and it turned each other away when they met last; {survey.me} "
        what += f"says of it: {why}"
        do = f"correct the environment of {node} or {survey.me}, or the files that it names, or upgrade the older of "
        do += "the two, and start it again"
        yield Problem("turned-away", Severity.CRITICAL, what, do, (node,), None, survey.dead_s((node,)))


def view_unstored(survey: Survey) -> Iterator[Problem]:
    for node, health in survey.healths():
        if health.unstored_ms:
            what = f"{node} cannot store the view in force, as its disk does not take it, and serves nothing"
            do = f"make room on its disk, or replace that; or remove the node: {remove([node])}"
            keys, lasts_s = survey.keys_of((node,)), health.unstored_ms / 1000
            yield Problem("view-not-stored", Severity.CRITICAL, what, do, (node,), keys, lasts_s)


def unready(survey: Survey) -> Iterator[Problem]:
    """A node that has asked around for longer than that takes."""
    for node, health in survey.healths():
        if health.unready_ms > 1000 * (UNREADY_S + 20 * survey.round_trip_s):
            what = f"{node} does not serve yet: it was started or paused, and has not heard from all others since"
            do = f"if it lasts, give {node} more room: its machine may pause it again and again, as its log tells then"
            yield Problem("not-ready", Severity.WARNING, what, do, (node,), None, health.unready_ms / 1000)


def view_differs(survey: Survey) -> Iterator[Problem]:
    """Nodes whose `VIEW` or `REPL_FACTOR` contradicts that of others, or whose views make no sense."""
    for node, seen in sorted(survey.nodes.items()):
        if seen.complaint and not seen.is_foreign:
            do = f"correct the environment of {node}, or that of the others, and start it again"
            yield Problem("environment-differs", Severity.WARNING, f"{node}: {seen.complaint}", do, (node,))


def round_trips_differ(survey: Survey) -> Iterator[Problem]:
    trips = {node: health.round_trip_ms for node, health in survey.healths()}
    if len(set(trips.values())) > 1:
        by_trip = {trip: [node for node in trips if trips[node] == trip] for trip in sorted(set(trips.values()))}
        each = "; ".join(f"{trip} on {named(nodes)}" for trip, nodes in by_trip.items())
        do = f"start all nodes with the same ROUND_TRIP_MS, {max(by_trip)} say, one after the other"
        what = f"ROUND_TRIP_MS is {each}: what one takes for silence, another does not"
        yield Problem("environment-differs", Severity.WARNING, what, do, tuple(trips))


def slow(survey: Survey) -> Iterator[Problem]:
    limit_s = survey.round_trip_s + SLOW_S
    slow = {node: seen.took_s for node, seen in sorted(survey.nodes.items()) if seen.status and seen.took_s > limit_s}
    if slow:
        each = named([f"{node} took {1000 * took_s:.0f} ms" for node, took_s in slow.items()])
        what = f"slow to answer {survey.me}: {each}, where {1000 * limit_s:.0f} ms would be long"
        do = "look at processors and memory of these machines; if they are far away, set ROUND_TRIP_MS on all nodes"
        yield Problem("node-slow", Severity.WARNING, what, do, tuple(slow))


def clock_refused(survey: Survey) -> Iterator[Problem]:
    for node, health in survey.healths():
        if health.refused_ms:
            what = (
                f"the clock of {node} is {health.ahead_s:,} s ahead of all others: clients that ask {node} are refused "
            )
            what += "writes; through other nodes all keys are read and written"
            do = f"mend NTP on {node} (chronyc tracking, timedatectl), or on the others if it is they that are behind; "
            do += "until then, send clients to other nodes"
            yield Problem("clock-ahead", Severity.CRITICAL, what, do, (node,), None, health.refused_ms / 1000)


def clocks_off(survey: Survey) -> Iterator[Problem]:
    """Clocks that are far from most others; where half are here and half there, nobody can tell which are right."""
    heard = {node: seen.clock_ms for node, seen in survey.nodes.items() if seen.status and seen.clock_ms is not None}
    clocks = dict(sorted((heard | {survey.me: 0}).items()))
    refused = {node for node, health in survey.healths() if health.refused_ms}
    ordered = sorted(clocks.values())
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    do = "mend NTP there (chronyc tracking, timedatectl): of two writes at once, the wrong one may win"
    if high - low >= CLOCK_OFF_MS and not refused:
        what = f"the clocks of {named(clocks)} are {(high - low) / 1000:,.0f} s apart: nobody can tell which are right"
        yield Problem("clock-off", Severity.WARNING, what, do, tuple(clocks))
        return
    for node, clock_ms in clocks.items():
        off_ms = min(clock_ms - low, clock_ms - high, key=abs)
        if abs(off_ms) >= CLOCK_OFF_MS and node not in refused:
            what = f"the clock of {node} is {off_ms / 1000:+,.0f} s off those of most others"
            yield Problem("clock-off", Severity.WARNING, what, do, (node,))


def older(survey: Survey) -> Iterator[Problem]:
    nodes = tuple(sorted(node for node, seen in survey.nodes.items() if seen.status and seen.is_older))
    if nodes:
        what = f"{named(nodes)} {is_are(nodes)} of an earlier release: no key can be stored with a ttl meanwhile"
        yield Problem("older-release", Severity.WARNING, what, "upgrade these nodes, one after the other", nodes)

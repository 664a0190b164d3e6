"""Which keys nobody answers for, which have fewer copies than asked, and on which no condition can be decided. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gossip.view import Address
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import counted, is_are, named, numbers, remove, replace, start
from node.views.quorum import is_quorum
from ring.hashing import PARTITIONS
from ring.placement import Shard


def without_owner(survey: Survey) -> Iterator[Problem]:
    """Keys of shards of which no replica answers."""
    lost = {shard: nodes for shard, nodes in survey.shards() if not any(map(survey.serves, nodes))}
    if not lost:
        return
    nodes = _all_of(lost.values())
    down = [node for node in nodes if not survey.is_up(node)]
    keys = sum(map(survey.keys_of, lost.values()))
    share = sum(survey.partitions[shard] for shard in lost) / PARTITIONS
    what = f"{counted(keys, 'key')}, {share:.0%} of the key space ({numbers(lost)}), have no live owner: "
    what += f"{named(nodes)} {is_are(nodes)} their only {'owner' if len(nodes) == 1 else 'owners'}"
    do = f"make room on the disks of {named(nodes)}"
    if down:
        do = f"{start(down)}; only if these are lost, and the keys are to be given up: {remove(down)} --force"
    yield Problem("keys-without-owner", Severity.CRITICAL, what, do, nodes, keys, survey.dead_s(nodes))


def with_fewer_copies(survey: Survey) -> Iterator[Problem]:
    """Keys of shards that have live owners, but fewer whole copies than asked. Where one was asked, its disk tells."""
    factor, left, lacking = survey.view.repl_factor or 1, dict[Shard, int](), dict[int, list[Address]]()
    for shard, replicas in survey.shards():
        copies = sum(map(survey.is_copy, replicas))
        if 1 < factor > copies and any(map(survey.serves, replicas)):
            left[replicas] = copies
            lacking[shard] = [node for node in replicas if not survey.is_copy(node)]
    if not lacking:
        return
    nodes, keys, least = _all_of(lacking.values()), sum(map(survey.keys_of, left)), min(left.values())
    what = f"{counted(keys, 'key')} ({numbers(lacking)}) have {least or 'none'} of {factor} copies that are whole and "
    what += f"take writes: {named(nodes)} {'lacks' if len(nodes) == 1 else 'lack'} what is written"
    yield Problem("fewer-copies", Severity.WARNING, what, _to_get_copies(survey, nodes), nodes, keys)


def _to_get_copies(survey: Survey, nodes: Collection[Address]) -> str:
    if down := [node for node in nodes if not survey.is_up(node)]:
        return f"{start(down)}; or put others in their place: {replace(down)}"
    if stuck := [node for node in nodes if survey.is_stuck(node)]:
        return f"make room on the disks of {named(stuck)}, or put others in their place: {replace(stuck)}"
    return "wait until they have caught up; if that takes long, look at their logs"


def waiting_for_copies(survey: Survey) -> Iterator[Problem]:
    """Keys that earlier owners keep, since too few of the present ones can take them."""
    kept = {node: seen.kept for node, seen in survey.nodes.items() if seen.kept}
    if not kept:
        return
    keys, missing = sum(kept.values()), survey.down
    what = f"{counted(keys, 'key')} are kept by earlier owners until enough of the present ones have a copy"
    do = f"{start(missing)}; or put others in their place: {replace(missing)}" if missing else "wait: copies are made"
    yield Problem("keys-waiting-for-copies", Severity.WARNING, what, do, tuple(sorted(kept)), keys)


def undecided(survey: Survey) -> Iterator[Problem]:
    """Keys of which nobody can tell whether a condition holds, be it that an owner or an earlier owner is missing, or
    that too few hold the view."""
    view = survey.view
    holding = {node for node in view.nodes if survey.holds_view(node)}
    missing = {*survey.undecided, *(() if is_quorum(holding, view.nodes) else view.nodes - holding)}
    keys, is_all = 0, bool(missing)
    for _, replicas in survey.shards():
        unheard = _unheard_of(survey, replicas)
        if any(map(survey.serves, replicas)) and (unheard or is_all):
            missing |= unheard
            keys += survey.keys_of(replicas)
    if not missing:
        return
    nodes = tuple(sorted(missing))
    what = f"conditions (If-Match, If-None-Match, locks) on {counted(keys, 'key')} are decided by nobody: "
    what += f"{named(nodes)} {is_are(nodes)} missing, and may have decided otherwise"
    yield Problem("conditions-undecided", Severity.WARNING, what, _to_decide(survey, nodes), nodes, keys)


def _to_decide(survey: Survey, nodes: Collection[Address]) -> str:
    down = [node for node in nodes if not survey.is_up(node)]
    if survey.undecided or not survey.view.nodes.issuperset(nodes):
        vouch = "if nobody is served under another view than this, and never will be: kvs view-change --gone-for-good"
        return f"{start(down)}; or, {vouch}" if down else vouch
    if down:
        return f"{start(down)}; or take them out of the view: {remove(down)}"
    return f"see what else is wrong with {named(nodes)}; or take them out of the view: {remove(nodes)}"


def _unheard_of(survey: Survey, replicas: Shard) -> set[Address]:
    """Who of those that a decision about keys of this shard needs cannot be heard, or takes nothing."""
    statuses = [status for node in replicas if (status := survey.seen(node).status) is not None]
    donors = {owed.address for status in statuses for owed in status.waiting if not survey.is_up(owed.address)}
    owners = {node for node in replicas if not survey.is_up(node) or survey.is_stuck(node)}
    return (donors | (owners if len(replicas) > 1 else set())).difference(survey.view.absent)


def minority(survey: Survey) -> Iterator[Problem]:
    """This node reaches no more than half of the others: the rest may be well, and it be this one that is cut off."""
    nodes, down = survey.view.nodes, survey.down
    if len(nodes) < 3 or 2 * (len(nodes) - len(down)) > len(nodes):
        return
    what = f"{survey.me} reaches {len(nodes) - len(down)} of the {len(nodes)} nodes of the view: "
    what += "either the others are down, or a cut in the network parts them from this one"
    do = f"look at the network between them, and ask one of the others: kvs -e {down[0]} status"
    yield Problem("minority", Severity.WARNING, what, do, tuple(down), None, survey.dead_s(down))


def _all_of(groups: Collection[Collection[Address]]) -> tuple[Address, ...]:
    return tuple(sorted(node for group in groups for node in group))

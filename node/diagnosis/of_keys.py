"""Which keys nobody answers for, which have fewer copies than asked, and on which no condition can be decided. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gossip.view import Address
from node.diagnosis.causes import Cause, after_way_out, cause_of
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import CHANGE, counted, is_are, named, numbers, remove, start
from node.views.quorum import is_quorum
from ring.hashing import PARTITIONS
from ring.placement import Shard

GO_ON = "; through every node that answers clients read and write them all the same"
APART = "; a node out of reach that runs takes plain writes of them too: each side reads its own, and the newer write "
APART += "holds once they meet"
GO_ON_WITHOUT = "; without conditions, clients read and write them all the same"


def without_owner(survey: Survey) -> Iterator[Problem]:
    """Keys of shards of which no replica answers. What is to be done stands with what these nodes themselves have."""
    lost = {shard: nodes for shard, nodes in survey.shards() if not any(map(survey.serves, nodes))}
    if not lost:
        return
    nodes = _all_of(lost.values())
    down = [node for node in nodes if not survey.is_up(node)]
    keys = sum(map(survey.keys_of, lost.values()))
    share = sum(survey.partitions[shard] for shard in lost) / PARTITIONS
    owners = f"no owner that {survey.me} reaches" if survey.is_minority else "no live owner"
    what = f"{share:.0%} of the key space ({numbers(lost)}) has {owners}: {named(nodes)} {is_are(nodes)} the only "
    what += (
        f"{'owner' if len(nodes) == 1 else 'owners'} of {_these(keys, down)}; requests for them get a 503, and so does "
    )
    cause = cause_of(survey, nodes)
    assert cause is not None, "each of them is out of reach, or serves nothing"
    what += f"whatever goes over all keys: listings, exports, backups; this follows from {cause.why}"
    do = after_way_out(survey, cause.nodes, cause.see)
    yield Problem("keys-without-owner", Severity.CRITICAL, what, do, nodes, keys, survey.dead_s(nodes))


def _these(keys: int, down: Collection[Address]) -> str:
    """Keys of nodes of which some are `down`."""
    if not down:
        return f"these {counted(keys, 'key')}"
    if not keys:
        return "these keys (how many is not known)"
    return f"these keys ({keys:,} when {'it was' if len(down) == 1 else 'they were'} last heard, perhaps more by now)"


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
    cause = cause_of(survey, nodes)
    late = [node for node in nodes if cause is None or node not in cause.nodes]
    whys = [f"this follows from {cause.why}"] if cause else []
    whys += [f"{named(late)} {'lacks' if len(late) == 1 else 'lack'} what was written"] if late else []
    what = (
        f"{_counted(survey, left)} ({numbers(lacking)}) have {least or 'none'} of {factor} copies that are whole and "
    )
    what += (
        f"take writes: {', and '.join(whys)}"
        + (GO_ON if least else "")
        + (APART if _may_write_apart(survey, nodes) else "")
    )
    do = "wait until they have caught up; if that takes long, look at their logs"
    if cause:
        do = after_way_out(survey, cause.nodes, cause.see)
    yield Problem("fewer-copies", Severity.WARNING, what, do, nodes, keys)


def _may_write_apart(survey: Survey, nodes: Collection[Address]) -> bool:
    """Whether one of them may run behind a cut."""
    return any(not survey.is_up(node) and not survey.seen(node).is_foreign for node in nodes)


def waiting_for_copies(survey: Survey) -> Iterator[Problem]:
    """Keys that earlier owners keep, since too few of the present ones can take them."""
    kept = {node: seen.kept for node, seen in survey.nodes.items() if seen.kept}
    if not kept:
        return
    keys, cause = sum(kept.values()), cause_of(survey, survey.view.nodes)
    what = f"{counted(keys, 'key')}, as last heard, are kept by earlier owners until enough of the present ones have a "
    what += f"copy: this stands still, which follows from {cause.why}" if cause else "copy"
    do = after_way_out(survey, cause.nodes, cause.see) if cause else "wait: copies are made"
    yield Problem("keys-waiting-for-copies", Severity.WARNING, what, do, tuple(sorted(kept)), keys)


def undecided(survey: Survey) -> Iterator[Problem]:
    """Keys of which nobody can tell whether a condition holds, be it that an owner or an earlier owner is missing, or
    that too few hold the view."""
    view = survey.view
    holding = {node for node in view.nodes if survey.holds_view(node)}
    missing = {*survey.undecided, *(() if is_quorum(holding, view.nodes) else view.nodes - holding)}
    shards, is_all = list[Shard](), bool(missing)
    for _, replicas in survey.shards():
        unheard = _unheard_of(survey, replicas)
        if any(map(survey.serves, replicas)) and (unheard or is_all):
            missing |= unheard
            shards.append(replicas)
    if not missing:
        return
    nodes, cause = tuple(sorted(missing)), cause_of(survey, missing)
    rest = [node for node in nodes if cause is None or node not in cause.nodes]
    whys = [f"this follows from {cause.why}"] if cause else []
    whys += [f"{named(rest)} {is_are(rest)} missing, and may have decided otherwise"] if rest else []
    what = f"conditions (If-Match, If-None-Match, locks) on {_counted(survey, shards)} are decided by nobody, and get "
    what += f"a 503: {', and '.join(whys)}"
    what += GO_ON_WITHOUT if all(any(map(survey.is_copy, replicas)) for replicas in shards) else ""
    keys = sum(map(survey.keys_of, shards))
    yield Problem("conditions-undecided", Severity.WARNING, what, _to_decide(survey, nodes, cause), nodes, keys)


def _to_decide(survey: Survey, nodes: Collection[Address], cause: Cause | None) -> str:
    if survey.undecided or not survey.view.nodes.issuperset(nodes):
        down = [node for node in nodes if not survey.is_up(node)]
        vouch = f"if nobody is served under another view than this, and never will be: {CHANGE} --gone-for-good"
        return f"{start(down)}; or, {vouch}" if down else vouch
    if cause:
        return after_way_out(survey, cause.nodes, cause.see)
    return f"see what else is wrong with {named(nodes)}; or take them out of the view: {remove(nodes)}"


def _unheard_of(survey: Survey, replicas: Shard) -> set[Address]:
    """Who of those that a decision about keys of this shard needs cannot be heard, or takes nothing."""
    statuses = [status for node in replicas if (status := survey.seen(node).status) is not None]
    donors = {owed.address for status in statuses for owed in status.waiting if not survey.is_up(owed.address)}
    owners = {node for node in replicas if not survey.is_up(node) or survey.is_stuck(node)}
    return (donors | (owners if len(replicas) > 1 else set())).difference(survey.view.absent)


def minority(survey: Survey) -> Iterator[Problem]:
    """This node reaches no more than half of the others: the rest may be well, and it be this one that is cut off."""
    if not survey.is_minority:
        return
    count, down = len(survey.view.nodes), survey.down
    what = f"{survey.me} reaches {count - len(down)} of the {count} nodes of the view: either it is cut off from "
    what += (
        f"{named(down)}, or they are down; it cannot tell which. Its clients get a 503 for keys of which it reaches no "
    )
    what += "owner; what it has a copy of, others may write too meanwhile, and the newer write holds once they meet"
    do = f"look at the network between them, and ask one of the others: kvs -e {down[0]} status; change nothing from "
    do += f"{survey.me} before you know that they do not run; send its clients to them if they do"
    yield Problem("minority", Severity.CRITICAL, what, do, tuple(down), None, survey.dead_s(down))


def _counted(survey: Survey, shards: Collection[Shard]) -> str:
    """The keys of these shards."""
    keys = counted(sum(map(survey.keys_of, shards)), "key")
    is_all = all(map(survey.is_counted, shards)) and not any(
        survey.arriving(node) for nodes in shards for node in nodes
    )
    return keys if is_all else f"at least {keys}"


def _all_of(groups: Collection[Collection[Address]]) -> tuple[Address, ...]:
    return tuple(sorted(node for group in groups for node in group))

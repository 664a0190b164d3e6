"""Which nodes an operator wants, from those that there are: pure, and every mistake is told with what to do
instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from kvs.params import Addresses


class Mistake(Exception):
    """What was asked for makes no sense with the nodes that there are; the text says so, and what would."""


class Wanted(NamedTuple):
    nodes: Addresses
    notes: tuple[str, ...] = ()
    """What was asked for and is so already: said, and no fault, so that a command may be repeated."""


def wanted(
    present: Addresses,
    replaced: Iterable[tuple[str, str]],
    added: Iterable[str],
    removed: Iterable[str],
    former: Collection[str] = (),
) -> Wanted:
    """The nodes of the next view, in the order of the present one: whoever replaces a node takes its place. `replaced`:
    pairs of a node that goes and one that comes. `former`: nodes outside the view that the store knows. Raises
    Mistake."""
    pairs, added, removed = tuple(replaced), tuple(added), tuple(removed)
    done = [(old, new) for old, new in pairs if new in present and old not in present and old in former]
    pairs = tuple(pair for pair in pairs if pair not in done)
    for old, new in pairs:
        _check_pair(present, old, new)
    coming, going = [*added, *(new for _, new in pairs)], [*removed, *(old for old, _ in pairs)]
    for address, times in Counter(coming + going).items():
        if times > 1:
            raise Mistake(f"{address} is named {times} times: say once what is to become of it")
    for node in removed:
        if node not in present and node not in former:
            raise Mistake(f"{node} is not in the view of {', '.join(present)}, nor known to the store")
    successors = dict(pairs)
    stay = (successors.get(node, node) for node in present if node not in removed)
    nodes = tuple(dict.fromkeys((*stay, *added)))
    if not nodes:
        raise Mistake("No node would remain, and a store has one at least; to move it to other nodes: --to")
    notes = [f"{node} is already in the view" for node in added if node in present]
    notes += [f"{node} is out of the view already" for node in removed if node not in present]
    notes += [f"{new} has taken the place of {old} already" for old, new in done]
    return Wanted(nodes, tuple(notes))


def short_of_copies(nodes: int, asked: int | None, kept: int | None) -> tuple[str, ...]:
    """What there is to say about so many nodes for so many copies. `asked`: the factor that was asked for, if any;
    `kept`: that of the view in force. Raises Mistake where more are asked for than there can be."""
    factor = asked or kept
    if factor is None or nodes >= factor:
        return ()
    there = "1 node has" if nodes == 1 else f"{nodes} nodes have"
    short = f"{there} room for {nodes} of {factor} copies"
    if asked:
        raise Mistake(f"{short}: add nodes, or ask for fewer copies")
    return (f"{short}: there will be no more until more nodes are added",)


def more_copies(nodes: int, factor: int | None) -> tuple[str, ...]:
    """What there is to say where more copies come of so many nodes than `factor`, those that are asked for."""
    if factor is None or nodes <= factor or nodes % factor == 0:
        return ()
    shards = nodes // factor
    most = -(-nodes // shards)
    return (f"{nodes} nodes cannot be dealt in groups of {factor}: keys get up to {most} copies, not {factor}",)


def brought_home(going: Collection[str], dead: Collection[str]) -> tuple[str, ...]:
    """What there is to say of nodes that are to go and do not answer: `dead`, by the word of the store."""
    silent = [node for node in going if node in dead]
    if not silent:
        return ()
    return (
        f"{', '.join(silent)} cannot be asked, and may have taken writes that nobody else has: they are not counted, "
        "and come home only if it returns within a day",
    )


def lost_keys(keys: int | None) -> str:
    """How many keys are at risk, as people say it. `keys`: as last heard of nodes that cannot be asked, which may have
    got more since; None: nobody knows."""
    return "an unknown number of keys" + (f" ({keys:,} when last heard)" if keys else "")


def _check_pair(present: Addresses, old: str, new: str) -> None:
    if old == new:
        raise Mistake(
            f"{old} cannot replace itself: a node that has lost its disk is started again under its address, with an "
            "empty one, and no view change"
        )
    if new in present and old not in present:
        raise Mistake(f"{new} is in the view of {', '.join(present)} already, and the store does not know {old}")
    if old not in present:
        raise Mistake(f"{old} is not in the view of {', '.join(present)}: to take {new} in besides these: --add {new}")
    if new in present:
        raise Mistake(f"{new} is in the view already: to let {old} go without a new node: --remove {old}")

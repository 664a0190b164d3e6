"""What follows from nodes that are down, or whose disks take nothing: the other problem that tells what to do about it,
in the same words wherever something follows. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gossip.view import Address
from node.diagnosis.survey import Survey
from node.diagnosis.wording import UNDO, named


class Cause(NamedTuple):
    why: str
    """To follow "follows from"."""
    see: str
    """The problems that say what to do."""
    nodes: frozenset[Address]
    """Those of the asked for that it explains."""


def cause_of(survey: Survey, nodes: Collection[Address]) -> Cause | None:
    """Why these nodes take nothing, or do not answer; None: they are neither down nor stuck, or not of the view."""
    groups: dict[str, list[Address]] = {}
    for node in sorted(nodes):
        if code := _code(survey, node):
            groups.setdefault(code, []).append(node)
    if not groups:
        return None
    words = {
        "node-down": "being out of reach",
        "foreign-node": "being of another cluster",
        "turned-away": "being turned away",
        "disk-hangs": "taking nothing, as the disk hangs",
        "disk-full": "taking nothing, as the disk is full",
        "view-not-stored": "serving nothing, as the view is not stored",
    }
    whys = [f"{named(group)} {words[code]}" for code, group in groups.items()]
    return Cause(", and ".join(whys), f"as for {', '.join(groups)}", frozenset().union(*groups.values()))


def after_way_out(survey: Survey, nodes: Collection[Address], otherwise: str) -> str:
    """What to do about these nodes: first, if a change that is under way has taken them in, to take it back, since what
    they lack others still have; `otherwise`: the rest."""
    return f"{UNDO}; or {otherwise}" if are_taken_in(survey, nodes) else otherwise


def are_taken_in(survey: Survey, nodes: Collection[Address]) -> bool:
    """Whether it is a change under way that has brought these nodes into the view, none of them was in it before."""
    former = survey.view.former
    return bool(survey.is_changing and former and former[0].nodes.isdisjoint(nodes))


def _code(survey: Survey, node: Address) -> str | None:
    """The problem that tells of a node what is wrong with it."""
    if not survey.is_up(node):
        return _code_of_absent(survey, node) if node in survey.view.nodes else None
    if survey.hangs(node):
        return "disk-hangs"
    if survey.is_full(node):
        return "disk-full"
    return None if survey.serves(node) else "view-not-stored"


def _code_of_absent(survey: Survey, node: Address) -> str:
    if survey.seen(node).is_foreign:
        return "foreign-node"
    return "turned-away" if survey.is_turned_away(node) else "node-down"

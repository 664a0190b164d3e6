"""What node A has seen of a store, in few words."""

from __future__ import annotations

from typing import Any

import msgspec

from gossip.view import Address, View
from node.diagnosis.survey import Problem, Seen, Survey
from node.net.messages import Health, Owed, Status
from node.views.rules import ring_of
from tests.node.views.bench import A, B, C, D, environment

ALONE = environment(A, B, C, D)
"""One copy."""
PAIRS = environment(A, B, C, D, repl_factor=2)
"""A and B in one shard, C and D in the other."""
KEYS = 10
"""The keys of each node."""
WELL = Health("4.0.1", 50)


def status(view: View, *, waiting: str = "", handing: str = "", **fields: Any) -> Status:
    """`waiting`, `handing`: the letters of the nodes that it waits for, or has something for."""
    owed, awaited = (tuple(Owed(f"{letter}:1", 1, 2) for letter in letters) for letters in (handing, waiting))
    told = Status(view.id, 0, "", KEYS, owed, awaited, not owed and not awaited, True)
    return msgspec.structs.replace(told, **fields)


def up(view: View, health: Health | None = WELL, took_s: float = 0.001, **fields: Any) -> Seen:
    return Seen(status(view, **fields), health, took_s, KEYS, clock_ms=0)


def ill(view: View, **wrong: int) -> Seen:
    """`wrong`: what it says of itself."""
    return up(view, msgspec.structs.replace(WELL, **wrong))


DOWN = Seen(keys=KEYS, dead_s=7.0)


def survey_of(view: View, seen: dict[Address, Seen] | None = None, down: str = "", **more: Any) -> Survey:
    """All is well but for what is said. `down`: the letters of those that cannot be reached."""
    nodes = {node: DOWN if node[0] in down else up(view) for node in view.nodes} | (seen or {})
    partitions = tuple(bits.bit_count() for bits in ring_of(view).bits)
    return Survey(A, view, nodes, partitions=partitions, **more)


def one(problems: list[Problem], code: str) -> Problem:
    (found,) = [problem for problem in problems if problem.code == code]
    return found

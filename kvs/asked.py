"""What was told when all nodes were asked, and in what form it is told what comes of that. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from kvs.responses import NodeReport, Problem, RingMap, Status

NOTE = "note"
"""The severity of what is worth knowing, and nothing that has to be mended."""


class Asked(NamedTuple):
    """What was told when all nodes were asked."""

    statuses: Mapping[str, Status]
    """By the node that was asked, as all else."""
    reports: Mapping[str, NodeReport]
    ring: RingMap
    silent: Mapping[str, str] = {}
    """The members that did not answer this command, and why."""

    def told_of(self, node: str) -> set[str]:
        """The codes of what any node says is wrong with this one."""
        return {
            problem.code for status in self.statuses.values() for problem in status.problems if node in problem.nodes
        }


class Finding(Problem, frozen=True):
    """A problem, and which nodes see it; none: it shows by comparing them."""

    seen_by: tuple[str, ...] = ()


Rule: TypeAlias = Callable[[Asked], Iterator[Finding]]


def is_are(nodes: Collection[str]) -> str:
    return "is" if len(nodes) == 1 else "are"


def start(nodes: Collection[str]) -> str:
    """How those that are down come back."""
    return f"start {', '.join(nodes)} again, with {'its disk' if len(nodes) == 1 else 'their disks'}"

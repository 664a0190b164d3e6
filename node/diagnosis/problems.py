"""The list of what is wrong: the critical first, and otherwise in the order in which the rules stand here. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from node.diagnosis import of_disks, of_keys, of_nodes, of_views
from node.diagnosis.survey import Problem, Severity, Survey

RULES: tuple[Callable[[Survey], Iterator[Problem]], ...] = (
    of_keys.without_owner,
    of_nodes.view_unstored,
    of_nodes.foreign,
    of_nodes.clock_refused,
    of_disks.full,
    of_disks.hung,
    of_keys.minority,
    of_nodes.down,
    of_views.waits,
    of_views.missing_donors,
    of_keys.with_fewer_copies,
    of_keys.waiting_for_copies,
    of_keys.undecided,
    of_views.untaken,
    of_nodes.view_differs,
    of_nodes.round_trips_differ,
    of_nodes.unready,
    of_nodes.slow,
    of_nodes.clocks_off,
    of_nodes.older,
    of_views.crowded,
)


def problems_of(survey: Survey) -> list[Problem]:
    """All that is wrong; none: nothing is, as far as can be seen from here."""
    found = [problem for rule in RULES for problem in rule(survey)]
    return sorted(found, key=lambda problem: problem.severity is not Severity.CRITICAL)

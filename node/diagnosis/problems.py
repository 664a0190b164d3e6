"""The list of what is wrong: the critical first, and otherwise in the order in which the rules stand here. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from node.diagnosis import of_disks, of_keys, of_nodes, of_views
from node.diagnosis.survey import Problem, Severity, Survey
from node.diagnosis.wording import CHANGE

MINORITY = "minority"
RULES: tuple[Callable[[Survey], Iterator[Problem]], ...] = (
    of_keys.minority,
    of_keys.without_owner,
    of_nodes.view_unstored,
    of_nodes.foreign,
    of_nodes.turned_away,
    of_nodes.clock_refused,
    of_disks.full,
    of_disks.hung,
    of_disks.low,
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
    if survey.is_minority:
        found = [problem if problem.code == MINORITY else _held_back(survey, problem) for problem in found]
    return sorted(found, key=lambda problem: problem.severity is not Severity.CRITICAL)


def _held_back(survey: Survey, problem: Problem) -> Problem:
    """Who may be cut off proposes no change of the view, and nothing about those that it does not reach."""
    is_near = all(map(survey.is_up, problem.nodes))
    left = [clause for clause in problem.do.split("; ") if CHANGE not in clause] if is_near else []
    return problem._replace(do="; ".join(left).removeprefix("or ") or f"see {MINORITY}, before anything else")

"""The whole list: nothing where all is well, the critical first, and every rule has its turn."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from gossip.view import Address, View
from node.diagnosis import problems
from node.diagnosis.problems import RULES, problems_of
from node.diagnosis.survey import Seen, Severity
from node.diagnosis.wording import CHANGE
from tests.node.diagnosis.surveys import ALONE, PAIRS, ill, one, survey_of, up
from tests.node.views.bench import B

CODES_OF_A_QUARTER_WITHOUT_OWNER = ["keys-without-owner", "node-down"]


def test_problems_are_none_where_all_is_well() -> None:
    assert problems_of(survey_of(ALONE)) == [] == problems_of(survey_of(PAIRS))


def test_problems_of_a_quarter_of_the_keys_without_a_live_owner_begin_with_that() -> None:
    assert [problem.code for problem in problems_of(survey_of(ALONE, down="b"))] == CODES_OF_A_QUARTER_WITHOUT_OWNER


def test_problems_that_are_critical_come_first() -> None:
    found = problems_of(survey_of(PAIRS, {B: ill(PAIRS, refused_ms=1, ahead_s=90)}, "cd"))
    severities = [problem.severity for problem in found]
    assert severities == sorted(severities, key=[Severity.CRITICAL, Severity.WARNING].index)
    assert {problem.code for problem in found if problem.severity is Severity.CRITICAL} == {
        "minority",
        "keys-without-owner",
        "clock-ahead",
    }


@pytest.mark.parametrize(
    ("view", "seen", "down"),
    [
        (ALONE, {}, "bcd"),
        (PAIRS, {}, "bcd"),
        (PAIRS, {}, "cd"),
        (ALONE, {B: ill(ALONE, hung_ms=1, full_ms=1, unstored_ms=1)}, "cd"),
        (PAIRS, {B: up(PAIRS, waiting="e")}, "cd"),
    ],
)
def test_problems_seen_by_a_minority_begin_with_that_and_propose_no_change_of_the_view(
    view: View, seen: dict[Address, Seen], down: str
) -> None:
    first, *others = problems_of(survey_of(view, seen, down))
    assert first.code == "minority" and others
    assert not [problem for problem in (first, *others) if CHANGE in problem.do]
    for problem in others:
        if not {node[0] for node in problem.nodes}.isdisjoint(down):
            assert problem.do == "see minority, before anything else"


def test_problems_of_a_minority_keep_what_can_be_done_on_the_spot() -> None:
    found = problems_of(survey_of(ALONE, {B: ill(ALONE, hung_ms=1)}, "cd"))
    assert one(found, "disk-hangs").do == "look at the disk, and at dmesg"


def test_problems_of_a_node_that_says_nothing_are_that_it_is_down() -> None:
    found = problems_of(survey_of(PAIRS, {B: Seen()}))
    assert [problem.code for problem in found] == ["node-down", "fewer-copies", "conditions-undecided"]


def test_problems_are_those_of_every_rule_there_is() -> None:
    directory = Path(problems.__file__).parent
    written = {
        (path.stem, node.name)
        for path in directory.glob("of_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert {(rule.__module__.rpartition(".")[2], rule.__name__) for rule in RULES} == written


def test_problems_and_what_to_do_about_each_are_in_the_manual() -> None:
    code = "".join(path.read_text() for path in Path(problems.__file__).parent.glob("of_*.py"))
    told = set(re.findall(r'[Pp]roblem\(\s*"([a-z-]+)"', code))
    manual = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    section = manual.partition("## What `kvs status` shows")[2].partition("\n## ")[0]
    assert told == set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE))

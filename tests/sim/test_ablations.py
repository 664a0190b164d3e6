"""Each ablation switches something off, and docs/testing.md tells of each who noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.ablations import record
from tests.sim.ablations.all import ABLATIONS, SEEDS
from tests.sim.ablations.record import BEGIN, END, PAGE, read_record, row, write_record
from tests.sim.ablations.switch import Ablation, Edit, switched_off


class Rule:
    def keep(self, number: int) -> str:
        def say() -> str:
            return "kept" if number > 0 else "broken"

        return say()

    @property
    def is_kept(self) -> bool:
        return self.keep(1) == "kept"


NO_RULE = Ablation("no rule", "nothing is kept", (Edit(Rule.keep, "if number > 0", "if False"),))


def test_ablation_switches_a_rule_off_for_a_while() -> None:
    with switched_off(NO_RULE):
        assert Rule().keep(1) == "broken" and not Rule().is_kept
    assert Rule().keep(1) == "kept"


def test_ablation_of_a_property_and_of_two_places_in_one_function() -> None:
    edits = (Edit(Rule.is_kept, "==", "!="), Edit(Rule.keep, '"kept"', '"k"'), Edit(Rule.keep, '"broken"', '"b"'))
    with switched_off(Ablation("all else", "", edits)):
        assert Rule().keep(1) == "k" and Rule().keep(0) == "b" and Rule().is_kept


@pytest.mark.parametrize("old", ["what does not stand there", "number"], ids=["never", "more than once"])
def test_ablation_that_does_not_find_its_rule_says_so(old: str) -> None:
    with pytest.raises(LookupError, match=r"Rule\.keep"), switched_off(Ablation("", "", (Edit(Rule.keep, old, ""),))):
        pass


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.name)
def test_ablation_finds_its_rule(ablation: Ablation) -> None:
    with switched_off(ablation):
        pass


def test_each_ablation_is_told_of_with_who_noticed() -> None:
    noticed_by, page = read_record(), PAGE.read_text()
    assert list(noticed_by) == [ablation.name for ablation in ABLATIONS]
    for ablation in ABLATIONS:
        by = noticed_by[ablation.name]
        assert row(ablation, by) in page
        assert by == f"`{ablation.story}`" or int(by) in range(1, SEEDS + 1)


def test_record_is_written_between_its_marks_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(record, "PAGE", page)
    page.write_text(f"before\n{BEGIN}{END}after\n")
    for by in ("7", "`test_views.py::test_it`"):
        write_record([NO_RULE], {"no rule": by})
        assert read_record() == {"no rule": by}
        assert page.read_text() == f"before\n{BEGIN}{record.HEAD}{row(NO_RULE, by)}{END}after\n"

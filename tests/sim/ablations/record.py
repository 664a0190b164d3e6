"""The table of docs/testing.md: each ablation, what it switches off, and who noticed when that was last measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.sim.ablations.switch import Ablation

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
BEGIN, END = "<!-- ablations: begin -->\n", "<!-- ablations: end -->\n"
HEAD = "| ablation | what is switched off | noticed by |\n| --- | --- | --- |\n"


def read_record() -> dict[str, str]:
    """Who noticed, by the name of the ablation."""
    rows = _table(PAGE.read_text()).removeprefix(HEAD).splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows]
    return {name: by.removeprefix("seed ") for name, _, by in cells}


def write_record(ablations: Iterable[Ablation], noticed_by: Mapping[str, str]) -> None:
    rows = "".join(row(ablation, noticed_by.get(ablation.name, "")) for ablation in ablations)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + HEAD + rows + END + rest.partition(END)[2])


def row(ablation: Ablation, by: str) -> str:
    return f"| {ablation.name} | {ablation.what} | {f'seed {by}' if by.isdigit() else by or 'nobody'} |\n"


def _table(page: str) -> str:
    return page[page.index(BEGIN) + len(BEGIN) : page.index(END)]

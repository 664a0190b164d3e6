"""Figures: when a target is met, and how that is shown."""

from __future__ import annotations

import pytest

from bench.figures import Figure, table
from bench.tables import show


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("", 0.8, "s"), None),
        (Figure("", 0.8, "s", 0.8), True),
        (Figure("", 0.7, "s", 0.8), False),
        (Figure("", 0.8, "s", 0.8, at_most=True), True),
        (Figure("", 0.9, "s", 0.8, at_most=True), False),
    ],
)
def test_figure_meets_its_target_up_to_the_bound(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


def test_table_shows_each_figure_on_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [
        Figure("bare GET", 28_454.5, "requests/s", detail="p50 1.1 ms " * 20),
        Figure("restart", 2.5, "s", 2, at_most=True, detail="[red] is no markup"),
    ]
    show(table(figures))
    _, _, bare, restart, *_ = capsys.readouterr().out.splitlines()
    assert bare.split()[:4] == ["bare", "GET", "28,454", "requests/s"]
    assert restart.split() == ["restart", "2.5", "s", "<=", "2", "MISSED", "[red]", "is", "no", "markup"]

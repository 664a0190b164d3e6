"""What one run has measured, and on which machine: as it is kept in JSON, and as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from bench.tables import empty_table


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    """Whether the target is an upper bound, or a lower one."""
    detail: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def shown(self) -> str:
        return f"{_number(self.value)} {self.unit}"

    @property
    def bound(self) -> str:
        """In the unit of what is shown."""
        return "" if self.target is None else f"{'<=' if self.at_most else '>='} {_number(self.target)}"

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]


class Results(msgspec.Struct, frozen=True):
    machine: dict[str, str]
    figures: list[Figure]


def machine() -> dict[str, str]:
    """What is worth knowing about the machine of a run."""
    return {
        "processors": str(os.cpu_count()),
        "Python": platform.python_version(),
        "kernel": platform.release(),
    }


def table(figures: Sequence[Figure]) -> Table:
    shown = empty_table("", "#measured", "#target", "", "")
    for figure in figures:
        verdict = Text(figure.verdict, "red" if figure.met is False else "green")
        shown.add_row(figure.name, figure.shown, figure.bound, verdict, figure.detail)
    return shown


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2f}"

"""Tables for people: how they look, and how numbers stand in them."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.table import Table

NONE = "-"


def table(*heads: str) -> Table:
    """A `#` before its head makes a column one of numbers, which are flush right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        justify: Literal["left", "right"] = "right" if head.startswith("#") else "left"
        made.add_column(head.lstrip("#"), justify=justify, overflow="fold")
    return made


def number(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"

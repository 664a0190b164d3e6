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


def size(of_bytes: int) -> str:
    """In GiB, or in MiB below one of these."""
    return f"{of_bytes / 2**30:,.1f} GiB" if of_bytes >= 2**30 else f"{of_bytes / 2**20:,.0f} MiB"


def offset(of_ms: int) -> str:
    """By how much a clock is ahead: seconds, with a sign; to the millisecond where it is less than ten of them."""
    return f"{of_ms / 1000:+,.3f} s" if abs(of_ms) < 10_000 else f"{of_ms / 1000:+,.0f} s"

"""Tables for the terminal, drawn by rich.

Where they go into a pipe, their lines are whole, however long: whoever reads them there wants to search or paste them.
"""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH_OF_A_PIPE = 10_000


def empty_table(*heads: str, style: box.Box = box.SIMPLE_HEAD) -> Table:
    """Columns that are flush right have a `#` before their head."""
    table = Table(box=style, pad_edge=style is box.MARKDOWN, show_edge=style is box.MARKDOWN)
    for head in heads:
        justify: Literal["left", "right"] = "right" if head.startswith("#") else "left"
        table.add_column(head.removeprefix("#"), justify=justify, overflow="fold")
    return table


def show(table: Table) -> None:
    """Print it to stdout."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_PIPE
    console.print(table)

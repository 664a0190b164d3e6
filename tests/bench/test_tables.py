"""A table is whole in a pipe, however long its lines, and takes what it shows literally."""

from __future__ import annotations

import pytest
from rich import box

from bench.tables import empty_table, show


def test_table_in_a_pipe_neither_wraps_nor_reads_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = empty_table("what", "#how many")
    table.add_row("[red]x" * 100, ":smile:")
    show(table)
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "red" in line)
    assert row.split() == ["[red]x" * 100, ":smile:"]


def test_table_numbers_are_flush_right(capsys: pytest.CaptureFixture[str]) -> None:
    table = empty_table("", "#keys")
    for number in (5, 12345):
        table.add_row("n", str(number))
    show(table)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("n ")]
    assert len({len(row.rstrip()) for row in rows}) == 1


def test_table_for_a_page_has_the_edges_of_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    table = empty_table("a", "b", style=box.MARKDOWN)
    table.add_row("1", "2")
    show(table)
    lines = (line.replace(" ", "") for line in capsys.readouterr().out.splitlines())
    assert [line for line in lines if line] == ["|a|b|", "|---|---|", "|1|2|"]

"""How tables look."""

from __future__ import annotations

import pytest

from kvs.tables import number, table


@pytest.mark.parametrize(("given", "shown"), [(None, "-"), (0, "0"), (12_345, "12,345")])
def test_table_numbers(given: int | None, shown: str) -> None:
    assert number(given) == shown


def test_table_columns_of_numbers_are_flush_right() -> None:
    assert [(column.header, column.justify) for column in table("NODE", "#KEYS").columns] == [
        ("NODE", "left"),
        ("KEYS", "right"),
    ]

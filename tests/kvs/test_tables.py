"""How tables look."""

from __future__ import annotations

import pytest

from kvs.tables import number, offset, size, table


@pytest.mark.parametrize(("given", "shown"), [(None, "-"), (0, "0"), (12_345, "12,345")])
def test_table_numbers(given: int | None, shown: str) -> None:
    assert number(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [(0, "0 MiB"), (5 * 2**20, "5 MiB"), (2**30 - 2**20, "1,023 MiB"), (2**30, "1.0 GiB"), (2**42, "4,096.0 GiB")],
)
def test_table_sizes_are_in_what_leaves_digits(given: int, shown: str) -> None:
    assert size(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [(0, "+0.000 s"), (12, "+0.012 s"), (-9999, "-9.999 s"), (75_400, "+75 s"), (-3_600_000, "-3,600 s")],
)
def test_table_offsets_are_seconds_with_a_sign(given: int, shown: str) -> None:
    assert offset(given) == shown


def test_table_columns_of_numbers_are_flush_right() -> None:
    assert [(column.header, column.justify) for column in table("NODE", "#KEYS").columns] == [
        ("NODE", "left"),
        ("KEYS", "right"),
    ]

"""Versions are ordered as their bytes are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.values.version import clock_of, make_version, reading_at

NUMBERS = st.integers(0, 2**64 - 1)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_version_compares_by_clock_then_store_id(clock: int, store_id: int, other: int, other_id: int) -> None:
    first, second = make_version(clock, store_id), make_version(other, other_id)
    assert (first < second) == ((clock, store_id) < (other, other_id))
    assert len(first) == 16 and clock_of(first) == clock


def test_reading_of_a_millisecond_is_its_lowest() -> None:
    assert reading_at(5) - 1 >> 16 == 4 and reading_at(5) >> 16 == 5 == (reading_at(6) - 1) >> 16


def test_version_of_the_lowest_and_the_highest_clock() -> None:
    versions = [make_version(*row) for row in ((0, 9), (1, 0), (1, 1), (256, 0), (2**64 - 1, 2**64 - 1))]
    assert versions == sorted(versions)
    assert [clock_of(version) for version in versions] == [0, 1, 1, 256, 2**64 - 1]

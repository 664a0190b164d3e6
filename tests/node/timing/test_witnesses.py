"""Which clock is within reach of which: as far ahead of a monotonic clock, in milliseconds, that shows 0."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.timing.witnesses import NOBODY, Witnesses

REACH_MS = 60


def witnesses(own_ms: int, *others: int) -> Witnesses:
    heard = Witnesses(REACH_MS, own_ms)
    for number, ahead_ms in enumerate(others):
        heard.hear(str(number), ahead_ms, own_ms)
    return heard


@pytest.mark.parametrize(
    ("own", "others", "limit", "followed", "possible"),
    [
        (1000, (), 1060, NOBODY, 1000),
        (1000, (1000,), 1060, 1000, 1000),
        (1000, (1060,), 1120, 1060, 1000),
        (1000, (1061,), 1121, NOBODY, 1000),
        (1000, (900,), 960, 900, 900),
        (1000, (1061, 1002), 1121, 1061, 1002),
        (1000, (9000, 1002), 9060, 1002, 1002),
        (1000, (9000, 8990), 9060, 9000, 8990),
        (9000, (1000, 1002), 1062, 1002, 1002),
        (1000, (900, 9000, 950), 9060, 950, 1000),
    ],
)
def test_witnesses_what_can_be_believed(
    own: int, others: tuple[int, ...], limit: int, followed: int, possible: int
) -> None:
    heard = witnesses(own, *others)
    assert (heard.limit_ms, heard.followed_ms, heard.possible_ms) == (limit, followed, possible)


def test_witnesses_own_clock_that_was_set_back_confirms_no_more() -> None:
    heard = witnesses(1000, 1050)
    assert heard.followed_ms == 1050
    heard.judge(900)
    assert heard.followed_ms == NOBODY


def test_witnesses_that_are_forgotten_have_confirmed_what_they_have() -> None:
    heard = witnesses(1000, 2000, 2000)
    heard.forget_all_but(())
    heard.judge(1000)
    assert heard.limit_ms == 2060
    heard.hear("9", 1000, 1000)
    assert heard.limit_ms == 1060


@given(st.lists(st.integers(0, 100), min_size=2, max_size=6), st.integers(10**6, 10**12))
def test_witnesses_one_clock_alone_moves_nobody(shown: list[int], ahead_ms: int) -> None:
    """Whoever hears it: what is followed, and possible, stays among what the others show."""
    for own in range(len(shown)):
        others = [*shown[:own], *shown[own + 1 :], ahead_ms]
        heard = witnesses(shown[own], *others)
        assert heard.followed_ms <= max(shown) and min(shown) <= heard.possible_ms <= max(shown)

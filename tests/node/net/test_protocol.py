"""Which protocol two nodes speak, whatever each of them tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.net.protocol import SPOKEN, UNTOLD, Protocols, common, protocols_of, why_apart

RANGES = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda ends: Protocols(min(ends), max(ends)))


def test_protocol_of_this_release_and_of_the_one_before_go_together() -> None:
    assert common(SPOKEN, SPOKEN) == 2
    assert common(SPOKEN, UNTOLD) == common(UNTOLD, SPOKEN) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (Protocols(1, 2), Protocols(2, 3), 2),
        (Protocols(1, 3), Protocols(1, 2), 2),
        (Protocols(1, 2), Protocols(3, 4), None),
        (Protocols(3, 4), Protocols(1, 2), None),
        (Protocols(2, 2), Protocols(1, 9), 2),
    ],
)
def test_protocol_is_the_highest_in_common(ours: Protocols, theirs: Protocols, expected: int | None) -> None:
    assert common(ours, theirs) == expected


@given(RANGES, RANGES)
def test_protocol_is_the_same_on_both_sides(one: Protocols, other: Protocols) -> None:
    both = {*range(one.lowest, one.highest + 1)} & {*range(other.lowest, other.highest + 1)}
    assert common(one, other) == common(other, one) == max(both, default=None)


@given(RANGES)
def test_protocols_are_told_and_understood(protocols: Protocols) -> None:
    assert protocols_of(protocols.told) == protocols


@pytest.mark.parametrize(
    "told",
    ["", "1", "1-", "-1", "0-1", "2-1", "1-2-3", " 1-2", "1-2\n", "a-b", "1-9999999", "-1-2", "\u0661-\u0662", "1 - 2"],
)
def test_protocols_that_are_none_are_no_range(told: str) -> None:
    assert protocols_of(told) is None
    assert why_apart(SPOKEN, told) == f"it does not tell which protocols it speaks, but {told!r}"


def test_protocols_untold_are_those_before_numbers() -> None:
    assert protocols_of(None) == UNTOLD == Protocols(1, 1)


@pytest.mark.parametrize(
    ("ours", "told", "expected"),
    [
        (Protocols(1, 2), "3-4", "this node's release is too old"),
        (Protocols(3, 4), "1-2", "its release is too old"),
        (Protocols(3, 4), None, "it speaks the protocols 1-1, and this node 3-4: its release is too old"),
    ],
)
def test_protocols_apart_say_whose_release_is_too_old(ours: Protocols, told: str | None, expected: str) -> None:
    assert expected in why_apart(ours, told)


def test_protocols_apart_tell_no_more_than_a_line_of_a_stranger() -> None:
    assert len(why_apart(SPOKEN, "x\n" * 5000)) < 150
    assert "\n" not in why_apart(SPOKEN, "x\n" * 5000)

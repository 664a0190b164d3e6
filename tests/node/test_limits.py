"""What `LIMITS` may say, and how its numbers relate."""

from __future__ import annotations

import pytest

from node.limits import NAMES, Limits, parse_limits


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", Limits()),
        (" , ", Limits()),
        ("connections=20000", Limits(connections=20_000)),
        (" watchers = 5 , connections-per-address=7,", Limits(watchers=5, connections_per_address=7)),
        ("memory-mib=1", Limits(memory_mib=1)),
    ],
)
def test_limits_named_are_changed_and_others_stay(text: str, limits: Limits) -> None:
    assert parse_limits(text) == (limits, [])


@pytest.mark.parametrize("entry", ["exports", "exports=", "export=5", "exports=-1", "exports=1.5", "exports=1=2"])
def test_limits_entry_that_is_none_is_named_with_what_would_be_right(entry: str) -> None:
    _, faults = parse_limits(f"watchers=5,{entry}")
    assert faults == [f"{entry!r} is no NAME=NUMBER with a name of {', '.join(NAMES)}"]


def test_limits_of_nothing_and_said_twice_are_refused() -> None:
    _, faults = parse_limits("listings=0,exports=1,exports=2")
    assert faults == ["'listings=0': a limit is 1 or more", "'exports=2': this limit is in an earlier entry already"]


def test_limits_nobody_at_one_address_takes_all_connections_or_requests() -> None:
    limits = Limits()
    assert limits.connections_per_address < limits.requests <= limits.connections
    assert limits.memory_bytes == 256 * 1024 * 1024

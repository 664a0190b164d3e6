"""What follows from the longest round trip: for the default one the defaults, for every other one what fits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from gossip.settings import Settings
from node.config import Config
from node.time_limits import ROUND_TRIP_MS_DEFAULT, ROUND_TRIP_MS_MAX, gossip_settings_for, limits_for


def for_round_trip(round_trip_ms: int) -> Config:
    return Config.for_round_trip(round_trip_ms, address="a:1", view=("a:1",), data_dir=Path("/nowhere"))


def test_limits_for_the_default_round_trip_is_that_of_production() -> None:
    assert for_round_trip(ROUND_TRIP_MS_DEFAULT) == Config(address="a:1", view=("a:1",), data_dir=Path("/nowhere"))
    assert gossip_settings_for(ROUND_TRIP_MS_DEFAULT) == Settings()


def test_limits_for_every_round_trip_fits_together() -> None:
    for round_trip_ms in range(1, ROUND_TRIP_MS_MAX + 1):
        for_round_trip(round_trip_ms)
        gossip_settings_for(round_trip_ms)


def test_limits_no_limit_is_shorter_for_a_longer_round_trip() -> None:
    walk = [limits_for(round_trip_ms) for round_trip_ms in (1, 10, 50, 51, 100, 225, 480, 1000, ROUND_TRIP_MS_MAX)]
    for shorter, longer in pairwise(walk):
        assert all(shorter[name] <= longer[name] for name in shorter)


@pytest.mark.parametrize("round_trip_ms", [50, 100, 225, 480, 1000, ROUND_TRIP_MS_MAX])
def test_limits_answers_come_in_time_over_the_longest_round_trip(round_trip_ms: int) -> None:
    """The tightest ones: each is what a limit is for, over a path as long as it may be."""
    limits, trip_s = for_round_trip(round_trip_ms), round_trip_ms / 1000
    assert 2 * trip_s < limits.silence_s, "a link can be made: it takes two round trips"
    assert limits.silence_s + trip_s < limits.attempt_s, "an owner outwaits a silent peer, and its answer gets back"
    assert limits.attempt_s - limits.reply_s > limits.silence_s, "as the owner sees it"
    assert 2 * trip_s <= limits.owing_s, "what waits for the message before it is not owed yet"
    assert limits.heartbeat_s + 1.5 * trip_s < limits.lease_s, "a lease is renewed before it ends"
    assert limits.relay_s + trip_s < limits.relay_call_s, "the end of a relay gets back"
    assert limits.dialer_keepalive_s / 2 > trip_s, "a keepalive is answered within half of it"
    assert 3 * limits.unreachable_s < limits.promise_s / 2, "who prepares a view gets through before its promises age"
    assert gossip_settings_for(round_trip_ms).probe_timeout_s > 3 * trip_s


def test_limits_clients_promise_is_two_seconds_and_grows_beyond_the_default() -> None:
    assert [for_round_trip(ms).patience_s for ms in (1, 50, 100, 1000)] == pytest.approx([2.0, 2.0, 2.6, 13.4])

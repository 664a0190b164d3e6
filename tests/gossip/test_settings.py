"""How the numbers of gossip grow with the cluster, and which of them are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gossip.messages import MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN
from gossip.settings import Settings, scale


@pytest.mark.parametrize(
    "bad",
    [
        {"fanout": 0},
        {"fanout": 4},
        {"interval_s": 0.0},
        {"jitter": -0.1},
        {"jitter": 1.0},
        {"pause_rounds": 1.2},
        {"probe_attempts": 0},
        {"probe_helpers": -1},
        {"message_bytes_max": MESSAGE_BYTES_MIN - 1},
        {"message_bytes_max": MESSAGE_BYTES_MAX + 1},
    ],
    ids=repr,
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        Settings(**bad)


def test_settings_jittered_round_is_no_pause() -> None:
    for settings in (Settings(), Settings.for_test()):
        assert settings.interval_s * (1 + settings.jitter) < settings.pause_s


def test_settings_of_tests_keep_what_is_bounded_and_only_hurry() -> None:
    real, test = Settings(), Settings.for_test()
    assert test.message_bytes_max == real.message_bytes_max and test.fanout == real.fanout
    assert test.interval_s < real.interval_s and test.forget_settled_s < real.forget_settled_s


@pytest.mark.parametrize("nodes", [1, 3, 7, 1023])
def test_settings_grow_with_the_logarithm_of_the_cluster(nodes: int) -> None:
    settings = Settings()
    rounds = math.log2(nodes + 1)
    assert scale(nodes) == rounds
    assert settings.suspicion_s(nodes) == pytest.approx(0.5 * rounds)
    assert settings.recent_s(nodes) == pytest.approx(1.0 * rounds)
    assert settings.tellings_max(nodes) == 3 * rounds


def test_settings_rumour_is_told_a_whole_number_of_times() -> None:
    assert Settings().tellings_max(10) == math.ceil(3 * math.log2(11)) == 11

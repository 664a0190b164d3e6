"""The numbers that a node goes by fit together, and nobody can give it others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from node.config import Config

DAY_MS = 24 * 3_600_000


def config(**numbers: float) -> Config:
    return Config(address="a:1", view=("a:1",), data_dir=Path("/nowhere"), **numbers)  # type: ignore[arg-type]


def test_config_of_production_and_of_tests_fit_together() -> None:
    config()
    Config.for_test("a:1", ("a:1",), Path("/nowhere"))


@pytest.mark.parametrize(
    "numbers",
    [
        {"request_s": 1.9},
        {"answer_s": 2.0},
        {"count_wait_s": 2.0},
        {"attempt_s": 0.9},
        {"attempt_s": 0.5},
        {"reply_s": 0.15},
        {"reply_s": 0.02},
        {"retry_s": 0.0},
        {"late_s": 0.3},
        {"reconcile_share": 1.0},
        {"heartbeat_s": 0.14},
        {"owing_s": 0.41},
        {"lease_s": 0.45},
        {"relay_s": 0.45},
        {"relay_s": 0.9},
        {"retry_s": 0.1, "reply_s": 0.12},
        {"pause_s": 0.45},
        {"round_trip_ms": 151},
        {"silent_share": 0.0},
        {"silent_share": 1.1},
        {"ping_s": 0.45},
        {"redial_s": 0.45},
        {"wanted_s": 0.5},
        {"lookup_slow_s": 0.45},
        {"unwanted_s": 5.0},
        {"dialer_keepalive_s": 0.4},
        {"acceptor_keepalive_s": 2.0},
        {"clock_ceiling_s": DAY_MS / 1000},
        {"clock_lead_step_ms": DAY_MS},
        {"clock_off_ms": DAY_MS},
        {"stable_lag_s": 1.9},
        {"tombstone_grace_s": 2.0},
        {"purge_every_s": 25 * 3600.0},
        {"co_owners_wait_s": 0.85},
        {"co_owners_wait_s": 2.0},
        {"transfer_lanes": 0},
        {"batch_bytes": 0},
        {"jobs_s_max": 0.4},
        {"slow_link_bytes_s": 50_000},
        {"stall_s": 13.0, "give_up_s": 5.0},
        {"bulk_keepalive_s": 8.0},
        {"bulk_keepalive_s": 2.0, "slow_link_bytes_s": 10_000_000},
        {"give_up_s": 0.8},
        {"give_up_s": 15.0},
        {"reserve_bytes": 4 * 1024 * 1024},
        {"reserve_share": 1.0},
    ],
    ids=repr,
)
def test_config_numbers_that_do_not_fit_are_refused(numbers: Mapping[str, float]) -> None:
    with pytest.raises(AssertionError):
        config(**numbers)

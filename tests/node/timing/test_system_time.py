"""The clocks of this machine, as a node reads them."""

from __future__ import annotations

import time

from node.timing.system_time import SystemTime


def test_system_time_is_that_of_this_machine_in_seconds_and_milliseconds() -> None:
    clock, before = SystemTime(), time.time()
    wall, wall_ms = clock.wall(), clock.wall_ms()
    assert before <= wall <= wall_ms / 1000 + 0.001 and wall_ms / 1000 <= time.time()


def test_system_time_monotonic_never_steps_back_and_goes_as_fast_as_others() -> None:
    clock = SystemTime()
    readings, apart = [clock.monotonic() for _ in range(1000)], clock.monotonic() - time.monotonic()
    assert readings == sorted(readings)
    assert abs(clock.monotonic() - time.monotonic() - apart) < 1.0


def test_system_time_boot_id_stays_as_long_as_the_machine_runs() -> None:
    assert SystemTime().boot_id() == SystemTime().boot_id()

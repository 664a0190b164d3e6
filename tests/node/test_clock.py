"""Versions rise: over writes, over what was heard, over steps of the wall clock and over restarts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.clock import LEAD_MS_MAX, HybridClock
from node.records import clock_of, make_version

MINUTE_MS = 60_000


class WallTime:
    """A wall clock that is set by hand, in ms."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return self.now_ms


class Disk:
    """Where ceilings go; `written` counts them."""

    def __init__(self) -> None:
        self.ceiling = 0
        self.written = 0

    async def store(self, ceiling: int) -> None:
        await asyncio.sleep(0)
        self.ceiling = ceiling
        self.written += 1


def clock_on(disk: Disk, time: WallTime, store_id: int = 7) -> HybridClock:
    return HybridClock(time, store_id, disk.ceiling, disk.store)


async def test_clock_stamp_is_wall_time_and_store() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    assert await clock.stamp() == make_version(5000 << 16, 7)


async def test_clock_standing_wall_counts_up() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    assert [clock_of(await clock.stamp()) - (5000 << 16) for _ in range(3)] == [0, 1, 2]


async def test_clock_observed_reading_is_passed() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    clock.observe(9000 << 16)
    assert clock_of(await clock.stamp()) == (9000 << 16) + 1
    clock.observe(1)
    assert clock.reading == (9000 << 16) + 1


async def test_clock_ceiling_durable_before_stamp_is_given() -> None:
    disk, time = Disk(), WallTime(5000)
    clock = clock_on(disk, time)
    for now in (5000, 5001, 20_000, 20_000, 90_000):
        time.now_ms = now
        assert clock_of(await clock.stamp()) < disk.ceiling


async def test_clock_ceiling_written_once_for_many_stamps() -> None:
    disk = Disk()
    clock = clock_on(disk, WallTime(5000))
    for _ in range(1000):
        await clock.stamp()
    assert disk.written == 1


async def test_clock_restart_with_wall_set_back_stamps_above() -> None:
    disk = Disk()
    before = await clock_on(disk, WallTime(10 * MINUTE_MS)).stamp()
    after = await clock_on(disk, WallTime(MINUTE_MS)).stamp()
    assert after > before


async def test_clock_reading_a_day_ahead_is_ignored() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    clock.observe((5001 + LEAD_MS_MAX) << 16)
    assert clock_of(await clock.stamp()) == 5000 << 16
    clock.observe((5000 + LEAD_MS_MAX) << 16)
    assert clock_of(await clock.stamp()) == ((5000 + LEAD_MS_MAX) << 16) + 1


async def test_clock_stamps_at_once_all_differ() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    stamps = await asyncio.gather(*(clock.stamp() for _ in range(50)))
    assert len(set(stamps)) == 50


async def test_clock_stamp_above_follows_a_version_ahead() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    above = await clock.stamp_above(make_version(9000 << 16, 9), lead_ms=2)
    assert clock_of(above) == (9002 << 16) + 1
    assert await clock.stamp() > above


async def test_clock_stamp_above_what_is_a_day_ahead_passes_it_for_once() -> None:
    clock = clock_on(Disk(), WallTime(5000))
    absurd = make_version((6000 + LEAD_MS_MAX) << 16, 9)
    one, other = await clock.stamp_above(absurd, lead_ms=2), await clock.stamp_above(absurd, lead_ms=2)
    assert absurd < one < other
    assert clock_of(await clock.stamp()) == 5000 << 16


def test_clock_complains_once_a_minute_about_a_reading_a_day_ahead(caplog: pytest.LogCaptureFixture) -> None:
    clock = clock_on(Disk(), WallTime(5000))
    for _ in range(3):
        clock.observe((5001 + LEAD_MS_MAX) << 16)
    assert len(caplog.records) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set wall"), st.integers(0, 2**40)),
        st.tuples(st.just("observe"), st.integers(0, 2**56)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("stamp"), st.just(0)),
    )
)


@given(STEPS)
async def test_clock_whatever_happens_versions_rise(steps: list[tuple[str, int]]) -> None:
    disk, time = Disk(), WallTime(1000)
    clock, last, heard = clock_on(disk, time), b"", 0
    for step, argument in [*steps, ("stamp", 0)]:
        match step:
            case "set wall":
                time.now_ms = argument
            case "observe":
                clock.observe(argument)
                if (argument >> 16) - time.now_ms <= LEAD_MS_MAX:
                    heard = max(heard, argument)
            case "restart":
                clock, heard = clock_on(disk, time), 0
            case "stamp":
                version = await clock.stamp()
                assert version > last and clock_of(version) > heard
                assert clock_of(version) < disk.ceiling
                last = version

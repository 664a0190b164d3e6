"""Versions rise: over writes, over what was heard, over steps of the wall clock and over restarts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.timing.clock import Clocks, HybridClock, Memory
from node.values.version import clock_of, make_version
from tests.node.fakes.clocks import ClockMemory, HandTime
from tests.node.samples import CONFIG

MINUTE_MS = 60_000
LEAD_MS_MAX, LEAD_STEP_MS, OFF_MS = CONFIG.clock_lead_ms_max, CONFIG.clock_lead_step_ms, CONFIG.clock_off_ms


def clock_on(kept: ClockMemory, time: HandTime, store_id: int = 7) -> HybridClock:
    return HybridClock(CONFIG, time, store_id, kept.memory, kept.remember)


async def test_clock_stamp_is_wall_time_and_store() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    assert await clock.stamp() == make_version(5000 << 16, 7)


async def test_clock_standing_wall_counts_up() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    assert [clock_of(await clock.stamp()) - (5000 << 16) for _ in range(3)] == [0, 1, 2]


async def test_clock_observed_reading_is_passed() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    clock.observe(9000 << 16)
    assert clock_of(await clock.stamp()) == (9000 << 16) + 1
    clock.observe(1)
    assert clock.reading == (9000 << 16) + 1


async def test_clock_ceiling_durable_before_stamp_is_given() -> None:
    kept, time = ClockMemory(), HandTime(5000)
    clock = clock_on(kept, time)
    for now in (5000, 5001, 20_000, 20_000, 90_000):
        time.set_wall(now)
        assert clock_of(await clock.stamp()) < kept.memory.ceiling


async def test_clock_ceiling_written_once_for_many_stamps() -> None:
    kept = ClockMemory()
    clock = clock_on(kept, HandTime(5000))
    for _ in range(1000):
        await clock.stamp()
    assert kept.written == 1


async def test_clock_restart_with_wall_set_back_stamps_above() -> None:
    kept = ClockMemory()
    before = await clock_on(kept, HandTime(10 * MINUTE_MS)).stamp()
    after = await clock_on(kept, HandTime(MINUTE_MS)).stamp()
    assert after > before


async def test_clock_reading_a_day_ahead_is_ignored() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    clock.observe((5001 + LEAD_MS_MAX) << 16)
    assert clock_of(await clock.stamp()) == 5000 << 16
    clock.observe((5000 + LEAD_MS_MAX) << 16)
    assert clock_of(await clock.stamp()) == ((5000 + LEAD_MS_MAX) << 16) + 1


async def test_clock_stamps_at_once_all_differ() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    stamps = await asyncio.gather(*(clock.stamp() for _ in range(50)))
    assert len(set(stamps)) == 50


async def test_clock_stamp_above_follows_a_version_ahead() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    above = await clock.stamp_above(make_version(9000 << 16, 9), lead_ms=2)
    assert clock_of(above) == (9002 << 16) + 1
    assert await clock.stamp() > above


async def test_clock_stamp_above_what_is_a_day_ahead_passes_it_for_once() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    absurd = make_version((6000 + LEAD_MS_MAX) << 16, 9)
    one, other = await clock.stamp_above(absurd, lead_ms=2), await clock.stamp_above(absurd, lead_ms=2)
    assert absurd < one < other
    assert clock_of(await clock.stamp()) == 5000 << 16


def test_clock_complains_once_a_minute_about_a_reading_a_day_ahead(caplog: pytest.LogCaptureFixture) -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    for _ in range(3):
        clock.observe((5001 + LEAD_MS_MAX) << 16)
    assert len(caplog.records) == 1


# The fastest clock that was heard


def hear(clock: HybridClock, wall_ms: int, peer: str = "b:1") -> None:
    clock.hear(peer, Clocks(0, wall_ms))


async def test_clock_keeps_pace_with_a_faster_one_between_messages() -> None:
    time = HandTime(5000)
    clock = clock_on(ClockMemory(), time)
    hear(clock, 65_000)
    time.now += 10
    assert clock_of(await clock.stamp()) == 75_000 << 16
    hear(clock, 3000, "slower:1")
    assert clock.now_ms() == 75_000


async def test_clock_keeps_pace_with_a_faster_one_over_a_restart() -> None:
    kept = ClockMemory()
    before = clock_on(kept, HandTime(5000))
    hear(before, 65_000)
    await before.stamp()
    after = clock_on(kept, HandTime(20 * MINUTE_MS))
    assert clock_of(await after.stamp()) == 20 * MINUTE_MS + 60_000 << 16


async def test_clock_lead_is_kept_before_anything_is_stamped_with_it() -> None:
    kept = ClockMemory()
    clock = clock_on(kept, HandTime(5000))
    hear(clock, 5000 + LEAD_STEP_MS - 1)
    assert not clock.has_new_lead
    hear(clock, 5000 + LEAD_STEP_MS)
    assert clock.has_new_lead
    await clock.keep_lead()
    assert (kept.memory, clock.has_new_lead) == (Memory(0, LEAD_STEP_MS), False)
    await clock.keep_lead()
    assert kept.written == 1


async def test_clock_lead_kept_while_a_stamp_is_given_does_not_take_the_ceiling_back() -> None:
    kept, time = ClockMemory(), HandTime(5000)
    clock = clock_on(kept, time)
    await clock.stamp()
    hear(clock, 60_000)
    version, _ = await asyncio.gather(clock.stamp(), clock.keep_lead())
    assert clock_of(version) < kept.memory.ceiling
    time.set_wall(1000)
    assert await clock_on(kept, time).stamp() > version


async def test_clock_own_wall_that_was_days_ahead_is_forgotten_with_a_restart() -> None:
    kept, time = ClockMemory(), HandTime(5 * LEAD_MS_MAX)
    clock = clock_on(kept, time)
    await clock.stamp()
    time.set_wall(LEAD_MS_MAX)
    await clock.keep_lead()
    assert kept.memory.lead_ms == LEAD_MS_MAX


async def test_clock_question_changes_nothing_and_a_wall_clock_once_noticed_is_gone_on_from() -> None:
    time = HandTime(5000)
    clock = clock_on(ClockMemory(), time)
    time.set_wall(20_000)
    assert not clock.has_new_lead and clock.now_ms() == 20_000
    time.set_wall(5000)
    assert clock.now_ms() == 5000
    time.set_wall(9000)
    clock.notice_wall()
    time.set_wall(5000)
    assert clock.has_new_lead and clock.now_ms() == 9000


async def test_clock_goes_on_from_a_wall_clock_that_it_has_stamped_by() -> None:
    time = HandTime(5000)
    clock = clock_on(ClockMemory(), time)
    time.set_wall(9000)
    await clock.stamp()
    time.set_wall(5000)
    assert clock.now_ms() == 9000


async def test_clock_reading_set_ahead_is_no_faster_clock() -> None:
    """Otherwise each key that two clients write at once would push all clocks ahead permanently."""
    clock = clock_on(ClockMemory(), HandTime(5000))
    clock.hear("b:1", Clocks(9000 << 16, 5000))
    assert clock.now_ms() == 5000


async def test_clock_wall_set_forth_and_back_again_and_again_leads_once() -> None:
    time = HandTime(5000)
    clock, other = clock_on(ClockMemory(), time), clock_on(ClockMemory(), HandTime(5000))
    for _ in range(10):
        time.set_wall(10_000)
        other.hear("a:1", clock.clocks)
        time.set_wall(5000)
        clock.hear("b:1", other.clocks)
    assert (clock.now_ms(), other.now_ms()) == (5000, 10_000)


async def test_clock_of_a_peer_a_day_ahead_is_not_followed() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    hear(clock, 5001 + LEAD_MS_MAX)
    assert clock.now_ms() == 5000


def test_clock_of_a_peer_a_minute_off_is_told_once_and_when_it_is_right_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = clock_on(ClockMemory(), HandTime(500_000))
    for offset in (0, 1 - OFF_MS, -OFF_MS, -OFF_MS - 5, OFF_MS, 3):
        hear(clock, 500_000 + offset)
        assert clock.offsets_ms == {"b:1": offset}
    assert [record.getMessage() for record in caplog.records] == [
        f"the clock of b:1 is {seconds} s off this node's" for seconds in ("-60.0", "+0.0")
    ]


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
    kept, time = ClockMemory(), HandTime(1000)
    clock, last, heard = clock_on(kept, time), b"", 0
    for step, argument in [*steps, ("stamp", 0)]:
        match step:
            case "set wall":
                time.set_wall(argument)
            case "observe":
                clock.observe(argument)
                if (argument >> 16) - time.wall_ms() <= LEAD_MS_MAX:
                    heard = max(heard, argument)
            case "restart":
                clock, heard = clock_on(kept, time), 0
            case "stamp":
                version = await clock.stamp()
                assert version > last and clock_of(version) > heard
                assert clock_of(version) < kept.memory.ceiling
                last = version

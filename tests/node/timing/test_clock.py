"""Versions rise: over writes, over what was heard, over steps of the wall clock and over restarts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.timing.clock import Clocks, HybridClock, Memory
from node.values.version import clock_of, make_version
from tests.node.fakes.clocks import ClockMemory, HandTime
from tests.node.samples import CONFIG

MINUTE_MS = 60_000
REACH_MS, ALONE_S = CONFIG.clock_reach_ms, CONFIG.clock_alone_s
LEAD_MS_MAX, LEAD_STEP_MS, OFF_MS = CONFIG.clock_lead_ms_max, CONFIG.clock_lead_step_ms, CONFIG.clock_off_ms


def machine_started_anew(wall_ms: int) -> HandTime:
    time = HandTime(wall_ms)
    time.booted = "again"
    return time


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


async def test_clock_stamp_that_takes_waiting_is_not_given_at_once() -> None:
    kept = ClockMemory()
    clock = clock_on(kept, HandTime(5000))
    assert clock.stamp_here() is None
    first = await clock.stamp()
    second = clock.stamp_here()
    assert second is not None and first < second and clock_of(second) < kept.memory.ceiling
    assert kept.written == 1


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


async def test_clock_reading_out_of_reach_is_ignored() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    clock.observe((5001 + REACH_MS) << 16)
    assert clock_of(await clock.stamp()) == 5000 << 16
    clock.observe((5000 + REACH_MS) << 16)
    assert clock_of(await clock.stamp()) == ((5000 + REACH_MS) << 16) + 1


async def test_clock_stamps_at_once_all_differ() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    stamps = await asyncio.gather(*(clock.stamp() for _ in range(50)))
    assert len(set(stamps)) == 50


async def test_clock_stamps_many_at_once_above_all_others() -> None:
    clock = clock_on(ClockMemory(), HandTime())
    before = await clock.stamp()
    many = await clock.stamps(1000)
    after = await clock.stamp()
    assert len(many) == 1000 and [before, *many, after] == sorted({before, *many, after})
    assert clock_of(many[0]) == clock_of(before) + 1


async def test_clock_stamps_beyond_the_ceiling_are_durable_before_they_are_given() -> None:
    kept = ClockMemory()
    clock = clock_on(kept, HandTime())
    await clock.stamp()
    before = kept.memory.ceiling
    clock.observe(before - 5)
    many = await clock.stamps(10)
    assert clock_of(many[0]) < before < clock_of(many[-1]) < kept.memory.ceiling


async def test_clock_stamp_above_follows_a_version_ahead() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    above = await clock.stamp_above(make_version(9000 << 16, 9), lead_ms=2)
    assert clock_of(above) == (9002 << 16) + 1
    assert await clock.stamp() > above


@pytest.mark.parametrize("ahead_ms", [6000 + REACH_MS, 6000 + LEAD_MS_MAX, 365 * LEAD_MS_MAX])
async def test_clock_stamp_above_what_is_out_of_reach_passes_it_for_once(ahead_ms: int) -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    ahead = make_version(ahead_ms << 16, 9)
    stamps = [await clock.stamp_above(ahead, lead_ms=2) for _ in range(3)]
    assert len(set(stamps)) == 3
    assert all(0 < (clock_of(stamp) >> 16) - ahead_ms < 100 for stamp in stamps)
    assert clock_of(await clock.stamp()) >> 16 == 5000


async def test_clock_what_is_passed_takes_no_other_key_along() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    await clock.stamp_above(make_version((365 * LEAD_MS_MAX) << 16, 9), lead_ms=2)
    nearer = 6000 + LEAD_MS_MAX
    assert (clock_of(await clock.stamp_above(make_version(nearer << 16, 9), lead_ms=2)) >> 16) - nearer < 100


async def test_clock_what_is_passed_in_another_life_has_another_stamp() -> None:
    kept, time, ahead = ClockMemory(), HandTime(5000), make_version((365 * LEAD_MS_MAX) << 16, 9)
    stamps = []
    for _ in range(3):
        clock = clock_on(kept, time)
        await clock.stamp()
        stamps.append(await clock.stamp_above(ahead, lead_ms=2))
    assert len(set(stamps)) == 3


async def test_clock_of_an_earlier_release_a_year_ahead_goes_on_from_there() -> None:
    """Its floors are there too; and no stamp may be given twice."""
    kept = ClockMemory()
    kept.memory = Memory((365 * LEAD_MS_MAX) << 16)
    assert clock_of(await clock_on(kept, HandTime(5000)).stamp()) > (365 * LEAD_MS_MAX) << 16


def test_clock_complains_once_a_minute_about_a_reading_a_day_ahead(caplog: pytest.LogCaptureFixture) -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    for _ in range(3):
        clock.observe((5001 + LEAD_MS_MAX) << 16)
    assert len(caplog.records) == 1


# The fastest clock that was heard


def hear(clock: HybridClock, wall_ms: int, peer: str = "b:1") -> None:
    clock.hear(peer, Clocks(0, wall_ms))


async def test_clock_that_was_shown_before_a_pause_is_not_judged_by_but_its_reading_is_passed() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    clock.attach(lambda: False)
    clock.hear("b:1", Clocks(5001 << 16, 2000))
    assert (clock.offsets_ms, clock.is_grounded) == ({}, False)
    assert clock.now_ms() == clock.agreed_ms() == 5000
    assert await clock.stamp() == make_version((5001 << 16) + 1, 7)


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
    assert clock_of(await clock_on(kept, machine_started_anew(20 * MINUTE_MS)).stamp()) == 21 * MINUTE_MS << 16


async def test_clock_lead_is_kept_when_it_changes_up_or_down() -> None:
    kept = ClockMemory()
    clock = clock_on(kept, HandTime(5000))
    await clock.keep_lead()
    for lead_ms, is_new in [(LEAD_STEP_MS // 2, False), (LEAD_STEP_MS, True), (5 * LEAD_STEP_MS, True), (0, True)]:
        hear(clock, 5000 + lead_ms)
        assert clock.has_new_lead is is_new
        await clock.keep_lead()
        assert kept.memory.lead_ms == (lead_ms if is_new else 0)
        assert not clock.has_new_lead
    assert kept.written == 4


async def test_clock_lead_kept_while_a_stamp_is_given_does_not_take_the_ceiling_back() -> None:
    kept, time = ClockMemory(), HandTime(5000)
    clock = clock_on(kept, time)
    await clock.stamp()
    hear(clock, 60_000)
    version, _ = await asyncio.gather(clock.stamp(), clock.keep_lead())
    assert clock_of(version) < kept.memory.ceiling
    time.set_wall(1000)
    assert await clock_on(kept, time).stamp() > version


async def test_clock_that_was_ahead_is_gone_on_from_until_the_time_has_caught_up() -> None:
    time = HandTime(5000)
    clock = clock_on(ClockMemory(), time)
    time.set_wall(20_000)
    assert await clock.stamp() == make_version(20_000 << 16, 7)
    time.set_wall(5000)
    assert clock.now_ms() == 5000
    time.now += 10.0
    assert await clock.stamp() == make_version((20_000 << 16) + 1, 7)
    time.now += 10.0
    assert await clock.stamp() == make_version(25_000 << 16, 7)


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


async def test_clock_of_a_peer_out_of_reach_is_not_followed() -> None:
    clock = clock_on(ClockMemory(), HandTime(5000))
    hear(clock, 5001 + REACH_MS)
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
@example([("set wall", 0), ("observe", (1000 + REACH_MS) << 16)])
async def test_clock_whatever_happens_versions_rise(steps: list[tuple[str, int]]) -> None:
    """And nothing is taken over that is out of reach of all that this node has ever gone by: where the wall clock is
    set back, what it showed before stays possible."""
    kept, time = ClockMemory(), HandTime(1000)
    clock, last, latest_ms = clock_on(kept, time), b"", 0
    for step, argument in [*steps, ("stamp", 0)]:
        latest_ms = max(latest_ms, clock.now_ms())
        match step:
            case "set wall":
                time.set_wall(argument)
            case "observe":
                before = clock.reading
                clock.observe(argument)
                assert clock.reading == before or argument >> 16 <= latest_ms + REACH_MS
            case "restart":
                clock = clock_on(kept, time)
            case "stamp":
                version = await clock.stamp()
                assert version > last and clock_of(version) >= clock.reading
                assert clock_of(version) < kept.memory.ceiling
                last = version

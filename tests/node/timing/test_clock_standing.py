"""What a machine's wall clock is worth: as much as others confirm, and alone no more than was confirmed before."""

from __future__ import annotations

import pytest

from node.errors import Unavailable
from node.timing.clock import Anchor, Clocks, HybridClock, Memory
from node.timing.witnesses import Standing
from node.values.version import clock_of
from tests.node.fakes.clocks import ClockMemory, HandTime
from tests.node.samples import CONFIG

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS
REACH_MS, ALONE_S = CONFIG.clock_reach_ms, CONFIG.clock_alone_s


class Machine:
    """One whose wall clock is right at first, and a clock on it that hears others."""

    def __init__(self, kept: ClockMemory | None = None) -> None:
        self.kept, self.time = kept or ClockMemory(), HandTime(NOW_MS)
        self.start()

    def start(self) -> None:
        self.clock = HybridClock(CONFIG, self.time, 7, self.kept.memory, self.kept.remember)

    @property
    def right_ms(self) -> int:
        """What a clock shows that is right."""
        return NOW_MS + int(1000 * self.time.now) - 1_000_000

    def set_wall_off(self, ms: int) -> None:
        self.time.set_wall(self.right_ms + ms)

    def hear(self, *off_ms: int) -> None:
        """Peers whose clocks are off by so much."""
        for number, off in enumerate(off_ms):
            self.clock.hear(f"p{number}:1", Clocks(0, self.right_ms + off))

    async def stamp(self) -> int:
        """By how much a stamp is off, in milliseconds."""
        return (clock_of(await self.clock.stamp()) >> 16) - self.right_ms


@pytest.mark.parametrize("ahead_ms", [REACH_MS + 1000, HOUR_MS, YEAR_MS])
async def test_clock_ahead_of_all_others_refuses_and_recovers_by_itself(ahead_ms: int) -> None:
    machine = Machine()
    machine.hear(0, -5)
    assert await machine.stamp() == 0
    machine.set_wall_off(ahead_ms)
    for _ in range(3):
        with pytest.raises(Unavailable) as fault:
            await machine.stamp()
        assert fault.value.error == f"The clock of this node is {ahead_ms // 1000} s ahead of all others"
        machine.time.now += 1.0
    machine.set_wall_off(0)
    assert await machine.stamp() == 0
    assert clock_of(await machine.clock.stamp()) < machine.kept.memory.ceiling < (machine.right_ms + 1001) << 16


async def test_clock_ahead_of_all_others_says_so_once_and_when_it_is_right(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.hear(0)
    for off_ms in (0, HOUR_MS, HOUR_MS, HOUR_MS, 0, 0):
        machine.set_wall_off(off_ms)
        machine.clock.judge()
    assert [record.getMessage() for record in caplog.records] == [
        "the clock of this machine is 3600 s ahead of all others: no write is stamped here until it is right",
        "the clock of this machine is within reach of the others again",
    ]


async def test_clock_within_reach_of_the_fastest_other_stamps_by_itself() -> None:
    machine = Machine()
    machine.hear(0, -HOUR_MS)
    machine.set_wall_off(REACH_MS)
    assert await machine.stamp() == REACH_MS


async def test_clock_that_is_right_takes_nothing_over_from_one_that_is_wrong() -> None:
    machine = Machine()
    machine.clock.hear("p0:1", Clocks((machine.right_ms + HOUR_MS) << 16, machine.right_ms + HOUR_MS))
    machine.hear(HOUR_MS, 0)
    assert await machine.stamp() == 0
    assert machine.clock.now_ms() == machine.right_ms


@pytest.mark.parametrize("others", [(HOUR_MS, HOUR_MS + 5), (2 * HOUR_MS, HOUR_MS + 5, 0)])
async def test_clock_that_is_behind_follows_what_two_others_show(others: tuple[int, ...]) -> None:
    machine = Machine()
    machine.hear(*others)
    assert await machine.stamp() == HOUR_MS + 5


async def test_clock_all_wrong_together_then_right_stands_until_the_time_has_caught_up() -> None:
    machine = Machine()
    machine.set_wall_off(60_000)
    machine.hear(60_000, 60_000)
    assert await machine.stamp() == 60_000
    machine.set_wall_off(0)
    machine.clock.judge()
    machine.hear(0, 0)
    machine.time.now += 30.0
    assert await machine.stamp() == 30_000
    machine.time.now += 31.0
    assert await machine.stamp() == 0
    await machine.clock.keep_lead()
    assert machine.kept.memory.lead_ms == 0


async def test_clock_set_along_with_the_others_is_believed_as_soon_as_they_are_heard() -> None:
    """By as much as this one: seen from here, they have not moved."""
    machine = Machine()
    machine.hear(0, 0)
    machine.set_wall_off(HOUR_MS)
    assert machine.clock.judge() is Standing.REFUSED
    machine.hear(HOUR_MS, HOUR_MS)
    assert await machine.stamp() == HOUR_MS


async def test_clock_time_that_messages_take_is_no_news_however_often() -> None:
    machine = Machine()
    machine.hear(0)
    for late_ms in range(0, 2000, 20):
        machine.hear(-late_ms)
    machine.set_wall_off(REACH_MS)
    with pytest.raises(Unavailable):
        await machine.stamp()


async def test_clock_alone_and_set_ahead_goes_on_as_if_it_had_not_been(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.set_wall_off(YEAR_MS)
    machine.time.now += 5.0
    assert await machine.stamp() == 0
    assert "stamps go on without it" in caplog.text
    assert machine.clock.judge() is Standing.ALONE


async def test_clock_left_alone_while_it_is_refused_goes_by_what_others_have_confirmed() -> None:
    machine = Machine()
    machine.hear(0)
    machine.set_wall_off(YEAR_MS)
    machine.clock.judge()
    machine.time.now += ALONE_S
    with pytest.raises(Unavailable):
        await machine.stamp()
    machine.time.now += 1.0
    assert await machine.stamp() == 0


async def test_clock_set_back_by_an_hour_alone_never_steps_back() -> None:
    machine = Machine()
    before = await machine.clock.stamp()
    machine.set_wall_off(-HOUR_MS)
    assert await machine.clock.stamp() > before


async def test_clock_set_back_by_an_hour_goes_by_two_others() -> None:
    machine = Machine()
    machine.hear(0, 0)
    machine.set_wall_off(-HOUR_MS)
    machine.clock.judge()
    machine.time.now += 5.0
    assert await machine.stamp() == 0


async def test_clock_process_started_again_alone_with_a_wrong_wall_goes_by_its_anchor() -> None:
    machine = Machine()
    await machine.clock.keep_lead()
    machine.set_wall_off(YEAR_MS)
    machine.time.now += 100.0
    machine.start()
    assert machine.clock.is_grounded
    assert await machine.stamp() == 0


@pytest.mark.parametrize("booted", ["again", ""])
async def test_clock_machine_started_again_alone_believes_its_wall(booted: str) -> None:
    machine = Machine()
    await machine.clock.keep_lead()
    machine.time = HandTime(NOW_MS + YEAR_MS)
    machine.time.booted = booted
    machine.start()
    assert not machine.clock.is_grounded
    assert await machine.stamp() == YEAR_MS


async def test_clock_started_wrong_refuses_as_soon_as_others_are_heard() -> None:
    machine = Machine()
    machine.set_wall_off(YEAR_MS)
    machine.start()
    machine.hear(0)
    with pytest.raises(Unavailable):
        await machine.stamp()


async def test_clock_anchor_is_kept_once_and_when_the_time_has_changed() -> None:
    machine = Machine()
    for off_ms, written in [(0, 1), (0, 1), (5000, 2), (5000, 2)]:
        machine.set_wall_off(off_ms)
        await machine.clock.keep_lead()
        assert machine.kept.written == written
    ahead_ms = NOW_MS + 5000 - 1_000_000
    assert machine.kept.memory == Memory(0, 0, Anchor("first", ahead_ms))

"""A key that has expired is gone for good, by whatever path something older could come back: an owner that was away, a
node that comes home, an emptied disk, a full one, a move and another one back, a clock that is wrong or set back."""

from __future__ import annotations

import asyncio
import logging
from unittest.mock import patch

import pytest

from node.net.messages import ReadResult
from node.retention.expiry import Expiry
from node.timing.expiry_clock import ExpiryClock
from tests.sim.cluster import Machine
from tests.sim.forgetful import GRACE_S, KEY, LONG_S, OTHER, STEADY_S, Story
from tests.sim.peace import read

TTL_S = 3.0
TTL_MS = int(1000 * TTL_S)
YEAR_MS = 365 * 86_400_000


async def put_and_expire(story: Story, via: Machine) -> None:
    await story.put(KEY, b"new", via, TTL_MS)
    await asyncio.sleep(TTL_S + 1.0)


def test_expired_key_is_forgotten_by_all_owners_after_the_grace_and_not_before() -> None:
    story = Story(3, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b"old")
        await story.put(OTHER)
        await put_and_expire(story, story.machines[0])
        assert await story.values(KEY) == {None}
        await asyncio.sleep(0.8 * GRACE_S)
        assert len(story.holders(KEY)) == 3
        await asyncio.sleep(LONG_S)
        assert story.holders(KEY) == [] and await story.values(KEY) == {None}
        assert await story.values(OTHER) == {b"1"}

    story.run(tell())


def test_key_that_has_yet_to_expire_is_forgotten_by_nobody_however_old_it_is() -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b"1", None, int(2.5e3 * LONG_S))
        for _ in range(2):
            await asyncio.sleep(LONG_S)
            await story.put(OTHER)
            assert await story.values(KEY) == {b"1"}
        await asyncio.sleep(LONG_S)
        assert await story.values(KEY) == {None}

    story.run(tell())


def test_owner_that_was_away_for_long_does_not_bring_back_what_was_there_before() -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b"old")
        here, away = story.machines
        away.crash()
        await asyncio.sleep(STEADY_S)
        await put_and_expire(story, here)
        await asyncio.sleep(3 * GRACE_S)
        assert await story.values(KEY) == {None} and story.holders(KEY) == [here, away]
        away.start()
        await asyncio.sleep(STEADY_S)
        assert await story.values(KEY) == {None}
        await asyncio.sleep(LONG_S)
        assert await story.values(KEY) == {None} and story.holders(KEY) == []

    story.run(tell())


@pytest.mark.parametrize("after_s", [0.5 * GRACE_S, 2 * GRACE_S], ids=["within the grace", "long after"])
@pytest.mark.parametrize("had", ["what was there before", "what has expired"])
def test_removed_node_that_comes_home_does_not_bring_back(had: str, after_s: float) -> None:
    story = Story(3, repl_factor=None)

    async def tell() -> None:
        await story.start()
        away = story.owner(KEY)
        others = [machine for machine in story.machines if machine is not away]
        await story.put(KEY, b"old", None, None if had == "what was there before" else TTL_MS)
        away.crash()
        await asyncio.sleep(1.0)
        await story.change(*(machine.address for machine in others))
        await put_and_expire(story, others[0])
        await asyncio.sleep(after_s)
        away.start()
        await asyncio.sleep(STEADY_S)
        assert away.node is not None and not away.node.handoff.misplaced()
        assert await story.values(KEY) == {None}

    story.run(tell())


def test_emptied_disk_is_brought_that_it_has_expired() -> None:
    story = Story(3, repl_factor=3)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b"old")
        await put_and_expire(story, story.machines[0])
        for machine in story.machines[1:]:
            machine.crash()
            machine.lose_disk()
            machine.start()
            await asyncio.sleep(STEADY_S)
            assert await story.values(KEY) == {None} and len(story.holders(KEY)) == 3
        story.machines[0].crash()
        await asyncio.sleep(1.0)
        assert await story.values(KEY) == {None}

    story.run(tell())


@pytest.mark.parametrize("turned", [True, False], ids=["turned before", "turned after"])
def test_moves_to_others_and_back_take_the_expiry_along(turned: bool) -> None:
    story = Story(4, repl_factor=2, members=2)

    async def tell() -> None:
        a, b, c, d = story.machines
        await story.start()
        await story.put(KEY, b"old")
        await story.put(KEY, b"new", a, TTL_MS)
        if turned:
            await asyncio.sleep(TTL_S + 1.0)
        await story.change(c.address, d.address)
        assert await story.values(KEY) == ({None} if turned else {b"new"})
        await story.change(a.address, b.address)
        await asyncio.sleep(TTL_S)
        assert await story.values(KEY) == {None}
        counts = {machine.node.own_keys.count for machine in story.machines if machine.node is not None}
        assert counts == {0}

    story.run(tell())


def test_full_disk_does_not_bring_back_what_it_could_not_take() -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b'"%b"' % (b"old" * 1000))
        here, full = story.machines
        full.disk.full = True
        await put_and_expire(story, here)
        assert await story.values(KEY) == {None}
        record = full.disk.record(KEY)
        assert record is not None and not record.has_value, "it was brought the deletion, which makes room"
        full.disk.full = False
        await asyncio.sleep(STEADY_S)
        assert await story.values(KEY) == {None}

    story.run(tell())


def test_both_sides_of_a_cut_let_a_key_expire_and_agree_when_it_ends() -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b"old")
        a, b = story.machines
        await story.put(KEY, b"new", a, TTL_MS)
        story.cluster.cut(a.address, b.address)
        await asyncio.sleep(TTL_S + 1.0)
        assert await story.values(KEY) == {None}
        await story.put(OTHER, b"here", a, TTL_MS)
        await story.put(OTHER, b"there", b)
        await asyncio.sleep(TTL_S + 1.0)
        story.cluster.heal()
        await asyncio.sleep(STEADY_S)
        assert await story.values(KEY) == {None} and await story.values(OTHER) == {b"there"}

    story.run(tell())


# Forgotten by all alike


def test_copy_that_has_yet_to_turn_what_has_expired_forgets_it_with_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not bring it to those who have forgotten it, nor does anybody find that copies differ."""
    caplog.set_level(logging.ERROR, "node.repair.antientropy")
    story = Story(2, repl_factor=2)
    real, slow = Expiry.sweep, list[Expiry]()

    async def sweep(expiry: Expiry) -> None:
        if expiry not in slow:
            await real(expiry)

    async def tell() -> None:
        await story.start()
        nodes = [machine.node for machine in story.machines]
        assert nodes[1] is not None
        slow.append(nodes[1].expiry)
        await put_and_expire(story, story.machines[0])
        assert [machine.disk.record(KEY).has_value for machine in story.machines] == [False, True]  # type: ignore[union-attr]
        await asyncio.sleep(LONG_S)
        story.machines[0].crash()
        story.machines[0].start()  # Copies are compared anew, not only looked at.
        await asyncio.sleep(STEADY_S)
        assert story.holders(KEY) == [story.machines[1]] and await story.values(KEY) == {None}
        slow.clear()
        await asyncio.sleep(LONG_S)
        assert story.holders(KEY) == [] and await story.values(KEY) == {None}
        assert not caplog.records

    with patch.object(Expiry, "sweep", sweep):
        story.run(tell())


# Clocks


async def boot_alone(story: Story, machine: Machine, ahead_ms: int) -> None:
    """It is started anew, as a whole, with a clock that is wrong, and hears nobody."""
    machine.crash()
    machine.time.set_wall_ahead(ahead_ms)
    machine.time.boot_id = lambda: "another"  # type: ignore[method-assign]
    for other in story.machines:
        if other is not machine:
            story.cluster.cut(machine.address, other.address)
    machine.start()
    await asyncio.sleep(STEADY_S)


async def tell_of_a_wrong_clock(story: Story) -> None:
    await story.start()
    await story.put(KEY, b"1", None, 10 * TTL_MS * 1000)
    wrong = story.machines[0]
    await boot_alone(story, wrong, YEAR_MS)
    assert wrong.disk.record(KEY).has_value  # type: ignore[union-attr]
    story.cluster.heal()
    await asyncio.sleep(STEADY_S)
    for machine in story.machines:
        answer = (await machine.ask(lambda node: read(node, KEY))).answer
        assert isinstance(answer, ReadResult) and answer.value == b"1", machine.address


def test_node_that_boots_alone_a_year_ahead_throws_nothing_away() -> None:
    """Its copies have the same versions as those of the others, so no comparison would ever find out."""
    story = Story(3, repl_factor=3)
    story.run(tell_of_a_wrong_clock(story))


def test_clock_set_ahead_for_a_while_makes_no_key_vanish_elsewhere_or_there() -> None:
    story = Story(3, repl_factor=3)

    async def tell() -> None:
        await story.start()
        await story.put(KEY, b"1", None, 1000 * TTL_MS)
        for ahead_ms in (50_000, YEAR_MS):
            story.machines[0].time.set_wall_ahead(ahead_ms)
            await asyncio.sleep(STEADY_S)
            assert await story.values(KEY) == {b"1"}
            story.machines[0].time.set_wall_ahead(-ahead_ms)
            await asyncio.sleep(STEADY_S)
            assert await story.values(KEY) == {b"1"}

    story.run(tell())


async def tell_of_a_clock_set_back(story: Story) -> None:
    """On a disk that takes nothing, so that what has expired stays a value."""
    await story.start()
    (lone,) = story.machines
    await story.put(KEY, b"1", None, TTL_MS)
    lone.disk.exhausted = True
    await asyncio.sleep(TTL_S + 1.0)
    assert await story.values(KEY) == {None}
    assert lone.disk.record(KEY).has_value  # type: ignore[union-attr]
    lone.time.set_wall_ahead(-30_000)
    await asyncio.sleep(1.0)
    assert await story.values(KEY) == {None}
    lone.disk.exhausted = False
    await asyncio.sleep(2.0)
    assert not lone.disk.record(KEY).has_value  # type: ignore[union-attr]
    await story.put(KEY, b"2", None, TTL_MS)
    await asyncio.sleep(TTL_S - 1.0)
    assert await story.values(KEY) == {b"2"}
    await asyncio.sleep(2.0)
    assert await story.values(KEY) == {None}, "what is put now does not stay until the earlier time has come again"


def test_clock_that_is_set_back_brings_nothing_back_and_keeps_nothing_for_longer() -> None:
    story = Story(1, repl_factor=None)
    story.run(tell_of_a_clock_set_back(story))


def test_ablation_clock_that_does_not_stand_still_brings_a_key_back() -> None:
    story = Story(1, repl_factor=None)
    with (
        patch.object(ExpiryClock, "now_ms", lambda clock: clock._clock.agreed_ms()),
        pytest.raises(AssertionError),
    ):
        story.run(tell_of_a_clock_set_back(story))

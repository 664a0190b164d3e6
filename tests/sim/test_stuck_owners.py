"""One of several owners whose disk is full, or hangs, is left out: the others write on, nobody reads anything stale,
and it gets what it has missed once its disk takes it."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import StorageFault, Unavailable
from tests.sim.cluster import Machine, NoAnswer
from tests.sim.sick_disks import KEYS, STEADY_S, Story

TROUBLES = ["full", "exhausted", "hung"]
LEFT_OUT_S = 2.0
"""By then who is stuck is left out by all."""
AT_ONCE_S = 0.44
"""Less than the time for which anybody is waited for; one message of a hundred takes up to half of it."""


async def put_all(story: Story, via: Machine, value: bytes, keys: list[bytes]) -> None:
    """Each at once: nobody is waited for."""
    loop = story.cluster.loop
    for key in keys:
        began = loop.now
        await story.put(via, key, value)
        assert loop.now - began < AT_ONCE_S


def all_have(story: Story, value: bytes | None, keys: list[bytes], *machines: Machine) -> bool:
    records = [machine.disk.record(key) for machine in machines for key in keys]
    return all(record is not None and record.value == value for record in records)


async def stick(story: Story, trouble: str, *machines: Machine, via: Machine) -> None:
    """A write finds it out, and is done all the same."""
    for machine in machines:
        setattr(machine.disk, trouble, True)
    await story.put(via, b"first", b"1")
    await asyncio.sleep(LEFT_OUT_S)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("copies", [2, 3])
def test_stuck_owner_is_left_out_of_writes_serves_nothing_stale_and_catches_up(copies: int, trouble: str) -> None:
    story = Story(copies, members=copies, repl_factor=copies)
    n1, *others = story.machines

    async def tell() -> None:
        await story.start()
        await stick(story, trouble, n1, via=others[0])
        await put_all(story, others[-1], b"2", KEYS)
        assert await story.values(n1) == [b"2"] * len(KEYS)
        assert all_have(story, b"1", KEYS, n1) and all_have(story, b"2", KEYS, *others)
        await put_all(story, n1, b"3", KEYS)
        assert await story.values(n1) == await story.values(others[0]) == [b"3"] * len(KEYS)
        n1.disk.mend()
        await asyncio.sleep(STEADY_S)
        assert all_have(story, b"3", KEYS, *story.machines)
        others[0].crash()
        assert await story.values(n1) == [b"3"] * len(KEYS)

    story.run(tell())


def test_stuck_owners_two_of_three_leave_the_third_to_write_alone() -> None:
    story = Story(3, members=3, repl_factor=3)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        await stick(story, "full", n1, n2, via=n3)
        for via in story.machines:
            await put_all(story, via, b"2", KEYS)
            assert await story.values(via) == [b"2"] * len(KEYS)
        assert all_have(story, b"1", KEYS, n1, n2)
        n1.disk.mend()
        await asyncio.sleep(STEADY_S)
        assert all_have(story, b"2", KEYS, n1, n3)

    story.run(tell())


@pytest.mark.parametrize("trouble", TROUBLES)
def test_stuck_node_passes_on_what_other_shards_are_to_write(trouble: str) -> None:
    """Though its clock, the ceiling of which it cannot raise, gives it no stamps."""
    story = Story(4, members=4, repl_factor=2)
    n1, n2, *_ = story.machines

    async def tell() -> None:
        await story.start()
        setattr(n1.disk, trouble, True)
        for key in KEYS[:5]:
            await story.put(n2, key, b"2")
        await asyncio.sleep(LEFT_OUT_S)
        await put_all(story, n1, b"3", KEYS)
        assert await story.values(n2) == [b"3"] * len(KEYS)

    story.run(tell())


def test_stuck_owner_that_starts_anew_serves_nothing_stale() -> None:
    story = Story(2, members=2, repl_factor=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        await stick(story, "full", n1, via=n2)
        await put_all(story, n2, b"2", KEYS)
        for machine in (n1, n2):
            machine.crash()
            machine.start()
            await asyncio.sleep(STEADY_S)
            assert await story.values(n1) == [b"2"] * len(KEYS)
            await put_all(story, n2, b"2", KEYS[:1])
        n1.disk.mend()
        await asyncio.sleep(STEADY_S)
        assert all_have(story, b"2", KEYS, n1, n2)

    story.run(tell())


def test_stuck_owner_takes_deletions_that_wait_behind_what_it_refuses() -> None:
    """They make room: otherwise nothing that is deleted through the others would ever relieve it."""
    story = Story(2, members=2, repl_factor=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        await stick(story, "full", n1, via=n2)
        await put_all(story, n2, b"2", [b"more%d" % number for number in range(50)])
        await n2.ask(lambda node: node.router.write(KEYS[0], None))
        await asyncio.sleep(STEADY_S)
        assert n1.disk.full and n1.disk.record(b"more0") is None
        assert all_have(story, None, KEYS[:1], n1, n2)

    story.run(tell())


def test_stuck_owner_whose_disk_goes_on_after_minutes_brings_nothing_back() -> None:
    """Of what it had been asked meanwhile, most was refused; what was on its way to the disk is older than the rest."""
    story = Story(2, members=2, repl_factor=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.hung = True
        refused = 0
        for key in KEYS:
            try:
                await story.put(n1, key, b"old")
            except (Unavailable, NoAnswer, StorageFault):
                refused += 1
        assert refused < 5
        await asyncio.sleep(120.0)
        await put_all(story, n2, b"new", KEYS)
        n1.disk.mend()
        await asyncio.sleep(STEADY_S)
        assert all_have(story, b"new", KEYS, n1, n2)
        assert await story.values(n1) == [b"new"] * len(KEYS)

    story.run(tell())

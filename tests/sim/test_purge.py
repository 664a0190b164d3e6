"""Deletions are forgotten in the end, and stay deletions all the same; copies at rest are compared."""

from __future__ import annotations

import asyncio
import logging
from unittest.mock import patch

import pytest

from node.errors import Unavailable
from node.net.messages import Read, Unable
from node.storage.store import Store
from node.views.change_conditions import Wish
from ring.hashing import partition_of
from tests.sim.forgetful import GRACE_S, KEY, LONG_S, OTHER, STEADY_S, Story
from tests.sim.peace import read


def test_tombstone_is_dropped_by_all_owners_after_the_grace_and_not_before() -> None:
    story = Story(3, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(OTHER)
        await story.put(KEY)
        await story.put(KEY, None)
        await asyncio.sleep(0.8 * GRACE_S)
        assert len(story.holders(KEY)) == 3
        await asyncio.sleep(LONG_S)
        assert story.holders(KEY) == [] and await story.values(KEY) == {None}
        assert len(story.holders(OTHER)) == 3 and await story.values(OTHER) == {b"1"}
        nodes = [machine.node for machine in story.machines if machine.node is not None]
        assert len({node.own_keys.digest for node in nodes}) == 1
        for node in nodes:
            node.check()

    story.run(tell())


def test_tombstone_is_kept_until_an_owner_that_is_down_has_it() -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY)
        down = story.machines[1]
        down.crash()
        await asyncio.sleep(STEADY_S)
        await story.put(KEY, None)
        await asyncio.sleep(3 * GRACE_S)
        assert len(story.holders(KEY)) == 2 and await story.values(KEY) == {None}
        down.start()
        await asyncio.sleep(LONG_S)
        assert story.holders(KEY) == [] and await story.values(KEY) == {None}

    story.run(tell())


async def come_home(story: Story, after_s: float) -> None:
    """An owner that was removed while it was down comes back. In the meantime, one of its keys was written anew and
    deleted elsewhere."""
    await story.start()
    away = story.owner(KEY)
    await story.put(KEY, b"old")
    key = next(key for key in (b"%b %d" % (OTHER, n) for n in range(100)) if story.owner(key) is away)
    await story.put(key)
    await asyncio.sleep(STEADY_S)
    away.crash()
    await asyncio.sleep(1.0)
    await story.change(*(machine.address for machine in story.machines if machine is not away))
    await story.put(KEY, b"new", next(machine for machine in story.machines if machine is not away))
    await story.put(KEY, None, next(machine for machine in story.machines if machine is not away))
    await asyncio.sleep(after_s)
    away.start()
    await asyncio.sleep(STEADY_S)
    assert away.node is not None and away.node.handoff.is_settled() and not away.node.handoff.misplaced()
    expected = {b"1"} if after_s < GRACE_S else {None}
    assert await story.values(key) == expected


@pytest.mark.parametrize("after_s", [0.5 * GRACE_S, 2 * GRACE_S], ids=["within the grace", "long after"])
def test_removed_node_that_comes_home_brings_no_deleted_key_back(after_s: float) -> None:
    """What nobody deleted, it brings home if it is back in time."""
    story = Story(3, repl_factor=None)

    async def tell() -> None:
        await come_home(story, after_s)
        assert await story.values(KEY) == {None}

    story.run(tell())


def test_ablation_who_believes_everybody_lets_a_deleted_key_come_back() -> None:
    story = Story(3, repl_factor=None)

    async def tell() -> None:
        with pytest.raises(AssertionError):
            await come_home(story, 2 * GRACE_S)
        assert await story.values(KEY) == {b"old"}

    with patch.object(Store, "may_revive", lambda *_: False):
        story.run(tell())


# Old keys that nobody has touched for longer than the grace are as good as new


KEYS = [b"old%d" % number for number in range(20)]


async def expect_all(story: Story) -> None:
    assert {key: await story.values(key) for key in KEYS} == {key: {b"1"} for key in KEYS}


async def age(story: Story) -> None:
    """A store whose keys are older than anything that is remembered of deletions."""
    for key in KEYS:
        await story.put(key)
    await story.put(KEY)
    await story.put(KEY, None)
    await asyncio.sleep(2 * LONG_S)
    assert story.holders(KEY) == []


@pytest.mark.parametrize("stays_s", [0.0, 5.0, 2 * LONG_S])
def test_old_keys_survive_a_newcomer_that_is_removed_again(stays_s: float) -> None:
    story = Story(3, repl_factor=None, members=2)

    async def tell() -> None:
        a, b, c = story.machines
        await story.start()
        await age(story)
        await story.change(a.address, b.address, c.address)
        await asyncio.sleep(stays_s)
        await story.change(a.address, b.address)
        await expect_all(story)

    story.run(tell())


def test_old_keys_survive_a_move_to_other_machines_and_back() -> None:
    story = Story(4, repl_factor=2, members=2)

    async def tell() -> None:
        a, b, c, d = story.machines
        await story.start()
        await age(story)
        await story.change(c.address, d.address)
        await expect_all(story)
        await story.change(a.address, b.address)
        await expect_all(story)

    story.run(tell())


def test_old_keys_survive_a_newcomer_that_leaves_when_another_node_is_back_from_a_long_outage() -> None:
    story = Story(4, repl_factor=None, members=3)

    async def tell() -> None:
        a, b, away, c = story.machines
        await story.start()
        await age(story)
        await story.change(a.address, b.address, away.address, c.address)
        away.crash()
        await asyncio.sleep(LONG_S)
        away.start()
        await asyncio.sleep(0.5)
        await story.change(a.address, b.address, away.address)
        await asyncio.sleep(STEADY_S)
        await expect_all(story)

    story.run(tell())


def test_old_keys_of_a_node_removed_after_a_long_outage_come_home_with_it() -> None:
    """Until it was removed, nothing was lost; within the grace of that, nothing is either."""
    story = Story(3, repl_factor=None)

    async def tell() -> None:
        await story.start()
        for key in KEYS:
            await story.put(key)
        away = story.owner(KEYS[0])
        others = [machine for machine in story.machines if machine is not away]
        elsewhere = next(key for key in KEYS if story.owner(key) is others[0])
        await asyncio.sleep(STEADY_S)
        away.crash()
        await asyncio.sleep(0.5 * GRACE_S)
        await story.put(elsewhere, via=others[0])
        await asyncio.sleep(1.5 * GRACE_S)
        await story.change(*(machine.address for machine in others))
        await asyncio.sleep(STEADY_S)
        away.start()
        await asyncio.sleep(STEADY_S)
        await expect_all(story)

    story.run(tell())


def test_old_keys_of_copies_that_lost_their_disks_one_after_the_other_survive_a_move() -> None:
    story = Story(3, repl_factor=2, members=2)

    async def tell() -> None:
        a, b, c = story.machines
        await story.start()
        await age(story)
        for machine in (a, b):
            machine.crash()
            machine.lose_disk()
            machine.start()
            await asyncio.sleep(STEADY_S)
        await story.change(c.address)
        await expect_all(story)

    story.run(tell())


# At rest


def test_copy_that_has_lost_a_record_at_rest_gets_it_back() -> None:
    """As by a bad disk: no write, no restart and no cut gives reason to compare."""
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY)
        await asyncio.sleep(STEADY_S)
        machine, node = story.machines[1], story.machines[1].node
        assert node is not None
        record = machine.disk.record(KEY)
        assert record is not None
        await node.store.drop(node.views.view_id, [(partition_of(KEY), KEY, record.version)])
        await asyncio.sleep(3 * node.config.compare_every_s)
        assert machine.disk.record(KEY) == record
        assert await story.values(KEY) == {b"1"}

    story.run(tell())


def test_copy_that_forgets_deletions_more_slowly_is_not_taken_for_another(caplog: pytest.LogCaptureFixture) -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        for number in range(1200):
            await story.put(b"%d" % number)
            await story.put(b"%d" % number, None)
        story.machines[1].disk.sync_s = 20.0
        await asyncio.sleep(3 * LONG_S)
        assert story.holders(b"1") == []

    with caplog.at_level(logging.ERROR):
        story.run(tell())
    assert not any("otherwise" in record.getMessage() for record in caplog.records)


# Disks that were lost


@pytest.mark.parametrize("restarts", [False, True])
def test_owner_with_an_emptied_disk_does_not_know_what_does_not_exist(restarts: bool) -> None:
    story = Story(2, repl_factor=2)

    async def tell() -> None:
        await story.start()
        await story.put(KEY)
        a, b = story.machines
        a.crash()
        a.lose_disk()
        b.freeze()
        a.start()
        if restarts:
            await asyncio.sleep(0.1)
            a.crash()
            a.start()
        await asyncio.sleep(1.0)
        with pytest.raises(Unavailable):
            await a.ask(lambda node: read(node, KEY))

    story.run(tell())


def test_newcomer_does_not_take_the_word_of_an_owner_with_an_emptied_disk() -> None:
    story = Story(3, repl_factor=2, members=2)

    async def tell() -> None:
        a, b, c = story.machines
        await story.start()
        await story.put(KEY)
        a.crash()
        a.lose_disk()
        story.cluster.cut(a.address, b.address)
        a.start()
        await asyncio.sleep(5.0)
        await c.ask(lambda node: node.coordinator.change(Wish(frozenset((a.address, b.address, c.address)), 3)), 10.0)
        b.freeze()
        await asyncio.sleep(0.6)
        assert await c.ask(lambda node: node.owner.carry_out(Read(KEY), c.time.monotonic() + 1.0)) == Unable()

    story.run(tell())

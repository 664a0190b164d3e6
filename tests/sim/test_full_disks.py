"""A disk that is full, or hangs, costs its own node: reads go on, and it can be relieved, replaced, removed, and taken
back in the middle of a move, with nothing lost."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import View
from node.errors import Conflict, Unavailable
from ring.hashing import partition_of
from tests.sim.cluster import Machine
from tests.sim.sick_disks import KEYS, STALL_S, STEADY_S, Story, is_empty, take_back


def test_newcomer_that_fills_up_in_the_middle_of_a_move_is_taken_out_again_at_once() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, "full")
        first = story.begin(n1, n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        assert n3.disk.full and not first.done()
        story.unwatch()
        await story.all_is_there(n1, n2, n3)
        settled = await story.change(n2, n1, n2)
        assert sum(settled.key_counts.values()) == len(KEYS)
        assert is_empty(n3)
        await story.all_is_there(n1, n2, n3)
        with pytest.raises(Conflict):
            await first

    story.run(tell())


def test_newcomer_without_room_is_named_and_takes_the_rest_once_it_has_room() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, "full")
        with pytest.raises(Unavailable) as refusal:
            await story.change(n1, n1, n2, n3)
        assert refusal.value.details == {"full": [n3.address]}
        story.unwatch()
        n3.disk.mend()
        settled = await story.change(n1, n1, n2, n3)
        assert sum(settled.key_counts.values()) == len(KEYS)
        await story.all_is_there(n1, n3)

    story.run(tell())


def test_full_member_is_relieved_by_growing() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        settled = await story.change(n2, n1, n2, n3)
        assert settled.key_counts[n3.address]
        await story.all_is_there(n1, n2, n3)

    story.run(tell())


@pytest.mark.parametrize("repl_factor", [None, 2])
def test_full_member_is_replaced(repl_factor: int | None) -> None:
    story = Story(3, members=2, repl_factor=repl_factor)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        moving = story.begin(n2, n2, n3)
        while not moving.done():
            await story.all_is_there(n2)
            await asyncio.sleep(0.1)
        await moving
        await story.all_is_there(n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        assert is_empty(n1)

    story.run(tell())


def test_full_member_that_should_take_more_is_named_and_can_be_removed_instead() -> None:
    """By the one whose records it could not take, which comes in again with what it has kept."""
    story = Story(2, members=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        with pytest.raises(Unavailable) as refusal:
            await story.change(n2, n1)
        assert refusal.value.details == {"full": [n1.address]}
        await story.all_is_there(n1, n2)
        settled = await story.change(n2, n2)
        assert settled.key_counts[n2.address] == len(KEYS)
        await story.all_is_there(n1, n2)
        assert is_empty(n1)

    story.run(tell())


def test_full_new_owner_does_not_keep_the_other_one_waiting() -> None:
    story = Story(4, members=2, repl_factor=2)
    n1, n2, n3, n4 = story.machines

    async def tell() -> None:
        await story.start()
        n3.disk.full = True
        moving = story.begin(n1, n3, n4)
        await asyncio.sleep(STEADY_S)
        assert {key for key, _ in n4.disk.records()} == set(KEYS) and not moving.done()
        await story.all_is_there(n3, n4)
        await story.change(n1, n1, n4)
        await story.all_is_there(n1, n2, n4)
        assert is_empty(n3)
        with pytest.raises(Conflict):
            await moving

    story.run(tell())


@pytest.mark.parametrize("trouble", ["hung", "exhausted", "full"])
def test_newcomer_whose_disk_takes_nothing_is_told_with_the_keys_that_cannot_come(trouble: str) -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, trouble)
        moving = story.begin(n1, n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        problems = await n1.ask(lambda node: node.inspector.problems())
        (told,) = (problem for problem in problems if problem.code in ("disk-hangs", "disk-full"))
        assert n1.node is not None and n3.node is not None
        owned = n3.node.views.ring.partitions_of(n3.address)
        there = {key for key, _ in n3.disk.records()}
        to_come = [key for key in KEYS if partition_of(key) in owned and key not in there]
        assert (
            to_come
            and f"at most {len(to_come)} key" in told.what
            and "cannot arrive, and cannot be written" in told.what
        )
        assert told.do.startswith("take the change back: kvs view-change --undo; or ")
        for key in to_come:
            with pytest.raises(Unavailable):
                await story.put(n1, key)
        taking_back = asyncio.ensure_future(n2.ask(take_back, 60.0))
        await asyncio.sleep(STEADY_S)
        for key in KEYS:
            await story.put(n1, key)
        n3.disk.mend()
        await taking_back
        with pytest.raises(Conflict):
            await moving

    story.run(tell())


def test_newcomer_whose_disk_hangs_is_taken_out_again_once_nothing_has_moved_for_long() -> None:
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        story.when_pushed(n3, "hung")
        first = story.begin(n1, n1, n2, n3)
        await asyncio.sleep(STEADY_S)
        assert n3.disk.hung
        with pytest.raises(Conflict):
            await story.change(n2, n1, n2)
        await asyncio.sleep(STALL_S)
        second = story.begin(n2, n1, n2)
        await asyncio.sleep(STEADY_S)
        for machine in (n1, n2):
            assert machine.node is not None and machine.node.views.current.nodes == {n1.address, n2.address}
        story.unwatch()
        n3.disk.mend()
        settled = await second
        assert sum(settled.key_counts.values()) == len(KEYS)
        assert is_empty(n3)
        await story.all_is_there(n1, n2, n3)
        with pytest.raises(Conflict):
            await first

    story.run(tell())


@pytest.mark.parametrize(("trouble", "refusal"), [("exhausted", Unavailable), ("hung", Conflict)])
def test_change_with_a_newcomer_whose_disk_does_not_even_take_the_view_is_taken_back(
    trouble: str, refusal: type[Exception]
) -> None:
    """Once its promise is void; it may hold something, as far as the others know, so all ends when it can tell."""
    story = Story(3, members=2)
    n1, n2, n3 = story.machines

    def stored(machine: Machine, view: View) -> None:
        if machine is n1 and view.epoch == 1:
            setattr(n3.disk, trouble, True)

    async def tell() -> None:
        await story.start()
        story.cluster.view_watchers.append(stored)
        first = story.begin(n1, n1, n2, n3)
        await asyncio.sleep(STEADY_S + STALL_S)
        assert n3.disk.ill
        taking_back = asyncio.ensure_future(n2.ask(take_back, 60.0))
        await asyncio.sleep(STEADY_S)
        for machine in (n1, n2):
            assert machine.node is not None and machine.node.views.current.nodes == {n1.address, n2.address}
        await story.all_is_there(n1, n2)
        n3.disk.mend()
        settled = await taking_back
        assert sum(settled.key_counts.values()) == len(KEYS)
        await story.all_is_there(n1, n2, n3)
        with pytest.raises(refusal):
            await first

    story.run(tell())


@pytest.mark.parametrize("trouble", ["hung", "exhausted", "full"])
def test_member_whose_disk_takes_nothing_is_replaced_while_there_is_another_copy(trouble: str) -> None:
    story = Story(3, members=2, repl_factor=2)
    n1, n2, n3 = story.machines

    async def tell() -> None:
        await story.start()
        setattr(n1.disk, trouble, True)
        settled = await story.change(n2, n2, n3)
        assert settled.key_counts[n3.address] == len(KEYS)
        await story.all_is_there(n2, n3)
        await story.put(n3, b"more", b"2")
        assert await story.values(n2, [b"more"]) == [b"2"]
        n1.disk.mend()
        await asyncio.sleep(STEADY_S)
        assert is_empty(n1)
        await story.all_is_there(n1, n2, n3)

    story.run(tell())


def test_full_node_that_is_restarted_serves_reads_and_is_removed() -> None:
    story = Story(2, members=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        n1.disk.full = True
        n1.crash()
        n1.start()
        await asyncio.sleep(STEADY_S)
        await story.all_is_there(n1, n2)
        settled = await story.change(n1, n2)
        assert settled.key_counts[n2.address] == len(KEYS)
        assert is_empty(n1)
        await story.all_is_there(n1, n2)

    story.run(tell())


def test_full_store_is_relieved_by_deletions() -> None:
    """Of what is held: they take no more room than what they replace, on every copy."""
    story = Story(2, members=2, repl_factor=2)
    n1, n2 = story.machines

    async def tell() -> None:
        await story.start()
        for machine in (n1, n2):
            machine.disk.full = True
        with pytest.raises(Unavailable):
            await story.put(n1, KEYS[0], b"2")
        await n1.ask(lambda node: node.router.write(KEYS[0], None))
        assert await story.values(n2, KEYS[:2]) == [None, b"1"]

    story.run(tell())

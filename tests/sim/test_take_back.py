"""A view change that is regretted: it is taken back in the middle of its move, whatever goes wrong meanwhile, and
nothing is lost. And of two operators who have seen the same view, one is too late."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Conflict, RequestFault, Unavailable
from node.net.messages import Adopt, Compare, Holding, Promise, Push, Request
from node.views.change_conditions import TakeBack, Wish
from node.views.coordinator import Settled
from tests.sim.cluster import Machine, NoAnswer
from tests.sim.story import STEADY_S, Story

KEYS = [b"k%d" % number for number in range(60)]
BEGUN = 2
"""After so many messages with records, a move is in its middle."""


def nodes(*numbers: int) -> frozenset[str]:
    return frozenset(f"n{number}:1" for number in numbers)


class Moving:
    """Waits until a move is in its middle."""

    def __init__(self, story: Story) -> None:
        self._left = BEGUN
        self._reached = asyncio.Event()
        story.cluster.network.watchers.append(self._sent)

    def _sent(self, _sender: str, _to: str, request: Request) -> None:
        if isinstance(request, Push) and request.records:
            self._left -= 1
            if self._left == 0:
                self._reached.set()

    async def reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), STEADY_S)


async def filled(story: Story) -> None:
    await story.start()
    for key in KEYS:
        await story.put(story[1], key)


async def taken_back(story: Story, asked: Machine, to: frozenset[str]) -> Settled:
    """By an operator who does not give up, and if it has settled meanwhile, changes the view again."""
    wish: TakeBack | Wish = TakeBack()
    for _ in range(40):
        try:
            return await story.wish(asked, wish)
        except Conflict as refusal:
            if "has settled" in refusal.error:
                wish = Wish(to)
        except (RequestFault, NoAnswer):
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("it cannot be taken back")


async def all_is_as_before(story: Story, asked: Machine, members: frozenset[str], copies: int = 1) -> None:
    for machine in story.machines.values():
        if machine.host is None:
            machine.start()
    await asyncio.sleep(2 * STEADY_S)
    assert {story.nodes_of(machine) for machine in story.machines.values()} == {members}
    assert await story.values(asked, KEYS) == [b"1"] * len(KEYS)
    held = [sorted(key for key, _ in machine.disk.records()) for machine in story.machines.values()]
    assert sum(map(len, held)) == copies * len(KEYS)
    for machine in story.machines.values():
        assert machine.node is not None and machine.node.handoff.is_settled()
        if machine.address not in members:
            assert not list(machine.disk.records())


TROUBLES = ["none", "newcomer killed", "donor killed", "coordinator killed", "newcomer paused", "donor cut off"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("step", ["accepted", "moving"])
def test_take_back_of_a_growth_loses_nothing(trouble: str, step: str, seed: int) -> None:
    story = Story(3, members=2, seed=seed)

    async def tell() -> None:
        await filled(story)
        moving = Moving(story)
        n1, n2, n3 = (story[number] for number in (1, 2, 3))
        for machine in story.machines.values():
            machine.disk.sync_s = 0.05
        await story.accept(n1, Wish(nodes(1, 2, 3)))
        if step == "moving":
            await moving.reached()
        match trouble:
            case "newcomer killed":
                n3.crash()
            case "donor killed":
                n2.crash()
                n2.start()
            case "coordinator killed":
                n1.crash()
                n1.start()
            case "newcomer paused":
                n3.freeze()
                story.cluster.loop.call_later(2.0, n3.thaw, context=story.cluster.loop.nobody)
            case "donor cut off":
                story.cluster.cut(n1.address, n3.address)
                story.cluster.loop.call_later(3.0, story.cluster.heal, context=story.cluster.loop.nobody)
        settled = await taken_back(story, n2, nodes(1, 2))
        assert settled.view.nodes == nodes(1, 2)
        await all_is_as_before(story, n2, nodes(1, 2))

    story.run(tell())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("asked", [1, 2, 3])
def test_take_back_of_a_removal_needs_not_wait_for_what_is_handed_over(asked: int, seed: int) -> None:
    """Who was to go is taken in again with what it still has, and gets the rest back."""
    story = Story(3, members=3, seed=seed)

    async def tell() -> None:
        await filled(story)
        table = story.table()
        moving = Moving(story)
        for machine in story.machines.values():
            machine.disk.sync_s = 0.05
        await story.accept(story[1], Wish(nodes(1, 2)))
        await moving.reached()
        settled = await story.wish(story[asked], TakeBack())
        assert settled.view.nodes == nodes(1, 2, 3)
        assert story.table() == table, "what has not moved yet is at home again"
        await all_is_as_before(story, story[1], nodes(1, 2, 3))

    story.run(tell())


@pytest.mark.parametrize("seed", range(4))
def test_take_back_writes_and_deletions_meanwhile_are_kept(seed: int) -> None:
    """Also where the earlier owner is taken in again with an older record."""
    story = Story(3, members=3, repl_factor=1, seed=seed)

    async def tell() -> None:
        await filled(story)
        for machine in story.machines.values():
            machine.disk.sync_s = 0.05
        await story.accept(story[1], Wish(nodes(1, 2)))
        for number, key in enumerate(KEYS[:20]):
            value = None if number % 2 else b"2"
            await story[1].ask(lambda node, key=key, value=value: node.router.write(key, value))  # type: ignore[misc]
            if number == 0:
                await story.accept(story[2], TakeBack())
        await asyncio.sleep(2 * STEADY_S)
        for machine in story.machines.values():
            read = await story.values(machine, KEYS)
            assert read[:20] == [None if number % 2 else b"2" for number in range(20)]
            assert set(read[20:]) == {b"1"}

    story.run(tell())


@pytest.mark.parametrize("trouble", ["none", "newcomer killed"])
def test_take_back_with_two_copies(trouble: str) -> None:
    story = Story(4, members=2, repl_factor=2)

    async def tell() -> None:
        await filled(story)
        moving = Moving(story)
        for machine in story.machines.values():
            machine.disk.sync_s = 0.05
        await story.accept(story[1], Wish(nodes(3, 4)))
        await moving.reached()
        if trouble == "newcomer killed":
            story[3].crash()
        settled = await taken_back(story, story[4], nodes(1, 2))
        assert settled.view.nodes == nodes(1, 2)
        await all_is_as_before(story, story[1], nodes(1, 2), copies=2)

    story.run(tell())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("step", [Holding, Compare, Push])
def test_take_back_past_a_newcomer_that_hangs_gives_up_no_keys(step: type[Request], seed: int) -> None:
    """All that it was brought is also where it came from, or with the other newcomer, which has lost nothing."""
    story = Story(6, members=4, repl_factor=2, seed=seed)

    async def tell() -> None:
        await filled(story)

        def sent(_sender: str, to: str, request: Request) -> None:
            if isinstance(request, step) and to == "n5:1":
                story[5].freeze()

        story.cluster.network.watchers.append(sent)
        await story.accept(story[1], Wish(nodes(1, 2, 3, 4, 5, 6)))
        await asyncio.sleep(STEADY_S)
        story.cluster.network.watchers.remove(sent)
        settled = await story.wish(story[1], TakeBack(if_safe=True))
        assert settled.view.nodes == nodes(1, 2, 3, 4)
        story[5].thaw()
        await all_is_as_before(story, story[1], nodes(1, 2, 3, 4), copies=2)

    story.run(tell())


def test_take_back_of_several_goes_back_one_after_the_other() -> None:
    """Each was superseded before it had settled. Where nothing is left to go back to, that is said."""
    story = Story(4, members=2)

    async def tell() -> None:
        await filled(story)
        for machine in story.machines.values():
            machine.disk.sync_s = 0.05
        for taker in ("n3:1", "n4:1"):
            story.cluster.cut("n2:1", taker)
        await story.accept(story[1], Wish(nodes(1, 2, 3)))
        story[3].crash()
        await asyncio.sleep(1.0)
        await story.accept(story[1], Wish(nodes(1, 2, 4)))
        story[3].start()
        await asyncio.sleep(1.0)
        first = await story.accept(story[1], TakeBack())
        assert first.view.nodes == nodes(1, 2, 3)
        second = await story.accept(story[1], TakeBack())
        assert second.view.nodes == nodes(1, 2)
        with pytest.raises(Conflict, match="Nothing to go back to"):
            await story.accept(story[1], TakeBack())
        story.cluster.heal()
        await all_is_as_before(story, story[1], nodes(1, 2))

    story.run(tell())


def test_take_back_of_what_has_settled_is_refused() -> None:
    story = Story(2, members=1)

    async def tell() -> None:
        await story.start()
        for asked in (1, 2):
            with pytest.raises(Conflict, match="There is no view change to take back"):
                await story.accept(story[asked], TakeBack())
        await story.change(story[1], [1, 2])
        for asked in (1, 2):
            with pytest.raises(Conflict, match="has settled"):
                await story.accept(story[asked], TakeBack())
        assert story.nodes_of(story[1]) == nodes(1, 2)

    story.run(tell())


def test_take_back_to_a_node_that_cannot_be_reached_is_refused() -> None:
    story = Story(3, members=3)

    async def tell() -> None:
        await filled(story)
        for machine in story.machines.values():
            machine.disk.sync_s = 0.05
        await story.accept(story[1], Wish(nodes(1, 2)))
        story[3].crash()
        with pytest.raises(Unavailable) as refusal:
            await story.accept(story[1], TakeBack())
        assert refusal.value.details == {"unreachable": ["n3:1"]}
        assert story.nodes_of(story[1]) == nodes(1, 2)

    story.run(tell())


def test_take_back_where_another_change_was_made_since_is_refused() -> None:
    story = Story(4, members=2)

    async def tell() -> None:
        await filled(story)
        await story.change(story[1], [1, 2, 3])
        made = await story.accept(story[1], Wish(nodes(1, 2, 3, 4)))
        with pytest.raises(Conflict) as refusal:
            await story.accept(story[2], TakeBack(if_epoch=made.view.epoch - 1))
        assert refusal.value.details == {"epoch": made.view.epoch}

    story.run(tell())


@pytest.mark.parametrize("seed", range(30))
def test_if_epoch_of_two_coordinators_one_is_too_late(seed: int) -> None:
    """Whatever the one that is late has asked before, and whoever of both is in the other's view."""
    story = Story(4, members=2, seed=seed)

    async def tell() -> None:
        await story.start()

        async def second() -> Settled:
            await asyncio.sleep(story.cluster.rng.uniform(0, 0.03))
            return await story.wish(story[4], Wish(nodes(2, 4), if_epoch=0))

        first = story.wish(story[3], Wish(nodes(1, 3), if_epoch=0))
        outcomes = await asyncio.gather(first, second(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(Settled) <= 1, outcomes
        assert all(isinstance(outcome, Settled | Conflict) for outcome in outcomes), outcomes
        await asyncio.sleep(STEADY_S)
        held = {machine.node.views.view_id for machine in story.machines.values() if machine.node is not None}
        assert len({view_id for view_id in held if view_id.epoch}) == 1, "but for who is in neither view"

    story.run(tell())


def test_if_epoch_is_judged_by_the_newest_view_not_by_that_of_the_node_asked() -> None:
    story = Story(3, members=2)

    async def tell() -> None:
        await story.start()
        story[3].crash()
        await story.change(story[1], [1, 2], factor=1)
        story[3].start()
        while story[3].node is None:
            await asyncio.sleep(0.0005)
        with pytest.raises(Conflict) as refusal:
            await story.wish(story[3], Wish(nodes(1, 2, 3), if_epoch=0))
        assert refusal.value.details == {"epoch": 1}
        assert (await story.wish(story[3], Wish(nodes(1, 2, 3), if_epoch=1))).view.epoch == 2

    story.run(tell())


def test_promise_of_what_builds_on_a_view_out_of_force_is_refused() -> None:
    """A coordinator that has asked around before another one's view came in force, and for promises after, knows of a
    promise only: with an epoch above that it would undo what was answered 200."""
    story = Story(4, members=2)
    asked: list[str] = []

    async def tell() -> None:
        await story.start()
        first: list[asyncio.Task[Settled]] = []

        def sent(sender: str, to: str, request: Request) -> None:
            if isinstance(request, Adopt) and sender == "n3:1" and not asked:
                asked.append(to)
            if isinstance(request, Promise) and sender == "n3:1" and not first:
                first.append(asyncio.ensure_future(story.wish(story[4], Wish(nodes(2, 4), if_epoch=0))))

        story.cluster.network.watchers.append(sent)
        settled = await story.wish(story[3], Wish(nodes(1, 3), if_epoch=0))
        with pytest.raises(Conflict):
            await first[0]
        assert story.nodes_of(story[1]) == settled.view.nodes

    story.run(tell())

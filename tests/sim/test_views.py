"""What an operator was told is done stays done: views that were acknowledged, factors, and nodes that are taken in."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from node.errors import Conflict, Unavailable
from node.views.coordinator import Settled
from tests.sim.acknowledged import AcknowledgedViews
from tests.sim.changing import change
from tests.sim.cluster import NoAnswer
from tests.sim.peace import read
from tests.sim.steps import Snare, Step
from tests.sim.story import STEADY_S, Story

LONG_AFTER_S = 600.0
PREPARE_S = 16.0  # Longer than a coordinator tries to bring its view in force.


@pytest.mark.parametrize(("lost", "taken_in"), [(3, 4), (4, 3)], ids=["lower digest", "higher digest"])
def test_acknowledged_view_stays_though_a_coordinator_returns_with_one_that_nobody_confirmed(
    lost: int, taken_in: int
) -> None:
    story = Story(4, members=2)

    async def tell() -> None:
        await story.start()
        snare = Snare(story.cluster, story[lost], Step.STORED, story[lost].crash)
        with pytest.raises(NoAnswer):
            await story.change(story[lost], [1, 2, lost])
        snare.remove()
        await asyncio.sleep(11)
        settled = await story.change(story[1], [1, 2, taken_in])
        await asyncio.sleep(LONG_AFTER_S)
        story[lost].start()
        await asyncio.sleep(STEADY_S)
        for number in (1, 2, taken_in, lost):
            assert story.nodes_of(story[number]) == settled.view.nodes

    story.run(tell())


@pytest.mark.parametrize("step", [Step.PROMISE, Step.PROMISES, Step.PROMISED, Step.STORED])
@pytest.mark.parametrize("seed", range(3))
def test_acknowledged_view_stays_though_a_coordinator_was_paused_with_its_own(step: Step, seed: int) -> None:
    """Its promises are void by then, and another change was made in between. It must not make its own on top of that
    either: whoever asked has not waited."""
    story = Story(4, members=2, seed=seed)

    async def tell() -> None:
        await story.start()
        snare = Snare(story.cluster, story[3], step, story[3].freeze)
        with pytest.raises(NoAnswer):
            await story[3].ask(lambda node: change(node, ["n1:1", "n2:1", "n3:1"]), 11.0)
        snare.remove()
        settled = await story.change(story[1], [1, 2, 4])
        story[3].thaw()
        await asyncio.sleep(STEADY_S)
        for number in (1, 2, 3, 4):
            assert story.nodes_of(story[number]) == settled.view.nodes

    story.run(tell())


@pytest.mark.parametrize("seed", range(4))
def test_acknowledged_view_stays_though_its_rival_was_promised_where_nobody_knew_of_it(seed: int) -> None:
    """Whoever promised was gone as long as its coordinator was, so that the other change got the same epoch."""
    story = Story(5, members=4, seed=seed)
    n1, n2, n3, n4, n5 = story.machines.values()

    def go() -> None:
        for machine in (n1, n2, n3):
            machine.freeze()

    async def tell() -> None:
        await story.start()
        n4.crash()
        n5.crash()
        snare = Snare(story.cluster, n1, Step.PROMISED, go)
        with pytest.raises(NoAnswer):
            await n1.ask(lambda node: change(node, ["n1:1", "n2:1", "n3:1"]), PREPARE_S)
        snare.remove()
        n4.start()
        n5.start()
        await asyncio.sleep(STEADY_S)
        settled = await story.change(n4, [4, 5])
        assert settled.view.epoch == 1
        for machine in (n1, n2, n3):
            machine.thaw()
        await asyncio.sleep(STEADY_S)
        for number in (1, 2, 3, 4, 5):
            assert story.nodes_of(story[number]) == settled.view.nodes

    story.run(tell())


def test_promise_outlives_a_restart() -> None:
    """Those who gave it do not know that its coordinator is paused, and about to go on."""
    story = Story(4, members=3)

    async def tell() -> None:
        await story.start()
        snare = Snare(story.cluster, story[4], Step.PROMISED, story[4].freeze)
        with pytest.raises(NoAnswer):
            await story[4].ask(lambda node: change(node, ["n1:1", "n2:1", "n4:1"]), 1.0)
        snare.remove()
        for number in (1, 2, 3):
            story[number].crash()
            story[number].start()
        await asyncio.sleep(1.0)
        with pytest.raises(Conflict):
            await story.change(story[1], [1, 2])

    story.run(tell())


def test_view_below_a_promise_is_not_taken_from_a_coordinator_that_was_paused() -> None:
    """The next coordinator has all promises by then, and is about to store a view that is not built on this one."""
    story = Story(4, members=3)
    n1, _, n3, _ = story.machines.values()
    AcknowledgedViews(story.cluster)

    def change_places() -> None:
        n1.freeze()
        story.cluster.loop.call_soon(n3.thaw, context=story.cluster.loop.nobody)

    async def tell() -> None:
        await story.start()
        snare = Snare(story.cluster, n3, Step.STORED, n3.freeze)
        with pytest.raises(NoAnswer):
            await n3.ask(lambda node: change(node, ["n2:1", "n3:1"]), 11.0)
        snare.remove()
        snare = Snare(story.cluster, n1, Step.PROMISED, change_places)
        asked = asyncio.create_task(story.change(n1, [1, 2, 4]))
        await asyncio.sleep(3.0)
        n1.thaw()
        with suppress(Conflict, Unavailable):  # The last promise may have been lost in the pause.
            await asked
        await asyncio.sleep(PREPARE_S)
        assert len({story.nodes_of(machine) for machine in story.machines.values()}) == 1

    story.run(tell())


def test_node_whose_disk_cannot_take_the_view_serves_nothing() -> None:
    """Not even while it holds a lease of a co-owner that has taken it: the new owner has heard both of them."""
    story = Story(3, members=2, repl_factor=2)
    n1, _, n3 = story.machines.values()

    def fill() -> None:
        n1.disk.exhausted = True

    async def tell() -> None:
        await story.start()
        await story.put(n1, b"k")
        Snare(story.cluster, n3, Step.STORED, fill)
        asked = asyncio.create_task(story.change(n3, [3]))
        while n3.disk.record(b"k") is None:
            await asyncio.sleep(0.001)
        await n3.ask(lambda node: node.router.write(b"k", b"2"))
        with pytest.raises(Unavailable):
            await n1.ask(lambda node: read(node, b"k"))
        asked.cancel()

    story.run(tell())


def test_change_that_gets_on_is_not_interrupted() -> None:
    story = Story(4, members=2)
    n1, n2, n3, _ = story.machines.values()
    moving = asyncio.Event()

    async def tell() -> None:
        await story.start()
        for number in range(20):
            await story.put(n1, b"k%d" % number)
        n3.disk.sync_s = 0.5
        Snare(story.cluster, n1, Step.MOVING, moving.set)
        first = asyncio.create_task(story.change(n1, [3]))
        await moving.wait()
        with pytest.raises(Conflict, match="under way"):
            await story.change(n2, [3, 4])
        assert (await first).view.nodes == {"n3:1"}

    story.run(tell())


def test_change_to_a_node_that_is_not_there_is_refused() -> None:
    story = Story(3, members=2)

    async def tell() -> None:
        await story.start()
        await story.change(story[1], [1, 2, 3])
        await story.change(story[1], [1, 2])
        story[3].crash()
        with pytest.raises(Unavailable) as refusal:
            await story.change(story[1], [1, 2, 3])
        assert refusal.value.details == {"unreachable": ["n3:1"]}

    story.run(tell())


def test_factor_that_is_left_out_is_that_of_the_newest_view() -> None:
    """Not that of the node that was asked, which is behind."""
    story = Story(4, members=3, repl_factor=2)

    async def tell() -> None:
        await story.start()
        story[4].crash()
        await story.change(story[1], [1, 2, 3], factor=3)
        story[4].start()
        while story[4].node is None:
            await asyncio.sleep(0.0005)
        settled = await story.change(story[4], [1, 2, 3, 4])
        assert settled.view.repl_factor == 3

    story.run(tell())


def test_factor_that_is_left_out_keeps_the_form_of_the_newest_view() -> None:
    story = Story(3, members=2)

    async def tell() -> None:
        await story.start()
        story[3].crash()
        await story.change(story[1], [1, 2], factor=2)
        story[3].start()
        while story[3].node is None:
            await asyncio.sleep(0.0005)
        settled = await story.change(story[3], [1, 2, 3])
        assert settled.view.repl_factor == 2

    story.run(tell())


@pytest.mark.parametrize("changes", [0, 1], ids=["a view from the environment", "a later view"])
def test_blank_node_asked_to_join_extends_the_view_of_the_others(changes: int) -> None:
    """It was told of itself alone; what the others hold is neither refused nor replaced."""
    story = Story(3, members=2, environments={"n3:1": ("n3:1",)})
    keys = [b"k%d" % number for number in range(20)]

    async def tell() -> None:
        await story.start()
        for _ in range(changes):
            await story.change(story[1], [1, 2], factor=1)
        for key in keys:
            await story.put(story[1], key)
        settled = await story.change(story[3], [1, 2, 3])
        assert settled.view.epoch == changes + 1
        assert sum(settled.key_counts.values()) == len(keys)

    story.run(tell())


def test_blank_node_that_was_heard_of_before_is_taken_in() -> None:
    """It has a view of its own, and nothing else: that is no other cluster."""
    story = Story(3, members=2, environments={"n3:1": ("n3:1",)})

    async def tell() -> None:
        await story.start()
        await story.put(story[1], b"k")
        await story[2].ask(lambda node: node.calls.greet("n3:1"))
        settled = await story.change(story[2], [1, 2, 3])
        assert sum(settled.key_counts.values()) == 1

    story.run(tell())


def test_request_with_a_factor_does_not_join_one_without() -> None:
    """What the latter comes to is known only once the newest view is: it may be another factor."""
    story = Story(3, members=2, repl_factor=1)

    async def tell() -> None:
        await story.start()
        wishes = (story.change(story[1], [1, 2, 3], factor) for factor in (None, 1))
        assert set(map(type, await asyncio.gather(*wishes, return_exceptions=True))) == {Settled, Conflict}

    story.run(tell())


@pytest.mark.parametrize("seed", range(20))
def test_blank_nodes_asked_to_join_each_other_become_one_store(seed: int) -> None:
    """By an operator who asks both at once; they must not follow each other in circles."""
    story = Story(2, members=1, environments={"n2:1": ("n2:1",)}, seed=seed)

    async def tell() -> None:
        await story.start()
        first, second = await asyncio.gather(*(story.change(story[at], [1, 2]) for at in (1, 2)))
        assert first.view.id == second.view.id
        await story.put(story[1], b"k")

    story.run(tell())


def test_blank_node_with_keys_is_another_cluster() -> None:
    story = Story(3, members=2, environments={"n3:1": ("n3:1",)})

    async def tell() -> None:
        await story.start()
        await story.put(story[1], b"theirs")
        await story.put(story[3], b"mine")
        with pytest.raises(Conflict) as refusal:
            await story.change(story[1], [1, 2, 3])
        assert refusal.value.details == {"foreign": ["n3:1"]}

    story.run(tell())


def test_change_to_nodes_of_the_environment_that_do_not_run_is_refused() -> None:
    """That they were named at the start does not mean that they are there."""
    story = Story(3, members=3)

    async def tell() -> None:
        story[3].start()
        await asyncio.sleep(STEADY_S)
        with pytest.raises(Unavailable) as refusal:
            await story.change(story[3], [1, 2, 3])
        assert refusal.value.details == {"unreachable": ["n1:1", "n2:1"]}

    story.run(tell())

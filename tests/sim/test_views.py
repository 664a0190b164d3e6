"""What an operator was told is done stays done: views that were acknowledged, factors, and nodes that are taken in."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Conflict, Unavailable
from node.views.coordinator import Settled
from tests.sim.cluster import NoAnswer
from tests.sim.nemesis import Snare, Step, change
from tests.sim.story import STEADY_S, Story

HOUR_S = 3600.0


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
        await asyncio.sleep(HOUR_S)
        story[lost].start()
        await asyncio.sleep(STEADY_S)
        for number in (1, 2, taken_in, lost):
            assert story.nodes_of(story[number]) == settled.view.nodes

    story.run(tell())


@pytest.mark.parametrize("step", [Step.PROMISES, Step.STORED])
def test_acknowledged_view_stays_though_a_coordinator_was_paused_with_its_own(step: Step) -> None:
    """Its promises are void by then, and another change was made in between."""
    story = Story(4, members=2)

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


def test_request_with_a_factor_does_not_join_one_without() -> None:
    """What the latter comes to is known only once the newest view is: it may be another factor."""
    story = Story(3, members=2, repl_factor=1)

    async def tell() -> None:
        await story.start()
        wishes = (story.change(story[1], [1, 2, 3], factor) for factor in (None, 1))
        first, second = await asyncio.gather(*wishes, return_exceptions=True)
        assert isinstance(first, Settled) and isinstance(second, Conflict)

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

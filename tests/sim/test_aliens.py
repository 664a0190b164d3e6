"""Two stores that share an address, and nodes whose environments differ: neither store takes anything of the other."""

from __future__ import annotations

import asyncio
import logging

import pytest
from msgspec.structs import replace

from node.errors import Conflict
from tests.sim.aliens import OTHER_ADDRESS, Aliens
from tests.sim.peace import read
from tests.sim.story import STEADY_S, Story

KEYS = [b"k%d" % number for number in range(12)]
STAY_S = 4.0

ALIENS = pytest.mark.parametrize(
    ("size", "their_changes", "name"),
    [(1, 0, "kvs"), (2, 0, "kvs"), (1, 1, "kvs"), (2, 3, "kvs"), (1, 0, "theirs"), (2, 1, "theirs")],
    ids=["epoch 0", "two, epoch 0", "epoch 1", "two, epoch 3", "another name", "another name, epoch 1"],
)
CHANGES = pytest.mark.parametrize("changes", [0, 1, 2], ids="epoch {}".format)


class AlienStory(Story):
    """Three nodes with three copies; the address of the second is used again."""

    def alien(self, size: int = 1, changes: int = 0, name: str = "kvs") -> Aliens:
        return Aliens(self.cluster, "n2:1", size, changes, name)

    async def begin(self, aliens: Aliens, changes: int) -> None:
        await aliens.found()
        await self.start()
        for _ in range(changes):
            await self.change(self[1], [1, 2, 3])
        for key in KEYS:
            await self.put(self[1], key)
        await asyncio.sleep(1.0)
        self[2].crash()

    async def expect_keys(self, *numbers: int) -> None:
        for number in numbers:
            for key in KEYS:
                outcome = await self[number].ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
                assert outcome.answer.value == b"1", f"{key!r} through n{number}"  # type: ignore[union-attr]


@ALIENS
@CHANGES
def test_alien_at_the_address_of_a_dead_node_is_as_good_as_nobody(
    size: int, their_changes: int, name: str, changes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads and writes go on with the other copies, nothing is mixed, and all is as it was when it has gone."""
    story = AlienStory(3, members=3, repl_factor=3)
    aliens = story.alien(size, their_changes, name)

    async def tell() -> None:
        await story.begin(aliens, changes)
        caplog.clear()
        aliens.come()
        await asyncio.sleep(STAY_S)
        for number in (1, 3):
            for key in KEYS:
                began = story.cluster.loop.now
                await story.put(story[number], key)
                assert story.cluster.loop.now - began < 0.5, "a write has waited for the alien"
        await story.expect_keys(1, 3)
        await aliens.look()
        aliens.leave()
        aliens.check()
        said = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert 1 <= len(said) <= 5, [record.getMessage() for record in said]
        story[2].start()
        await asyncio.sleep(STEADY_S)
        await story.expect_keys(1, 2, 3)
        for number in (1, 2, 3):
            assert story.nodes_of(story[number]) == {"n1:1", "n2:1", "n3:1"}

    story.run(tell())


@pytest.mark.parametrize("their_changes", [0, 1], ids="epoch {}".format)
def test_alien_is_known_as_one_by_nodes_that_are_restarted_while_it_is_there(their_changes: int) -> None:
    """Each alone, so that nobody tells them who founded their store."""
    story = AlienStory(3, members=3, repl_factor=3)
    aliens = story.alien(1, their_changes)

    async def tell() -> None:
        await story.begin(aliens, 0)
        aliens.come()
        for number, other in ((1, 3), (3, 1)):
            story[other].crash()
            story[number].crash()
            await story.start_only(number)
            await story.expect_keys(number)
            story[other].start()
            await asyncio.sleep(STAY_S)
        aliens.leave()
        aliens.check()
        await story.expect_keys(1, 3)

    story.run(tell())


@pytest.mark.parametrize("their_changes", [0, 1], ids="epoch {}".format)
def test_store_without_keys_does_not_follow_an_alien_of_another_name(their_changes: int) -> None:
    """Nothing else would tell the two apart: the environment of each of its nodes names that address."""
    story = AlienStory(3, members=3, repl_factor=3)
    aliens = story.alien(1, their_changes, "theirs")

    async def tell() -> None:
        await aliens.found()
        aliens.come()
        await story.start_only(1, 3)
        assert story.nodes_of(story[1]) == story.nodes_of(story[3]) == {"n1:1", "n2:1", "n3:1"}
        for key in KEYS:
            await story.put(story[1], key)
        await aliens.look()
        aliens.leave()
        aliens.check()

    story.run(tell())


@pytest.mark.parametrize(
    ("their_changes", "name"), [(0, "kvs"), (1, "kvs"), (0, "theirs")], ids=["epoch 0", "epoch 1", "another name"]
)
@CHANGES
def test_alien_can_be_removed_and_replaced_but_not_taken_in(their_changes: int, name: str, changes: int) -> None:
    story = AlienStory(4, members=3, repl_factor=3)
    aliens = story.alien(1, their_changes, name)

    async def tell() -> None:
        await story.begin(aliens, changes)
        aliens.come()
        await asyncio.sleep(STAY_S)
        with pytest.raises(Conflict) as refusal:
            await story.change(story[1], [1, 2, 4])
        assert refusal.value.details == {"foreign": ["n2:1"]}
        settled = await story.change(story[1], [1, 3, 4])
        assert settled.view.nodes == {"n1:1", "n3:1", "n4:1"} and settled.key_counts["n4:1"] == len(KEYS)
        with pytest.raises(Conflict):
            await story.change(story[3], [1, 2, 3, 4])
        aliens.leave()
        aliens.check()
        await story.expect_keys(1, 3, 4)

    story.run(tell())


def test_alien_that_asks_the_nodes_of_a_store_to_join_is_refused() -> None:
    """Its operator believes that it may have them."""
    story = AlienStory(3, members=3, repl_factor=3)
    aliens = story.alien()

    async def tell() -> None:
        await story.begin(aliens, 0)
        aliens.come()
        await asyncio.sleep(STAY_S)
        with pytest.raises(Conflict) as refusal:
            await story.change(aliens.machines["n2:1"], [1, 2])
        assert refusal.value.details == {"foreign": ["n1:1"]}
        aliens.leave()
        aliens.check()
        await story.expect_keys(1, 3)

    story.run(tell())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("changes", [0, 1], ids="epoch {}".format)
def test_second_node_of_another_store_does_not_follow_one_that_has_an_address_of_this_one(
    changes: int, seed: int
) -> None:
    """A store lists a dead node; another one that has a node of this address is started anew, that node without its
    disk: it has yet to hear of its own store, and both call it."""
    story = AlienStory(3, members=3, repl_factor=3, seed=seed)
    aliens = story.alien(2)

    async def tell() -> None:
        await story.begin(aliens, changes)
        aliens.machines["n2:1"].lose_disk()
        held = dict(aliens.machines[OTHER_ADDRESS].disk.records())
        aliens.machines[OTHER_ADDRESS].start()
        await asyncio.sleep(1.0)
        aliens.machines["n2:1"].start()
        await asyncio.sleep(STAY_S)
        for machine in aliens.machines.values():
            assert story.nodes_of(machine) == {"n2:1", OTHER_ADDRESS}
        assert dict(aliens.machines[OTHER_ADDRESS].disk.records()) == held
        await story.expect_keys(1, 3)

    story.run(tell())


# Environments that differ


@pytest.mark.parametrize("late", [1, 2, 3])
@pytest.mark.parametrize("added", ["n4:1", "n7:1"])
def test_store_restarted_with_a_longer_environment_does_not_reshard(late: int, added: str) -> None:
    """One copy, while one node is late: the newcomer's view has the higher digest with one of the two addresses."""
    story = Story(7, members=3)
    everybody = ("n1:1", "n2:1", "n3:1", added)

    async def tell() -> None:
        await story.start_only(1, 2, 3)
        for key in KEYS:
            await story.put(story[1], key)
        await asyncio.sleep(1.0)
        for number in (1, 2, 3):
            story[number].crash()
        for machine in (*(story[number] for number in (1, 2, 3)), story.machines[added]):
            machine.config = replace(machine.config, view=everybody)
            if machine is not story[late]:
                machine.start()
        await asyncio.sleep(STEADY_S)
        for number in {1, 2, 3} - {late}:
            assert story.nodes_of(story[number]) == {"n1:1", "n2:1", "n3:1"}
        assert story.nodes_of(story.machines[added]) == {"n1:1", "n2:1", "n3:1"}
        story[late].start()
        await asyncio.sleep(STEADY_S)
        for number in (1, 2, 3, int(added[1])):
            for key in KEYS:
                outcome = await story[number].ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
                assert outcome.answer.value == b"1"  # type: ignore[union-attr]
        settled = await story.change(story[1], [1, 2, 3, int(added[1])])
        assert sum(settled.key_counts.values()) == len(KEYS)

    story.run(tell())


@pytest.mark.parametrize("wrong", [("n3:1", "n9:1"), ("n3:1",), ("n1:1", "n3:1"), ("n9:1",)], ids=",".join)
@pytest.mark.parametrize("changes", [0, 1], ids="epoch {}".format)
def test_emptied_member_with_a_wrong_environment_follows_its_store(wrong: tuple[str, ...], changes: int) -> None:
    story = Story(3, members=3, repl_factor=3)

    async def tell() -> None:
        await story.start()
        for _ in range(changes):
            await story.change(story[1], [1, 2, 3])
        for key in KEYS:
            await story.put(story[1], key)
        await asyncio.sleep(1.0)
        story[3].crash()
        story[3].lose_disk()
        story[3].config = replace(story[3].config, view=wrong)
        story[3].start()
        await asyncio.sleep(STEADY_S)
        for number in (1, 2, 3):
            assert story.nodes_of(story[number]) == {"n1:1", "n2:1", "n3:1"}
            for key in KEYS:
                outcome = await story[number].ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
                assert outcome.answer.value == b"1"  # type: ignore[union-attr]

    story.run(tell())


@pytest.mark.parametrize(
    "wrong", [("n5:1", "n8:1"), ("n5:1", "n9:1"), ("n3:1", "n9:1"), ("n3:1", "n5:1"), ("n1:1", "n9:1")], ids=",".join
)
def test_nodes_without_keys_come_to_one_view_though_one_has_a_wrong_environment(wrong: tuple[str, ...]) -> None:
    """Before the one with the wrong one has heard of the others' view, it tells them its own."""
    story = Story(5, members=4, repl_factor=3)

    async def tell() -> None:
        await story.start_only(1, 2, 4, 5)
        story[3].config = replace(story[3].config, view=wrong)
        await story.start_only(3)
        assert len({story.nodes_of(machine) for machine in story.machines.values()}) == 1

    story.run(tell())


def test_lone_newcomer_that_took_keys_brings_them_to_the_store_it_was_told_of() -> None:
    story = Story(3, members=2, environments={"n3:1": ("n1:1", "n2:1", "n3:1")})
    mine = [key for key in KEYS]

    async def tell() -> None:
        await story.start_only(3)
        taken = []
        for key in mine:
            try:
                await story.put(story[3], key)
                taken.append(key)
            except Exception:
                pass  # The others own it, and are not there.
        await asyncio.sleep(1.0)
        await story.start_only(1, 2)
        assert taken and story.nodes_of(story[3]) == {"n1:1", "n2:1"}
        for key in taken:
            outcome = await story[1].ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
            assert outcome.answer.value == b"1"  # type: ignore[union-attr]
        assert not dict(story[3].disk.records())

    story.run(tell())

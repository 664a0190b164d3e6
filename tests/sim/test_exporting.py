"""Exporting while nodes come, go and die: whatever is there throughout is told, and told once."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Unavailable
from node.operations import exporting, partition_order, shard_inquiry
from node.operations.export_progress import Progress
from tests.sim.exports import PREFIX, Client, Story
from tests.sim.kept_keys import STEADY_S


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an export has many, and partitions are told in part."""
    monkeypatch.setattr(exporting, "BLOCK_BYTES", 200)
    monkeypatch.setattr(partition_order, "SCAN_BYTES", 60)


@pytest.mark.parametrize("repl_factor", [None, 2])
@pytest.mark.parametrize("seed", range(1, 5))
def test_exporting_while_keys_move_tells_each_key_once(seed: int, repl_factor: int | None) -> None:
    story = Story(seed, 5, 2, repl_factor)

    async def tell() -> None:
        await story.start()
        n1, n2, n3, n4, n5 = story.machines
        works = [story.go_on_exporting(), story.go_on_exporting(), story.go_on_writing()]
        tasks = [asyncio.ensure_future(work) for work in works]
        for nodes in ([n1, n2, n3, n4, n5], [n1, n5], [n1, n2, n3], [n1, n4], [n1, n2, n3, n5]):
            await story.change(*nodes)
            await asyncio.sleep(0.5)
        story.is_over = True
        await asyncio.gather(*tasks)
        await Client(story).export()
        assert story.seen["told"] > 4 and story.seen["lost"] and not story.seen["refused"], story.seen

    story.cluster.loop.run(tell())


@pytest.mark.parametrize("seed", range(1, 4))
def test_exporting_while_nodes_die_tells_each_key_once(seed: int) -> None:
    story = Story(seed, 4, 4, 2)
    story.reader_s = 0.5

    async def tell() -> None:
        await story.start()
        works = [story.go_on_exporting(), story.go_on_exporting(), story.go_on_writing()]
        tasks = [asyncio.ensure_future(work) for work in works]
        for machine in story.machines[1:]:
            client = Client(story)
            begun = asyncio.ensure_future(client.export(first=machine))
            while not client.told:
                await asyncio.sleep(0.01)
            assert not begun.done()
            machine.crash()
            await asyncio.sleep(2.0)
            await begun
            machine.start()
            await asyncio.sleep(STEADY_S)
        story.is_over = True
        await asyncio.gather(*tasks)
        assert story.seen["told"] > 10 and story.seen["died"], story.seen

    story.cluster.loop.run(tell())


@pytest.mark.parametrize("seed", range(1, 5))
def test_exporting_while_donors_take_their_time_tells_each_key_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view changes while they look into their stores, and they hand over to others than who has asked."""
    monkeypatch.setattr(shard_inquiry, "PAUSE_S", 0.002)
    story = Story(seed, 5, 3, None)

    async def tell() -> None:
        await story.start()
        n1, n2, n3, n4, n5 = story.machines
        tasks = [asyncio.ensure_future(story.go_on_exporting()) for _ in range(3)]
        for nodes in ([n1, n4], [n1, n5, n2], [n1, n3], [n1, n4, n5], [n1, n2, n3]):
            await story.change(*nodes)
        story.is_over = True
        await asyncio.gather(*tasks)
        assert story.seen["told"] > 0

    story.cluster.loop.run(tell())


def test_exporting_names_who_is_missing_and_goes_on_once_it_is_back() -> None:
    story = Story(1, 3, 3, None)
    n1, _, n3 = story.machines

    async def tell() -> None:
        await story.start()
        n3.crash()
        await asyncio.sleep(2.0)
        client = Client(story)
        with pytest.raises(Unavailable) as refusal:
            await n1.ask(lambda node: node.whole_store.exporter.export(PREFIX, Progress(), _nowhere), 20.0)
        assert refusal.value.details == {"unreachable": [n3.address]}
        exporting_ = asyncio.ensure_future(client.export())
        await asyncio.sleep(2.0)
        assert client.told and not exporting_.done() and story.seen["refused"]
        n3.start()
        await exporting_

    story.cluster.loop.run(tell())


async def _nowhere(lines: bytes, progress: Progress) -> None: ...

"""What a node says is wrong with itself, and for how long it has been."""

from __future__ import annotations

import asyncio
import random

import pytest

from node.diagnosis.recorder import INTERVAL_S
from node.net.messages import AskFigures, AskHealth, Figures, Health
from node.release import version
from node.storage.disk import Condition, Space
from tests.node.lone_owner import A, B, Lone, lone_owner
from tests.node.parts import on_virtual_time
from tests.sim.disk import Disk

WELL = Health(version() or "", 50)


async def health_of(lone: Lone) -> Health:
    """As another node is told it, whatever view that holds."""
    answer = lone.node.answer(B, lone.node.views.view_id._replace(epoch=99), 1.0, AskHealth())
    assert isinstance(answer, Health)
    return answer


@on_virtual_time
async def test_vitals_of_a_node_that_is_well_are_only_what_it_is() -> None:
    async with lone_owner(B) as lone:
        assert await health_of(lone) == WELL


@on_virtual_time
async def test_vitals_tell_since_when_the_disk_is_full_and_when_it_is_not_any_more() -> None:
    disk = Disk(random.Random(1))
    async with lone_owner(B, disk=disk) as lone:
        disk.full = True
        assert (await health_of(lone)).full_ms == 1
        await asyncio.sleep(2.5)
        assert (await health_of(lone)).full_ms == 2500
        disk.full = False
        lone.node.vitals.look()
        disk.full = True
        assert (await health_of(lone)).full_ms == 1, "it is full anew"


@on_virtual_time
async def test_vitals_tell_that_a_later_view_is_not_stored_and_that_is_not_called_unready_too() -> None:
    async with lone_owner(B) as lone:
        lone.node.views.lag.note_refused()
        told = await health_of(lone)
        assert (told.unstored_ms, told.unready_ms) == (1, 0)


@on_virtual_time
async def test_vitals_are_looked_at_in_each_round_of_gossip() -> None:
    disk = Disk(random.Random(1))
    async with lone_owner(B, disk=disk, runs=True) as lone:
        disk.full = True
        await asyncio.sleep(3.0)
        assert 2000 <= (await health_of(lone)).full_ms <= 3000
        assert lone.node.config.address == A


async def figures_of(lone: Lone, asked: AskFigures = AskFigures()) -> Figures:  # noqa: B008
    answer = lone.node.answer(B, lone.node.views.view_id._replace(epoch=99), 1.0, asked)
    assert isinstance(answer, Figures)
    return answer


@on_virtual_time
async def test_vitals_tell_what_was_done_lately_as_each_round_of_gossip_has_recorded_it() -> None:
    async with lone_owner(B, runs=True) as lone:
        await asyncio.sleep(INTERVAL_S + 1.0)
        told = await figures_of(lone)
        assert told.number == len(told.intervals) == 1 and told.intervals[0].lasted_ms >= 1000 * INTERVAL_S
        assert told.store_bytes > 0
        assert (await figures_of(lone, AskFigures(told.life, told.number))).intervals == ()


@on_virtual_time
async def test_vitals_tell_how_much_room_the_disk_has(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lone_owner(B) as lone:
        monkeypatch.setattr(type(lone.store.disk), "space", lambda _: Space(1, 2, 3, 4))
        told = await health_of(lone)
        assert (told.free_bytes, told.disk_bytes, told.set_aside_bytes) == (2, 3, 4)


@on_virtual_time
async def test_vitals_ask_nothing_of_a_disk_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lone_owner(B) as lone:
        monkeypatch.setattr(type(lone.store.disk), "condition", Condition(True, False, False))
        monkeypatch.setattr(type(lone.store.disk), "space", lambda _: pytest.fail("it was asked"))
        assert (await figures_of(lone)).free_bytes == 0 == (await health_of(lone)).disk_bytes

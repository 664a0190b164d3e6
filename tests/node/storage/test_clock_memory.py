"""What a clock must know when its process starts again, as it is kept on disk."""

from __future__ import annotations

import random
from contextlib import closing

import msgspec
import pytest

from node.errors import StorageFault
from node.storage.clock_memory import ClockMemory
from node.storage.keys import Setting
from node.timing.clock import Anchor, Memory
from tests.node.parts import on_virtual_time, store_on
from tests.sim.disk import Disk


@on_virtual_time
async def test_clock_memory_is_what_was_kept_last() -> None:
    with closing(store_on(Disk(random.Random(1)))) as store:
        memory = ClockMemory(store, commit_s=1.0)
        assert memory.recall() == Memory()
        await memory.keep(Memory(7, 5, Anchor("boot", 3)))
        assert ClockMemory(store, commit_s=1.0).recall() == Memory(7, 5, Anchor("boot", 3))


@on_virtual_time
async def test_clock_memory_of_a_release_without_anchors_is_read() -> None:
    with closing(store_on(Disk(random.Random(1)))) as store:
        await store.set(Setting.CLOCK, msgspec.msgpack.encode((7, 5)))
        assert ClockMemory(store, commit_s=1.0).recall() == Memory(7, 5)


@on_virtual_time
async def test_clock_memory_on_a_disk_that_hangs_is_given_up() -> None:
    disk = Disk(random.Random(1))
    with closing(store_on(disk)) as store:
        disk.hung = True
        with pytest.raises(StorageFault):
            await ClockMemory(store, commit_s=1.0).keep(Memory(7, 5))

"""What is kept and cannot be read is told in one line, and nothing is made of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from node.config import Config
from node.errors import StorageFault
from node.node import Node
from node.storage.identity import identify
from node.storage.kept import number, read_kept
from node.storage.keys import DONORS, Setting, partition_place, record_place, setting_place
from node.storage.store import Store
from ring.hashing import PARTITIONS
from tests.golden.data_dir import A, B, fill
from tests.node.fakes.clocks import LoopTime
from tests.node.fakes.peers import ScriptedPeers
from tests.node.parts import on_virtual_time, store_on
from tests.sim.disk import Disk


def test_kept_is_read_or_a_fault_that_says_what_it_is() -> None:
    assert read_kept("promise", number, b"\0" * 7 + b"\5") == 5
    with pytest.raises(StorageFault, match=r"store\.lmdb is damaged: what it keeps as 'promise' cannot be read: "):
        read_kept("promise", number, b"\5")


async def start_on(disk: Disk) -> Store:
    """As a process does it."""
    rng = random.Random(1)
    config = Config.for_test(A, (A, B), Path("/nowhere"))
    store = store_on(disk)
    identity = await identify(store, rng, config.cluster, config.address)
    node = Node(config, LoopTime(), rng, store, identity, ScriptedPeers())
    await node.start()
    return store


NOT_READ = {Setting.FORMAT, Setting.STORE_ID, Setting.UNFILLED, Setting.FENCE}
"""What is merely compared with what it may be; and what only a write needs."""
DAMAGED = [
    *(setting_place(setting) for setting in Setting if setting not in NOT_READ),
    *(DONORS + b"d:1", DONORS + b"\xff", partition_place(7), partition_place(PARTITIONS)),
    *(record_place(PARTITIONS, b"k"), b"\5"),
]


@on_virtual_time
async def test_kept_whole_disk_is_started_on() -> None:
    disk = Disk(random.Random(1))
    await fill(store_on(disk))
    assert (await start_on(disk)).view() is not None


@pytest.mark.parametrize("place", DAMAGED, ids=repr)
def test_kept_of_a_damaged_disk_is_one_line_and_no_node_starts(place: bytes) -> None:
    @on_virtual_time
    async def refused() -> None:
        disk = Disk(random.Random(1))
        await fill(store_on(disk))
        disk.apply({place: b"\xff\xff\xff"})
        with pytest.raises(StorageFault, match="is damaged: what it keeps as") as caught:
            await start_on(disk)
        assert "\n" not in str(caught.value)

    refused()


@on_virtual_time
async def test_kept_incarnation_above_which_there_is_none_is_damage() -> None:
    disk = Disk(random.Random(1))
    disk.apply({setting_place(Setting.STORE_ID): b"\0" * 8, setting_place(Setting.FORMAT): b"2"})
    disk.apply({setting_place(Setting.INCARNATION): b"\xff" * 8})
    with pytest.raises(StorageFault, match="no node was started"):
        await start_on(disk)

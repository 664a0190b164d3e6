"""Which store a disk holds, over starts, an emptied disk and another release."""

from __future__ import annotations

import random

import pytest

from node.errors import BadDataDir
from node.storage.identity import Identity, identify, note_filled
from node.storage.keys import Setting
from tests.node.parts import on_virtual_time, store_on
from tests.sim.disk import Disk


@on_virtual_time
async def test_identity_stays_with_the_disk_and_counts_starts() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    first = await identify(store_on(disk), rng)
    again = await identify(store_on(disk), rng)
    assert (first.incarnation, first.is_filled) == (1, False)
    assert again == Identity(first.store_id, 2, False)


@on_virtual_time
async def test_identity_of_an_emptied_disk_is_another() -> None:
    rng = random.Random(1)
    first, second = [await identify(store_on(Disk(rng)), rng) for _ in range(2)]
    assert first.store_id != second.store_id and second.incarnation == 1


@on_virtual_time
async def test_identity_filled_is_remembered() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    await identify(store, rng)
    await note_filled(store)
    assert (await identify(store_on(disk), rng)).is_filled


@on_virtual_time
async def test_identity_written_by_another_release_is_refused() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    await identify(store, rng)
    await store.set(Setting.FORMAT, b"1")
    with pytest.raises(BadDataDir, match="another release"):
        await identify(store, rng)

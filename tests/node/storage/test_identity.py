"""Which store a disk holds, over starts, an emptied disk, another release and another cluster."""

from __future__ import annotations

import random

import pytest

from node.errors import BadDataDir
from node.storage.identity import Identity, identify, note_behind, note_filled
from node.storage.keys import Setting, setting_place
from tests.node.parts import on_virtual_time, store_on
from tests.sim.disk import Disk

CLUSTER, ME, OTHER = "ours", "a:1", "b:1"


@on_virtual_time
async def test_identity_counts_starts() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    for incarnation in (1, 2):
        identity = await identify(store_on(disk), rng, CLUSTER, ME)
        assert identity == Identity(identity.store_id, incarnation, False)


@on_virtual_time
async def test_identity_of_each_start_is_another_store() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    ids = {(await identify(store_on(disk), rng, CLUSTER, ME)).store_id for _ in range(3)}
    assert len(ids) == 3
    assert int.from_bytes(disk.items[setting_place(Setting.STORE_ID)]) in ids


@on_virtual_time
async def test_identity_of_an_emptied_disk_is_another() -> None:
    rng = random.Random(1)
    first, second = [await identify(store_on(Disk(rng)), rng, CLUSTER, ME) for _ in range(2)]
    assert first.store_id != second.store_id and second.incarnation == 1


@on_virtual_time
async def test_identity_filled_is_remembered() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    await identify(store, rng, CLUSTER, ME)
    await note_filled(store)
    assert (await identify(store_on(disk), rng, CLUSTER, ME)).is_filled


@on_virtual_time
async def test_identity_written_by_another_release_is_refused() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    await identify(store, rng, CLUSTER, ME)
    await store.set(Setting.FORMAT, b"1")
    with pytest.raises(BadDataDir, match="another release"):
        await identify(store, rng, CLUSTER, ME)


@on_virtual_time
async def test_identity_of_a_disk_of_another_cluster_is_refused() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    await identify(store_on(disk), rng, CLUSTER, ME)
    before = dict(disk.items)
    with pytest.raises(BadDataDir, match="of the cluster 'ours', while CLUSTER is 'theirs'"):
        await identify(store_on(disk), rng, "theirs", ME)
    assert disk.items == before


@on_virtual_time
async def test_identity_of_a_disk_older_than_names_goes_by_any() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    await identify(store_on(disk), rng, CLUSTER, ME)
    del disk.items[setting_place(Setting.CLUSTER)]
    for incarnation, name in ((2, "theirs"), (3, CLUSTER)):
        assert (await identify(store_on(disk), rng, name, ME)).incarnation == incarnation


@on_virtual_time
async def test_identity_in_the_directory_of_another_node() -> None:
    """Until somebody has seen to it, at each start: what is in there is not what this node should have."""
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    assert (await identify(store, rng, CLUSTER, ME)).former is None
    await note_filled(store)
    for incarnation in (2, 3):
        identity = await identify(store_on(disk), rng, CLUSTER, OTHER)
        assert identity == Identity(identity.store_id, incarnation, False, ME)
    await store_on(disk).set(Setting.ADDRESS, OTHER.encode())
    identity = await identify(store_on(disk), rng, CLUSTER, OTHER)
    assert identity == Identity(identity.store_id, 4, False)


@on_virtual_time
async def test_identity_of_a_disk_older_than_addresses_is_of_any() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    await identify(store, rng, CLUSTER, ME)
    await note_filled(store)
    del disk.items[setting_place(Setting.ADDRESS)]
    identity = await identify(store_on(disk), rng, CLUSTER, OTHER)
    assert identity.former is None and identity.is_filled
    assert (await identify(store_on(disk), rng, CLUSTER, ME)).former == OTHER


@on_virtual_time
async def test_identity_behind_is_remembered_until_it_is_filled() -> None:
    disk, rng = Disk(random.Random(1)), random.Random(1)
    store = store_on(disk)
    await identify(store, rng, CLUSTER, ME)
    await note_filled(store)
    await note_behind(store, 7)
    identity = await identify(store_on(disk), rng, CLUSTER, ME)
    assert identity.is_behind and not identity.is_filled and store.low_watermark() == 7
    await note_filled(store)
    identity = await identify(store_on(disk), rng, CLUSTER, ME)
    assert identity.is_filled and not identity.is_behind

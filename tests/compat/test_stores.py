"""What earlier releases have left behind is read by the code of today, in whole."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gossip.view import Address
from node.storage.forms import FORMATS
from node.storage.keys import Setting
from node.storage.store import Store
from node.values.record import Record, decode_record
from ring.hashing import PARTITIONS, partition_of
from tests.compat.releases import RELEASES, Left, Release, file_of, stores_of, unpack
from tests.node.storage.opening import open_store

STORES = [(release, store) for release in RELEASES.values() for store in stores_of(release)]
SCAN_BYTES = 2**20


def records_in(store: Store) -> dict[str, Record]:
    found = (
        (key, record) for partition in range(PARTITIONS) for key, record in store.scan(partition, None, SCAN_BYTES)
    )
    return {key.decode(): decode_record(record) for key, record in found}


def newest(stores: list[Store]) -> dict[str, Record]:
    """Of each key, whoever has it."""
    kept: dict[str, Record] = {}
    for store in stores:
        for key, record in records_in(store).items():
            if key not in kept or kept[key].version < record.version:
                kept[key] = record
    return kept


def open_all(release: Release, name: str, left: Left, path: Path) -> dict[Address, Store]:
    stores: dict[Address, Store] = {}
    for node in left.nodes:
        directory = path / node
        unpack(release, name, node, directory)
        stores[node] = open_store(directory)
    return stores


@pytest.mark.parametrize(("release", "name"), STORES, ids=str)
async def test_store_of_an_earlier_release_has_all_that_clients_were_told(
    release: Release, name: str, tmp_path: Path
) -> None:
    left = stores_of(release)[name]
    stores = open_all(release, name, left, tmp_path)
    held = newest(list(stores.values()))
    assert {key: record.value.decode() for key, record in held.items() if record.value is not None} == left.values
    assert {key for key, record in held.items() if record.value is None} == set(left.deleted)
    for store in stores.values():
        store.check()
        assert store.setting(Setting.FORMAT) in FORMATS
        store.close()


@pytest.mark.parametrize(("release", "name"), STORES, ids=str)
async def test_store_of_an_earlier_release_has_the_view_and_its_donors(
    release: Release, name: str, tmp_path: Path
) -> None:
    left = stores_of(release)[name]
    stores = open_all(release, name, left, tmp_path)
    views = {node: store.view() for node, store in stores.items()}
    in_force = views[left.view[0]]
    assert in_force is not None and in_force.nodes == set(left.view) and in_force.epoch == left.epoch
    assert in_force.repl_factor == left.repl_factor
    assert all(views[node] == in_force for node in left.view), "all have the same one, under the same id"
    for node, store in stores.items():
        donors = store.donors()
        assert set(donors) <= {address for view in views.values() if view is not None for address in view.nodes} - {
            node
        }
        held = {partition_of(key.encode()) for key in records_in(store)}
        assert held == store.occupied
        store.close()


def test_fixtures_hold_nothing_else() -> None:
    for release in RELEASES.values():
        files = {file_of(release, name, node) for name, left in stores_of(release).items() for node in left.nodes}
        assert files <= (there := set(release.directory.iterdir()))
        assert {path.name for path in there - files} <= {"told.json", "frames.json", "frames-refused.json"}


async def test_store_that_was_migrated_is_opened_again_as_it_is(tmp_path: Path) -> None:
    """What was migrated is opened again as it is."""
    release = RELEASES["3.0"]
    left = stores_of(release)["plain"]
    unpack(release, "plain", left.nodes[0], tmp_path)
    kept: list[object] = []
    for _ in range(2):
        with closing(open_store(tmp_path)) as store:
            kept.append((records_in(store), store.view(), store.donors()))
    assert kept[0] == kept[1]

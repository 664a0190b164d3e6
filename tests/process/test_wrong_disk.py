"""Processes that are started on an older copy of their directory, or on that of another node."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.process.disk_copies import copy_directory
from tests.process.views import counts_of, settles
from tests.process.workload import Load

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def stop(processes: Processes, *nodes: Address) -> None:
    for node in nodes:
        processes[node].signal(signal.SIGTERM)
        assert await processes[node].ended() == 0


async def serves(http: Client, node: Address, load: Load) -> None:
    """Wait until `node` can tell of each key, and see that until then it tells nothing wrong."""

    async def has_told() -> bool:
        failed = len(load.failed)
        for key in load.keys:
            await load._read(node, key)
        assert load.wrong == []
        return len(load.failed) == failed

    await eventually(has_told, f"{node} serving all keys")


@pytest.mark.parametrize("copies", ["1", "2"])
async def test_process_swapped_directories_lose_nothing_and_say_so(
    processes: Processes, http: Client, tmp_path: Path, copies: str
) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR=copies)
    load = Load(http, nodes, 60)
    await load.fill()
    before = await counts_of(http, nodes)
    one, other = nodes[0], nodes[-1]
    await stop(processes, one, other)
    processes[one].data_dir.rename(tmp_path / "between")
    processes[other].data_dir.rename(processes[one].data_dir)
    (tmp_path / "between").rename(processes[other].data_dir)
    await asyncio.gather(processes[one].start(), processes[other].start())
    for node in nodes:
        await serves(http, node, load)
    await settles(http, nodes)
    assert await counts_of(http, nodes) == before
    for node, former in ((one, other), (other, one)):
        assert processes[node].log.read_text().count(f"DATA_DIR was that of {former}") == 1


async def test_process_copied_directory_under_another_address_makes_no_equal_versions(
    processes: Processes, http: Client
) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    load = Load(http, nodes, 30)
    await load.fill()
    await stop(processes, a, b)
    shutil.rmtree(processes[b].data_dir)
    copy_directory(processes[a].data_dir, processes[b].data_dir)
    await asyncio.gather(processes[a].start(), processes[b].start())
    await processes.in_touch(nodes)
    for node in nodes:
        await serves(http, node, load)
    for _ in range(5):
        await asyncio.gather(*(http.put(node, "both", f"by {node}") for node in nodes for _ in range(8)))
        assert len({(await http.get(node, "both")).json["value"] for node in nodes}) == 1
    assert processes[b].log.read_text().count(f"DATA_DIR was that of {a}") == 1
    assert "DATA_DIR" not in processes[a].log.read_text()


async def test_process_older_directory_is_not_believed(processes: Processes, http: Client, tmp_path: Path) -> None:
    _, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    load = Load(http, nodes, 30)
    await load.fill()
    await stop(processes, b)
    copy_directory(processes[b].data_dir, tmp_path / "older")
    await processes[b].start()
    await processes.in_touch(nodes)
    async with load.running():
        await load.goes_on(400)
    load.failed.clear()  # Whoever was interrupted in the middle of a write has no answer.
    await stop(processes, b)
    shutil.rmtree(processes[b].data_dir)
    (tmp_path / "older").rename(processes[b].data_dir)
    await processes[b].start()
    await serves(http, b, load)

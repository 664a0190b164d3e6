"""What nodes show while one of them is killed, and while the disk of another is full."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.node.api.metrics.scraped import scrape
from tests.process.small_disk import SmallDisk, mounted, on

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    async with mounted(tmp_path / "disk") as disk:
        yield disk


async def shows(http: Client, node: Address, expected: float, name: str, **labels: str) -> None:
    async def is_so() -> bool:
        return (await scrape(http, node))(name, **labels) == expected

    await eventually(is_so, f"{node}: {name} {labels} {expected}")


async def test_process_metrics_of_three_of_which_one_is_killed_and_returns(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    for node in nodes:
        await shows(http, node, 1, "kvs_ready")
        await shows(http, node, 3, "kvs_members", state="alive")
        await shows(http, node, 0, "kvs_shards_unreachable")
    assert (await scrape(http, a))("process_open_fds") > 0
    await processes[c].kill()
    for node in (a, b):
        await shows(http, node, 0, "kvs_peer_up", peer=c)
        await shows(http, node, 1, "kvs_shards_unreachable")
        await shows(http, node, 1, "kvs_members", state="dead")
        assert (await scrape(http, node))("kvs_ready") == 1
    assert sum([(await scrape(http, node))("kvs_suspicions_total") for node in (a, b)]) > 0
    lost = [key for key in map(str, range(100)) if (await http.get(a, key)).status == 503]
    assert lost and (await scrape(http, a))("kvs_unavailable_total", reason="no-owner") == len(lost)
    await processes[c].start()
    for node in nodes:
        await shows(http, node, 3, "kvs_members", state="alive")
        await shows(http, node, 0, "kvs_shards_unreachable")
    await shows(http, a, 1, "kvs_peer_up", peer=c)


async def test_process_metrics_of_a_disk_that_becomes_full_and_of_the_copy_that_falls_behind(
    processes: Processes, http: Client, small_disk: SmallDisk
) -> None:
    a, b = nodes = fresh_addresses(2)
    full = on(small_disk, processes, a, nodes, REPL_FACTOR="2")
    await asyncio.gather(full.start(), processes.start(b, nodes, REPL_FACTOR="2"))
    await processes.in_touch(nodes)
    await shows(http, a, 1, "kvs_disk_writable")
    free = (await scrape(http, a))("kvs_disk_free_bytes")
    assert 0 < free < 16 * 1024 * 1024
    small_disk.fill()

    async def is_full() -> bool:
        await http.put(b, f"filling{os.urandom(4).hex()}", "x" * 60_000)
        return (await scrape(http, a))("kvs_disk_full") == 1

    await eventually(is_full, "a full disk")
    shown = await scrape(http, a)
    assert (shown("kvs_disk_writable"), shown("kvs_ready"), shown("kvs_check_failed", check="room")) == (0, 0, 1)
    assert shown("kvs_store_bytes") > 60_000

    async def falls_behind() -> bool:
        await http.put(b, "missed", 1)
        return (await scrape(http, b))("kvs_peer_outbox_keys", peer=a) > 0

    await eventually(falls_behind, "an outbox that fills")
    small_disk.relieve()
    for node in nodes:
        await shows(http, node, 1, "kvs_ready")
    await shows(http, a, 0, "kvs_disk_full")
    await shows(http, b, 0, "kvs_peer_outbox_keys", peer=a)

"""A disk that other programs have filled: what a real file system, a real store and real processes make of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.process.small_disk import SmallDisk, mounted, on
from tests.process.views import count, one_view, settles

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

KEYS = 40


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    async with mounted(tmp_path / "disk") as disk:
        yield disk


async def keys_of(http: Client, node: Address, value: object = "v") -> list[str]:
    """Keys that were stored by `node` itself."""
    keys: list[str] = []
    for n in range(100 * KEYS):
        reply = await http.put(node, f"k{n}", value)
        if "address" not in reply.json:
            keys.append(f"k{n}")
            if len(keys) == KEYS:
                break
    return keys


async def all_can_be_read(http: Client, via: Address, keys: list[str]) -> bool:
    return [(await http.get(via, key)).status for key in keys] == [200] * len(keys)


async def test_process_full_disk_reads_go_on_deletions_too_and_writes_resume_by_themselves(
    processes: Processes, http: Client, small_disk: SmallDisk
) -> None:
    (a,) = fresh_addresses(1)
    node = on(small_disk, processes, a, [a])
    await node.start()
    keys = await keys_of(http, a)
    small_disk.fill()
    (problem,) = (await http.ask(a, "GET", "/kvs/status")).json["problems"]
    assert (problem["code"], problem["severity"], problem["nodes"]) == ("disk-low", "critical", [a])
    assert f"the disk of {a} is full but for 2 MiB, which the store has set aside and writes to now" in problem["what"]
    assert (await http.put(a, "more", 0)).status == 201

    async def refuses() -> bool:
        return (await http.put(a, f"filling{os.urandom(4).hex()}", "x" * 60_000)).status == 503

    await eventually(refuses, "a write refused")
    problem = (await http.ask(a, "GET", "/kvs/status")).json["problems"][0]
    assert (problem["code"], problem["severity"], problem["nodes"]) == ("disk-full", "critical", [a])
    assert await all_can_be_read(http, a, keys)
    assert (await http.ask(a, "DELETE", f"/kvs/keys/{keys.pop()}")).status == 200
    await node.kill()
    await node.start()
    assert await all_can_be_read(http, a, keys)
    assert await refuses()
    small_disk.relieve()

    async def takes() -> bool:
        return (await http.put(a, "more", "x" * 60_000)).status == 200

    await eventually(takes, "a write taken")

    async def is_well() -> bool:
        return bool((await http.ask(a, "GET", "/kvs/status")).json["problems"] == [])

    await eventually(is_well, "nothing is wrong any more")
    log = node.log.read_text()
    assert log.count("the disk is full") == 2 and log.count("the disk has room again") == 1
    assert log.count("ERROR") == 2


@pytest.mark.parametrize("repl_factor", [None, "2"])
async def test_process_full_member_is_relieved_and_replaced(
    processes: Processes, http: Client, small_disk: SmallDisk, repl_factor: str | None
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    environment = {"REPL_FACTOR": repl_factor} if repl_factor else {}
    full = on(small_disk, processes, a, [a, b], **environment)
    await asyncio.gather(
        full.start(), processes.start(b, [a, b], **environment), processes.start(c, [a, b], **environment)
    )
    await processes.in_touch(nodes)
    keys = await keys_of(http, a)
    small_disk.fill()

    async def refuses() -> bool:
        await http.put(a, f"filling{os.urandom(4).hex()}", "x" * 60_000)
        return "the disk is full" in full.log.read_text()

    await eventually(refuses, "a full disk")
    if repl_factor is None:  # Of two copies, the full one lacks what it refused: that is no relief to it.
        assert count(await http.change_view(b, nodes)) > 0
        assert await all_can_be_read(http, a, keys) and await all_can_be_read(http, b, keys)
    assert count(await http.change_view(b, [b, c])) > 0
    assert await all_can_be_read(http, a, keys) and await all_can_be_read(http, c, keys)
    await one_view(http, nodes, [b, c])
    await settles(http, nodes)
    assert await http.key_count(a) == 0


async def test_process_newcomer_without_room_is_named_and_taken_out_again(
    processes: Processes, http: Client, small_disk: SmallDisk
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    newcomer = on(small_disk, processes, c, [a, b])
    await asyncio.gather(processes.start(a, [a, b]), processes.start(b, [a, b]), newcomer.start())
    await processes.in_touch(nodes)
    keys = await keys_of(http, a, "x" * 300_000)
    small_disk.fill()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as session:
        reply = await Client(session).change_view(a, nodes)
    assert (reply.status, reply.json["full"]) == (503, [c]), reply.body
    assert await all_can_be_read(http, c, keys)
    assert count(await http.change_view(b, [a, b])) > 0
    assert await all_can_be_read(http, c, keys)
    assert await http.key_count(c) == 0

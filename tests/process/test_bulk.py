"""Many keys at once beside real nodes: batches, loads that are broken off, backups that come back in another shape."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

import kvs
from gossip.view import Address
from tests.cluster import PATIENCE_S, ROOT, Client, Processes, eventually, fresh_addresses
from tests.commands import Done, run

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

KEYS, FEW_KEYS = 20_000, 5000
TTL_S = 3600.0
OFF_S = 2.0
"""By so much an expiry may have moved on its way: what a key waited for on a busy machine, once out and once in."""


async def command(nodes: list[Address], *arguments: str) -> Done:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KVS_ENDPOINTS": ",".join(nodes)}
    return await run(sys.executable, "-m", "kvs.cli", *arguments, environment=environment)


def value_of(n: int) -> object:
    return {"n": n, "text": "ü\n" * (n % 20)}


def expires(n: int) -> bool:
    return n % 7 == 0


async def fill(nodes: list[Address], count: int) -> None:
    puts = (kvs.Put(f"key/{n}", value_of(n), ttl=TTL_S if expires(n) else None) for n in range(count))
    async with kvs.AsyncClient(nodes, timeout_s=PATIENCE_S) as client:
        assert {type(result) async for result in client.batch(puts)} == {kvs.Stored}


async def all_of(nodes: list[Address]) -> Mapping[str, kvs.Exported]:
    async with kvs.AsyncClient(nodes, timeout_s=PATIENCE_S) as client:
        entries = [entry async for entry in client.export()]
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "no key is told twice"
    return by_key


async def test_backup_comes_back_whole_in_a_store_of_another_shape(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = fresh_addresses(5)
    old, new = nodes[:3], nodes[3:]
    await processes.start_all(old)
    await processes.start_all(new, REPL_FACTOR="2")
    began = time.time()
    await fill(old, KEYS)
    file = tmp_path / "all.jsonl.gz"
    assert (await command(old, "backup", str(file))).status == 0

    changed = gzip.compress(gzip.decompress(file.read_bytes()).replace(b'"n":1,', b'"n":2,'))
    for data in (file.read_bytes()[:-100], changed):
        (tmp_path / "bad.gz").write_bytes(data)
        refused = await command(new, "restore", str(tmp_path / "bad.gz"))
        assert (refused.status, len(refused.errors)) == (2, 1)
        assert await all_of(new) == {}

    assert (await http.put(new[0], "other", 1)).status == 201
    assert (await http.put(new[0], "key%2F1", "old")).status == 201
    restored = await command(new, "restore", str(file))
    assert restored.status == 0 and restored.errors[0].startswith("Stored 20,000 entries in "), restored
    ended = time.time()
    found = dict(await all_of(new[1:]))
    assert found.pop("other").value == 1
    assert {key: entry.value for key, entry in found.items()} == {f"key/{n}": value_of(n) for n in range(KEYS)}
    for n in range(KEYS):
        moment = found[f"key/{n}"].expires
        if expires(n):
            assert moment is not None and began + TTL_S - OFF_S <= moment <= ended + TTL_S + OFF_S
        else:
            assert moment is None


async def test_backup_has_each_key_once_though_nodes_die_and_keys_move(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, nodes[:3], REPL_FACTOR="2")
    await fill(nodes[:3], FEW_KEYS)
    is_over = asyncio.Event()

    async def back_up() -> int:
        done = 0
        while not is_over.is_set():
            told = await command(nodes[:3], "backup", str(tmp_path / "b"), "--force")
            assert told.status == 0, told
            lines = (tmp_path / "b").read_bytes().splitlines()
            assert {json.loads(line).get("key") for line in lines[:-1]} == {f"key/{n}" for n in range(FEW_KEYS)}
            assert len(lines) == FEW_KEYS + 1
            done += 1
        return done

    backups = asyncio.create_task(back_up())
    await processes[nodes[1]].kill()
    await asyncio.sleep(1.0)
    await processes[nodes[1]].start()
    await processes.in_touch(nodes)
    for members in (nodes, nodes[1:], nodes[:3]):
        assert (await http.change_view(nodes[1], members, repl_factor=2)).status == 200
    is_over.set()
    assert await backups > 1


def lines_of(count: int) -> bytes:
    return b"".join(b'{"key":"key/%d","value":%d}\n' % (n, n) for n in range(count))


async def test_load_goes_on_by_itself_when_a_node_comes_back(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    file = tmp_path / "f.jsonl"
    file.write_bytes(lines_of(100_000))
    loading = asyncio.create_task(command(nodes, "load", str(file)))

    async def has_begun() -> bool:
        return await http.key_count(nodes[1]) > 1000

    await eventually(has_begun)
    await processes[nodes[1]].kill()
    await processes[nodes[1]].start()
    told = await loading
    assert told.status == 0 and told.errors[0].startswith("Stored 100,000 entries"), told
    assert {key: entry.value for key, entry in (await all_of(nodes)).items()} == {f"key/{n}": n for n in range(100_000)}


async def test_load_into_a_store_that_dies_says_how_to_go_on_and_does(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = fresh_addresses(3)
    await processes.start_all(nodes)
    file = tmp_path / "f.jsonl"
    file.write_bytes(lines_of(100_000))
    loading = asyncio.create_task(command(nodes, "load", str(file)))

    async def has_begun() -> bool:
        return sum([await http.key_count(node) for node in nodes]) > 5000

    await eventually(has_begun)
    for node in nodes:
        await processes[node].kill()
    told = await loading
    assert told.status == 3, told
    go_on = re.fullmatch(r"all up to line [\d,]+ is stored; go on with: kvs (load \S+ --after (\d+))", told.errors[-1])
    assert go_on is not None, told
    for node in nodes:
        await processes[node].start()
    await processes.in_touch(nodes)
    through = int(go_on[2])
    assert 0 < through < 100_000
    assert {f"key/{n}" for n in range(through)} <= set(await all_of(nodes))
    told = await command(nodes, *go_on[1].split())
    assert told.status == 0, told
    assert {key: entry.value for key, entry in (await all_of(nodes)).items()} == {f"key/{n}": n for n in range(100_000)}


async def test_batches_go_on_through_deaths_and_changes_of_view(processes: Processes, http: Client) -> None:
    """With two copies, one node at a time is killed and the view changes: each key has the value that was put last."""
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, nodes[:3], REPL_FACTOR="2")
    is_over = False
    last: dict[str, int] = {}

    async def operations() -> AsyncIterator[kvs.Put]:
        numbers = itertools.count()
        while not is_over:
            for n in itertools.islice(numbers, 100):
                last[f"key/{n % 3000}"] = n
                yield kvs.Put(f"key/{n % 3000}", n)
            await asyncio.sleep(0.02)

    async def put_all() -> int:
        async with kvs.AsyncClient(nodes, timeout_s=PATIENCE_S) as client:
            results = [result async for result in client.batch(operations())]
        assert {type(result) for result in results} == {kvs.Stored}
        return len(results)

    putting = asyncio.create_task(put_all())
    await asyncio.sleep(1.0)
    await processes[nodes[2]].kill()
    await asyncio.sleep(1.0)
    await processes[nodes[2]].start()
    await processes.in_touch(nodes)
    for members in (nodes, nodes[1:], nodes[:3]):
        assert (await http.change_view(nodes[1], members, repl_factor=2)).status == 200
        await asyncio.sleep(0.3)
    is_over = True
    assert await putting > 10_000
    assert {key: entry.value for key, entry in (await all_of(nodes[:3])).items()} == last

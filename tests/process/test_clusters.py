"""Nodes of two stores on one address, and nodes that were told different things, as processes."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, NodeProcess, Processes, eventually, fresh_addresses
from tests.process.views import one_view

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

KEYS = [f"k{number}" for number in range(30)]
SAYS = {"kvs": "it is of another cluster", "theirs": "it is of the cluster 'theirs'"}


async def put_all(http: Client, node: Address, keys: Iterable[str] = KEYS) -> Counter[int]:
    return Counter([(await http.put(node, key, 1)).status for key in keys])


async def get_all(http: Client, node: Address, keys: Iterable[str] = KEYS) -> Counter[int]:
    return Counter([(await http.get(node, key)).status for key in keys])


def lines(process: NodeProcess, what: str) -> list[str]:
    return [line for line in process.log.read_text().splitlines() if what in line]


@pytest.mark.parametrize("name", ["kvs", "theirs"])
@pytest.mark.parametrize("changes", [0, 1], ids="epoch {}".format)
async def test_process_alien_at_the_address_of_a_dead_node_is_as_good_as_nobody(
    processes: Processes, http: Client, tmp_path: Path, name: str, changes: int
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    alien = NodeProcess(b, [b], elsewhere, CLUSTER=name)
    await alien.start()
    try:
        for number in range(10):
            assert (await http.put(b, f"alien{number}", 2)).status == 201
        for _ in range(changes):
            assert (await http.change_view(b, [b], repl_factor=1)).status == 200
        await alien.kill()
        await asyncio.gather(*(processes.start(node, nodes, REPL_FACTOR="3") for node in nodes))
        await processes.in_touch(nodes)
        for _ in range(changes):
            assert (await http.change_view(a, nodes)).status == 200
        assert await put_all(http, a) == {201: len(KEYS)}

        await processes[b].kill()
        await alien.start()
        await eventually(lambda: said(processes[c], SAYS[name]), "the alien is noticed")
        assert await get_all(http, c) == {200: len(KEYS)}
        assert await put_all(http, a) == {200: len(KEYS)}
        assert await get_all(http, c, [f"alien{number}" for number in range(10)]) == {404: 10}
        assert (await http.change_view(a, nodes, repl_factor=2)).status == 409
        await alien.kill()
    finally:
        await alien.reap()
    assert len(lines(processes[c], SAYS[name])) == 1
    assert len(lines(alien, "ERROR")) <= 4, "a line a peer"

    await processes[b].start()
    await processes.in_touch(nodes)
    await one_view(http, nodes, nodes)
    assert await get_all(http, b) == {200: len(KEYS)}


async def said(process: NodeProcess, what: str) -> bool:
    return bool(lines(process, what))


async def test_process_store_restarted_with_a_longer_view_warns_and_does_not_reshard(
    processes: Processes, http: Client
) -> None:
    a, b, c, d = nodes = fresh_addresses(4)
    await processes.start_all([a, b, c])
    assert await put_all(http, a) == {201: len(KEYS)}
    before = await http.view_of(a)
    for node in (a, b, c):
        processes[node].signal(signal.SIGTERM)
        assert await processes[node].ended() == 0
        processes[node].environment |= {"VIEW": ",".join(nodes)}
    await asyncio.gather(processes[a].start(), processes[b].start(), processes.start(d, nodes))
    await one_view(http, [a, b, d], [a, b, c])
    assert {200, 503} >= (await get_all(http, d)).keys(), "nothing that is on the node that is late does not exist"
    await processes[c].start()
    await processes.in_touch([a, b, c])
    assert {await http.view_of(node) for node in nodes} == {before}
    assert await get_all(http, d) == {200: len(KEYS)}
    for node in (a, b, c):
        (warning,) = lines(processes[node], "WARNING node.views.holder")
        assert warning.endswith(f"kvs view-change --to {','.join(nodes)}")
    assert (await http.change_view(d, nodes)).status == 200
    assert await get_all(http, d) == {200: len(KEYS)}


async def test_process_emptied_member_with_a_wrong_view_follows_its_store(processes: Processes, http: Client) -> None:
    a, b, c, nobody = fresh_addresses(4)
    await processes.start_all([a, b, c])
    assert await put_all(http, a) == {201: len(KEYS)}
    await processes[b].kill()
    there = {key for key in KEYS if (await http.get(a, key)).status == 200}
    shutil.rmtree(processes[b].data_dir)
    processes[b].environment |= {"VIEW": f"{b},{nobody}"}
    await processes[b].start()
    await one_view(http, [a, b, c], [a, b, c])
    assert await get_all(http, a, there) == {200: len(there)}
    assert await get_all(http, b, there) == {200: len(there)}

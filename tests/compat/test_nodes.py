"""Nodes of today on the directories that earlier releases have left behind: nothing is lost, and deletions stay so."""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually
from tests.compat.releases import RELEASES, Left, Release, stores_of, unpack
from tests.process.views import settles

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.usefixtures("one_at_a_time")]

MIGRATED = "brought from an earlier form into that of this release"


@pytest.fixture
def one_at_a_time() -> Iterator[None]:
    """The addresses of these nodes are in what they have left: no two tests on this machine may use them together."""
    with (Path(tempfile.gettempdir()) / "kvs-tests-compat.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def start(processes: Processes, release: Release, name: str, left: Left) -> None:
    """All nodes, on what they have left."""
    factor = {} if left.repl_factor is None else {"REPL_FACTOR": str(left.repl_factor)}
    for node in left.nodes:
        process = processes.make(node, left.view, **factor)
        unpack(release, name, node, process.data_dir)
    await asyncio.gather(*(processes[node].start() for node in left.nodes))


async def serves(http: Client, node: Address, left: Left) -> None:
    """Wait until `node` tells of each key what clients were told of it."""

    async def tells_all() -> bool:
        for key, value in left.values.items():
            reply = await http.get(node, quote(key, safe=""))
            if reply.status != 200 or f'"value":{value}'.encode() not in reply.body:
                return False
        return all([(await http.get(node, key)).status == 404 for key in left.deleted])

    await eventually(tells_all, f"{node} serving all keys")


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
async def test_nodes_on_directories_of_an_earlier_release_bring_home_what_a_removed_one_has(
    processes: Processes, http: Client, release: Release
) -> None:
    left = stores_of(release)["plain"]
    await start(processes, release, "plain", left)
    for node in left.nodes:
        await serves(http, node, left)
    await settles(http, left.view)
    counts = [await http.key_count(node) for node in left.nodes]
    assert sum(counts) == len(left.values)
    assert [count for node, count in zip(left.nodes, counts, strict=True) if node not in left.view] == [0]
    for node in left.nodes:
        assert processes[node].log.read_text().count(MIGRATED) == (release.name == "3.0")
    view = json.dumps({"view": ",".join(left.nodes)}).encode()
    assert (await http.ask(left.nodes[0], "PUT", "/kvs/view-change", view)).status == 200
    await serves(http, left.nodes[1], left)


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
async def test_nodes_on_directories_of_an_earlier_release_have_a_copy_each_after_a_moment(
    processes: Processes, http: Client, release: Release
) -> None:
    """In 3.0 the second node of a shard had none; here, it must say of no key that it does not exist."""
    left = stores_of(release)["copies"]
    await start(processes, release, "copies", left)
    for node in left.nodes:
        await serves(http, node, left)
        await eventually(partial(has_all, http, node, left), f"{node} having a copy of each key")
    first, second = left.nodes
    await processes[first].kill()
    await serves(http, second, left)


async def has_all(http: Client, node: Address, left: Left) -> bool:
    return await http.key_count(node) == len(left.values)


async def test_node_without_a_copy_of_3_0_says_of_no_key_that_it_does_not_exist(
    processes: Processes, http: Client
) -> None:
    release = RELEASES["3.0"]
    left = stores_of(release)["copies"]
    second = left.nodes[1]
    process = processes.make(second, left.view, REPL_FACTOR="2")
    unpack(release, "copies", second, process.data_dir)
    await process.start()
    await asyncio.sleep(4.0)  # A new store would be taken for empty by then.
    for key in list(left.values)[:10]:
        assert (await http.get(second, quote(key, safe=""))).status == 503
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0

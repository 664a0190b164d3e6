"""A node that was removed while it was dead, and is started again with its disk: as it was, or as it was earlier."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.process.disk_copies import copy_directory

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


async def put(http: Client, node: Address, key: str, value: object) -> None:
    reply = await http.put(node, key, value)
    assert reply.status in (200, 201), reply.body


async def delete(http: Client, node: Address, key: str) -> None:
    assert (await http.ask(node, "DELETE", f"/kvs/keys/{key}")).status == 200


async def alike(http: Client, nodes: list[Address]) -> None:
    async def equal() -> bool:
        statuses = [(await http.ask(node, "GET", "/kvs/status")).json for node in nodes]
        return len({status["data-digest"] for status in statuses}) == 1

    await eventually(equal, "the copies being alike")


@pytest.mark.parametrize("is_older", [False, True], ids=["its own disk", "an older copy of its disk"])
async def test_process_removed_node_comes_home_and_nothing_deleted_returns(
    processes: Processes, http: Client, tmp_path: Path, is_older: bool
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all(nodes, REPL_FACTOR="2")
    for number in range(40):
        await put(http, nodes[number % 3], f"key{number}", "old")
    await alike(http, nodes)
    backup = tmp_path / "backup"
    if is_older:
        processes[c].signal(signal.SIGTERM)
        assert await processes[c].ended() == 0
        copy_directory(processes[c].data_dir, backup)
        await processes[c].start()
        await processes.in_touch(nodes)
    for number in range(10):
        await delete(http, a, f"key{number}")
        await put(http, b, f"key{10 + number}", "new")
    await alike(http, nodes)

    for node in (a, b):
        processes[node].signal(signal.SIGSTOP)

    async def taken_alone() -> bool:
        return (await http.put(c, "unshared", "new")).status in (200, 201)

    await eventually(taken_alone, "a write that only the third node has")
    await processes[c].kill()
    for node in (a, b):
        processes[node].signal(signal.SIGCONT)

    async def is_removed() -> bool:
        return (await http.change_view(a, [a, b])).status == 200

    await eventually(is_removed, "the dead node being removed")
    for number in range(20, 25):
        await delete(http, a, f"key{number}")
    assert (await http.get(a, "unshared")).status == 404

    if is_older:
        shutil.rmtree(processes[c].data_dir)
        copy_directory(backup, processes[c].data_dir)
    await processes[c].start()

    async def is_home() -> bool:
        status = (await http.ask(c, "GET", "/kvs/status")).json
        return status["epoch"] == 1 and await http.key_count(c) == 0 and (await holds_of(http, c)) == 0

    await eventually(is_home, "the removed node having handed over all that it held")
    expected = {f"key{n}": None if n < 10 or 20 <= n < 25 else "new" if n < 20 else "old" for n in range(40)}
    expected["unshared"] = None if is_older else "new"
    for node in nodes:
        assert {key: (await http.get(node, key)).json.get("value") for key in expected} == expected
    await alike(http, [a, b])


async def holds_of(http: Client, node: Address) -> int:
    """How many keys it has yet to hand over, as it says itself."""
    shown = (await http.ask(node, "GET", "/kvs/view-change")).json
    own = [entry for entry in shown["nodes"] if entry["address"] == node]
    return sum(entry["keys"] or 0 for entry in own)

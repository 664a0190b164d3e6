"""A disk whose fsync hangs, or fails: what a real store and a real process make of it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, NodeProcess, Processes, eventually, fresh_addresses
from tests.process import sick_disk

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not sick_disk.is_possible(), reason="the kernel asks nobody about fdatasync"),
]

STOP_S = 5.0
"""A limit of the interface."""


class SickDisk:
    def __init__(self, control: Path) -> None:
        self.control = control

    def become(self, how: str) -> None:
        self.control.write_text(how)


def on(disk: SickDisk, processes: Processes, node: Address, view: list[Address], **environment: str) -> NodeProcess:
    process = processes.make(node, view, **environment)
    process.program = ("-m", "tests.process.sick_disk", str(disk.control), "-m", "node")
    return process


@pytest.fixture
def disk(tmp_path: Path) -> SickDisk:
    return SickDisk(tmp_path / "disk is")


async def is_hung(http: Client, process: NodeProcess) -> bool:
    """A write is tried, and the node has noticed."""
    await http.put(process.address, "noticing", 1)
    return "the disk hangs: a commit has taken" in process.log.read_text()


async def test_process_stops_in_time_while_its_disk_hangs(processes: Processes, http: Client, disk: SickDisk) -> None:
    (a,) = fresh_addresses(1)
    node = on(disk, processes, a, [a])
    await node.start()
    assert (await http.put(a, "k", 1)).status == 201
    disk.become("hang")
    await eventually(lambda: is_hung(http, node), "a disk that hangs")
    assert (await http.put(a, "k", 2)).status == 503
    assert (await http.get(a, "k")).json["value"] == 1
    node.signal(signal.SIGTERM)
    async with asyncio.timeout(STOP_S):
        assert await node.ended() == 0
    disk.become("well")
    await node.start()
    assert (await http.get(a, "k")).json["value"] == 1
    assert (await http.put(a, "k", 3)).status == 200


async def test_process_one_of_two_copies_on_a_disk_that_hangs_costs_its_own_node_only(
    processes: Processes, http: Client, disk: SickDisk
) -> None:
    a, b = nodes = fresh_addresses(2)
    sick = on(disk, processes, a, nodes, REPL_FACTOR="2")
    await asyncio.gather(sick.start(), processes.start(b, nodes, REPL_FACTOR="2"))
    await processes.in_touch(nodes)
    assert (await http.put(b, "k", 0)).status == 201
    disk.become("hang")
    await eventually(lambda: is_hung(http, sick), "a disk that hangs")

    async def writes() -> bool:
        return (await http.put(b, "k", 0)).status == 200

    await eventually(writes, "a write without that node")
    problems = {one["code"]: one for one in (await http.ask(b, "GET", "/kvs/status")).json["problems"]}
    assert problems.keys() >= {"disk-hangs", "fewer-copies", "conditions-undecided"}
    assert problems["disk-hangs"]["nodes"] == [a] and problems["disk-hangs"]["severity"] == "warning"
    for number in range(1, 20):
        via = nodes[number % 2]
        assert (await http.put(via, "k", number)).status == 200
        assert [(await http.get(node, "k")).json["value"] for node in nodes] == [number, number]
    disk.become("well")
    await eventually(lambda: caught_up(http, nodes), "copies that are alike")

    async def is_told() -> bool:
        return "has taken all that its disk had refused" in processes[b].log.read_text()

    await eventually(is_told, "a line that says so")


async def caught_up(http: Client, nodes: list[Address]) -> bool:
    digests = [(await http.ask(node, "GET", "/kvs/status")).json["data-digest"] for node in nodes]
    return len(set(digests)) == 1


async def test_process_fsync_that_fails_refuses_writes_and_loses_nothing(
    processes: Processes, http: Client, disk: SickDisk
) -> None:
    """LMDB has written pages by then that the disk has not taken: they must not count."""
    (a,) = fresh_addresses(1)
    node = on(disk, processes, a, [a])
    await node.start()
    for number in range(20):
        assert (await http.put(a, f"k{number}", "old")).status == 201
    disk.become("fail")

    async def fails() -> bool:
        await http.put(a, "noticing", 1)
        return "the store takes no writes: " in node.log.read_text()

    await eventually(fails, "a disk that fails")
    refusals = await asyncio.gather(*(http.put(a, f"k{number}", "refused") for number in range(20)))
    assert [refused.status for refused in refusals] == [503] * 20
    for number in range(20):
        assert (await http.get(a, f"k{number}")).json["value"] == "old"
    disk.become("well")

    async def takes() -> bool:
        return (await http.put(a, "k0", "new")).status == 200

    async def says_so() -> bool:
        return "the store takes writes again" in node.log.read_text()

    await eventually(takes, "a write taken")
    await eventually(says_so, "a line that says so")
    await node.kill()
    await node.start()
    values = [(await http.get(a, f"k{number}")).json["value"] for number in range(20)]
    assert values == ["new", *["old"] * 19]

"""What nodes say of their own health while others die, disks fill up and hang, and who was away catches up."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gossip.view import Address, host_of, port_of
from tests.cluster import ROOT, Client, Processes, clean_environment, eventually, fresh_addresses
from tests.commands import run
from tests.process import sick_disk
from tests.process.small_disk import SmallDisk, mounted, on

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


class Doctor:
    def __init__(self, http: Client) -> None:
        self._http = http

    async def lines(self, node: Address) -> tuple[int, list[str]]:
        """The status, and what is not ok."""
        reply = await self._http.ask(node, "GET", "/readyz?verbose")
        checks = reply.body.decode().splitlines()[:-1]
        return reply.status, [line for line in checks if not line.startswith("[+]")]

    async def becomes(self, node: Address, status: int, *lines: str) -> None:
        """Wait until `node` says just this, each line by what it begins with."""

        async def says() -> bool:
            got, found = await self.lines(node)
            fits = len(found) == len(lines) and all(map(str.startswith, found, lines))
            return got == status and fits

        await eventually(says, f"{node} saying {status} {lines}")


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    async with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def doctor(http: Client) -> Doctor:
    return Doctor(http)


async def test_process_health_of_three_one_is_killed_and_the_disk_of_another_fills_up(
    processes: Processes, http: Client, doctor: Doctor, small_disk: SmallDisk
) -> None:
    a, b, c = nodes = fresh_addresses(3)
    full = on(small_disk, processes, a, nodes, REPL_FACTOR="3")
    others = (processes.start(node, nodes, REPL_FACTOR="3") for node in (b, c))
    await asyncio.gather(full.start(), *others)
    await processes.in_touch(nodes)
    for node in nodes:
        await doctor.becomes(node, 200)
    await processes[c].kill()
    for node in (a, b):
        await doctor.becomes(node, 200, f"[!]peers cannot be reached: {c}")
    small_disk.fill()

    async def is_full() -> bool:
        await http.put(a, f"filling{os.urandom(4).hex()}", "x" * 60_000)
        return (await doctor.lines(a))[0] == 503

    await eventually(is_full, "a full disk")
    await doctor.becomes(a, 503, "[-]room is used up", f"[!]peers cannot be reached: {c}")
    assert (await http.ask(a, "GET", "/livez")).status == 200
    assert (await doctor.lines(b))[0] == 200
    await processes[b].kill()
    await doctor.becomes(a, 503, "[-]room is used up", "[-]peers none of the 2 other nodes")
    small_disk.relieve()
    await asyncio.gather(processes[b].start(), processes[c].start())
    for node in nodes:
        await doctor.becomes(node, 200)


async def test_process_health_of_a_node_that_has_lost_its_disk_is_not_ready_before_it_has_caught_up(
    processes: Processes, http: Client, doctor: Doctor
) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    assert (await http.put(a, "k", 1)).status == 201
    await doctor.becomes(a, 200)
    await asyncio.gather(processes[a].kill(), processes[b].kill())
    (processes[a].data_dir / "store.lmdb").unlink()
    await processes[a].start()
    await doctor.becomes(a, 503, "[-]caught-up not yet: the disk lacks", f"[!]peers cannot be reached: {b}")
    await processes[b].start()
    await doctor.becomes(a, 200)
    assert (await http.get(a, "k")).json["value"] == 1


@pytest.mark.skipif(not sick_disk.is_possible(), reason="the kernel asks nobody about fdatasync")
async def test_process_health_of_a_node_whose_disk_hangs(
    processes: Processes, http: Client, doctor: Doctor, tmp_path: Path
) -> None:
    (a,) = fresh_addresses(1)
    control = tmp_path / "disk is"
    node = processes.make(a, [a])
    node.program = ("-m", "tests.process.sick_disk", str(control), "-m", "node")
    await node.start()
    await doctor.becomes(a, 200)
    control.write_text("hang")
    assert (await http.put(a, "k", 1)).status == 503
    await doctor.becomes(a, 503, "[-]disk hangs")
    control.write_text("well")
    await doctor.becomes(a, 200)


async def test_process_health_after_a_pause_passes_again(processes: Processes, doctor: Doctor) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    processes[a].signal(signal.SIGSTOP)
    await doctor.becomes(b, 200, f"[!]peers cannot be reached: {a}")
    processes[a].signal(signal.SIGCONT)
    await doctor.becomes(b, 200)
    await doctor.becomes(a, 200)


async def test_process_health_by_the_command_in_the_environment_of_the_node(processes: Processes) -> None:
    (node,) = fresh_addresses(1)
    environment = clean_environment({"ADDRESS": f"node1:{port_of(node)}", "VIEW": "node1:1", "BIND": host_of(node)})
    environment.pop("KVS_ENDPOINTS", None)
    command = (sys.executable, "-m", "kvs.cli", "health")
    await processes.start(node, [node])

    async def is_ready() -> bool:
        return (await run(*command, environment=environment, directory=ROOT)).status == 0

    await eventually(is_ready, "a node that is ready")
    await processes[node].kill()
    down = await run(*command, environment=environment, directory=ROOT)
    assert (down.status, down.out) == (1, f"{node}: answer connection refused")

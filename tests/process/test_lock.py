"""Locks beside real nodes: never two inside, though nodes are killed; and who dies inside keeps nobody out for long."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import kvs
from gossip.view import Address
from tests.cluster import PATIENCE_S, ROOT, Processes, eventually, fresh_addresses

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

CLIENTS, TIMES = 10, 4
TTL_S = 4.0
INSIDE_S = 0.1


class Room:
    """An independent observer: who is in it, and with which token one came."""

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self.tokens: list[int] = []

    async def visit(self, number: int, token: int) -> None:
        assert not self.inside, f"{number} is inside beside {self.inside}"
        self.inside.add(number)
        self.tokens.append(token)
        await asyncio.sleep(INSIDE_S)
        self.inside.remove(number)


async def contend(nodes: list[Address], number: int, room: Room) -> int:
    """How often the lock was lost, while it was had and used as often as it should be."""
    lost = visits = 0
    async with kvs.AsyncClient(nodes[number % len(nodes) :] + nodes[: number % len(nodes)]) as client:
        while visits < TIMES:
            try:
                async with client.lock("room", TTL_S, holder=f"client {number}") as lock:
                    token = await lock.token()
                    if lock.is_held:
                        await room.visit(number, token)
                        visits += 1
            except kvs.KvsError:
                lost += 1
    return lost


async def test_lock_is_held_by_one_at_a_time_and_had_by_all_while_nodes_die(processes: Processes) -> None:
    nodes, room = fresh_addresses(3), Room()
    await processes.start_all(nodes, REPL_FACTOR="2")
    contending = [asyncio.create_task(contend(nodes, number, room)) for number in range(CLIENTS)]
    for victim in nodes * 2:
        await asyncio.sleep(0.5)
        await processes[victim].kill()
        await asyncio.sleep(0.5)
        await processes[victim].start()
        await processes.in_touch(nodes)
    await asyncio.gather(*contending)
    assert len(room.tokens) == CLIENTS * TIMES
    assert room.tokens == sorted(set(room.tokens)), "each holder's token is greater than that of the one before"


async def test_lock_of_a_holder_that_was_killed_is_had_after_its_ttl(processes: Processes, tmp_path: Path) -> None:
    nodes = fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    environment = os.environ | {"KVS_ENDPOINTS": ",".join(nodes), "PYTHONPATH": str(ROOT)}
    told = tmp_path / "pid"
    command = ("-m", "kvs.cli", "lock", "room", "--ttl", "4s", "--", "sh", "-c", f"echo $$ > {told}; exec sleep 100")
    holder = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment)

    async def has_told() -> bool:
        return told.exists() and told.read_text().endswith("\n")

    await eventually(has_told, "the command runs")
    command_pid = int(told.read_text())
    try:
        async with kvs.AsyncClient(nodes) as client:
            with pytest.raises(kvs.Locked, match=f"process {holder.pid}"):
                await client.lock("room", TTL_S, timeout=0).__aenter__()
            holder.send_signal(signal.SIGKILL)
            await holder.wait()
            with pytest.raises(kvs.Locked):
                await client.lock("room", TTL_S, timeout=0).__aenter__()
            async with client.lock("room", TTL_S, timeout=4.0 + PATIENCE_S) as lock:
                assert lock.is_held
    finally:
        with suppress(ProcessLookupError):  # Linux has seen to it.
            os.kill(command_pid, signal.SIGKILL)

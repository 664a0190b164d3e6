"""Reads and writes of a key are atomic while nothing is cut: with one copy or several, whatever happens to the nodes.

Each kind of harm is done once or twice; `KVS_SECONDS=60` has it done for so long.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.contenders import Contenders
from tests.process.views import settles

SECONDS = float(os.environ.get("KVS_SECONDS") or 0)

pytestmark = [pytest.mark.process, pytest.mark.timeout(120 + 8 * SECONDS)]


class Scene(NamedTuple):
    processes: Processes
    http: Client
    nodes: list[Address]
    contenders: Contenders
    rng: random.Random

    async def caught_up(self) -> None:
        """One node is in trouble at a time, and the next only once all have caught up: an acknowledged write may be on
        the disk of a single owner while the others are away, and if that one goes before they have heard of it, they
        cannot know."""

        async def alike() -> bool:
            digests: dict[str, set[str]] = {}
            for node in self.nodes:
                status = (await self.http.ask(node, "GET", "/kvs/status")).json
                for shown in status["nodes"]:
                    if shown["state"] != "alive":
                        return False
                    if shown["address"] == node:
                        digests.setdefault(shown["shard-id"], set()).add(status["data-digest"])
            return all(len(same) == 1 for same in digests.values())

        await eventually(alike, "the copies of each shard being alike")


async def calm(scene: Scene) -> None:
    await scene.contenders.go_on(500)


async def kill(scene: Scene) -> None:
    victim = scene.processes[scene.rng.choice(scene.nodes)]
    await victim.kill()
    await asyncio.sleep(scene.rng.uniform(0, 1))
    await victim.start()


async def pause(scene: Scene) -> None:
    victim = scene.processes[scene.rng.choice(scene.nodes)]
    victim.signal(signal.SIGSTOP)
    await asyncio.sleep(scene.rng.uniform(0.3, 2.5))
    victim.signal(signal.SIGCONT)


async def change(scene: Scene) -> None:
    """One node out, and in again."""
    gone = scene.rng.choice(scene.nodes)
    rest = [node for node in scene.nodes if node != gone]
    for members in (rest, scene.nodes):
        reply = await scene.http.change_view(rest[0], members)
        assert reply.status == 200, reply.body
        await settles(scene.http, members)


HARMS: list[Callable[[Scene], Awaitable[None]]] = [calm, kill, pause, change]


@pytest.mark.parametrize("copies", [1, 2, 3])
async def test_process_histories_are_linearizable(processes: Processes, http: Client, copies: int) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR=str(copies))
    scene = Scene(processes, http, nodes, Contenders(nodes), random.Random(copies))
    loop = asyncio.get_running_loop()
    async with scene.contenders.running():
        for harm in HARMS:
            end, told = loop.time() + SECONDS, scene.contenders.seen["GET"] + scene.contenders.seen["PUT"]
            while loop.time() < end or scene.contenders.seen["GET"] + scene.contenders.seen["PUT"] < told + 100:
                await harm(scene)
                await scene.contenders.go_on(50)
                async with scene.contenders.at_rest():
                    await scene.caught_up()
    assert scene.contenders.violations() == []

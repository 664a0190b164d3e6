"""When a node may act as an owner."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gossip.view import Address
from node.config import Config
from node.net.messages import Answer, Hello, Request, ViewIs
from node.values.donors import DonorsChange, Share
from node.views.holder import Views
from node.views.readiness import HELLOS_MAX, Gate
from tests.node.fakes import HandTime, ScriptedPeers, open_store, successor
from tests.node.views.test_holder import environment

A, B, C = "a:1", "b:1", "c:1"


class Bench:
    def __init__(self, gate: Gate, views: Views, peers: ScriptedPeers, time: HandTime) -> None:
        self.gate = gate
        self.views = views
        self.peers = peers
        self.time = time

    def echo(self, _: Request) -> Answer:
        return ViewIs(self.views.current.encoded)


@asynccontextmanager
async def running_gate(path: Path, *view: Address) -> AsyncIterator[Bench]:
    config, time, peers = Config.for_test(A, view, path), HandTime(), ScriptedPeers()
    async with open_store(path) as store:
        views = Views(config, store, time, peers)
        await views.start()
        gate = Gate(config, time, random.Random(1), peers, views)
        yield Bench(gate, views, peers, time)


async def open_gate(bench: Bench, until: float = 10.0) -> bool:
    """Run the gate until it opens."""
    running = asyncio.create_task(bench.gate.run())
    try:
        return await bench.gate.opened(bench.time.now + until)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_gate_is_shut_before_anybody_was_asked(tmp_path: Path) -> None:
    async with running_gate(tmp_path, A, B) as bench:
        assert not bench.gate.is_open()


async def test_gate_opens_when_all_have_answered_or_refused(tmp_path: Path) -> None:
    async with running_gate(tmp_path, A, B, C) as bench:
        bench.peers.script[B] = bench.echo
        assert await open_gate(bench)
        assert {to for to, request in bench.peers.asked if isinstance(request, Hello)} == {B, C}


async def test_gate_opens_under_the_view_it_was_told(tmp_path: Path) -> None:
    async with running_gate(tmp_path, A, B) as bench:
        later = successor(bench.views.current, A, B, C)
        bench.peers.script[B] = lambda _: ViewIs(later.encoded)
        assert await open_gate(bench)
        assert bench.views.current == later


async def test_gate_standstill_shuts_it_and_drops_the_links(tmp_path: Path) -> None:
    async with running_gate(tmp_path, A, B) as bench:
        assert await open_gate(bench)
        bench.time.now += 0.3
        assert bench.gate.is_open()
        bench.time.now += 0.5
        assert not bench.gate.is_open()
        assert bench.peers.resets == 1
        bench.peers.asked.clear()
        assert await open_gate(bench)
        assert [to for to, _ in bench.peers.asked][:1] == [B]


async def test_gate_alone_in_its_view_asks_those_it_was_told_of(tmp_path: Path) -> None:
    async with running_gate(tmp_path, A, B) as bench:
        assert await open_gate(bench)
        await bench.views.adopt(successor(bench.views.current, A, coordinator=C), B)
        bench.peers.asked.clear()
        bench.time.now += 0.5
        assert await open_gate(bench)
        assert {to for to, _ in bench.peers.asked} == {B, C}


async def test_gate_recovers_from_a_long_standstill_and_not_from_a_start(tmp_path: Path) -> None:
    """While it does, what clients send may have been sent long ago."""
    async with running_gate(tmp_path, A, B) as bench:
        assert not bench.gate.is_recovering()
        assert await open_gate(bench)
        assert not bench.gate.is_recovering()
        bench.time.now += 0.5
        assert not bench.gate.is_recovering() and not bench.gate.is_open()
        assert await open_gate(bench)
        bench.time.now += Config.for_test(A, (A,), tmp_path).late_s + 0.1
        assert bench.gate.is_recovering()
        assert await open_gate(bench)
        assert not bench.gate.is_recovering()


async def test_gate_tells_of_a_standstill_before_the_links_are_dropped(tmp_path: Path) -> None:
    async with running_gate(tmp_path, A, B) as bench:
        resets: list[int] = []
        bench.gate.listeners.append(lambda: resets.append(bench.peers.resets))
        assert await open_gate(bench)
        bench.time.now += 0.5
        bench.gate.is_open()
        bench.gate.is_open()
        assert (resets, bench.peers.resets) == ([0], 1)


async def test_gate_large_view_asks_some_and_every_donor(tmp_path: Path) -> None:
    others = [f"n{number}:1" for number in range(100)]
    async with running_gate(tmp_path, A, *others) as bench:
        await bench.views.adopt(successor(bench.views.current, A, *others), B)
        bench.views.donors.change(DonorsChange(put={C: Share(alone=1 << 5)}))
        assert await open_gate(bench)
        asked = {to for to, _ in bench.peers.asked}
        assert C in asked
        assert len(asked) == 1 + HELLOS_MAX


async def test_gate_at_epoch_0_asks_the_environment_until_each_has_answered(tmp_path: Path) -> None:
    """A node whose environment names more than those that serve follows them, also when they appear later."""
    async with running_gate(tmp_path, A, B) as bench:
        theirs = environment(B)
        assert await open_gate(bench)
        running = asyncio.create_task(bench.gate.run())
        bench.peers.script[B] = lambda _: ViewIs(theirs.encoded)
        async with asyncio.timeout(10):
            while bench.views.current != theirs:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

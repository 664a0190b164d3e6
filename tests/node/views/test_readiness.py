"""When a node may act as an owner."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from gossip.view import Address
from node.config import Config
from node.net.messages import Answer, Hello, Request, ViewIs
from node.storage.store import Store
from node.values.donors import DonorsChange, Share
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import HELLOS_MAX, Readiness
from tests.node.fakes.clocks import HandTime
from tests.node.fakes.peers import ScriptedPeers
from tests.node.lone_owner import lone_owner
from tests.node.parts import on_virtual_time
from tests.node.samples import successor
from tests.node.storage.opening import open_store
from tests.node.views.bench import environment

A, B, C = "a:1", "b:1", "c:1"


class Bench:
    def __init__(self, config: Config, store: Store) -> None:
        self.time = HandTime()
        self.peers = ScriptedPeers()
        self.views = Views(config, store, self.time, lambda: None)
        calls = Calls(config, self.time, self.views, self.peers)
        self.pauses: list[bool] = []
        """Whether each that was noticed was long."""
        self.readiness = Readiness(config, self.time, random.Random(1), self.views, calls, self._note_pause)

    def _note_pause(self, is_long: bool) -> None:
        self.pauses.append(is_long)

    def echo(self, _: Request) -> Answer:
        return ViewIs(self.views.current.encoded)


@asynccontextmanager
async def in_readiness(path: Path, *view: Address) -> AsyncIterator[Bench]:
    config = Config.for_test(A, view, path)
    with closing(open_store(path)) as store:
        bench = Bench(config, store)
        await bench.views.start()
        yield bench


async def becomes_ready(bench: Bench, until: float = 10.0) -> bool:
    """Run it until the node may act."""
    running = asyncio.create_task(bench.readiness.run())
    try:
        return await bench.readiness.wait_until_ready(bench.time.now + until)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_readiness_is_none_before_anybody_was_asked(tmp_path: Path) -> None:
    async with in_readiness(tmp_path, A, B) as bench:
        assert not bench.readiness.enter()


async def test_readiness_comes_when_all_have_answered_or_refused(tmp_path: Path) -> None:
    async with in_readiness(tmp_path, A, B, C) as bench:
        bench.peers.script[B] = bench.echo
        assert await becomes_ready(bench)
        assert {to for to, request in bench.peers.asked if isinstance(request, Hello)} == {B, C}


async def test_readiness_comes_under_the_view_it_was_told(tmp_path: Path) -> None:
    async with in_readiness(tmp_path, A, B) as bench:
        later = successor(bench.views.current, A, B, C)
        bench.peers.script[B] = lambda _: ViewIs(later.encoded)
        assert await becomes_ready(bench)
        assert bench.views.current == later


async def test_readiness_pause_is_told_once_and_ends_it(tmp_path: Path) -> None:
    async with in_readiness(tmp_path, A, B) as bench:
        assert await becomes_ready(bench)
        bench.time.now += 0.3
        assert bench.readiness.enter()
        bench.time.now += 0.5
        assert bench.readiness.is_ready and not bench.pauses, "a question notices nothing"
        assert not bench.readiness.enter()
        assert not bench.readiness.enter()
        assert bench.pauses == [False]
        bench.peers.asked.clear()
        assert await becomes_ready(bench)
        assert [to for to, _ in bench.peers.asked][:1] == [B]


async def test_readiness_alone_in_its_view_asks_those_it_was_told_of(tmp_path: Path) -> None:
    async with in_readiness(tmp_path, A, B) as bench:
        assert await becomes_ready(bench)
        await bench.views.adopt(successor(bench.views.current, A, coordinator=C), B)
        bench.peers.asked.clear()
        bench.time.now += 0.5
        assert await becomes_ready(bench)
        assert {to for to, _ in bench.peers.asked} == {B, C}


async def test_readiness_recovers_from_a_long_pause_and_not_from_a_start(tmp_path: Path) -> None:
    """While it does, what clients send may have been sent long ago."""
    async with in_readiness(tmp_path, A, B) as bench:
        assert bench.readiness.admit() and not bench.readiness.is_ready
        assert await becomes_ready(bench)
        assert bench.readiness.admit()
        bench.time.now += 0.5
        assert bench.readiness.admit() and not bench.readiness.is_ready
        assert await becomes_ready(bench)
        bench.time.now += Config.for_test(A, (A,), tmp_path).late_s + 0.1
        assert not bench.readiness.admit() and not bench.readiness.admit()
        assert bench.pauses == [False, True]
        assert await becomes_ready(bench)
        assert bench.readiness.admit()


async def test_readiness_large_view_asks_some_and_every_donor(tmp_path: Path) -> None:
    others = [f"n{number}:1" for number in range(100)]
    async with in_readiness(tmp_path, A, *others) as bench:
        await bench.views.adopt(successor(bench.views.current, A, *others), B)
        bench.views.donors.change(DonorsChange(put={C: Share(alone=1 << 5)}))
        assert await becomes_ready(bench)
        asked = {to for to, _ in bench.peers.asked}
        assert C in asked
        assert len(asked) == 1 + HELLOS_MAX


async def test_readiness_at_epoch_0_asks_the_environment_until_each_has_answered(tmp_path: Path) -> None:
    """A node whose environment names more than those that serve follows them, also when they appear later."""
    async with in_readiness(tmp_path, A, B) as bench:
        theirs = environment(B)
        assert await becomes_ready(bench)
        running = asyncio.create_task(bench.readiness.run())
        bench.peers.script[B] = lambda _: ViewIs(theirs.encoded)
        async with asyncio.timeout(10):
            while bench.views.current != theirs:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])


@on_virtual_time
async def test_readiness_recovers_in_time_from_a_pause_while_it_was_asking_around() -> None:
    """From the end of the pause, not from that of the round that was under way then."""
    async with lone_owner(B) as lone:
        config, slow_s = lone.node.config, 0.3

        async def answer_slowly() -> Answer:
            await asyncio.sleep(slow_s)
            return ViewIs(lone.node.views.current.encoded)

        lone.peers.script[B] = lambda _: answer_slowly()
        lone.time.jump(config.pause_s + 0.1)
        await asyncio.sleep(0.1)
        assert not lone.node.readiness.is_ready
        slow_s = 0.0
        lone.time.jump(config.late_s + 0.1)
        began = lone.time.monotonic()
        assert await lone.node.readiness.wait_until_ready(began + 5.0)
        assert config.recovery_s <= lone.time.monotonic() - began < config.recovery_s + config.pause_check_s

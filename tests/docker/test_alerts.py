"""Each alert of deploy/ fires in the fault that it is for, and ends with it: four containers that go through one fault
after the other, watched by Debian's Prometheus. Only its times are shorter than a user's, by one factor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.cluster import Client, eventually
from tests.commands import run
from tests.deploy.described import OF_TLS, alerts
from tests.deploy.prometheus import Prometheus, watching
from tests.docker.containers import (
    ARMED,
    GO,
    HALTED,
    NODE1,
    NODE2,
    NODE3,
    NODE4,
    SPOTS,
    TRIO,
    Containers,
    Halt,
    Spot,
    docker,
    inspect,
)
from tests.docker.disks import SmallDisks

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(900)]

HURRY = 20
COPIES = 2
HOUR_S = 3600.0
WRITES, VALUE, PAUSE_S = 4, "v" * 10_000, 0.2
"""At a time, and what is written: a disk on which there is no more room has to take more to find out."""
LATE_S = 0.6
"""For so long a node stands still again and again, whose loop is to be late."""


class Story:
    """What is done to the nodes, and what Prometheus makes of it."""

    def __init__(self, containers: Containers, http: Client, disks: SmallDisks, prometheus: Prometheus) -> None:
        self.containers = containers
        self.http = http
        self.disks = disks
        self._prometheus = prometheus
        self._numbers = count()
        self.fired: set[str] = set()

    async def fires(self, *names: str) -> None:
        for name in names:
            await self._becomes({name}.issubset, f"{name} firing")
            self.fired.add(name)

    async def ends(self, *names: str) -> None:
        await self._becomes(lambda firing: firing.isdisjoint(names), f"the end of {', '.join(names)}")

    async def is_quiet(self) -> None:
        """Until nothing fires."""
        await self._becomes(lambda firing: not firing, "no alert firing")

    async def _becomes(self, condition: Callable[[set[str]], bool], what: str) -> None:
        for patience_left in (4, 3, 2, 1, 0):  # Some alerts look back on minutes.

            async def holds() -> bool:
                return condition(await self._prometheus.firing())

            try:
                await eventually(holds, what)
                return
            except AssertionError:
                if not patience_left:
                    raise AssertionError(f"{what}; there are {await self._prometheus.firing()}") from None

    async def write(self) -> None:
        """New keys, of all shards, through all nodes, whatever they answer."""
        names = [f"new{next(self._numbers)}" for _ in range(WRITES)]
        requests = [self.http.put(spot.published, name, VALUE) for spot in SPOTS for name in names]
        await asyncio.gather(*requests, return_exceptions=True)
        await asyncio.sleep(PAUSE_S)

    async def change_view(self, via: Spot, *nodes: Spot) -> None:
        async def done() -> bool:
            reply = await self.http.change_view(via.published, [spot.address for spot in nodes])
            return reply.status == 200

        await eventually(done, "the view change")


@asynccontextmanager
async def again_and_again(what: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await what()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def pid_of(spot: Spot) -> str:
    return str((await inspect(spot.name))["State"]["Pid"])


async def cut(spot: Spot, others: list[Spot], how: str) -> None:
    """`how`: -A, nothing comes from the others any more; -D, it does again. Whoever asks from outside is answered."""
    for other in others:
        rule = ("iptables", how, "INPUT", "--source", other.ip, "--jump", "DROP")
        done = await run("nsenter", "--net", "--target", await pid_of(spot), *rule)
        assert done.status == 0, done.errors


async def of_a_change_that_waits(story: Story) -> None:
    """A node that is taken in stands still as it gets its keys; when it goes on, its disk hangs."""

    async def is_halted() -> bool:
        return (await run("docker", "exec", NODE4.name, "test", "-e", HALTED)).status == 0

    await docker("exec", NODE4.name, "touch", ARMED)
    reply = await story.http.change_view(NODE1.published, [spot.address for spot in SPOTS], "?wait=false")
    assert reply.status == 202, reply.body
    await eventually(is_halted, "a newcomer that stands still")
    await story.fires("KvsKeysWaitForCopies")
    await story.containers.disk_becomes(NODE4, "hang")
    await docker("exec", NODE4.name, "touch", GO)
    await story.fires("KvsViewDoesNotSettle")
    await story.containers.disk_becomes(NODE4, "well")
    await story.ends("KvsViewDoesNotSettle", "KvsKeysWaitForCopies")


async def of_dead_nodes(story: Story) -> None:
    """One, then all owners of a shard."""
    nodes = (await story.http.ask(NODE1.published, "GET", "/kvs/status")).json["nodes"]
    shard_of = {node["address"]: node["shard-id"] for node in nodes}
    dead = [spot for spot in SPOTS if shard_of[spot.address] == shard_of[NODE3.address]]
    await docker("kill", NODE3.name)
    await story.fires("KvsNodeDown")
    async with again_and_again(story.write):
        await docker("kill", *(spot.name for spot in dead if spot != NODE3))
        await story.fires("KvsNoLiveOwner", "KvsUnavailable")
    await docker("start", *(spot.name for spot in dead))
    await story.ends("KvsNodeDown", "KvsNoLiveOwner", "KvsUnavailable")


async def of_a_cut(story: Story) -> None:
    """A node that is cut off from all others, and taken out by them meanwhile."""
    others = [NODE1, NODE2, NODE4]
    await cut(NODE3, others, "-A")
    await story.fires("KvsPeerUnreachable", "KvsNodeNotReady")
    await story.change_view(NODE1, *others)
    await story.fires("KvsViewsDiffer")
    await cut(NODE3, others, "-D")
    await story.ends("KvsPeerUnreachable", "KvsNodeNotReady", "KvsViewsDiffer")
    await story.change_view(NODE1, *SPOTS)


async def of_a_clock(story: Story) -> None:
    """An hour fast."""
    await story.containers.clock_becomes(NODE2, HOUR_S)
    await story.fires("KvsClockOff", "KvsClockRefused")
    await story.containers.clock_becomes(NODE2, 0.0)
    await story.ends("KvsClockOff", "KvsClockRefused")


async def of_disks(story: Story) -> None:
    """One that hangs, then one that fills up, then is full."""
    async with again_and_again(story.write):
        await story.containers.disk_becomes(NODE1, "hang")
        await story.fires("KvsDiskHangs")
        await story.containers.disk_becomes(NODE1, "well")
        await story.ends("KvsDiskHangs")
        async with story.disks.filling_up(NODE2):
            await story.fires("KvsDiskFillsUp")
        story.disks.fill(NODE2)
        await story.fires("KvsDiskFull")
    story.disks.make_room(NODE2)
    await story.ends("KvsDiskFull", "KvsDiskFillsUp")


async def of_a_loop(story: Story) -> None:
    """A node that stands still again and again."""

    async def stand_still() -> None:
        await docker("pause", NODE2.name)
        await asyncio.sleep(LATE_S)
        await docker("unpause", NODE2.name)
        await asyncio.sleep(LATE_S)

    async with again_and_again(stand_still):
        await story.fires("KvsLoopLate")
    await run("docker", "unpause", NODE2.name)
    await story.ends("KvsLoopLate")


async def test_alerts_fire_in_the_fault_that_they_are_for_and_end_with_it(
    containers: Containers, http: Client, tmp_path: Path
) -> None:
    disks = SmallDisks(tmp_path / "disks")
    try:
        if not await disks.mount(SPOTS):
            pytest.skip("no disk that can be filled may be mounted here")
        await containers.start_sick(*TRIO, view=TRIO, disks=disks.directory, repl_factor=COPIES)
        newcomer = {NODE4: Halt("Push received")}
        await containers.start_sick(NODE4, view=[NODE4], disks=disks.directory, repl_factor=COPIES, halts=newcomer)
        await containers.load(*TRIO)
        where = {spot.published: spot.address for spot in SPOTS}
        async with watching(http, where, tmp_path, HURRY) as prometheus:
            story = Story(containers, http, disks, prometheus)
            for fault in (of_a_change_that_waits, of_dead_nodes, of_a_cut, of_a_clock, of_disks, of_a_loop):
                await fault(story)
                await story.is_quiet()
            assert story.fired == set(alerts()) - OF_TLS
    finally:
        await containers.remove(*SPOTS)
        await disks.unmount()

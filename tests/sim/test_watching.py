"""That the checks of what is told to those who watch can fail; and that where nothing goes wrong there is no gap."""

from __future__ import annotations

import asyncio

import pytest

from node.values.record import Record
from node.values.version import make_version
from node.watching.joint import Event
from node.watching.watcher import Gap, Position, Told
from tests.sim.cluster import Cluster
from tests.sim.registers import Violation
from tests.sim.watching import Story

SECONDS, KEYS = 5, 3


def told(clock: int, value: bytes | None = b"1") -> Told:
    return Told(Event(b"k", Record(make_version(clock << 16, 1), value, False).encode()), Position("p", {}))


def test_story_told_out_of_order_is_a_violation() -> None:
    story = Story(b"")
    story.begin(0.0, "p0")
    story.tell(told(1))
    for item in (told(1), told(0)):
        with pytest.raises(Violation):
            story.tell(item)
    story.open(1.0, "p1")
    story.tell(told(1))
    assert story.must_list and story.gap_at == 1.0


def test_story_keeps_a_copy_of_what_it_is_told() -> None:
    story = Story(b"")
    story.begin(0.0, "p0")
    story.tell(told(1))
    assert story.copy == {b"k": make_version(1 << 16, 1)}
    story.tell(told(2, None))
    assert story.copy == {} and len(story.told) == 2


@pytest.mark.parametrize("repl_factor", [None, 2, 3])
def test_watching_where_nothing_goes_wrong_has_no_gap(repl_factor: int | None) -> None:
    cluster = Cluster(1, 4, 4, repl_factor)

    async def write(machine_of: list[str], number: int) -> None:
        for n in range(20 * SECONDS):
            machine = cluster.machines[machine_of[(n + number) % 4]]
            await machine.ask(lambda node: node.router.write(b"k%d" % (n % KEYS), b"%d" % n))  # noqa: B023
            await asyncio.sleep(0.05)

    async def run() -> list[Told | Gap]:
        for machine in cluster.machines.values():
            machine.start()
        await asyncio.sleep(1)
        machine = cluster.machines["n1:1"]
        watcher = await machine.ask(lambda node: node.hub.watch(b""))
        async with asyncio.TaskGroup() as tasks:
            for number in range(2):
                tasks.create_task(write(list(cluster.machines), number))
        await asyncio.sleep(0.2)
        return await watcher.take()

    items = cluster.loop.run(run())
    assert len(items) == 2 * 20 * SECONDS and all(isinstance(item, Told) for item in items)

"""Clocks that are wrong for a while, and machines that are suspended: nothing is read that is older than what was
acknowledged, contexts hold, stamps wear off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from node.errors import Unavailable
from node.net.messages import ReadResult, Unsatisfied
from node.operations.router import Outcome
from node.storage.keys import Setting, setting_place
from node.values.context import to_json
from node.values.version import clock_of, reading_at
from tests.sim.cluster import Cluster, Machine, NoAnswer
from tests.sim.peace import read

STEADY_S = 4.0
RECOVERED_S = 2.0
HOUR_S, YEAR_S = 3600, 365 * 86_400
WRONG_S = 3.0


def tell(copies: int, story: Callable[[Cluster, list[Machine]], Coroutine[Any, Any, None]]) -> None:
    cluster = Cluster(1, 3, 3, repl_factor=copies, timing={"tombstone_grace_s": 40.0, "purge_every_s": 1.0})
    machines = list(cluster.machines.values())

    async def live() -> None:
        for machine in machines:
            machine.start()
        await asyncio.sleep(STEADY_S)
        await story(cluster, machines)

    cluster.loop.run(live())


async def write(machine: Machine, key: bytes, value: bytes | None) -> Outcome:
    return await machine.ask(lambda node: node.router.write(key, value, node.router.take_context({})))


async def read_with(machine: Machine, key: bytes, context: Any) -> Outcome:
    return await machine.ask(lambda node: node.router.read(key, node.router.take_context(context)))


async def value_of(machine: Machine, key: bytes) -> bytes | None:
    answer = (await machine.ask(lambda node: read(node, key))).answer
    assert isinstance(answer, ReadResult)
    return answer.value


def ahead_ms(machine: Machine, key: bytes) -> int:
    """By how much the record there was stamped ahead of the time by which all clocks are right."""
    record = machine.disk.record(key)
    assert record is not None
    return (clock_of(record.version) >> 16) - machine.time.wall_ms()


@pytest.mark.parametrize("off_s", [90, HOUR_S, 20 * HOUR_S, YEAR_S])
def test_clock_ahead_for_seconds_stamps_nothing_and_leaves_nothing_behind(off_s: int) -> None:
    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        a, b, c = machines
        a.time.set_wall_ahead(1000 * off_s)
        began = cluster.loop.now
        while cluster.loop.now < began + WRONG_S:
            with pytest.raises((Unavailable, NoAnswer)):
                await write(a, b"during", b"1")
            await write(b, b"beside", b"1")
            await asyncio.sleep(0.2)
        assert a.disk.record(b"during") is None
        a.time.set_wall_ahead(-1000 * off_s)
        await asyncio.sleep(RECOVERED_S)
        for n, machine in enumerate(machines):
            await write(machine, b"after%d" % n, b"1")
            await write(machine, b"after%d" % n, None)
            assert abs(ahead_ms(machine, b"after%d" % n)) < 1000
        for x in (b, c):
            cluster.cut(a.address, x.address)
        await asyncio.sleep(RECOVERED_S)
        context = to_json((await write(a, b"mine", b"1")).context)  # type: ignore[arg-type]
        assert context
        assert isinstance((await read_with(b, b"mine", context)).answer, Unsatisfied)
        cluster.heal()
        await asyncio.sleep(10.0)
        for _ in range(120):
            for machine in machines:
                await write(machine, b"tick", b"1")
            await asyncio.sleep(1.0)
        assert all(b.disk.record(b"after%d" % n) is None for n in range(3)), "deletions are forgotten after the grace"

    tell(3, story)


def test_clock_ahead_in_a_cut_stamps_by_what_was_confirmed_before() -> None:
    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        a, b, c = machines
        for x in (b, c):
            cluster.cut(a.address, x.address)
        a.time.set_wall_ahead(1000 * YEAR_S)
        await asyncio.sleep(a.config.clock_alone_s + RECOVERED_S)
        await write(a, b"k", b"1")
        a.time.set_wall_ahead(-1000 * YEAR_S)
        assert abs(ahead_ms(a, b"k")) < 1000
        await asyncio.sleep(1.0)
        await write(b, b"k", b"2")
        cluster.heal()
        await asyncio.sleep(RECOVERED_S)
        assert [await value_of(machine, b"k") for machine in machines] == [b"2"] * 3

    tell(3, story)


def test_clock_started_again_wrong_and_alone_stamps_by_what_was_confirmed_before() -> None:
    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        a, b, c = machines
        for x in (b, c):
            cluster.cut(a.address, x.address)
        a.crash()
        a.time.set_wall_ahead(1000 * YEAR_S)
        a.start()
        await asyncio.sleep(RECOVERED_S)
        await write(a, b"k", b"1")
        a.time.set_wall_ahead(-1000 * YEAR_S)
        assert abs(ahead_ms(a, b"k")) < 1000 * (1 + a.config.clock_ceiling_s)

    tell(3, story)


def test_clock_all_ahead_together_then_right_loses_nothing_and_wears_off() -> None:
    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        for machine in machines:
            machine.time.set_wall_ahead(120_000)
        await asyncio.sleep(RECOVERED_S)
        await write(machines[0], b"k", b"ahead")
        for machine in machines:
            machine.time.set_wall_ahead(-120_000)
        await asyncio.sleep(RECOVERED_S)
        await write(machines[1], b"k", b"later")
        assert ahead_ms(machines[1], b"k") > 100_000
        assert [await value_of(machine, b"k") for machine in machines] == [b"later"] * 3
        await asyncio.sleep(120.0)
        for n, machine in enumerate(machines):
            await write(machine, b"worn off%d" % n, b"1")
            assert abs(ahead_ms(machine, b"worn off%d" % n)) < 1000
            assert machine.node is not None and not machine.node.clock.has_new_lead

    tell(3, story)


def test_clock_that_begins_ahead_takes_no_other_along() -> None:
    """What a release that believed its clock has left on its disk, or a machine that was started wrong and alone."""

    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        a, b, c = machines
        ceiling = reading_at(a.time.wall_ms() + 20_000 * HOUR_S)
        a.crash()
        a.disk.items[setting_place(Setting.CLOCK)] = msgspec.msgpack.encode((ceiling, 0))
        a.start()
        await asyncio.sleep(RECOVERED_S)
        await write(a, b"k", b"1")
        assert ahead_ms(a, b"k") > 10_000 * HOUR_S
        await asyncio.sleep(RECOVERED_S)
        for machine in (b, c):
            await write(machine, machine.address.encode(), b"1")
            assert abs(ahead_ms(machine, machine.address.encode())) < 1000
        for value in (b"2", None):
            await write(b, b"k", value)
            assert [await value_of(machine, b"k") for machine in machines] == [value] * 3

    tell(3, story)


def test_clock_what_a_client_saw_stamped_ahead_is_passed_by_what_it_writes_later() -> None:
    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        a, b, c = machines
        for x in (a, c):  # These two confirm each other.
            cluster.cut(b.address, x.address)
            x.time.set_wall_ahead(120_000)
        await asyncio.sleep(RECOVERED_S)
        context = to_json((await write(a, b"k", b"earlier")).context)  # type: ignore[arg-type]
        assert context and ahead_ms(a, b"k") > -1000
        for x in (a, c):
            x.time.set_wall_ahead(-120_000)
        await b.ask(lambda node: node.router.write(b"k", b"later", node.router.take_context(context)))
        cluster.heal()
        await asyncio.sleep(RECOVERED_S)
        assert [await value_of(machine, b"k") for machine in machines] == [b"later"] * 3

    tell(3, story)


def test_clock_set_back_by_an_hour_overtakes_nothing() -> None:
    async def story(cluster: Cluster, machines: list[Machine]) -> None:
        await write(machines[0], b"k", b"before")
        machines[0].time.set_wall_ahead(-1000 * HOUR_S)
        await asyncio.sleep(RECOVERED_S)
        await write(machines[0], b"k", b"after")
        machines[0].crash()
        machines[0].start()
        await asyncio.sleep(RECOVERED_S)
        assert [await value_of(machine, b"k") for machine in machines] == [b"after"] * 3
        await write(machines[0], b"k", b"at last")
        assert [await value_of(machine, b"k") for machine in machines] == [b"at last"] * 3

    tell(2, story)


@pytest.mark.parametrize("stands_still", [False, True], ids=["goes on", "stands still"])
def test_suspended_machine_reads_nothing_stale_when_it_goes_on(stands_still: bool) -> None:
    cluster = Cluster(1, 2, 2, repl_factor=2)
    a, b = cluster.machines.values()

    async def live() -> None:
        for machine in (a, b):
            machine.start()
        await asyncio.sleep(STEADY_S)
        await write(a, b"k", b"old")
        await asyncio.sleep(1.0)
        began = cluster.loop.now
        a.freeze()
        await asyncio.sleep(3.0)
        await write(b, b"k", b"new")
        if stands_still:
            a.stood_still_until = cluster.loop.now + 0.1
            a.time.stand_still(cluster.loop.now - began)
        a.thaw()
        seen = []
        began = cluster.loop.now
        while cluster.loop.now < began + 1.5:
            with suppress(Unavailable, NoAnswer):
                seen.append(await value_of(a, b"k"))
            await asyncio.sleep(0.01)
        assert set(seen) == {b"new"}

    cluster.loop.run(live())

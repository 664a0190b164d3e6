"""A view change during which one node is harmed at one step of it: every step, every part in it, every kind of harm.

Two nodes with two copies of everything become four, with clients at work. One node halts at its step, see `halting`,
and is killed, paused, cut off, or killed and its disk emptied. When it is back, the change completes by itself, or it
never came to be, and then succeeds when it is asked for again. Nothing that was acknowledged is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product

import pytest

from tests.cluster import Client, eventually
from tests.commands import run
from tests.docker.clients import Clients
from tests.docker.containers import (
    ARMED,
    GO,
    HALTED,
    NETWORK,
    NODE1,
    NODE2,
    NODE3,
    NODE4,
    PAIR,
    SPOTS,
    Containers,
    Halt,
    Spot,
    docker,
    view_held,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

COPIES = 2
AWAY_S = 3.0
NEWCOMERS = (NODE3, NODE4)
COORDINATOR, DONOR, TARGET = NODE1, NODE2, NODE3
STEPS = {
    COORDINATOR: ["Promise sent", "adopted", "Adopt sent", "settled"],
    DONOR: [
        "Promise received",
        "Promise answered",
        "Adopt received",
        "adopted",
        "Holding sent",
        "Compare sent",
        "Push sent",
        "dropping",
        "dropped",
        "settled",
    ],
    TARGET: [
        "Promise received",
        "Promise answered",
        "Adopt received",
        "adopted",
        "Holding received",
        "Compare received",
        "Push received",
        "Push answered",
        "settled",
    ],
}
AMONG_OLD_AND_NEW = ("Holding", "Compare", "Push")
"""Messages that co-owners exchange too: only those between an old owner and a new one are meant."""


async def is_there(spot: Spot, file: str) -> bool:
    return (await run("docker", "exec", spot.name, "test", "-e", file)).status == 0


async def go_on(spot: Spot) -> None:
    await docker("exec", spot.name, "touch", GO)


async def kill(containers: Containers, clients: Clients, spot: Spot) -> None:
    await docker("kill", spot.name)
    await asyncio.sleep(AWAY_S)
    await docker("start", spot.name)


async def pause(containers: Containers, clients: Clients, spot: Spot) -> None:
    await docker("pause", spot.name)
    await asyncio.sleep(AWAY_S)
    await docker("unpause", spot.name)
    await go_on(spot)


async def cut(containers: Containers, clients: Clients, spot: Spot) -> None:
    clients.checks_reads = False
    await docker("network", "disconnect", NETWORK, spot.name)
    await go_on(spot)
    await asyncio.sleep(AWAY_S)
    await docker("network", "connect", "--ip", spot.ip, NETWORK, spot.name)


async def empty(containers: Containers, clients: Clients, spot: Spot) -> None:
    await containers.remove(spot)
    await asyncio.sleep(AWAY_S)
    view = (spot,) if spot in NEWCOMERS else PAIR
    await containers.start_on_two_networks(spot, view=view, repl_factor=COPIES)


HARMS: dict[str, Callable[[Containers, Clients, Spot], Awaitable[None]]] = {
    "kill": kill,
    "pause": pause,
    "cut": cut,
    "empty": empty,
}
PARTS = {COORDINATOR: "coordinator", DONOR: "donor", TARGET: "target"}
CASES = [(spot, step, harm) for spot in PARTS for step, harm in product(STEPS[spot], HARMS)]
OFTEN = [
    (COORDINATOR, "adopted", "kill"),
    (COORDINATOR, "Adopt sent", "cut"),
    (DONOR, "Push sent", "pause"),
    (DONOR, "dropping", "empty"),
    (TARGET, "Promise answered", "cut"),
    (TARGET, "Push answered", "empty"),
]
"""Those that are gone through with each change of the code; all: `make steps`."""


def name_of(case: tuple[Spot, str, str]) -> str:
    spot, step, harm = case
    return f"{PARTS[spot]} {step}: {harm}"


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in OFTEN else pytest.mark.long) for case in CASES], ids=name_of
)
async def test_step_at_which_a_node_is_harmed(
    containers: Containers, http: Client, case: tuple[Spot, str, str]
) -> None:
    spot, step, harm = case
    others = NEWCOMERS if spot in PAIR else PAIR
    halt = Halt(step, others if step.startswith(AMONG_OLD_AND_NEW) else ())
    await containers.start_on_two_networks(*PAIR, view=PAIR, repl_factor=COPIES, halts={spot: halt})
    for newcomer in NEWCOMERS:
        await containers.start_on_two_networks(newcomer, view=[newcomer], repl_factor=COPIES, halts={spot: halt})
    await containers.serving(*PAIR)
    clients = Clients(http, PAIR)
    await clients.fill()
    async with clients.running():
        await clients.goes_on(100)
        await docker("exec", spot.name, "touch", ARMED)
        nodes = [each.address for each in SPOTS]
        request = asyncio.create_task(http.change_view(COORDINATOR.published, nodes, "?wait=false"))
        try:
            await eventually(lambda: is_there(spot, HALTED), f"{spot.name} halting at {step}")
            await HARMS[harm](containers, clients, spot)
        finally:
            await asyncio.gather(request, return_exceptions=True)
        await containers.listening(spot)
        await expect_change(http, nodes)
        await containers.alike(*SPOTS)
    await clients.check_all()
    assert [failure for failure in clients.failures if failure.what in ("lost write", "stale read")] == []


async def expect_change(http: Client, nodes: list[str]) -> None:
    """It completes, or never came to be and does so now."""

    async def settled() -> bool:
        states = [await http.ask(spot.published, "GET", "/kvs/view-change") for spot in PAIR]
        return all(reply.json["state"] == "settled" for reply in states)

    async def in_force() -> bool:
        held = [await view_held(http, spot) for spot in SPOTS]
        return await settled() and len(set(map(str, held))) == 1 and held[0][1] == set(SPOTS)

    await eventually(settled, "the change being over")
    if (await view_held(http, DONOR))[1] != set(SPOTS):
        reply = await http.change_view(DONOR.published, nodes)
        assert reply.status == 200, reply.body
    await eventually(in_force, "the view being in force everywhere")

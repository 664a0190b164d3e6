"""View changes without a node that is paused or dead: in its absence, and when it comes back."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.cluster import Client, eventually
from tests.docker.containers import (
    KEYS,
    NODE1,
    NODE2,
    NODE3,
    PAIR,
    TRIO,
    Containers,
    Spot,
    counts,
    docker,
    expect_content,
    holders,
    view_change,
    view_held,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]

ABSENCE = pytest.mark.parametrize(("away", "back"), [("pause", "unpause"), ("kill", "start")], ids=["paused", "killed"])


async def expect_settled(http: Client, via: Spot, *view: Spot) -> None:
    async def settled() -> bool:
        progress = (await http.ask(via.published, "GET", "/kvs/view-change")).json
        return progress["state"] == "settled" and (await view_held(http, via))[1] == set(view)

    await eventually(settled, f"{[spot.name for spot in view]} settled")


@ABSENCE
async def test_absent_node_is_removed_and_hands_over_when_it_returns(
    containers: Containers, http: Client, away: str, back: str
) -> None:
    await containers.start(*TRIO, view=TRIO)
    content = await containers.load(*TRIO)
    held = await holders(http, content, NODE1)

    async def is_known() -> bool:
        nodes = (await http.ask(NODE2.published, "GET", "/kvs/status")).json["nodes"]
        return any(node["address"] == NODE3.address and node["key-count"] == len(held[NODE3]) for node in nodes)

    await eventually(is_known, "the others having heard how many keys it has")
    await docker(away, NODE3.name)

    answered = await view_change(http, NODE2, *PAIR, given_up=len(held[NODE3]))
    assert sum(answered.values()) == KEYS - len(held[NODE3])
    reachable = {key: content[key] for spot in PAIR for key in held[spot]}
    await expect_content(http, reachable, *PAIR)

    await docker(back, NODE3.name)

    async def brought_home() -> bool:
        return sum(await counts(http, *PAIR)) == KEYS and await view_held(http, NODE3) == (1, set(PAIR))

    await eventually(brought_home, "the keys of the removed node being with the two others")
    await containers.serving(*TRIO)
    await expect_content(http, content, *TRIO)
    assert await counts(http, NODE3) == [0]


@ABSENCE
async def test_absent_node_cannot_be_added(containers: Containers, http: Client, away: str, back: str) -> None:
    """Nothing changes until it is there; then the same request succeeds."""
    await containers.start(*PAIR, view=PAIR)
    await containers.start(NODE3, view=TRIO)
    content = await containers.load(*PAIR)
    await docker(away, NODE3.name)

    reply = await http.change_view(NODE1.published, [spot.address for spot in TRIO])
    assert reply.status == 503
    assert reply.json["unreachable"] == [NODE3.address]
    assert [await view_held(http, spot) for spot in PAIR] == [(0, set(PAIR))] * 2
    await expect_content(http, content, *PAIR)

    await docker(back, NODE3.name)
    await containers.listening(NODE3)
    assert sum((await view_change(http, NODE1, *TRIO)).values()) == KEYS
    await expect_content(http, content, *TRIO)


async def test_absent_node_that_never_was_cannot_be_added(containers: Containers, http: Client) -> None:
    await containers.start(*PAIR, view=PAIR)
    began = time.monotonic()
    reply = await http.change_view(NODE1.published, [spot.address for spot in TRIO])
    assert (reply.status, reply.json["unreachable"]) == (503, [NODE3.address])
    assert time.monotonic() - began < 10


async def test_absent_coordinator_of_neither_view_is_not_needed(containers: Containers, http: Client) -> None:
    await containers.start(NODE1, view=[NODE1])
    await containers.start(NODE2, NODE3, view=[NODE1])
    content = await containers.load(NODE1)

    reply = await http.change_view(NODE3.published, [spot.address for spot in PAIR], "?wait=false")
    await docker("kill", NODE3.name)

    assert reply.status == 202
    await expect_settled(http, NODE1, *PAIR)
    await expect_settled(http, NODE2, *PAIR)
    assert sum(await counts(http, *PAIR)) == KEYS
    await expect_content(http, content, *PAIR)


@pytest.mark.parametrize("coordinator", [NODE1, NODE3], ids=["old_member", "newcomer"])
async def test_absent_coordinator_of_the_new_view_completes_it_when_it_returns(
    containers: Containers, http: Client, coordinator: Spot
) -> None:
    """Killed as soon as another node holds its view, with the client still waiting."""
    await containers.start(*PAIR, view=PAIR)
    await containers.start(NODE3, view=PAIR)
    content = await containers.load(*PAIR, keys=1000)
    other = NODE2 if coordinator is NODE1 else NODE1

    async def view_has_left() -> bool:
        return (await view_held(http, other))[0] > 0

    request = asyncio.create_task(http.change_view(coordinator.published, [spot.address for spot in TRIO]))
    await eventually(view_has_left, "the view being out")
    await docker("kill", coordinator.name)
    await asyncio.gather(request, return_exceptions=True)  # An answer, or none: it may just have made it.

    await docker("start", coordinator.name)
    await containers.listening(coordinator)
    for spot in TRIO:
        await expect_settled(http, spot, *TRIO)
    assert sum(await counts(http, *TRIO)) == len(content)
    await expect_content(http, content, coordinator)

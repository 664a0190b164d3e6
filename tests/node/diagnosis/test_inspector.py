"""Asking all how they are, among peers that answer from a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from gossip.messages import Digest, MemberRecord, Rumour
from gossip.view import Address
from node.net.messages import Answer, AskHealth, AskStatus, Health, Owed, Request, Unable
from tests.node.fakes.peers import THEIR_ID
from tests.node.lone_owner import B, C, Lone, lone_owner
from tests.node.parts import on_virtual_time

D = "d:1"
WELL = Health("4.0.1", 50)


def answers(lone: Lone, health: Answer = WELL, **status: object) -> Callable[[Request], Answer]:
    own = msgspec.structs.replace(lone.node.status(), handing=(), waiting=(), settled=True)

    def answer(request: Request) -> Answer:
        match request:
            case AskStatus():
                return msgspec.structs.replace(own, **status)
            case AskHealth():
                return health
        return Unable()

    return answer


def hear(lone: Lone, node: Address, key_count: int, *rumours: Rumour) -> None:
    record = MemberRecord(node, 1, 1, THEIR_ID, 0, key_count)
    lone.node.hear(node, Digest(lone.node.views.view_id, record, rumours, ()))


async def codes(lone: Lone) -> dict[str, tuple[Address, ...]]:
    return {problem.code: problem.nodes for problem in await lone.node.inspector.problems()}


@on_virtual_time
async def test_inspector_finds_nothing_where_all_are_well() -> None:
    async with lone_owner(B, C) as lone:
        lone.peers.script = {node: answers(lone) for node in (B, C)}
        assert await codes(lone) == {}


@on_virtual_time
async def test_inspector_takes_what_a_node_says_of_itself() -> None:
    async with lone_owner(B, C) as lone:
        lone.peers.script = {B: answers(lone), C: answers(lone, Health("4.0.1", 50, hung_ms=2000))}
        (problem, *_) = await lone.node.inspector.problems()
        assert (problem.code, problem.nodes, problem.lasts_s) == ("disk-hangs", (C,), 2.0)


@on_virtual_time
async def test_inspector_waits_for_a_silent_node_no_longer_than_makes_it_silent() -> None:
    async with lone_owner(B, C) as lone:
        lone.peers.script = {B: answers(lone)}
        lone.peers.silent = {C}
        hear(lone, C, 7)
        began = asyncio.get_running_loop().time()
        problems = await lone.node.inspector.problems()
        assert asyncio.get_running_loop().time() - began <= lone.node.config.silence_s + 0.1
        assert problems[0].code == "node-down" and problems[0].nodes == (C,)


@on_virtual_time
async def test_inspector_does_not_ask_an_older_release_what_it_does_not_know() -> None:
    async with lone_owner(B) as lone:
        lone.peers.script, lone.peers.older = {B: answers(lone)}, {B}
        assert await codes(lone) == {"older-release": (B,)}
        assert (B, AskHealth()) not in lone.peers.asked and (B, AskStatus()) in lone.peers.asked


@on_virtual_time
async def test_inspector_asks_nobody_of_another_cluster() -> None:
    async with lone_owner(B) as lone:
        lone.peers.strangers = {B}
        assert "foreign-node" in await codes(lone)
        assert not [request for _, request in lone.peers.asked if isinstance(request, AskStatus)]


@on_virtual_time
async def test_inspector_says_why_a_node_is_turned_away_until_it_is_let_in() -> None:
    async with lone_owner(B) as lone:
        lone.peers.refused = {B: "it shows no certificate"}
        assert (await codes(lone))["turned-away"] == (B,)
        lone.peers.script, lone.peers.refused = {B: answers(lone)}, {}
        assert await codes(lone) == {}


@on_virtual_time
async def test_inspector_asks_those_too_that_others_wait_for() -> None:
    async with lone_owner(B) as lone:
        lone.peers.script = {B: answers(lone, waiting=(Owed(D, 3, 0),), settled=False)}
        assert (await codes(lone))["removed-node-missing"] == (D,)
        lone.peers.script[D] = answers(lone)
        assert "removed-node-missing" not in await codes(lone)


@on_virtual_time
async def test_inspector_knows_since_when_a_node_is_dead_and_says_so_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with lone_owner(B, runs=True) as lone:
        hear(lone, B, 7)
        while B not in lone.node.gossip.dead:
            await asyncio.sleep(1.0)
        await asyncio.sleep(5.0)
        (down,) = [problem for problem in await lone.node.inspector.problems() if problem.code == "node-down"]
        assert down.lasts_s is not None and 4.0 < down.lasts_s < 7.0
    assert caplog.messages.count(f"{B} is down: it has answered nobody for some seconds") == 1

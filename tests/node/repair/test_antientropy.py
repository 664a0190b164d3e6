"""A difference between copies that nobody has noticed is found and mended, and a write on its way is none."""

from __future__ import annotations

import asyncio

from node.net.messages import Compare, Differing, Request, Unable
from node.repair.antientropy import AntiEntropy
from ring.hashing import pack, partition_of
from tests.node.parts import A, B, Parts, node_a, on_virtual_time, record

KEY = b"k"


def watching(parts: Parts) -> AntiEntropy:
    return AntiEntropy(parts.config, parts.store, parts.views, parts.co_owners, parts.calls)


def answering(parts: Parts, different: list[int]) -> None:
    """B holds these partitions otherwise, as long as they are in the list."""

    def answer(request: Request) -> Differing | Unable:
        return Differing(b"", pack(different)) if isinstance(request, Compare) else Unable()

    parts.peers.script[B] = answer


@on_virtual_time
async def test_difference_seen_twice_puts_the_co_owner_out_of_step() -> None:
    parts = await node_a(A, B, repl_factor=2)
    await parts.keep((KEY, record(5)))
    parts.compare(B)
    answering(parts, [partition_of(KEY)])
    async with parts.running(watching(parts).run()):
        await asyncio.sleep(1.5 * parts.config.compare_every_s)
        assert parts.co_owners.out_of_step() == []
        await asyncio.sleep(parts.config.compare_every_s)
        assert parts.co_owners.out_of_step() == [B]


@on_virtual_time
async def test_difference_that_has_changed_meanwhile_is_a_write_on_its_way() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    answering(parts, [partition_of(KEY)])
    async with parts.running(watching(parts).run()):
        for clock in range(4):
            await parts.keep((KEY, record(5 + clock)))
            await asyncio.sleep(parts.config.compare_every_s)
    assert parts.co_owners.out_of_step() == []


@on_virtual_time
async def test_difference_that_is_gone_at_the_second_look_is_none() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    different = [partition_of(KEY)]
    answering(parts, different)
    async with parts.running(watching(parts).run()):
        for _ in range(4):
            await asyncio.sleep(parts.config.compare_every_s)
            different.clear() if different else different.append(partition_of(KEY))
    assert parts.co_owners.out_of_step() == []


@on_virtual_time
async def test_co_owners_out_of_step_are_left_to_the_comparison_they_await() -> None:
    parts = await node_a(A, B, repl_factor=2)
    answering(parts, [])
    async with parts.running(watching(parts).run()):
        await asyncio.sleep(3 * parts.config.compare_every_s)
    assert parts.asked(Compare) == []


@on_virtual_time
async def test_answer_about_what_was_not_asked_is_ignored() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.compare(B)
    answering(parts, [5000])
    async with parts.running(watching(parts).run()):
        await asyncio.sleep(3 * parts.config.compare_every_s)
    assert len(parts.asked(Compare)) >= 2 and parts.co_owners.out_of_step() == []

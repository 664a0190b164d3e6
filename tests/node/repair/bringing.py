"""A node that brings others what it holds, and those that take it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gossip.view import Address
from node.net.messages import Answer, Push, Request
from node.values.record import Record
from ring.hashing import partition_of
from tests.node.fakes.peers import Taker
from tests.node.parts import Parts, record


def digest(parts: Parts, key: bytes) -> bytes:
    return parts.store.stats(partition_of(key)).digest.to_bytes(8)


def taker(
    parts: Parts, peer: Address, equal: Iterable[bytes] = (), different: Iterable[tuple[bytes, Record]] = ()
) -> Taker:
    """One that holds what is here of the `equal` keys, and `different` instead."""
    same = []
    for key in equal:
        held = parts.held(key)
        assert held is not None
        same.append((key, held))
    answering = parts.peers.script[peer] = Taker(*same, *different)
    answering.digest_of = {key: digest(parts, key) for key, _ in same} | {key: bytes(8) for key, _ in different}
    return answering


async def some(parts: Parts, count: int, *owners: Address) -> list[bytes]:
    """Keys held here, each alone in its partition, in the order of these."""
    by_partition: dict[int, bytes] = {}
    for key in parts.keys_of(*owners):
        by_partition.setdefault(partition_of(key), key)
        if len(by_partition) == count:
            break
    keys = [by_partition[partition] for partition in sorted(by_partition)]
    await parts.keep(*((key, record(5)) for key in keys))
    return keys


async def bring(parts: Parts, keys: Iterable[bytes], *peers: Address, forget: bool = False) -> bool:
    return await parts.transfers.bring(peers, sorted(map(partition_of, keys)), parts.views.view_id, forget)


class SlowLink:
    """To a taker, one message after the other at 1 Mbit/s."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._turn = asyncio.Lock()

    async def __call__(self, request: Request) -> Answer:
        async with self._turn:
            if isinstance(request, Push):
                await asyncio.sleep(sum(len(encoded) for _, encoded in request.records) / 125_000)
        return await self._taker(request)

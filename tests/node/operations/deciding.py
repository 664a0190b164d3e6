"""Owners that decide about conditions, and those that they ask."""

from __future__ import annotations

import asyncio

from node.net.messages import Answer, Confirm, Confirmed, Request, Unable
from node.values.version import make_version
from tests.node.fakes.peers import CoOwner
from tests.node.parts import A, B, C, Parts, node_a

KEY = b"k"
V9 = make_version(9 << 16, 3)
HOLDS = Confirmed(True, False)
SOON_S = 0.2
"""Leases, commits and messages."""


async def of_three() -> tuple[Parts, CoOwner, CoOwner]:
    """A, first owner of all keys, with B and C."""
    parts = await node_a(A, B, C, repl_factor=3)
    return parts, parts.co_owner(B), parts.co_owner(C)


async def with_two_beside() -> tuple[Parts, bytes]:
    """A, only owner of a key, in a view of three."""
    parts = await node_a(A, B, C)
    return parts, parts.key_of(A)


def holding(parts: Parts, times: int) -> None:
    """B says so often that it holds the view of A, and no more."""
    left = times

    def answer(request: Request) -> Answer:
        nonlocal left
        assert isinstance(request, Confirm)
        left -= 1
        return HOLDS if left >= 0 else Unable()

    parts.peers.script[B] = answer


def answering_late(parts: Parts, answer: Answer, at_once: int = 0) -> None:
    """B holds the view, and says so, `at_once` times; then it answers that, and not so soon."""
    left = at_once

    async def slow(request: Request) -> Answer:
        nonlocal left
        left -= 1
        if left >= 0:
            return HOLDS
        await asyncio.sleep(SOON_S)
        return answer

    parts.peers.script[B] = slow

"""Owners that decide conditions, and who stands beside them."""

from __future__ import annotations

from node.net.messages import Confirmed
from tests.node.fakes.peers import CoOwner
from tests.node.parts import A, B, C, Parts, node_a

KEY = b"k"
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

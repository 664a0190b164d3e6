"""One write at A, of which its co-owners have yet to hear."""

from __future__ import annotations

from node.values.version import make_version
from ring.hashing import partition_of
from tests.node.parts import Parts

KEY = b"k"
SOON_S = 0.05
"""A few commits and messages."""


async def put(parts: Parts, key: bytes = KEY, clock: int = 5, value: bytes = b"1") -> None:
    version = make_version(clock << 16, 1)
    await parts.store.write(parts.views.view_id, partition_of(key), key, version, value)

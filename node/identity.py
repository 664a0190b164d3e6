"""Which store a node's disk holds, and how often a node was started on it."""

from __future__ import annotations

import random
from typing import NamedTuple

from node.store import Store


class Identity(NamedTuple):
    store_id: int
    """A random number made with the data directory: an emptied node is another one."""
    incarnation: int
    """1 at the first start, and one more at every other; or at least above what others have heard of."""


async def identify(store: Store, rng: random.Random) -> Identity:
    """Who this node is now. Durable when it returns. Raises StorageFault."""
    known = store.setting("store_id")
    store_id = rng.getrandbits(64) if known is None else int.from_bytes(known)
    incarnation = int.from_bytes(store.setting("incarnation") or b"\0") + 1
    if known is None:
        await store.set("store_id", store_id.to_bytes(8))
    await store.set("incarnation", incarnation.to_bytes(8))
    return Identity(store_id, incarnation)

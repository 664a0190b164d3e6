"""Which store a node's disk holds, how often a node was started on it, and whether co-owners have yet to fill it."""

from __future__ import annotations

import random
from typing import NamedTuple

from node.errors import BadDataDir
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction

FORMAT = b"2"
"""Of what is on disk: raised when a release cannot read what the one before has written."""


class Identity(NamedTuple):
    store_id: int
    """A random number made with the data directory: an emptied node is another one."""
    incarnation: int
    """1 at the first start, and one more at every other; or at least above what others have heard of."""
    is_filled: bool
    """Whether a co-owner has brought it all that it may have lost with a disk before this one."""


async def identify(store: Store, rng: random.Random) -> Identity:
    """Who this node is now. Durable when it returns. Raises StorageFault; BadDataDir for another release's store."""
    known = store.setting(Setting.STORE_ID)
    if known is not None and store.setting(Setting.FORMAT) != FORMAT:
        raise BadDataDir("written by another release of this program, in a form that this one cannot read")
    store_id = rng.getrandbits(64) if known is None else int.from_bytes(known)
    incarnation = int.from_bytes(store.setting(Setting.INCARNATION) or b"\0") + 1

    def job(transaction: Transaction) -> None:
        if known is None:
            transaction.set(Setting.FORMAT, FORMAT)
            transaction.set(Setting.STORE_ID, store_id.to_bytes(8))
            transaction.set(Setting.UNFILLED, b"1")
        transaction.set(Setting.INCARNATION, incarnation.to_bytes(8))

    await store.submit(job)
    return Identity(store_id, incarnation, known is not None and not store.setting(Setting.UNFILLED))


async def note_filled(store: Store) -> None:
    """Durable when it returns. Raises StorageFault."""
    await store.set(Setting.UNFILLED, b"")

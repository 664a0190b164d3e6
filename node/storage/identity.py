"""Which store a disk holds, how often a node was started on it, and whether co-owners have yet to fill it."""

from __future__ import annotations

import random
from typing import NamedTuple

from node.errors import BadDataDir
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction

FORMAT = b"2"
"""The form of what is on disk: raised with a release that cannot read what the release before it has written."""


class Identity(NamedTuple):
    store_id: int
    """A random number made with the data directory: an emptied node is another one."""
    incarnation: int
    """1 at the first start, and one more at every other; or at least above what others have heard of."""
    is_filled: bool
    """Whether co-owners have brought this disk all that an earlier disk of this node may have held."""


async def identify(store: Store, rng: random.Random, cluster: str) -> Identity:
    """The identity with which this node of `cluster` starts. Durable when it returns. Raises StorageFault, or
    BadDataDir for the store of another release, or of another cluster."""
    known = store.setting(Setting.STORE_ID)
    if known is not None and store.setting(Setting.FORMAT) != FORMAT:
        raise BadDataDir("written by another release of this program, in a form that this one cannot read")
    owner = store.setting(Setting.CLUSTER)
    if owner is not None and owner != cluster.encode():
        what = f"of the cluster {owner.decode()!r}, while CLUSTER is {cluster!r}"
        raise BadDataDir(f"{what}: correct CLUSTER, or name another directory")
    store_id = rng.getrandbits(64) if known is None else int.from_bytes(known)
    incarnation = int.from_bytes(store.setting(Setting.INCARNATION) or b"\0") + 1

    def job(transaction: Transaction) -> None:
        if known is None:
            transaction.set(Setting.FORMAT, FORMAT)
            transaction.set(Setting.CLUSTER, cluster.encode())
            transaction.set(Setting.STORE_ID, store_id.to_bytes(8))
            transaction.set(Setting.UNFILLED, b"1")
        transaction.set(Setting.INCARNATION, incarnation.to_bytes(8))

    await store.submit(job)
    return Identity(store_id, incarnation, known is not None and not store.setting(Setting.UNFILLED))


async def note_filled(store: Store) -> None:
    """Remember that co-owners have filled this disk. Durable when it returns. Raises StorageFault."""
    await store.set(Setting.UNFILLED, b"")

"""Which store a process has found on its disk, whose it was, how often a node was started on it, and whether co-owners
have yet to fill it.

A store id is drawn at each start. What a process finds may be less than what the one before it has confirmed, for
somebody may have put back an older copy of the directory; it may be what another node has too, for directories can be
copied. The disk cannot tell, as all that is on it is as old as it is. So to its co-owners each process has a store
that they do not know, and must compare; and it stamps versions that nobody has ever stamped.

A directory belongs to one address. Under another one, since it was copied or mixed up with that of another node, what
is in it is brought to those who own it, but it is not what this node should have: that has to come from others, as if
the disk had been lost. `Views.start` sees to it, and writes down the new address with that.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from gossip.messages import INCARNATION_MAX
from gossip.view import Address
from node.errors import BadDataDir
from node.storage.forms import demand_known
from node.storage.kept import number
from node.storage.keys import FORMAT, Setting
from node.storage.store import Store
from node.storage.transaction import Transaction

BEHIND = b"2"
"""Of an unfilled disk: it is known to be older than it was."""


class Identity(NamedTuple):
    store_id: int
    """A random number that no process before this one had, be it on this disk or on another."""
    incarnation: int
    """1 at the first start, and one more at every other; or at least above what others have heard of."""
    is_filled: bool
    """Whether co-owners have brought this disk all that an earlier disk of this node may have held."""
    former: Address | None = None
    """The other node whose directory this was; None: it was always that of this one."""
    is_behind: bool = False
    """Whether the disk is known to be older than it was."""


async def identify(store: Store, rng: random.Random, cluster: str, me: Address) -> Identity:
    """The identity with which the node `me` of `cluster` starts. Durable when it returns. Raises StorageFault, or
    BadDataDir for the store of another release, or of another cluster."""
    is_new = store.setting(Setting.STORE_ID) is None
    if not is_new:
        demand_known(store.setting(Setting.FORMAT))
    owner = store.kept(Setting.CLUSTER, bytes.decode, cluster)
    if owner != cluster:
        what = f"of the cluster {owner!r}, while CLUSTER is {cluster!r}"
        raise BadDataDir(f"{what}: correct CLUSTER, or name another directory")
    former = store.kept(Setting.ADDRESS, bytes.decode, me)
    is_moved = former != me
    store_id = rng.getrandbits(64)
    incarnation = store.kept(Setting.INCARNATION, _incarnation, 0) + 1

    def job(transaction: Transaction) -> None:
        if is_new:
            transaction.set(Setting.FORMAT, FORMAT)
            transaction.set(Setting.CLUSTER, cluster.encode())
        if is_new or is_moved:
            transaction.set(Setting.UNFILLED, b"1")
        if not is_moved:
            transaction.set(Setting.ADDRESS, me.encode())
        transaction.set(Setting.STORE_ID, store_id.to_bytes(8))
        transaction.set(Setting.INCARNATION, incarnation.to_bytes(8))

    await store.submit(job)
    is_filled = not is_new and not store.setting(Setting.UNFILLED)
    is_behind = not is_moved and store.setting(Setting.UNFILLED) == BEHIND
    return Identity(store_id, incarnation, is_filled, former if is_moved else None, is_behind)


def _incarnation(kept: bytes) -> int:
    """Raises ValueError if there is none above it."""
    incarnation = number(kept)
    if incarnation >= INCARNATION_MAX:
        raise ValueError(f"no node was started {incarnation} times")
    return incarnation


async def note_behind(store: Store, stable: int) -> None:
    """Remember that this disk is older than what was announced by a process on it, and take no write at or below that
    clock. Durable when it returns. Raises StorageFault."""

    def job(transaction: Transaction) -> None:
        transaction.set(Setting.UNFILLED, BEHIND)
        transaction.raise_low_watermark(stable)

    await store.submit(job)


async def note_filled(store: Store) -> None:
    """Remember that co-owners have filled this disk. Durable when it returns. Raises StorageFault."""
    await store.set(Setting.UNFILLED, b"")

"""A data directory with something of each kind in it, and the store file of one as it must stay readable.

`fill` is a history that the real parts of a node go through, on a clock that is set by hand: the same calls leave the
same items on disk, byte for byte. `unpack` gives the directory that a former release has left behind.
"""

from __future__ import annotations

import gzip
import random
from contextlib import closing
from pathlib import Path

from gossip.view import View
from node.config import Config
from node.net.messages import Promise
from node.node import Node
from node.storage.identity import identify
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.timing.clock import Clocks
from node.values import context
from node.values.donors import DonorsChange
from node.values.record import Record
from node.values.version import Version, make_version
from ring.hashing import PARTITIONS, pack, partition_of
from tests.golden.samples import CONTEXT
from tests.node.fakes.clocks import WALL_START_MS, HandTime
from tests.node.fakes.peers import ScriptedPeers
from tests.node.storage.opening import open_in, open_store

FILE = Path(__file__).with_name("store.lmdb.gz")

A, B, C, D, E = "a:1", "b:1", "c:1", "d:1", "[fe80::5]:80"
STORE_ID = 10499958131665514997
"""What `node_on` draws."""
THEIR_ID = 2**64 - 1
NOW_MS = WALL_START_MS
"""What `HandTime` shows; all clock readings below are counted from it."""

COPIED, MOVED = (1, 2), (3000, 3001)
"""Partitions of which A was an owner before, and of which it was none."""
TARGET = "view a:1,c:1"


def clock(n: int) -> int:
    return (NOW_MS << 16) + n


def version(n: int, store_id: int = STORE_ID) -> Version:
    return make_version(clock(n), store_id)


LOW_WATERMARK, STABLE_WATERMARK, PURGE_WATERMARK = clock(10), clock(20), clock(5)

BIG = b'"%s"' % (b"0123456789" * 10_000)
BESIDE = b"beside8170"
"""Of the same partition as `live`."""
LONG_KEY = ("\N{MUSICAL SYMBOL G CLEF}" * 50).encode()
WRITTEN_WITH = context.encode(CONTEXT)
THEIRS = Record(version(33, THEIR_ID), b"[]", True, WRITTEN_WITH)
RECORDS: dict[bytes, Record | None] = {
    b"live": Record(version(30), b"1", False),
    b"replaced": Record(version(32), b'"new"', True),
    b"deleted": Record(version(35), None, True),
    b"context": Record(version(36), b'{"a": 1}', False, WRITTEN_WITH),
    LONG_KEY: Record(version(37), b"null", False),
    b"big": Record(version(38), BIG, False),
    b"theirs": THEIRS,
    b"seen": Record(version(39), b"2", True),
    BESIDE: Record(version(41), b"4", False),
    b"dropped": None,
    b"never": None,
}
"""What is held in the end."""


async def node_on(store: Store) -> Node:
    """A, that its environment has told of itself and B. Nothing of it runs."""
    rng = random.Random(1)
    config = Config.for_test(A, (A, B), Path("/nowhere"))
    return Node(
        config, HandTime(), rng, store, await identify(store, rng, config.cluster, config.address), ScriptedPeers()
    )


def view_after(old: View) -> View:
    """A and C both own what A and B had divided between them."""
    donors = (E, True, pack([9])), (B, False, pack((*COPIED, *MOVED))), (D, True, pack((7, 8, 4095)))
    spare_until_ms = NOW_MS + 86_400_000
    table = pack([0] * PARTITIONS)
    return View(old.lineage_of_successor, 1, old.id, C, 2, ((A, C),), table, donors, spare_until_ms)


async def fill(store: Store) -> None:
    node = await node_on(store)
    await node.start()
    view = view_after(node.views.current)
    await node.views.adopt(view, C)
    await store.change_donors(view.id, DonorsChange({D: 1 << 7, E: 1 << 9}, {B: 1 << MOVED[0]}, {}))
    await node.views.promise(Promise(2, C, TARGET, (A, C), view.lineage))

    node.clock.hear(C, Clocks(clock(3), NOW_MS + 5_000))
    await node.clock.keep_lead()
    await node.clock.stamp()

    def raise_watermarks(batch: Transaction) -> None:
        batch.raise_low_watermark(LOW_WATERMARK)
        batch.raise_stable_watermark(STABLE_WATERMARK)
        batch.raise_purge_watermark(PURGE_WATERMARK)

    await store.submit(raise_watermarks)

    async def write(key: bytes, n: int, value: bytes | None, seen: Record | None = None, known: bytes = b"") -> None:
        await store.write(view.id, partition_of(key), key, version(n), value, seen, True, known)

    await write(b"live", 30, b"1")
    await write(b"replaced", 31, b'"old"')
    await write(b"replaced", 32, b'"new"')
    await write(b"deleted", 34, b"0")
    await write(b"deleted", 35, None)
    await write(b"context", 36, b'{"a": 1}', None, WRITTEN_WITH)
    await write(LONG_KEY, 37, b"null")
    await write(b"big", 38, BIG)
    await write(b"seen", 39, b"2", THEIRS)
    await write(b"dropped", 40, b"3")
    await write(BESIDE, 41, b"4")
    await store.drop(view.id, [(partition_of(b"dropped"), b"dropped", version(40))])
    forgotten = Record(version(4, THEIR_ID), None, True)
    brought = {b"theirs": THEIRS, b"live": Record(version(29, THEIR_ID), b"0", False), b"never": forgotten}
    await store.merge(view.id, [(partition_of(key), key, record.encode()) for key, record in brought.items()])


def items_in(path: Path) -> list[tuple[bytes, bytes]]:
    """All that is in a store, in its order, wherever it belongs."""
    with closing(open_in(path)) as engine:
        return engine.scan(b"\0", b"\xff" * 256, 2**40)


def unpack(path: Path) -> None:
    (path / "store.lmdb").write_bytes(gzip.decompress(FILE.read_bytes()))


async def write_anew(path: Path) -> None:
    """Replaces the file that `unpack` reads, by way of the empty directory `path`."""
    with closing(open_store(path)) as store:
        await fill(store)
    FILE.write_bytes(gzip.compress((path / "store.lmdb").read_bytes(), mtime=0))

"""What is in a store, without an engine; and such as earlier releases have left it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import xxhash

from gossip.view import Address
from node.storage.from_3_0 import CEILING
from node.storage.keys import Setting, setting_place
from ring.hashing import PARTITIONS, pack


class Items(dict[bytes, bytes]):
    """See `from_3_0.Items`."""

    put = dict.__setitem__

    def delete(self, place: bytes) -> None:
        del self[place]

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from ((place, self[place]) for place in sorted(self) if start <= place < stop)


CEILING_READING = 1 << 60
STORE_ID = b"\1\2\3\4\5\6\7\x08"
DONATED = {"[fe80::1]:80": (0, 7, 4095), "b:1": (9,)}


def view_of_3_0(shards: tuple[tuple[Address, ...], ...] = (("a:1",), ("c:1",)), epoch: int = 2) -> list[object]:
    """Its fields."""
    table = pack([partition % len(shards) for partition in range(PARTITIONS)])
    if epoch == 0:
        return [0, 0, None, "", None, shards, table, ()]
    donors = [[donor, pack(partitions)] for donor, partitions in DONATED.items()]
    return [77, epoch, [epoch - 1, 2**64 - 1], "c:1", None, shards, table, donors]


def items_of_3_0(view: list[object] | None = None) -> Items:
    encoded = msgspec.msgpack.encode(view or view_of_3_0())
    fence = [2, xxhash.xxh3_64_intdigest(encoded)]
    found = Items(
        {
            bytes(2): b"figures",
            bytes(2) + b"key": b"a record",
            CEILING: CEILING_READING.to_bytes(8),
            setting_place(Setting.STORE_ID): STORE_ID,
            setting_place(Setting.INCARNATION): (5).to_bytes(8),
            setting_place(Setting.VIEW): encoded,
            setting_place(Setting.FENCE): msgspec.msgpack.encode(fence),
            setting_place(Setting.PROMISE): msgspec.msgpack.encode((0, "", "")),
        }
    )
    for donor, partitions in DONATED.items():
        for partition in partitions:
            found[b"\xfe" + partition.to_bytes(2) + donor.encode()] = b"\0"
    return found

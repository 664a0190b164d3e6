"""From the form of release 3.0 to form 2.

Release 3.0 kept one copy of each key, and did not say in which form its store was. Records and figures stand as they
always have. What is otherwise:

    view       without `spare_until_ms`, and its donors without whether each may hold what nobody else has: it does,
               as there was one copy. The new encoding has another digest, the same on every node that held the view
    fence      the id of that view
    0xFE + partition (2) + address
               -> nothing: one row for each partition of each donor; now one for each donor, with its partitions
    ceiling    of the clock, 8 bytes; now `clock`, with the lead of the fastest one

Where a factor was given, a shard had several nodes and still one copy of each key, on its first node. All nodes of a
shard are owners now. So until they have compared what they hold, none is full: a node that says of a key that it does
not exist may never have been told of it.

The lineage of a later view is the digest that its epoch-0 view had in 3.0, which cannot be had from the new encoding.
So who was left behind at epoch 0 is of another cluster afterwards. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from gossip.view import Address, BadView, View, ViewId, decode_view
from node.storage.keys import DONORS, FORMAT, SETTINGS, Setting, donor_place, setting_place
from node.values.donors import NOTHING, Share
from ring.hashing import PARTITIONS

CEILING = SETTINGS + b"ceiling"
_PARTITION_BYTES = 2


class Items(Protocol):
    """What is in a store, within one transaction."""

    def get(self, place: bytes) -> bytes | None: ...
    def put(self, place: bytes, value: bytes) -> object: ...
    def delete(self, place: bytes) -> object: ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The items with start <= place < stop, in order. None of them may change meanwhile."""


class NotThatForm(ValueError):
    """The store is not of release 3.0."""


class _View(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    lineage: int
    epoch: int
    base: ViewId | None
    coordinator: Address
    repl_factor: int | None
    shards: tuple[tuple[Address, ...], ...]
    table: bytes
    donors: tuple[tuple[Address, bytes], ...]


def migrate(items: Items) -> None:
    """Rewrites what stands otherwise. Raises NotThatForm, and has written nothing then."""
    shares = _shares_in(items)
    encoded = items.get(setting_place(Setting.VIEW))
    view = None if encoded is None else _view_of(encoded)
    if items.get(setting_place(Setting.CLOCK)) is not None:
        raise NotThatForm("its clock is not that of release 3.0")
    _rewrite_donors(items, shares)
    if view is not None:
        items.put(setting_place(Setting.VIEW), view.encoded)
        items.put(setting_place(Setting.FENCE), msgspec.msgpack.encode(view.id))
        if any(len(replicas) > 1 for replicas in view.shards):
            items.put(setting_place(Setting.UNFILLED), b"1")
    if (ceiling := items.get(CEILING)) is not None:
        items.put(setting_place(Setting.CLOCK), msgspec.msgpack.encode((int.from_bytes(ceiling), 0)))
        items.delete(CEILING)
    items.put(setting_place(Setting.FORMAT), FORMAT)


def _view_of(encoded: bytes) -> View:
    """Raises NotThatForm."""
    try:
        old = msgspec.msgpack.decode(encoded, type=_View)
        donors = tuple((address, True, partitions) for address, partitions in old.donors)
        kept = old.lineage, old.epoch, old.base, old.coordinator, old.repl_factor, old.shards, old.table
        return decode_view(View(*kept, donors).encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError, BadView) as error:
        raise NotThatForm(f"its view is not one of release 3.0: {error}") from None


def _shares_in(items: Items) -> dict[Address, Share]:
    """Of each donor what it may hold. Raises NotThatForm."""
    partitions: dict[Address, int] = {}
    for place, _ in items.scan(DONORS, SETTINGS):
        number, donor = int.from_bytes(place[1 : 1 + _PARTITION_BYTES]), place[1 + _PARTITION_BYTES :]
        if number >= PARTITIONS or not donor.isascii():
            raise NotThatForm("its donors are not those of release 3.0")
        partitions[donor.decode()] = partitions.get(donor.decode(), 0) | 1 << number
    return {donor: Share(alone) for donor, alone in partitions.items()}


def _rewrite_donors(items: Items, shares: dict[Address, Share]) -> None:
    for place in [place for place, _ in items.scan(DONORS, SETTINGS)]:
        items.delete(place)
    for donor, share in sorted(shares.items()):
        assert share != NOTHING, "a donor of nothing"
        items.put(donor_place(donor), share.encode())

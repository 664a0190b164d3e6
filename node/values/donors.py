"""Donors: the nodes that may still hold keys of the partitions that this node owns.

An owner treats a donor as a peer that it has not synced with: it asks the donor before it says what a key's value is,
until the donor has handed over. The list is durable, and changes in the transaction that adopts a view and in those
that complete a transfer: an owner that forgot a donor would answer 404 for a key that is on its way, and one that
forgot that a donor has finished would wait for a dead node that has nothing left to hand over.

A donor comes with thousands of partitions at once, and goes with them, so everything here is done to sets of
partitions, see `ring.sets`.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from gossip.view import Address, View
from ring.hashing import unpack
from ring.ring import Ring
from ring.sets import BYTES, bits_of

_SHARE = struct.Struct(f">{BYTES}s{BYTES}s{BYTES}s")
LISTS_KEPT = 64
"""How many packed lists of partitions are remembered as sets."""


class Kind(IntEnum):
    """What is missing while a donor cannot be heard."""

    ALONE = 0
    """It may hold what nobody else has."""
    COPY = 1
    """It was an owner together with others: one of them is enough."""
    COVERED = 2
    """One of those others has been heard."""


class Share(NamedTuple):
    """The partitions of which one donor may still hold keys: a set for each kind, no partition in two of them."""

    alone: int = 0
    copy: int = 0
    covered: int = 0

    @property
    def partitions(self) -> int:
        return self.alone | self.copy | self.covered

    def kind_of(self, partition: int) -> Kind | None:
        """None if it is no donor of this partition."""
        for kind, partitions in zip(Kind, self, strict=True):
            if partitions >> partition & 1:
                return kind
        return None

    def within(self, partitions: int) -> Share:
        return Share(*(held & partitions for held in self))

    def without(self, partitions: int) -> Share:
        return self.within(~partitions)

    def with_cover(self, partitions: int) -> Share:
        """The copies of these partitions are covered."""
        return Share(self.alone, self.copy & ~partitions, self.covered | self.copy & partitions)

    def joined(self, other: Share) -> Share:
        """All that is in either; of what is in both, the strictest kind holds."""
        alone = self.alone | other.alone
        copy = (self.copy | other.copy) & ~alone
        return Share(alone, copy, (self.covered | other.covered) & ~alone & ~copy)

    def replaced(self, other: Share) -> Share:
        """All that is in either; of what is in both, the kind in `other` holds."""
        left = self.without(other.partitions)
        return Share(left.alone | other.alone, left.copy | other.copy, left.covered | other.covered)

    def encode(self) -> bytes:
        return _SHARE.pack(*(held.to_bytes(BYTES) for held in self))


NOTHING = Share()


def decode_share(encoded: bytes) -> Share:
    return Share(*map(int.from_bytes, _SHARE.unpack(encoded)))


class DonorsChange(NamedTuple):
    """What changes in a list of donors, on disk and in memory alike; in this order."""

    remove: Mapping[Address, int] = {}
    """The partitions that each has finished."""
    cover: Mapping[Address, int] = {}
    """The partitions whose copies at each are covered now."""
    put: Mapping[Address, Share] = {}
    """What each is a donor of, in place of what the list says of those partitions."""

    def donors(self) -> set[Address]:
        """The donors that change."""
        return {*self.remove, *self.cover, *self.put}

    def applied(self, donor: Address, share: Share) -> Share:
        """What becomes of the share of `donor`."""
        share = share.without(self.remove.get(donor, 0)).with_cover(self.cover.get(donor, 0))
        return share.replaced(self.put.get(donor, NOTHING))


NO_CHANGE = DonorsChange()
NO_DONORS: Mapping[Address, Kind] = {}


def shares_under(
    new: View,
    new_ring: Ring,
    old: View,
    old_ring: Ring,
    donors: Donors,
    me: Address,
    holders: frozenset[Address],
) -> dict[Address, Share]:
    """What the owner `me` must wait for under `new`, who held `old` with `donors`, as `holders` may have too.

    If `new` was built on `old`, its coordinator has named the donors. An earlier donor that is neither named nor in the
    view is passed over: should it return, it announces itself. Otherwise the views in between are unknown, and so is
    where they sent keys: every node is a donor until it has answered.
    """
    owned = new_ring.bits_of(me)
    if new.base != old.id:
        return shares_of_all(new.nodes | new.donor_nodes | holders, owned, me)
    owned_before = old_ring.bits_of(me)
    shares: dict[Address, Share] = {}
    for donor, alone, packed in new.donors:
        partitions = _bits_of(packed)
        share = Share(partitions) if alone else Share(0, partitions & ~owned_before, partitions & owned_before)
        shares[donor] = shares.get(donor, NOTHING).joined(share)
    for donor, share in donors.shares.items():
        if donor in new.nodes:
            shares[donor] = shares.get(donor, NOTHING).joined(share)
    mine = ((donor, share.within(owned)) for donor, share in sorted(shares.items()) if donor != me)
    return {donor: share for donor, share in mine if share != NOTHING}


def shares_of_all(nodes: Collection[Address], owned: int, me: Address) -> dict[Address, Share]:
    """Where nobody knows who holds what: each of `nodes` may hold any of what `me` owns."""
    return {node: Share(owned) for node in sorted(nodes) if node != me} if owned else {}


@lru_cache(LISTS_KEPT)
def _bits_of(packed: bytes) -> int:
    return bits_of(unpack(packed))


class Donors:
    """The list in memory. It forgets nothing before the disk has."""

    def __init__(self, shares: Mapping[Address, Share]) -> None:
        self._shares = dict(shares)
        self._by_partition: dict[int, Mapping[Address, Kind]] = {}
        """What `of` has worked out since the last change."""

    @property
    def shares(self) -> Mapping[Address, Share]:
        """The share of each donor; a live mapping."""
        return self._shares

    def of(self, partition: int) -> Mapping[Address, Kind]:
        """The donors of a partition. The hot path."""
        if not self._shares:
            return NO_DONORS
        known = self._by_partition.get(partition)
        if known is None:
            kinds = ((donor, share.kind_of(partition)) for donor, share in self._shares.items())
            known = self._by_partition[partition] = {donor: kind for donor, kind in kinds if kind is not None}
        return known

    def of_each(self, partitions: int) -> list[Mapping[Address, Kind]]:
        """What `of` tells of these partitions, a set: whatever it tells of any of them, once."""
        told: list[tuple[int, Mapping[Address, Kind]]] = [(partitions, NO_DONORS)] if partitions else []
        for donor, share in self._shares.items():
            apart: list[tuple[int, Mapping[Address, Kind]]] = []
            for among, donors in told:
                if others := among & ~share.partitions:
                    apart.append((others, donors))
                for kind, held in zip(Kind, share, strict=True):
                    if theirs := among & held:
                        apart.append((theirs, {**donors, donor: kind}))
            told = apart
        return [donors for _, donors in told]

    def finish(self, donor: Address, partitions: int, covers: bool = True) -> DonorsChange:
        """What changes when all has been heard that `donor` holds of these partitions: it is no donor of them now, and
        if it `covers`, other copies of what it held a copy of need not be heard."""
        finished = self._shares.get(donor, NOTHING).within(partitions)
        if finished == NOTHING:
            return NO_CHANGE
        if not covers:
            return DonorsChange({donor: finished.partitions})
        covered = {
            other: share.copy & finished.copy
            for other, share in self._shares.items()
            if other != donor and share.copy & finished.copy
        }
        return DonorsChange({donor: finished.partitions}, covered)

    def change(self, change: DonorsChange) -> None:
        self._by_partition.clear()
        for donor in sorted(change.donors()):
            share = change.applied(donor, self._shares.get(donor, NOTHING))
            if share == NOTHING:
                self._shares.pop(donor, None)
            else:
                self._shares[donor] = share

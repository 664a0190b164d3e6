"""Who may still hold keys of the partitions that this node owns.

An owner treats a donor as a peer that it has not synced with: it asks the donor before it says what a key's value is,
until the donor has handed over. The list is durable, kept in the transaction that adopts a view and in those that
complete a transfer: an owner that forgot a donor would answer 404 for a key that is on its way, and one that forgot
that a donor has finished would wait for a dead node that has nothing left to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from gossip.view import Address, View
from ring.hashing import unpack
from ring.ring import Ring


class Kind(IntEnum):
    """What is missing if a donor cannot be heard."""

    ALONE = 0
    """It may hold what nobody else has."""
    COPY = 1
    """It was an owner together with others, any one of which will do."""
    COVERED = 2
    """One of those others has been heard."""


class Row(NamedTuple):
    partition: int
    donor: Address
    kind: Kind


class Change(NamedTuple):
    """Of a list of donors, on disk and in memory alike."""

    put: Sequence[Row] = ()
    cover: Sequence[tuple[int, Address]] = ()
    """(partition, donor) of those that are covered now, as far as they are still there."""
    remove: Sequence[tuple[int, Address]] = ()


NO_CHANGE = Change()
NONE: Mapping[Address, Kind] = {}


def rows_under(new: View, new_ring: Ring, old: View, old_ring: Ring, donors: Donors, me: Address) -> list[Row]:
    """What an owner that held `old`, with `donors`, must wait for under `new`.

    Where `new` was built on `old`, its coordinator has named the donors, and one that is not in the view nor named any
    more is passed over: should it return, it announces itself. Otherwise the views between them are unknown, and so is
    where they sent keys: everybody is a donor until it has answered.
    """
    owned = frozenset(new_ring.partitions_of(me))
    if new.base != old.stamp:
        everybody = (old.nodes | new.nodes | {address for address, *_ in new.donors}) - {me}
        return [Row(partition, donor, Kind.ALONE) for partition in sorted(owned) for donor in sorted(everybody)]
    owned_before = frozenset(old_ring.partitions_of(me))
    kinds: dict[tuple[int, Address], Kind] = {}
    for donor, alone, partitions in new.donors:
        for partition in owned.intersection(unpack(partitions)) if donor != me else ():
            copy = Kind.COVERED if partition in owned_before else Kind.COPY
            kinds[partition, donor] = min(kinds.get((partition, donor), copy), Kind.ALONE if alone else copy)
    for partition, donor, kind in donors.rows():
        if partition in owned and donor in new.nodes and donor != me:
            kinds[partition, donor] = min(kinds.get((partition, donor), kind), kind)
    return [Row(partition, donor, kind) for (partition, donor), kind in sorted(kinds.items())]


class Donors:
    """The list in memory. Who changes it has changed the disk first."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._pending: dict[int, Mapping[Address, Kind]] = {}
        self._by_donor: dict[Address, list[int]] | None = None
        """What `by_donor` last gave, until something changes."""
        self.change(Change(put=tuple(rows)))

    def of(self, partition: int) -> Mapping[Address, Kind]:
        return self._pending.get(partition, NONE)

    def rows(self) -> Iterator[Row]:
        return (
            Row(partition, donor, kind) for partition, donors in self._pending.items() for donor, kind in donors.items()
        )

    def by_donor(self) -> Mapping[Address, Sequence[int]]:
        """The partitions that each donor may still hold keys of."""
        if self._by_donor is None:
            self._by_donor = {}
            for partition, donor, _ in self.rows():
                self._by_donor.setdefault(donor, []).append(partition)
        return self._by_donor

    def finish(self, donor: Address, partitions: Iterable[int], put: Sequence[Row] = ()) -> Change:
        """What changes when `donor` has been heard of these partitions to the end: it is no donor any more, and those
        that were copies of it need not be heard."""
        finished = [partition for partition in partitions if donor in self.of(partition)]
        cover = [
            (partition, other)
            for partition in finished
            if self.of(partition)[donor] is Kind.COPY
            for other, kind in self.of(partition).items()
            if other != donor and kind is Kind.COPY
        ]
        return Change(put, cover, [(partition, donor) for partition in finished])

    def change(self, change: Change) -> None:
        self._by_donor = None
        for partition, donor, kind in change.put:
            self._pending[partition] = {**self.of(partition), donor: kind}
        for partition, donor in change.cover:
            if donor in self.of(partition):
                self._pending[partition] = {**self.of(partition), donor: Kind.COVERED}
        for partition, donor in change.remove:
            left = {other: kind for other, kind in self.of(partition).items() if other != donor}
            if left:
                self._pending[partition] = left
            else:
                self._pending.pop(partition, None)

"""Who may still hold keys of the partitions that this node owns.

An owner treats a donor as a peer that it has not synced with: it asks the donor before it says what a key's value is,
until the donor has handed over. The list is durable, kept in the transaction that adopts a view and in those that
complete a transfer: an owner that forgot a donor would answer 404 for a key that is on its way, and one that forgot
that a donor has finished would wait for a dead node that has nothing left to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from gossip.view import Address, View
from ring.hashing import unpack
from ring.ring import Ring

Pending: TypeAlias = dict[int, frozenset[Address]]
"""For each partition with donors that have not finished: those donors."""


def pending_under(
    new: View, new_ring: Ring, old: View, pending: Mapping[int, frozenset[Address]], me: Address
) -> Pending:
    """What an owner that held `old`, with `pending`, must wait for under `new`.

    Where `new` was built on `old`, its coordinator has named the donors, and one that is not in the view nor named any
    more is passed over: should it return, it announces itself. Otherwise the views between them are unknown, and so is
    where they sent keys: everybody is a donor until it has answered.
    """
    owned = frozenset(new_ring.partitions_of(me))
    if new.base != old.stamp:
        everybody = (old.nodes | new.nodes | {address for address, _ in new.donors}) - {me}
        return dict.fromkeys(sorted(owned), everybody) if everybody else {}
    under: dict[int, frozenset[Address]] = {}
    for partition in sorted(owned & pending.keys()):
        if kept := pending[partition] & new.nodes - {me}:
            under[partition] = kept
    for address, partitions in new.donors:
        if address != me:
            named = frozenset((address,))
            for partition in sorted(owned.intersection(unpack(partitions))):
                under[partition] = under.get(partition, frozenset()) | named
    return under


class Donors:
    """The list in memory. Who changes it has changed the disk first."""

    def __init__(self, rows: Iterable[tuple[int, Address]]) -> None:
        self._pending: Pending = {}
        self._by_donor: dict[Address, list[int]] | None = None
        """What `by_donor` last gave, until something changes."""
        self.add(rows)

    def of(self, partition: int) -> frozenset[Address]:
        return self._pending.get(partition, frozenset())

    @property
    def pending(self) -> Mapping[int, frozenset[Address]]:
        return self._pending

    def rows(self) -> Iterator[tuple[int, Address]]:
        return ((partition, donor) for partition, donors in self._pending.items() for donor in donors)

    def by_donor(self) -> Mapping[Address, Sequence[int]]:
        """The partitions that each donor may still hold keys of."""
        if self._by_donor is None:
            self._by_donor = {}
            for partition, donor in self.rows():
                self._by_donor.setdefault(donor, []).append(partition)
        return self._by_donor

    def replace(self, pending: Pending) -> None:
        self._by_donor = None
        self._pending = pending

    def add(self, rows: Iterable[tuple[int, Address]]) -> None:
        self._by_donor = None
        for partition, donor in rows:
            self._pending[partition] = self.of(partition) | {donor}

    def remove(self, rows: Iterable[tuple[int, Address]]) -> None:
        self._by_donor = None
        for partition, donor in rows:
            if left := self.of(partition) - {donor}:
                self._pending[partition] = left
            else:
                self._pending.pop(partition, None)

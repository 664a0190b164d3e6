"""Who is there: for each known address its own record, and what is rumoured against it.

This is the protocol SWIM (Das et al. 2002) as two lattices side by side. Merging is their join: the greater
record wins, the greater rumour wins, and a record of a higher incarnation than the rumour clears it. So
merging is idempotent and commutative, and whatever comes late is a no-op: were it otherwise, an old
suspicion still on its way would kill a node that has long denied it.

- A record is written by its node alone. A node that hears its own record in a state that it never wrote (an
  emptied disk, a restored one, a second process) goes above that incarnation, or all others would keep
  believing the rival.
- A rumour names the incarnation it is about. Only that node can deny it, by taking the next one.
- What is heard of a node at first hand overrules a rumour *here*, and touches neither lattice: the node
  must still learn of the rumour, so that it denies it for everybody.
- Members of the view are always known. Others ("strangers") are known once their record came, up to a
  bound, and forgotten some time after their death. Of dead strangers nothing is said: they would be learned
  back from one another for ever.

Decides nothing about when to probe or whom to tell, and never touches the view. Must never import `ring` or
`node`, nor do any I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from msgspec.structs import replace

from gossip.messages import MemberRecord, Rumour
from gossip.settings import Settings
from gossip.view import Address


class State(StrEnum):
    UNKNOWN = "unknown"
    """Nothing has been heard of it yet, good or bad."""
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


class Member(NamedTuple):
    state: State
    record: MemberRecord | None
    """What it last said about itself, as far as that has come here."""


@dataclass(slots=True)
class Suspicion:
    """The greatest rumour about a node, while none of its records clears it."""

    rumour: Rumour
    since: float
    overruled: bool = False
    """Whether the node was heard since: it counts as alive here, and no suspicion against it ripens."""


class Membership(Mapping[Address, Member]):
    """All known nodes, this one included."""

    def __init__(self, own: MemberRecord, settings: Settings) -> None:
        self.own = own
        """What this node says about itself; it also stands among the records."""
        self._address = own.address
        self._settings = settings
        self._records: dict[Address, MemberRecord | None] = {own.address: own}
        self._suspicions: dict[Address, Suspicion] = {}
        """Few: most nodes are well, and a table of ten thousand has to be small, to be simulated as often."""
        self._in_view: frozenset[Address] = frozenset()
        self._epoch = 0

    def __getitem__(self, address: Address) -> Member:
        return Member(self.state(address), self._records[address])

    def __iter__(self) -> Iterator[Address]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, address: object) -> bool:
        return address in self._records

    def record(self, address: Address) -> MemberRecord | None:
        return self._records.get(address)

    def state(self, address: Address) -> State:
        suspicion = self._suspicions.get(address)
        if suspicion is None:
            return State.ALIVE if self._records[address] is not None else State.UNKNOWN
        if suspicion.overruled:
            return State.ALIVE
        return State.DEAD if suspicion.rumour.dead else State.SUSPECT

    def is_well(self, address: Address) -> bool:
        """Whether nothing is held against it."""
        suspicion = self._suspicions.get(address)
        return suspicion is None or suspicion.overruled

    def rumour(self, address: Address) -> Rumour | None:
        """What is rumoured against it, overruled here or not."""
        suspicion = self._suspicions.get(address)
        return suspicion.rumour if suspicion else None

    def all_well(self) -> bool:
        """Whether there is no rumour at all."""
        return not self._suspicions

    def is_mentionable(self, address: Address) -> bool:
        """Whether others may be told of it: a known node, and not a dead stranger."""
        if address not in self._suspicions:
            return address in self._records
        return address in self._in_view or self.state(address) is not State.DEAD

    # What this node says about itself

    def update(
        self, settled_epoch: int, key_count: int, settled_digest: int = 0, stable: int = 0, forgettable: int = 0
    ) -> None:
        """Writes the own record anew, under the next version, if this changes it."""
        own = self.own
        told = replace(
            own,
            settled_epoch=settled_epoch,
            key_count=key_count,
            settled_digest=settled_digest,
            stable=stable,
            forgettable=forgettable,
        )
        if told != own:
            self._write(replace(told, version=own.version + 1))

    def _go_above(self, incarnation: int) -> None:
        self._write(replace(self.own, incarnation=incarnation + 1, version=0))

    def _write(self, own: MemberRecord) -> None:
        self.own = self._records[self._address] = own

    # Merging what others say

    def set_view(self, epoch: int, nodes: Collection[Address]) -> list[Address]:
        """Makes `nodes` the members; returns those that were not known before, sorted."""
        self._epoch, self._in_view = epoch, frozenset(nodes)
        added = sorted(self._in_view.difference(self._records))
        self._records.update(dict.fromkeys(added))
        while self._strangers() > self._settings.strangers_max:
            self._forget(self._least_missed_stranger())
        return added

    def rival(self, record: MemberRecord) -> MemberRecord | None:
        """What is held instead of this record that its node itself has sent: the node has to hear of it.

        None where that is merely older.
        """
        held = self._records.get(record.address)
        return held if held is not None and held != record and held.rank >= record.rank else None

    def merge_record(self, record: MemberRecord) -> bool:
        """Returns whether that changed anything."""
        if record.address == self._address:
            if record == self.own or record.rank < self.own.rank:
                return False
            self._go_above(record.incarnation)
            return True
        held = self._records.get(record.address)
        if held is None:
            if record.address not in self._records and not self._has_room():
                return False
        elif held >= record:
            return False
        self._records[record.address] = record
        suspicion = self._suspicions.get(record.address)
        if suspicion is not None and suspicion.rumour.incarnation < record.incarnation:
            del self._suspicions[record.address]
        return True

    def merge_rumour(self, rumour: Rumour, now: float) -> bool:
        """Returns whether that changed anything. One about an unknown node does not."""
        if rumour.address == self._address:
            if rumour.incarnation < self.own.incarnation:
                return False
            self._go_above(rumour.incarnation)
            return True
        if rumour.address not in self._records:
            return False
        record = self._records[rumour.address]
        suspicion = self._suspicions.get(rumour.address)
        if record is not None and record.incarnation > rumour.incarnation:
            return False
        if suspicion is not None and suspicion.rumour >= rumour:
            return False
        self._suspicions[rumour.address] = Suspicion(rumour, now)
        return True

    # What this node finds out by itself

    def heard(self, address: Address) -> bool:
        """The node was heard at first hand; returns whether that overrules a rumour that stood until now."""
        suspicion = self._suspicions.get(address)
        if suspicion is None or suspicion.overruled:
            return False
        suspicion.overruled = True
        return True

    def suspect(self, address: Address, now: float) -> None:
        """The node left a whole probe unanswered: begins a rumour, or gives way to the one that stands."""
        suspicion = self._suspicions.get(address)
        if suspicion is None:
            record = self._records[address]
            incarnation = record.incarnation if record else 0
            self._suspicions[address] = Suspicion(Rumour(address, incarnation, dead=False), now)
        else:
            suspicion.overruled, suspicion.since = False, now

    def grant(self, extra_s: float) -> None:
        """Gives all suspects this much more time."""
        for suspicion in self._suspicions.values():
            if not suspicion.rumour.dead:
                suspicion.since += extra_s

    def ripen(self, now: float) -> list[Address]:
        """Suspects whose time is up are dead now, and returned; dead strangers may be forgotten."""
        died: list[Address] = []
        suspicion_s = self._settings.suspicion_s(len(self))
        for address, suspicion in list(self._suspicions.items()):
            age = now - suspicion.since
            if suspicion.overruled:
                continue
            if not suspicion.rumour.dead and age >= suspicion_s:
                self._suspicions[address] = Suspicion(replace(suspicion.rumour, dead=True), now)
                died.append(address)
            elif suspicion.rumour.dead and address not in self._in_view and age >= self._memory_s(address):
                self._forget(address)
        return died

    # Bounds

    def _memory_s(self, address: Address) -> float:
        record = self._records[address]
        settled = record is not None and record.settled_epoch >= self._epoch
        return self._settings.forget_settled_s if settled else self._settings.forget_unsettled_s

    def _forget(self, address: Address) -> None:
        del self._records[address]
        self._suspicions.pop(address, None)

    def _strangers(self) -> int:
        return len(self._records) - len(self._in_view) - (self._address not in self._in_view)

    def _has_room(self) -> bool:
        """Whether one more stranger may become known; if need be, the longest dead makes way."""
        if self._strangers() < self._settings.strangers_max:
            return True
        least_missed = self._least_missed_stranger()
        if self.state(least_missed) is not State.DEAD:
            return False
        self._forget(least_missed)
        return True

    def _least_missed_stranger(self) -> Address:
        """The longest dead; one that is not, if none is dead."""

        def merit(address: Address) -> tuple[bool, float]:
            suspicion = self._suspicions.get(address)
            return self.state(address) is not State.DEAD, suspicion.since if suspicion else 0.0

        return min(self._records.keys() - self._in_view - {self._address}, key=lambda a: (merit(a), a))

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        assert self._in_view <= self._records.keys(), "a member of the view is not known"
        assert self._strangers() <= self._settings.strangers_max, "more strangers than the bound"
        assert self._address not in self._suspicions, "suspects itself"
        assert self._records[self._address] == self.own, "says two things about itself"
        for address, record in self._records.items():
            assert record is None or record.address == address, f"record of {record} under {address}"
        for address, suspicion in self._suspicions.items():
            held = self._records[address]
            assert suspicion.rumour.address == address
            assert held is None or held.incarnation <= suspicion.rumour.incarnation, (
                f"{suspicion} stands against {held}"
            )

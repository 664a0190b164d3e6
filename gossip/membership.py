"""Who is there: for each known address the node's own record, and the rumour that stands against it, if any.

This is the protocol SWIM (Das et al. 2002) as two lattices side by side. Merging is their join: the greater record
wins, the greater rumour wins, and a record clears any rumour about a lower incarnation. So merging is idempotent and
commutative, and whatever comes late is a no-op: were it otherwise, an old suspicion still on its way would kill a node
that has long refuted it.

- A record is written by its node alone. A node that hears a record of its own that it never wrote (its disk was
  emptied or restored, or a second process runs under its address) goes above the incarnation of that rival; otherwise
  all others would keep believing the rival.
- A rumour names the incarnation it is about. Only the accused node can refute it, by taking the next incarnation.
- Hearing a node at first hand overrules a rumour *here*, and touches neither lattice: the node still has to learn of
  the rumour, so that it refutes it for everybody.
- Members of the view are always known. Others ("strangers") become known with their first record, up to a bound, and
  are forgotten some time after their death. Dead strangers are never mentioned to others: nodes would keep learning of
  them again from one another, for ever.

Decides nothing about when to probe or whom to tell, and never touches the view.
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

HEARSAY_INCARNATION_MAX = 2**61
"""A node goes above no incarnation of its own that is said to be higher than this: no honest one ever was, and there
would be no room left that others could read."""


class State(StrEnum):
    UNKNOWN = "unknown"
    """Nothing has been heard of it yet, be it good or bad."""
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


class Member(NamedTuple):
    state: State
    record: MemberRecord | None
    """The newest one that has arrived here."""


@dataclass(slots=True)
class Suspicion:
    """The greatest rumour about a node, for as long as none of its records clears it."""

    rumour: Rumour
    since: float
    overruled: bool = False
    """Whether the node has been heard since: then it counts as alive here, and the suspicion does not ripen."""


class Membership(Mapping[Address, Member]):
    """All known nodes, this one included."""

    def __init__(self, own: MemberRecord, settings: Settings) -> None:
        self.own = own
        """This node's own record, which is also among `_records`."""
        self.stable_before = 0
        """The highest `stable` that another process has announced under this address, as others remember."""
        self._address = own.address
        self._settings = settings
        self._records: dict[Address, MemberRecord | None] = {own.address: own}
        self._suspicions: dict[Address, Suspicion] = {}
        self.suspected = 0
        """How often a node left a whole probe of this one unanswered."""
        """Kept apart from the records because they are few: ten thousand tables of ten thousand nodes, as in a large
        simulation, have to fit into memory."""
        self._predecessors: dict[Address, MemberRecord] = {}
        """Of other processes under the address of a known one, the record that announced most, while it has announced
        less: whoever brings its record first, it is told."""
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
        """Whether it is neither suspected nor dead, as far as this node can tell."""
        suspicion = self._suspicions.get(address)
        return suspicion is None or suspicion.overruled

    def rumour(self, address: Address) -> Rumour | None:
        """The rumour that stands against it, be it overruled here or not."""
        suspicion = self._suspicions.get(address)
        return suspicion.rumour if suspicion else None

    def dead(self) -> list[Address]:
        return [address for address in self._suspicions if self.state(address) is State.DEAD]

    def all_well(self) -> bool:
        """Whether no rumour stands against anybody."""
        return not self._suspicions

    def is_mentionable(self, address: Address) -> bool:
        """Whether others may be told of it: it is known, and not a dead stranger."""
        if address not in self._suspicions:
            return address in self._records
        return address in self._in_view or self.state(address) is not State.DEAD

    # What this node says about itself

    def update(
        self,
        settled_epoch: int,
        key_count: int,
        settled_digest: int = 0,
        stable: int = 0,
        forgettable: int = 0,
        to_hand_over: int = 0,
        kept: int = 0,
    ) -> None:
        """Writes this node's own record anew, under the next version, if this changes it."""
        own = self.own
        updated = replace(
            own,
            settled_epoch=settled_epoch,
            key_count=key_count,
            settled_digest=settled_digest,
            stable=stable,
            forgettable=forgettable,
            to_hand_over=to_hand_over,
            kept=kept,
        )
        if updated != own:
            self._write(replace(updated, version=own.version + 1))

    def _go_above(self, incarnation: int) -> None:
        self._write(replace(self.own, incarnation=incarnation + 1, version=0))

    def _write(self, own: MemberRecord) -> None:
        self.own = self._records[self._address] = own

    # Merging what others say

    def set_view(self, epoch: int, nodes: Collection[Address]) -> list[Address]:
        """Makes `nodes` the members of the view; returns those that were not known before, sorted."""
        self._epoch, self._in_view = epoch, frozenset(nodes)
        added = sorted(self._in_view.difference(self._records))
        self._records.update(dict.fromkeys(added))
        while self._strangers() > self._settings.strangers_max:
            self._forget(self._least_missed_stranger())
        return added

    def rival(self, record: MemberRecord) -> MemberRecord | None:
        """The record held here that contradicts this one, which its own node has just sent: the node has to hear of it,
        and go above it. None if the record held is merely older."""
        held = self._records.get(record.address)
        return held if held is not None and held != record and held.rank >= record.rank else None

    def predecessor(self, record: MemberRecord) -> MemberRecord | None:
        """What another process under the address of this one has announced, which has just sent `record`: it may not
        have on its disk what it takes to say that."""
        known = self._records.get(record.address), self._predecessors.get(record.address)
        others = [held for held in known if held is not None and held.store_id != record.store_id]
        return max((held for held in others if held.stable > record.stable), key=lambda held: held.stable, default=None)

    def merge_record(self, record: MemberRecord) -> bool:
        """Returns whether this changed anything."""
        if record.address == self._address:
            if record.store_id != self.own.store_id:
                self.stable_before = max(self.stable_before, record.stable)
            if record == self.own or record.rank < self.own.rank or record.incarnation > HEARSAY_INCARNATION_MAX:
                return False
            self._go_above(record.incarnation)
            return True
        held = self._records.get(record.address)
        if held is None:
            if record.address not in self._records and not self._make_room():
                return False
        elif held >= record:
            return False
        if (predecessor := self.predecessor(record)) is not None:
            self._predecessors[record.address] = predecessor
        else:
            self._predecessors.pop(record.address, None)
        self._records[record.address] = record
        suspicion = self._suspicions.get(record.address)
        if suspicion is not None and suspicion.rumour.incarnation < record.incarnation:
            del self._suspicions[record.address]
        return True

    def merge_rumour(self, rumour: Rumour, now: float) -> bool:
        """Returns whether this changed anything. A rumour about an unknown node changes nothing."""
        if rumour.address == self._address:
            if rumour.incarnation < self.own.incarnation or rumour.incarnation > HEARSAY_INCARNATION_MAX:
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

    def hear(self, address: Address) -> bool:
        """The node was heard at first hand. Returns whether this overrules a rumour that counted until now."""
        suspicion = self._suspicions.get(address)
        if suspicion is None or suspicion.overruled:
            return False
        suspicion.overruled = True
        return True

    def suspect(self, address: Address, now: float) -> None:
        """The node left a whole probe unanswered: starts a rumour, or lets the one that stands count again."""
        self.suspected += 1
        suspicion = self._suspicions.get(address)
        if suspicion is None:
            record = self._records[address]
            incarnation = record.incarnation if record else 0
            self._suspicions[address] = Suspicion(Rumour(address, incarnation, dead=False), now)
        else:
            suspicion.overruled, suspicion.since = False, now

    def grant(self, extra_s: float) -> None:
        """Gives all suspects this much more time to refute."""
        for suspicion in self._suspicions.values():
            if not suspicion.rumour.dead:
                suspicion.since += extra_s

    def ripen(self, now: float) -> list[Address]:
        """Suspects whose time is up become dead, and are returned. Forgets strangers that have been dead for long."""
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
        self._predecessors.pop(address, None)

    def _strangers(self) -> int:
        return len(self._records) - len(self._in_view) - (self._address not in self._in_view)

    def _make_room(self) -> bool:
        """Returns whether one more stranger may become known. Forgets the one that has been dead longest if need be."""
        if self._strangers() < self._settings.strangers_max:
            return True
        least_missed = self._least_missed_stranger()
        if self.state(least_missed) is not State.DEAD:
            return False
        self._forget(least_missed)
        return True

    def _least_missed_stranger(self) -> Address:
        """The stranger that has been dead longest; if none is dead, a living one."""

        def merit(address: Address) -> tuple[bool, float]:
            suspicion = self._suspicions.get(address)
            return self.state(address) is not State.DEAD, suspicion.since if suspicion else 0.0

        return min(self._records.keys() - self._in_view - {self._address}, key=lambda a: (merit(a), a))

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        assert self._in_view <= self._records.keys(), "a member of the view is not known"
        assert self._strangers() <= self._settings.strangers_max, "more strangers than the bound"
        assert self._address not in self._suspicions, "suspects itself"
        assert self._records[self._address] == self.own, "has two records of itself"
        for address, record in self._records.items():
            assert record is None or record.address == address, f"record of {record} under {address}"
        for address, suspicion in self._suspicions.items():
            held = self._records[address]
            assert suspicion.rumour.address == address
            assert held is None or held.incarnation <= suspicion.rumour.incarnation, (
                f"{suspicion} stands against {held}"
            )

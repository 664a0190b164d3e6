"""What an answer must be, and what excuses one that is not, as seen from outside, on all disks at once.

Whatever is answered that a register does not allow is a violation, unless it can be excused: nobody who held the newest
acknowledged version could be reached by the owner that answered.

The order of writes is that of their versions. One that was acknowledged below an earlier one has lost, whatever its
client was told; that is allowed only if clocks were apart and its owner could reach nobody who had the earlier one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from gossip.view import Address, View, ViewId
from node.storage.keys import Setting, record_place, setting_place
from node.values.record import Record
from node.values.version import Version
from node.views.rules import ring_of
from ring.hashing import partition_of
from ring.ring import Ring
from tests.sim.cluster import Cluster, Machine
from tests.sim.losses import may_be_behind
from tests.sim.registers import Attempt, Register, Violation

RECOVERY_S = 0.5
"""How long after its last trouble a machine, or a link, may still be busy with the consequences: noticing, asking
around, dialling again."""
ANSWER_S = 2.0
"""A limit of docs/operations.md: a client has its answer within this."""
STUCK_S = 3.0
"""Who has been full, or hung, for so long has been found out and left out by all: by each for itself, and by those that
were told."""
BACKLOG_S = 0.5
"""A lease that was given before a backlog arrived counts for less than this."""


@lru_cache(16)
def _ring_of(view: View) -> Ring:
    return ring_of(view)


class Glance(NamedTuple):
    """What an operation may find, as it begins."""

    key: bytes
    began: float
    possible: frozenset[bytes | None]
    tried: int
    """The length of the history."""
    version: Version | None
    acknowledged: bytes | None
    acknowledged_at: float
    holders: frozenset[Address]
    """Who holds the newest version acknowledged, or a later one."""
    witnesses: frozenset[Address]
    """Those of them that do not hold a write which is under way."""
    views: dict[Address, ViewId]
    deciders: frozenset[Address]
    """Which machines may decide about a write: whoever had it first; who acknowledges it may have got it from there."""


class Onlooker:
    """`seen` counts what was excused, and what could have been. A deletion may be forgotten after `grace_s`."""

    def __init__(
        self, cluster: Cluster, registers: dict[bytes, Register], seen: Counter[str], grace_s: float = 24 * 3600.0
    ) -> None:
        self._cluster = cluster
        self._registers = registers
        self._seen = seen
        self._grace_s = grace_s
        self._views: dict[ViewId, View] = {}
        cluster.view_watchers.append(self._stored)

    def _stored(self, _: Machine, view: View) -> None:
        """Be it of another store: it has another id."""
        self._views[view.id] = view

    def glance(self, key: bytes, asked: Address) -> Glance:
        """`asked`: the node that the client talks to. Raises Violation if what was acknowledged is nowhere any more."""
        register, holders = self._registers[key], self._holders(key)
        if register.version is not None and not holders and not self.is_forgotten(key):
            raise Violation(f"{key!r}: {register.acknowledged!r} was acknowledged, and is on no disk")
        node = self._cluster.machines[asked].node
        owners = set() if node is None else set(node.views.ring.owners(partition_of(key)))
        return Glance(
            key,
            self._cluster.loop.now,
            frozenset(register.possible),
            len(register.history),
            register.version,
            register.acknowledged,
            register.acknowledged_at,
            holders,
            self._witnesses(key),
            {
                address: machine.node.views.view_id
                for address, machine in self._cluster.machines.items()
                if machine.node
            },
            frozenset(self._cluster.machines.keys() & owners),
        )

    def is_forgotten(self, key: bytes) -> bool:
        """Whether it was deleted so long ago that no trace need be left."""
        register = self._registers[key]
        age_s = self._cluster.loop.now - register.since
        return register.acknowledged is None and age_s > self._grace_s - self._cluster.clock_gap_s

    def stamper(self, address: Address) -> int:
        """The store id in the versions that the node there makes."""
        return int.from_bytes(self._cluster.machines[address].disk.items.get(setting_place(Setting.STORE_ID), b""))

    def record(self, owner: Address, key: bytes) -> Record | None:
        return self._cluster.machines[owner].disk.record(key)

    def newest(self, key: bytes) -> Record | None:
        records = (machine.disk.record(key) for machine in self._cluster.machines.values())
        return max(filter(None, records), key=lambda record: record.version, default=None)

    def is_somewhere(self, key: bytes, values: Collection[bytes | None]) -> bool:
        """Whether the key has one of `values` on any disk."""
        records = (machine.disk.record(key) for machine in self._cluster.machines.values())
        return any(record is not None and record.value in values for record in records)

    # Reads

    def check_read(self, glance: Glance, owner: Address, value: bytes | None) -> None:
        """Raises Violation unless `value` may be what `owner` answers."""
        excused = self._is_excused([owner], glance, glance.witnesses, self._witnesses(glance.key))
        self._seen["reads that could be excused"] += excused
        register = self._registers[glance.key]
        if value not in register.history:
            raise Violation(f"{glance.key!r} read from {owner} is {value!r}, which nobody has written")
        allowed = {*glance.possible, *register.history[glance.tried :]}
        if value in allowed and not self._is_older(glance, owner, value):
            return
        if not excused:
            raise Violation(f"{glance.key!r} read from {owner} is {value!r}; possible: {allowed!r}")
        if value is None:
            self._check_that_somebody_was_heard(glance, owner)
        self._seen["reads excused"] += 1

    def _is_older(self, glance: Glance, owner: Address, value: bytes | None) -> bool:
        """Whether `value` was attempted, but under a version that an acknowledged one has passed."""
        record = self.record(owner, glance.key)
        if record is None or record.value != value or value == glance.acknowledged or glance.version is None:
            return False
        if self._cluster.machines[owner].disk.ill and (newest := self.newest(glance.key)) and newest.value == value:
            return False  # It has heard of it, and its disk does not keep it.
        return record.version < glance.version

    def _check_that_somebody_was_heard(self, glance: Glance, owner: Address) -> None:
        """Raises Violation if a new owner, which says that there is no such key, cannot have heard anybody who might
        know: all earlier owners have been away since the view came, and one that holds the key is still in it."""
        machine, machines = self._cluster.machines[owner], self._cluster.machines
        if machine.node is None or self.record(owner, glance.key) is not None:
            return
        view, partition = machine.node.views.current, partition_of(glance.key)
        base = None if view.base is None else self._views.get(view.base)
        earlier = set() if base is None else set(_ring_of(base).owners(partition))
        came_at = machine.stored_at.get(setting_place(Setting.VIEW), 0.0)
        were_away = all(not machines[one].runs and machines[one].troubled_at <= came_at for one in earlier)
        if owner not in earlier and were_away and earlier & view.nodes & self._holders(glance.key):
            raise Violation(f"{glance.key!r}: {owner} finds nothing, but could ask none of {sorted(earlier)}")

    # Writes

    def check_found(self, glance: Glance, owner: Address, attempt: Attempt, found: bool) -> bool:
        """Whether what a write says it found, a live value or none, fits something that could be there. Raises
        Violation if it had to."""
        excused = self._is_excused({owner, *glance.deciders}, glance, glance.holders, self._holders(glance.key))
        self._seen["writes that could be excused"] += excused
        there = self._registers[glance.key].besides(attempt)
        fits = any((value is not None) == found for value in there)
        if not fits and not excused:
            raise Violation(f"{glance.key!r}: a write found {found} at {owner}, but there was one of {there!r}")
        if not fits and not found:
            self._check_that_somebody_was_heard(glance, owner)
        self._seen["writes excused"] += not fits
        return fits

    def version_of(self, owner: Address, attempt: Attempt, key: bytes, stamper: int) -> Version | None:
        """Under which version `owner` has acknowledged it; None: it has been passed by another one since."""
        record = self.record(owner, key)
        if record is None or record.value != attempt.value:
            return None
        stamped_there = int.from_bytes(record.version[8:]) == stamper
        return record.version if attempt.value is not None or stamped_there else None

    def check_order(self, glance: Glance, owner: Address, version: Version | None) -> bool:
        """Whether a write was acknowledged above the one before it. Raises Violation if it had to."""
        held = self.record(owner, glance.key)
        has_lost = version is None and held is not None and held.version == glance.version
        if not has_lost and (version is None or glance.version is None or version > glance.version):
            return True
        deciders, who_knew = {owner, *glance.deciders}, (glance.holders, self._holders(glance.key))
        if not self._is_excused(deciders, glance, *who_knew):
            raise Violation(
                f"{glance.key!r}: acknowledged by {owner} below the version of {glance.acknowledged!r}, held by "
                f"{sorted(glance.holders)}"
            )
        apart_s = glance.began - glance.acknowledged_at
        # After a restart, a node's stamps may be ahead of its wall clock by a ceiling, and so may those of its hearers.
        ahead_s = self._cluster.machines[owner].config.clock_ceiling_s
        if apart_s > self._cluster.clock_gap_s + ahead_s:
            raise Violation(
                f"{glance.key!r}: acknowledged by {owner} below the version of {glance.acknowledged!r}, which is "
                f"{apart_s:.3f} s older, with clocks {self._cluster.clock_gap_s} s apart"
            )
        self._seen["writes that lose against an earlier one"] += 1
        return False

    def check_copies(self, glance: Glance, owner: Address, version: Version | None) -> None:
        """Raises Violation unless all owners that `owner` can reach have the write it has acknowledged on disk."""
        node = self._cluster.machines[owner].node
        if version is None or node is None or glance.views.get(owner) != node.views.view_id:
            return
        since_s = RECOVERY_S + self._cluster.loop.now - glance.began
        for other in node.views.ring.owners(partition_of(glance.key)):
            held = self.record(other, glance.key)
            if (held is None or held.version < version) and self._reaches(owner, other, since_s):
                raise Violation(f"{glance.key!r}: acknowledged by {owner}, but not on the disk of {other}")

    # Requests that are late, or fail

    def check_time(self, glance: Glance, asked: Address) -> None:
        """Raises Violation if a node that was well all the time took longer than it may, whatever else is down."""
        took_s = self._cluster.loop.now - glance.began
        if took_s > ANSWER_S and self._cluster.machines[asked].is_well(RECOVERY_S + took_s):
            raise Violation(f"{glance.key!r}: {asked}, which is well, took {took_s:.3f} s to answer")

    def check_failure(self, glance: Glance, asked: Address, fault: Exception, is_write: bool) -> None:
        """Raises Violation if a node that was well all the time could not tell what a well owner holds, while others
        were well, killed or paused; or could not have a write done while there was a well owner, and others were well,
        full or hung for long enough to be left out. Other writes are only counted: who must first be left out may take
        all their time."""
        machines = self._cluster.machines
        since_s = RECOVERY_S + self._cluster.loop.now - glance.began
        node = machines[asked].node
        if node is None or not machines[asked].is_well(since_s) or self._cluster.is_cut(since_s):
            return
        views = {
            glance.views.get(asked),
            *(machine.node.views.view_id for machine in machines.values() if machine.node),
        }
        if len(views) > 1:
            return
        owners = [machines[owner] for owner in node.views.ring.owners(partition_of(glance.key))]
        if is_write and (node.views.donors.of(partition_of(glance.key)) or self._may_not_stamp(asked)):
            return
        if is_write and any(owner.is_well(since_s) for owner in owners):
            if all(machine.is_well(since_s) or machine.is_stuck(STUCK_S + since_s) for machine in machines.values()):
                raise Violation(f"{glance.key!r}: {fault!r} of {asked}, beside owners that are well or left out")
            self._seen["writes refused beside a well owner"] += 1
            return
        if any(machine.was_ill(since_s) for machine in machines.values()):
            return
        for owner in owners:
            if owner.address in glance.holders and owner.is_well(since_s) and not may_be_behind(owner, owners, since_s):
                raise Violation(f"{glance.key!r}: {fault!r} of {asked}, while {owner.address} holds it and is well")

    def _may_not_stamp(self, asked: Address) -> bool:
        """Whether its clock is further ahead of another one than is believed: which others it has heard, and which of
        these are further ahead themselves, is its own affair."""
        machines = self._cluster.machines
        lowest_ms = min(machine.time.wall_ms() for machine in machines.values())
        return machines[asked].time.wall_ms() - lowest_ms > machines[asked].config.clock_reach_ms

    # Excuses

    def _is_excused(self, owners: Iterable[Address], glance: Glance, *who_knew: frozenset[Address]) -> bool:
        """Whether one of `owners` could reach nobody of those who had what was acknowledged, as things stood when the
        operation began, or as they stand now: they are down, or were passed over when they were removed."""
        since_s = RECOVERY_S + self._cluster.loop.now - glance.began
        if not glance.holders and self.is_forgotten(glance.key):
            return False
        return any(
            not any(
                self._reaches(owner, holder, since_s) and not self._is_backlog(glance, owner, holder)
                for holder in holders
            )
            for owner in owners
            for holders in who_knew
        )

    def _holders(self, key: bytes) -> frozenset[Address]:
        """Who has the newest version of those acknowledged, or a later one."""
        register = self._registers[key]
        records = {
            address: record
            for address, machine in self._cluster.machines.items()
            if (record := machine.disk.record(key)) is not None
        }
        version = register.version
        if version is None:
            pending = {attempt.value for attempt in register.attempts} - {None}
            version = max((record.version for record in records.values() if record.value not in pending), default=None)
        return frozenset(
            address for address, record in records.items() if version is not None and record.version >= version
        )

    def _witnesses(self, key: bytes) -> frozenset[Address]:
        """The holders, but for those of a write under way: it need not be seen yet, nor tells what was there before."""
        register = self._registers[key]
        passes = {attempt.value for attempt in register.attempts} - {register.acknowledged}
        held = [(holder, self._cluster.machines[holder].disk.record(key)) for holder in self._holders(key)]
        return frozenset(who for who, it in held if it and (it.version == register.version or it.value not in passes))

    def _reaches(self, owner: Address, holder: Address, since_s: float) -> bool:
        """Whether `owner` could talk to `holder` all the time since then, and that one was free of trouble. One that
        was removed has to announce itself, which it does again and again; so then both must have been."""
        if owner == holder:
            return True
        machines = self._cluster.machines
        node = machines[owner].node
        is_removed = node is not None and holder not in node.views.current.nodes | node.views.current.donor_nodes
        if is_removed and not machines[owner].is_well(since_s):
            return False
        joined = machines[holder].is_well(since_s) and self._cluster.is_joined(owner, holder, since_s)
        return joined and self._knows(owner, holder)

    def _is_backlog(self, glance: Glance, owner: Address, holder: Address) -> bool:
        """Whether `holder` got the write only lately, long after it was acknowledged by one that `owner` cannot reach:
        the lease that it gave before still counts, and what it has to pass on may not have arrived. A weakness that the
        design admits."""
        register, place = self._registers[glance.key], record_place(partition_of(glance.key), glance.key)
        stored_at = self._cluster.machines[holder].stored_at.get(place, 0.0)
        source = register.acknowledged_by
        is_fresh = stored_at > max(register.acknowledged_at, glance.began - BACKLOG_S)
        return is_fresh and source is not None and not self._reaches(owner, source, RECOVERY_S + BACKLOG_S)

    def _knows(self, owner: Address, holder: Address) -> bool:
        """A node with an empty disk knows only those that its environment names, until somebody speaks to it."""
        node = self._cluster.machines[owner].node
        return node is None or node.views.current.epoch > 0 or holder in node.config.view

"""What one node does about gossip: a state machine that takes rounds and messages, and returns what to send.

Each round, a node sends its digest to a few others, one of which has its turn: for that one, the digest is also a
probe. Whoever gets a digest answers with a delta: the records that are newer than those the digest names, and the names
of those that the answering node lacks, which a second delta brings. So changes travel both ways in each exchange, and
reach everybody in O(log n) rounds (Demers et al. 1987). Every message bears the id of its sender's view; the node
fetches the view itself, on the hint `fetch_view_from`. Views of epoch 0 come from the environment and do not spread.

Messages get lost, duplicated and reordered, so none may rely on another, and stale input is a no-op. Nothing here waits
or fails, and nothing decides about views or writes: liveness is a hint, which tells whom to try first. Time and
randomness are arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from random import Random
from typing import NamedTuple

from gossip.dissemination import Dissemination
from gossip.membership import Member, Membership
from gossip.messages import Delta, Digest, Held, MemberRecord, Message, PingAck, PingReq, Rumour, fit
from gossip.probing import IndirectProbe, Probing
from gossip.settings import Settings
from gossip.view import Address, ViewId

OPENING_BYTES_MAX = 400
"""What a message has beside its lists: its tag, the view's id, the sender's record, the lengths of the lists."""


class Output(NamedTuple):
    sends: tuple[tuple[Address, Message], ...] = ()
    fetch_view_from: Address | None = None
    """This peer has a newer view than ours, of epoch 1 or later."""
    incarnation: int | None = None
    """Our own incarnation, if it had to rise; the node persists it."""


class Gossip:
    def __init__(self, address: Address, store_id: int, incarnation: int, settings: Settings, now: float) -> None:
        """`incarnation` is at least 1, persisted, and one higher at every start. Until `set_view`, no other node is
        known."""
        assert incarnation >= 1, "0 stands for a node that was never heard"
        own = MemberRecord(address, incarnation, version=0, store_id=store_id, settled_epoch=0, key_count=0)
        self._address = address
        self._settings = settings
        self._view_id = ViewId(0, 0)
        self._members = Membership(own, settings)
        self._dissemination = Dissemination()
        self._probing = Probing(self._members, settings)
        self._accused: dict[Address, None] = {}
        """Nodes that were heard although a rumour stands against them. They get a digest in the next round, which tells
        them of the rumour, so that they refute it."""
        self._now = now
        self._last_round_at = now
        self._rumours_bytes_max = (settings.message_bytes_max - OPENING_BYTES_MAX) // 4
        self._body_bytes_max = settings.message_bytes_max - OPENING_BYTES_MAX - self._rumours_bytes_max

    # What the node tells its gossip

    def set_view(self, view_id: ViewId, nodes: Collection[Address]) -> None:
        """The node now holds the view with this id, and these are the view's members."""
        self._view_id = view_id
        added = self._members.set_view(view_id.epoch, nodes)
        self._probing.add(added)
        for address in added:
            self._dissemination.note(address, None, self._now)  # Not known until now, so no rumour stands against it.

    def update(self, settled_epoch: int, key_count: int, *more: int) -> None:
        """Sets what this node says about itself, the fields of its record from these two on, in their order; a no-op if
        nothing of it has changed."""
        self._members.update(settled_epoch, key_count, *more)

    def hear(self, address: Address) -> None:
        """A node was heard, in a message of gossip or otherwise, say by a reply on its link: it is alive. Unknown
        addresses are ignored."""
        self._probing.end(address)
        if self._members.hear(address):
            self._accused[address] = None

    @property
    def record(self) -> MemberRecord:
        """This node's own record."""
        return self._members.own

    @property
    def members(self) -> Mapping[Address, Member]:
        """All known nodes, in the view or not, this one included; a live mapping, not a copy."""
        return self._members

    @property
    def dead(self) -> list[Address]:
        """Those that have been suspected for long, and have refuted nothing, in the view or not."""
        return self._members.dead()

    @property
    def suspected(self) -> int:
        """How often a node left a whole probe of this one unanswered, since the start."""
        return self._members.suspected

    # Events

    def start_round(self, now: float, rng: Random) -> Output:
        self._face_own_pause(now)
        nodes = len(self._members)
        self._dissemination.expire(now - self._settings.recent_s(nodes))
        for address in self._members.ripen(now):
            self._note(address)
        sends = self._follow_up_probes(rng)
        target = self._probing.next_in_turn(self._address, rng)
        if target is not None:
            self._probing.begin(target, now)
            others = self._probing.some_well(self._settings.fanout - 1, rng, exclude=target)
            held = self._held(rng)
            sends += [(peer, self._digest(peer, held)) for peer in (target, *others)]
        sends += [(peer, self._digest(peer)) for peer in self._accused if peer in self._members]
        self._accused.clear()
        return Output(tuple(sends))

    def receive(self, sender: Address, message: Message, now: float) -> Output:
        """Takes in one message; one in the name of any node but its sender is ignored. One in this node's own name, as
        from a second process under its address, is merged but not answered."""
        self._now = now
        if message.record.address != sender:
            return Output()
        incarnation = self.record.incarnation
        rival = self._members.rival(message.record) or self._members.predecessor(message.record)
        others = message.records if isinstance(message, Delta) else ()
        self._learn([message.record, *others], message.rumours)
        sends: list[tuple[Address, Message]] = []
        fetch_view_from = None
        if sender != self._address:
            self.hear(sender)
            if message.view_id.supersedes(self._view_id):
                fetch_view_from = sender
            sends += [
                (requester, self._ping_ack(requester, sender)) for requester in self._probing.end_indirect(sender, now)
            ]
            sends += self._react(sender, message, rival)
        own = self.record.incarnation
        return Output(tuple(sends), fetch_view_from, own if own > incarnation else None)

    @property
    def stable_before(self) -> int:
        """See `Membership`."""
        return self._members.stable_before

    # Rounds

    def _face_own_pause(self, now: float) -> None:
        """After a pause of this node, answers and refutations wait to be read: it judges nobody before it has."""
        gap = now - self._last_round_at
        if gap > self._settings.pause_s:
            self._probing.start_afresh(now)
            self._members.grant(gap)
        self._now = self._last_round_at = now

    def _follow_up_probes(self, rng: Random) -> list[tuple[Address, Message]]:
        again, failed = self._probing.collect_overdue(self._now)
        for target in failed:
            self._members.suspect(target, self._now)
            self._note(target)
        sends: list[tuple[Address, Message]] = []
        for target in again:
            sends.append((target, self._digest(target)))
            for helper in self._probing.some_well(self._settings.probe_helpers, rng, exclude=target):
                sends.append((helper, PingReq(self._view_id, self.record, self._tell_rumours(helper), target)))
        return sends

    def _held(self, rng: Random) -> tuple[Held, ...]:
        """What a digest names: the nodes of which something changed lately, then some at random."""
        names = dict.fromkeys(
            chain(self._dissemination.recent(), self._probing.some(self._settings.digest_sample, rng))
        )
        return fit((self._name(name) for name in names if self._is_worth_telling(name)), self._body_bytes_max)

    def _name(self, address: Address) -> Held:
        record = self._members.record(address)
        return Held(address, record.incarnation, record.version) if record else Held(address, 0, 0)

    # Messages

    def _react(self, sender: Address, message: Message, rival: MemberRecord | None) -> list[tuple[Address, Message]]:
        match message:
            case Digest():
                return [(sender, self._answer(sender, message, rival))]
            case Delta():
                if message.wants:
                    wanted = (
                        self._members.record(address)
                        for address in message.wants
                        if self._members.is_mentionable(address)
                    )
                    return [(sender, self._delta(sender, filter(None, wanted), ()))]
            case PingReq() if message.target != self._address:
                if self._probing.begin_indirect(IndirectProbe(message.target, sender), self._now):
                    return [(message.target, self._digest(message.target))]
            case PingAck():
                if self._probing.awaits(message.target):
                    self.hear(message.target)
        return []

    def _learn(self, records: Iterable[MemberRecord], rumours: Iterable[Rumour]) -> None:
        """Records first: a rumour about an unknown node is ignored, and the node's first record may come with it."""
        for record in records:
            is_new = record.address not in self._members
            if self._members.merge_record(record):
                if is_new:
                    self._probing.add([record.address])
                self._note(record.address)
        for rumour in rumours:
            if self._members.merge_rumour(rumour, self._now):
                self._note(rumour.address)

    def _note(self, address: Address) -> None:
        self._dissemination.note(address, self._members.rumour(address), self._now)

    def _answer(self, to: Address, digest: Digest, rival: MemberRecord | None) -> Delta:
        newer: list[MemberRecord] = [rival] if rival else []
        wants: list[Address] = []
        for theirs in digest.held:
            record = self._members.record(theirs.address)
            if record is not None and record.version == theirs.version and record.incarnation == theirs.incarnation:
                continue  # The usual case, on which a large cluster spends most of its time.
            lead = _compare(record, theirs)
            if lead < 0:
                wants.append(theirs.address)
            elif record is not None and lead > 0 and self._is_worth_telling(theirs.address):
                newer.append(record)
        return self._delta(to, newer, wants)

    def _is_worth_telling(self, address: Address) -> bool:
        return address != self._address and self._members.is_mentionable(address)

    def _digest(self, to: Address, held: tuple[Held, ...] = ()) -> Digest:
        return Digest(self._view_id, self.record, self._tell_rumours(to), held)

    def _delta(self, to: Address, records: Iterable[MemberRecord], wants: Iterable[Address]) -> Delta:
        wanted = fit(wants, self._body_bytes_max // 4)
        told = fit(records, self._body_bytes_max * 3 // 4)
        rumours = self._tell_rumours(to, *(record.address for record in told))
        return Delta(self._view_id, self.record, rumours, told, wanted)

    def _ping_ack(self, to: Address, target: Address) -> PingAck:
        return PingAck(self._view_id, self.record, self._tell_rumours(to), target)

    def _tell_rumours(self, *about: Address) -> tuple[Rumour, ...]:
        """The rumours for one more message, counted as told. First those about the nodes given, which are the receiver,
        who can refute them, and whoever it gets to know by the message; then those told least often."""
        if self._members.all_well() and not self._dissemination.has_rumours():
            return ()  # The usual case.
        first = (self._members.rumour(address) for address in about)
        candidates = dict.fromkeys(rumour for rumour in chain(first, self._dissemination.rumours()) if rumour)
        rumours = fit(candidates, self._rumours_bytes_max)
        self._dissemination.count_telling(rumours, self._settings.tellings_max(len(self._members)))
        return rumours

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        self._members.check()
        self._probing.check()


def _compare(ours: MemberRecord | None, theirs: Held) -> int:
    """Above 0 if our record is newer, below 0 if theirs is, 0 if they are the same."""
    if ours is None:
        return 0 if theirs.incarnation == 0 else -1
    return (ours.incarnation - theirs.incarnation) or (ours.version - theirs.version)

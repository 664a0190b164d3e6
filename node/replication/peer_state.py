"""One co-owner as this node sees it under one view: a state machine.

Two promises meet here, and each needs the other:

- *Whoever answers a read alone has all that was acknowledged.* A node that asks gets a lease from a co-owner only while
  it has all that the co-owner has: the two are in step, and it owes no confirmation. The lease counts from when the
  question was *sent*, so that it ends at the holder before it ends at the giver.
- *A write is acknowledged without a co-owner only when no lease of that co-owner can count any more.* What was
  acknowledged so is owed to it from that moment on: a co-owner that was merely paused is back sooner than it would be
  missed, and must not get a lease before it has what it was left out of.

A co-owner whose disk takes nothing, since it is full or hangs, is *stuck*. It can be reached, but the two promises
treat it as if it could not: it gets no lease, and once the last one that it may have has ended, writes are acknowledged
without it. Its node still serves: without a lease it asks the others first, as it would after a cut.

In step means: the co-owner has all that is here, but for what is in its outbox. A comparison brings it there; another
store under its address, an overflow of the outbox or a difference that was seen takes it back. A comparison under way
is worth nothing once one of these has come in between, but it still goes on: until it has ended, no other one begins.

Another store is there whenever the co-owner was started anew: its disk may be empty, or older than what its process
before confirmed, and neither it nor anybody else can tell. Mostly it is neither, and lacks just what is in its outbox.
So the stream goes first, and the comparison that follows finds everything alike.

Modelled on the progress tracker of etcd's raft. Pure: no loop, no clock, no I/O. Events come in as methods, with the
time (monotonic, in seconds) where it matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from gossip.view import Address
from node.replication.outbox import Outbox

NEVER = float("-inf")


class Comparison(Enum):
    """Where it stands: whether the co-owner has what is here, but for what is in its outbox."""

    UNCOMPARED = auto()
    """Nobody knows, and it is not being found out."""
    COMPARING = auto()
    """This node is bringing it what it may lack."""
    IN_VAIN = auto()
    """This node is still bringing it what it lacked, but has lost track of it since: the co-owner may lack something
    even when all that has arrived."""
    IN_STEP = auto()
    """It has what is here, but for what is in its outbox."""


_IN_STEP = Comparison.IN_STEP


class LeaseAnswer(Enum):
    """To a co-owner that asks for a lease."""

    GRANTED = auto()
    OWING = auto()
    """It lacks something that is on its way to it, or about to be, and that its disk can take."""
    REFUSED = auto()


class PeerState:
    """`since`: when the view was adopted. Until then, this node may have given leases under earlier views, of which it
    remembers nothing."""

    def __init__(self, address: Address, since: float, lease_s: float, owing_s: float) -> None:
        self.address = address
        self.outbox = Outbox()
        """To be asked by all, and changed by this class alone."""
        self._lease_s = lease_s
        self._owing_s = owing_s
        self._comparison = Comparison.UNCOMPARED
        self._store_id: int | None = None
        """Whose store it said it was when it was last heard; None: not heard yet. See `storage.identity`."""
        self._streamed_first = 0
        """What was in the outbox up to here when another store came is for the stream, before they are compared."""
        self._heard_at = NEVER
        """When it was first heard."""
        self._is_empty = False
        self._leased_at = NEVER
        """When the question was sent that it answered with the lease which this node holds."""
        self._dropped_at = NEVER
        """Answers to what was asked by then may be older than this node can tell."""
        self._counts_s = 0.0
        """For how long that lease counts."""
        self._granted_at = since
        """When this node last gave it a lease, or may have done so under an earlier view."""
        self._is_silent = False
        """Whether it could be left out when it was last tried."""
        self._left_out_up_to = 0
        """Up to this position of the outbox, something was acknowledged without it."""
        self._is_stuck = False
        self._is_owed = True
        """Nobody knows before it has answered a heartbeat."""
        self._owed_since = since

    def check(self, now: float) -> None:
        """Raises AssertionError if an invariant does not hold."""
        self.outbox.check()
        is_in_step = self._comparison is Comparison.IN_STEP
        assert not (is_in_step and self.outbox.awaits_comparison), f"{self.address} is in step, but has been forgotten"
        assert not (self._comparison is Comparison.COMPARING and self.outbox.has_overflowed), (
            f"a comparison with {self.address} would count that began before the overflow"
        )
        latest = max(self._left_out_up_to, self._streamed_first)
        assert latest <= self.outbox.position, f"{self.address} is left out of what is yet to come, or waits for it"
        assert (self._store_id is None) == (self._heard_at == NEVER), f"{self.address} was heard without a store"
        assert self._leased_at == NEVER or self._store_id is not None, f"a lease of {self.address}, not heard yet"
        assert max(self._leased_at, self._granted_at, self._heard_at) <= now, f"{self.address}: a time to come"

    # What is asked

    @property
    def is_in_step(self) -> bool:
        return self._comparison is Comparison.IN_STEP

    @property
    def leased_until(self) -> float:
        """When the lease ends that this node holds of it: so long after the question was sent, not after it was
        answered. NEVER: this node holds none."""
        return self._leased_at + self._counts_s

    @property
    def grant_ends_at(self) -> float:
        """When the last lease ends that this node has given it, or may have given it before it adopted the view."""
        return self._granted_at + self._lease_s

    @property
    def heard_at(self) -> float:
        """When it was first heard: from then on it lets nobody answer alone under another view. NEVER: not yet."""
        return self._heard_at

    @property
    def is_empty(self) -> bool:
        """Whether its disk is a new one, with nothing on it, as it last said; see `emptied_disk`."""
        return self._is_empty

    @property
    def is_stuck(self) -> bool:
        """Whether its disk has taken nothing of what it was sent last, though its node can be reached."""
        return self._is_stuck

    @property
    def is_bringing(self) -> bool:
        """Whether it has said that what this node lacks is on its way from it."""
        return self._is_owed

    def bringing_s(self, now: float) -> float:
        """For how long it has said so; less than 0: it does not."""
        return now - self._owed_since if self._is_owed else NEVER

    @property
    def is_due(self) -> bool:
        """Whether it is out of step, and it is time to compare.

        That waits until it has said which store it is, lest the comparison be credited to another one. It also waits
        while the stream brings it what it missed before it was started anew, and while it is about to bring this node
        what this node lacks, since what both have by then need not be listed; unless the outbox has overflowed, because
        until the comparison begins no write is acknowledged."""
        is_ready = self.outbox.has_overflowed or not (self._is_owed or self._is_streamed_first)
        return self._store_id is not None and is_ready and not self.is_in_step

    @property
    def _is_streamed_first(self) -> bool:
        """Whether it has yet to confirm what was for it when another store came."""
        return not self.outbox.is_past(self._streamed_first)

    def owes(self, now: float) -> bool:
        """Whether it has yet to confirm what was acknowledged without it, or what it has had long enough."""
        since = self.outbox.oldest_since()
        return since is not None and (not self.outbox.is_past(self._left_out_up_to) or now - since >= self._owing_s)

    def has_all(self, now: float) -> bool:
        """Whether it has all that is here, but for what is on its way: then it may have a lease."""
        return self.is_in_step and not self._is_stuck and not self.owes(now)

    def has_what_is_held(self, key: bytes) -> bool:
        """Whether it has what is held of `key` here, or something later."""
        return self._comparison is _IN_STEP and key not in self.outbox.keys

    def may_be_leased(self, now: float) -> bool:
        """Whether it may hold a lease that still counts: then it may not be left out, even if it cannot be reached."""
        return now <= self.grant_ends_at

    # What it says

    def hear(self, store_id: int, is_empty: bool, now: float) -> None:
        """It has said whose store it is."""
        if self._store_id is None:
            self._heard_at = now
        elif self._store_id != store_id:
            self._lose_track()
            self._streamed_first = self.outbox.position
        self._store_id, self._is_empty = store_id, is_empty

    def answer_question(self, now: float) -> LeaseAnswer:
        """It asks for a lease: give it one, if it may have one."""
        if self.has_all(now):
            self._granted_at = now
            return LeaseAnswer.GRANTED
        is_compared = self._comparison is not Comparison.UNCOMPARED
        is_to_be_brought = is_compared or self.outbox.has_overflowed or self._is_streamed_first
        return LeaseAnswer.OWING if is_to_be_brought and not self._is_stuck else LeaseAnswer.REFUSED

    def become_leased(self, sent_at: float, lease_s: float) -> None:
        """It has given this node a lease, which it goes by for `lease_s`, in answer to a question sent at `sent_at`. If
        it is made for shorter ways than this node, it leaves this node out when its own time is over."""
        self._is_silent = self._is_owed = False
        self._leased_at = sent_at if sent_at > self._dropped_at else NEVER
        self._counts_s = min(lease_s, self._lease_s)

    def become_unleased(self, is_owed: bool, now: float) -> None:
        """It has refused this node a lease. `is_owed`: it is about to bring what this node lacks."""
        if is_owed and not self._is_owed:
            self._owed_since = now
        self._is_silent, self._is_owed = False, is_owed
        self._leased_at = NEVER

    def drop_lease(self, now: float) -> None:
        """This node cannot tell how long ago it was given, nor how long an answer has been on its way."""
        self._leased_at, self._dropped_at = NEVER, now

    # What it is brought

    def append(self, key: bytes, now: float) -> int:
        """It has yet to hear of `key`. Returns the position whose confirmation says that it has."""
        outbox = self.outbox
        position = outbox.append(key, now)
        if outbox.has_overflowed:
            self._lose_track()
        return position

    def position_for(self, keys: Iterable[bytes], now: float) -> int:
        """The position whose confirmation says that it has them all."""
        position, position_of = 0, self.outbox.position_of
        for key in keys:  # Nearly always one: a generator would take longer than all the rest.
            position = max(position, position_of(key) or self.append(key, now))
        return position

    def mark_sent(self, position: int) -> None:
        """What was held of the keys up to `position` has been read, to be sent."""
        self.outbox.mark_sent(position)

    def confirm(self, position: int) -> None:
        """It has all that was sent up to `position` on disk."""
        self._is_stuck = False
        self.outbox.confirm(position)

    def become_stuck(self) -> None:
        """Its disk takes nothing."""
        self._is_stuck = True

    def leave_out(self) -> None:
        """What is in its outbox now may be acknowledged without it."""
        self._left_out_up_to = self.outbox.position

    # Silence

    def become_silent(self) -> bool:
        """It may be left out. Returns whether that is news."""
        is_news = not self._is_silent
        self._is_silent = True
        return is_news

    def become_audible(self) -> None:
        """It may not be left out, or not yet."""
        self._is_silent = False

    # Comparisons

    def become_comparing(self) -> None:
        """A comparison begins. What changes from here on is for the stream."""
        self._comparison = Comparison.COMPARING
        self.outbox.begin_comparison()

    def end_comparison(self, has_arrived: bool) -> None:
        """`has_arrived`: the co-owner has all that was here when it began."""
        assert self._comparison in (Comparison.COMPARING, Comparison.IN_VAIN), "a comparison ends that never began"
        if has_arrived and self._comparison is Comparison.COMPARING:
            self._comparison = Comparison.IN_STEP
            self._is_stuck = False
            self.outbox.end_comparison()
        else:
            self._comparison = Comparison.UNCOMPARED

    def become_uncompared(self) -> None:
        """What it was thought to have is in doubt. If a comparison is under way, that will tell."""
        if self._comparison is Comparison.IN_STEP:
            self._comparison = Comparison.UNCOMPARED

    def _lose_track(self) -> None:
        """It may lack what it was brought, or is being brought."""
        if self._comparison is Comparison.COMPARING:
            self._comparison = Comparison.IN_VAIN
        else:
            self.become_uncompared()

"""Every time limit that depends on how long the way between nodes is: what it is, what it follows from, and how these
limits must relate.

An operator says how long a round trip between two nodes may take (`ROUND_TRIP_MS`). From that, `limits_for` works out
every one of these limits, and nothing else does; their defaults are what it gives for the default round trip. What
depends on disks, processes and people alone is in `config`.

There are two kinds. What judges a peer that should answer at once follows the round trip both ways: where it is short,
a peer that is gone is found sooner. What leaves time for disks, starts and people besides is never shorter than for the
default round trip, and longer beyond it.
"""

from __future__ import annotations

import msgspec

from gossip.settings import Settings

ROUND_TRIP_MS_DEFAULT = 50
"""Nodes of one region, with room for a busy machine."""
ROUND_TRIP_MS_MAX = 2000
"""Several satellites high. Beyond it, clients would wait for half a minute."""
SILENCE_TRIPS = 4
"""A link takes two round trips, a call one, and one more is for a packet that was lost."""
WAY_TO_CLIENT_S = 0.1
"""What is left of a client's patience for the way back of its answer."""


class TimeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a node's configuration that follows from the longest round trip; see `limits_for` for how."""

    round_trip_ms: int = ROUND_TRIP_MS_DEFAULT
    """The longest round trip between nodes that is made for, small messages both ways. A peer that is farther away may
    be taken for silent though it is there."""

    # Who is there, and who is asked next; how these relate: `_check_requests`, `_check_links`.

    silence_s: float = 0.45
    """A peer that says nothing for so long is passed over until it answers something sent later."""
    silent_share: float = 0.9
    """A call must have waited in vain for this part of `silence_s` for its peer to count as silent. One that was given
    less, since its own client's time is running out, says nothing: were such a peer passed over, readers would miss
    what only it has."""
    ping_s: float = 0.1
    """Between two pings on a link, from an attempt at an owner on, for as long as anything waits."""
    attempt_s: float = 0.6
    """How long an owner may take to answer before another one is asked: an owner that waits for a silent peer of its
    own still comes in time."""
    reply_s: float = 0.05
    """Of the time that a caller waits, for the ways there and back: an answer that comes too late costs it the link."""
    retry_s: float = 0.02
    """Between two attempts when nothing has changed that would make the next one fare better."""
    request_s: float = 1.8
    """A client's request is answered within `patience_s`, 2 s, whatever is down; the rest is for the way back."""
    keep_s: float = 0.4
    """A read of what a peer has waits so long for this node's disk to keep it. Together with a silence that is less
    than an owner's client waits."""
    redial_s: float = 0.1
    """Between two attempts to reach a peer that is wanted; a peer that starts is found within this and a connection's
    time."""
    wanted_s: float = 5.0
    """A peer that cannot be reached is dialled again and again for so long after the last call to it; a later call
    dials it, and waits."""
    lookup_slow_s: float = 3.0
    """A look-up that takes longer, and is wanted, is reported. The system waits for a silent name server for 5 s."""
    dialer_keepalive_s: float = 2.0
    """Between two keepalives of the side that asks: an idle link that went dead in a cut is noticed within this and
    half as much again, not by the first request after."""
    acceptor_keepalive_s: float = 10.0
    """The same of the side that answers: until then it keeps a link whose other end is gone without a word."""
    bulk_keepalive_s: float = 10.0
    """The same where transfers are sent: a keepalive waits behind a large value like all else, and what is sent there
    has a limit of its own."""
    pause_s: float = 0.4
    """A process that did not run for so long may have been replaced in the meantime: it asks before it serves."""

    # Co-owners in step; how these relate: `_check_replication`.

    heartbeat_s: float = 0.1
    """Between two heartbeats to a co-owner."""
    lease_s: float = 0.4
    """How long a co-owner's lease counts, from the moment it was asked for."""
    owing_s: float = 0.1
    """A co-owner that owes a confirmation for so long gets no lease: it may be slow, but a reader there would miss
    what all others have."""
    relay_s: float = 0.675
    """How long a relay may take: half as long again as a silence, because it may have to find a third one silent; and
    less than `relay_call_s`, for which the co-owner that asked for it waits."""
    empty_wait_s: float = 3.0
    """A node that starts with an empty disk, and has heard that a co-owner is empty too, waits so long for another one
    that is merely slow before it says that what nobody tells it of does not exist: the store may be new."""

    # The edge: what clients can rely on.

    answer_s: float = 1.9
    """When a client is answered whatever is still under way. After `request_s`, so that a call without an answer ends
    first, and its dead link is closed."""
    late_s: float = 1.0
    """What a client has sent may be this late, not more: it waits for `patience_s`, then does the same elsewhere."""
    count_wait_s: float = 1.0
    """How long a replica may take to say how many keys it has; then the last count that it gossiped is used."""
    stable_lag_s: float = 2.0
    """How old a clock reading must be before it is announced: older than any request grows, so that none is refused for
    its age."""
    commit_s: float = 1.0
    """A commit that takes longer means that the disk hangs: what queues behind it is refused. Longer than the slowest
    of disks that are well takes, and shorter than a client waits, whose request can then be brought to another owner.
    """

    # View changes, and what is moved.

    unreachable_s: float = 1.0
    """A coordinator gives a node this long, twice `silence_s`: it may be in the middle of its own start or pause."""
    promise_s: float = 8.0
    """A promise to a coordinator that died is void after this."""
    prepare_s: float = 15.0
    """A coordinator tries for so long to bring its view in force: long enough to outlive another one's promise."""
    stall_s: float = 15.0
    """A view change of which nothing has moved for so long waits for what may never come, and gives way to another."""
    give_up_s: float = 10.0
    """A donor outside the view that has not said for so long what it holds is dropped, where others have told the same:
    longer than it takes to start a process, or to find one again that was cut off."""
    transfer_s: float = 2.0
    """A peer that has not made a batch durable within this, and the time that its bytes take on a slow link, is taken
    for silent, and is sent it again: long for a small batch on a slow disk, short for a link that went dead during a
    cut."""
    co_owners_wait_s: float = 1.5
    """How long a batch that has arrived may wait for this node's co-owners to have it too."""
    digests_wait_s: float = 1.0
    """How long a co-owner may take to compare its digests at rest."""

    # Clocks.

    clock_alone_s: float = 10.0
    """Where no other node was heard for so long, nobody contradicts this machine's clock: two keepalives of a link
    that nobody uses, and more than a pause of the network."""
    clock_jitter_ms: int = 50
    """What a peer's clock seems to move by is the time that messages take, up to this."""

    def _check_links(self) -> None:
        assert 0 < self.silent_share <= 1, "nobody is silent before a call has waited, nor may it have to wait for more"
        assert 3 * self.round_trip_s < self.silence_s, "a link is made, and a call on it answered, within a silence"
        assert 0 < self.ping_s < self.silence_s, "a peer that waits for others shows that it is there within a silence"
        assert 0 < self.redial_s < self.silence_s, "a peer that is back is found before a call to it would time out"
        assert self.silence_s < self.lookup_slow_s, "a look-up is reported when a peer is down because of it"
        assert self.silence_s + self.redial_s < self.wanted_s, "a peer that cannot be reached is dialled more than once"
        assert self.silence_s < self.dialer_keepalive_s, "a link in use is judged by its calls, not by its keepalive"
        assert self.dialer_keepalive_s < self.bulk_keepalive_s, "a link for transfers may be busy for longer"
        assert self.dialer_keepalive_s < self.acceptor_keepalive_s, "who asks notices first: only it can dial again"
        assert self.pause_s < self.silence_s, "a process that others called silent finds that it was paused"

    def _check_edge(self) -> None:
        assert self.request_s < self.answer_s, "a call without an answer ends, with its dead link, before its request"
        assert self.count_wait_s < self.patience_s, "a silent replica does not keep a client waiting for a count"
        assert self.pause_s <= self.late_s, "a pause that makes requests late is noticed as one"
        assert self.answer_s < self.stable_lag_s, "a write that is tried at a second owner is not refused for its age"
        assert self.silence_s < self.commit_s, "a disk may take longer than a node that is there is silent"
        assert self.commit_s + self.attempt_s < self.request_s, "another owner is asked when the disk here hangs"

    def _check_requests(self) -> None:
        assert 2 * self.attempt_s < self.request_s, "an owner that is silent must leave time to ask another one"
        assert self.silence_s + self.keep_s < self.request_s - self.silence_s, "a read that is kept comes in time"
        assert self.silence_s + self.reply_s < self.attempt_s, "an owner must outwait a silent peer, and still answer"
        assert 0 < self.retry_s < self.reply_s < self.silence_s, "a pause must be short beside what is waited for"

    def _check_replication(self) -> None:
        assert 3 * self.heartbeat_s < self.lease_s, "a lease outlasts two heartbeats that are lost"
        assert self.heartbeat_s + self.round_trip_s < self.lease_s, "a lease is renewed before it ends"
        assert self.owing_s <= self.lease_s, "who falls behind is refused its next lease before its last one ends"
        assert self.lease_s < self.silence_s, "when a co-owner is found silent, its lease has ended"
        assert self.silence_s < self.relay_s < self.relay_call_s, "a relay outlasts a silence, and its caller a relay"
        assert self.silence_s + self.ping_s < self.confirm_s < self.relay_s, "a disk hangs only if its node is there"
        assert self.owing_s + self.lease_s < self.confirm_s, "when a disk is found to hang, its node's lease has ended"
        assert self.retry_s < self.heartbeat_s, "a stream notices no later than the heartbeats who is back"

    @property
    def round_trip_s(self) -> float:
        return self.round_trip_ms / 1000

    def silence_over(self, round_trip_s: float) -> float:
        """What counts as the silence of a peer that is so far away, be it farther than is made for."""
        beyond = min(round_trip_s, ROUND_TRIP_MS_MAX / 1000) - self.round_trip_s
        return self.silence_s + SILENCE_TRIPS * max(0.0, beyond)

    @property
    def patience_s(self) -> float:
        """A client that has no answer by then asks another node; the promise of the interface is an answer before."""
        return self.answer_s + WAY_TO_CLIENT_S

    @property
    def relay_call_s(self) -> float:
        """How long a co-owner that has asked for a relay waits for its end: two silences."""
        return 2 * self.silence_s

    @property
    def confirm_s(self) -> float:
        """How long a co-owner may take to make durable what it is sent; if it takes longer, and is there, its disk
        hangs."""
        return self.attempt_s

    @property
    def walk_s(self) -> float:
        """How long an owner looks for the keys of one page before it tells how far it has come: a third of what it has,
        as whom it asks first may look for as long, and what they have found is put together."""
        return (self.attempt_s - self.reply_s) / 3

    @property
    def pause_check_s(self) -> float:
        """Between two looks at whether this process was paused: a few that are late do not add up to a pause."""
        return self.pause_s / 8


def limits_for(round_trip_ms: int) -> dict[str, float]:
    """The `TimeLimits` that are made for round trips of up to so many milliseconds, by name."""
    trip = round_trip_ms / 1000
    beyond = max(0.0, round_trip_ms - ROUND_TRIP_MS_DEFAULT) / 1000
    limits = _of_peers(trip) | _of_clients(beyond) | _of_moves(beyond)
    return {name: round(limit_s, 6) for name, limit_s in limits.items()} | {
        "round_trip_ms": round_trip_ms,
        "clock_jitter_ms": max(round_trip_ms, ROUND_TRIP_MS_DEFAULT),
    }


def _of_peers(trip: float) -> dict[str, float]:
    """What a peer is judged by that should answer at once."""
    # 250 ms: the kernel waits 200 before it sends again what was lost, and a loop may be busy for some turns.
    silence_s = 0.25 + SILENCE_TRIPS * trip
    # Less than a silence by what a node may take to notice: who was found silent has no lease, and was paused.
    lease_s = pause_s = silence_s - 0.05
    # The silence of a peer of its own, the call's own trip, and one of the write that follows.
    attempt_s = silence_s + 2 * trip + 0.05
    return {
        "silence_s": silence_s,
        "lease_s": lease_s,
        "pause_s": pause_s,
        "attempt_s": attempt_s,
        "relay_s": 1.5 * silence_s,
        "heartbeat_s": lease_s / 4,
        "ping_s": lease_s / 4,
        # What is sent may wait for what was sent before it; where trips are short, the disk is what it waits for.
        "owing_s": trip + max(trip, 0.05),
        # There and back: an owner counts from when the call arrives, its caller from when it left.
        "reply_s": max(trip, 0.025),
    }


def _of_clients(beyond: float) -> dict[str, float]:
    """What clients can rely on: for each trip more, two attempts more than that, as each of them takes six."""
    return {
        "request_s": 1.8 + 12 * beyond,
        "answer_s": 1.9 + 12 * beyond,
        "stable_lag_s": 2.0 + 12 * beyond,
        "late_s": 1.0 + 6 * beyond,
        "count_wait_s": 1.0 + 8 * beyond,
        # A silence has four trips.
        "commit_s": 1.0 + 4 * beyond,
    }


def _of_moves(beyond: float) -> dict[str, float]:
    """What takes several silences, of four trips each, or is given up after several of what does."""
    return {
        "unreachable_s": 1.0 + 8 * beyond,
        "digests_wait_s": 1.0 + 8 * beyond,
        "co_owners_wait_s": 1.5 + 8 * beyond,
        "transfer_s": 2.0 + 9 * beyond,
        "empty_wait_s": 3.0 + 24 * beyond,
        "wanted_s": 5.0 + 16 * beyond,
        "lookup_slow_s": 3.0 + 8 * beyond,
        # Half of a keepalive is the time that its answer has.
        "dialer_keepalive_s": 2.0 + 8 * beyond,
        "acceptor_keepalive_s": 10.0 + 8 * beyond,
        "bulk_keepalive_s": 10.0 + 8 * beyond,
        "clock_alone_s": 10.0 + 8 * beyond,
        # A coordinator asks all for where they stand, then one, then all for their promises: within half of this.
        "promise_s": 8 * (1.0 + 8 * beyond),
        "prepare_s": 15 * (1.0 + 8 * beyond),
        "give_up_s": 10.0 + 64 * beyond,
        "stall_s": 15.0 + 96 * beyond,
    }


def gossip_settings_for(round_trip_ms: int) -> Settings:
    """How patient gossip has to be. A probe may have to make a link first; beyond the default, each hop of a rumour
    takes that much longer than a round."""
    settings = Settings()
    rounds_beyond = max(0.0, round_trip_ms - ROUND_TRIP_MS_DEFAULT) / 1000 / settings.interval_s
    return Settings(
        probe_timeout_s=round(0.2 + 4 * round_trip_ms / 1000, 6),
        suspicion_rounds=settings.suspicion_rounds * (1 + rounds_beyond),
        recent_rounds=settings.recent_rounds * (1 + rounds_beyond),
    )

"""Every number that a node goes by, with its reason, and how these numbers must relate.

Where two of them must fit together (a wait that has to end before another one does), a `_check_…` method says so, and
no node starts with numbers that do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from gossip.view import Address, Zone, host_of

CLUSTER_DEFAULT = "kvs"
"""The name of a store that was given none."""
PATIENCE_S = 2.0
"""A client that has no answer by then asks another node; the promise of the interface is an answer before that."""


VALUE_BYTES_MAX = 1024 * 1024
"""The longest value that a client may store."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a node is told, and every bound it keeps. Seconds are of the monotonic clock."""

    address: Address
    view: tuple[Address, ...]
    """The nodes of the store on an empty disk; may omit `address`."""
    repl_factor: int | None = None
    data_dir: Path
    bind: str | None = None
    """Listening host; None: all interfaces."""
    zone: Zone = ""
    """What fails together with this node; empty: the host of its address."""
    cluster: str = CLUSTER_DEFAULT
    """The name of the store. Nodes of another name are turned away."""

    request_s: float = 1.8
    """A client's request is answered within 2 s, whatever is down; the rest is for the way back."""
    silence_s: float = 0.45
    """A peer that says nothing for so long is passed over until it answers something sent later."""
    attempt_s: float = 0.6
    """How long an owner may take to answer before another one is asked: an owner that waits for a silent peer of its
    own still comes in time."""
    reply_s: float = 0.05
    """For the way back of an answer to another node: one that comes too late costs its caller the link."""
    retry_s: float = 0.02
    """Between two attempts when nothing has changed that would make the next one fare better."""
    keep_s: float = 0.4
    """A read of what a peer has waits so long for this node's disk to keep it. Together with a silence that is less
    than an owner's client waits."""
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
    stuck_retry_s: float = 0.25
    """Between two attempts at a co-owner whose disk is full or hangs: how soon it is caught up once it takes something
    again, at the price of a small message now and then."""
    stuck_compare_s: float = 1.0
    """The same for a comparison with it, which takes more."""
    empty_wait_s: float = 3.0
    """A node that starts with an empty disk, and has heard that a co-owner is empty too, waits so long for another one
    that is merely slow before it says that what nobody tells it of does not exist: the store may be new."""
    pause_s: float = 0.4
    """A process that did not run for so long may have been replaced in the meantime: it asks before it serves."""
    recovery_s: float = 0.5
    """At least this long after a pause longer than `late_s`, clients' requests are taken for old: hundreds of
    connections may have piled up, and they are accepted some at a time."""
    late_s: float = 1.0
    """What a client has sent may be this late, but not more: it waits for 2 s, then does the same elsewhere."""
    unreachable_s: float = 1.0
    """A coordinator gives a node this long, twice `silence_s`: it may be in the middle of its own start or pause."""
    adoption_s: float = 1.0
    """A node that has a later view to store, and cannot for so long, serves nothing until it has."""
    promise_s: float = 8.0
    """A promise to a coordinator that died is void after this."""
    prepare_s: float = 15.0
    """A coordinator tries for so long to bring its view in force: long enough to outlive another one's promise."""
    settle_poll_s: float = 0.05
    """How often a coordinator asks, at first, whether all is where it should be: a view change of little data answers
    within this. Later it asks whenever it has waited a tenth longer."""
    settle_poll_s_max: float = 1.0
    """The longest that a coordinator waits before it asks again."""
    redial_s: float = 0.1
    """Between two attempts to reach a peer that is wanted; a peer that starts is found within this and a connection's
    time."""

    # The edge: clients and their connections.

    answer_s: float = 1.9
    """When a client is answered whatever is still under way. After `request_s`, so that a call without an answer ends
    first, and its dead link is closed."""
    body_s: float = 10.0
    """A body that has not arrived within this never will."""
    keepalive_s: float = 75.0
    """An idle client keeps its connection for so long."""
    drain_s: float = 1.0
    """When a node stops, requests that wait for something else than a key (a view change, for instance) may go on for
    so long. Requests for keys have been answered by then."""
    count_wait_s: float = 1.0
    """How long a replica may take to say how many keys it has; then the last count that it gossiped is used."""
    client_check_s: float = 1.0
    """Between two looks at whether the client that waits for a view change is still there."""
    reconcile_share: float = 0.7
    """This part of the time that a caller waits may go into taking its later view before its call is acted on."""

    # The clock.

    clock_ceiling_s: float = 1.0
    """One durable write of the ceiling serves for so many seconds of stamps. A node that restarts within them begins
    that far ahead of its time, and its stamps then win over those that others give meanwhile."""
    clock_lead_ms_max: int = 24 * 3_600_000
    """No clock is this far ahead of another by accident."""
    clock_lead_step_ms: int = 1000
    """A lead that has grown by less is not worth a durable write."""
    clock_reach_ms: int = 60_000
    """A clock that is so far above the fastest of all others may be wrong: by it, nothing is stamped."""
    clock_alone_s: float = 10.0
    """Where no other node was heard for so long, nobody contradicts this machine's clock: two keepalives of a link
    that nobody uses, and more than a pause of the network."""
    clock_jitter_ms: int = 50
    """What a peer's clock seems to move by is the time that messages take, up to this."""
    clock_off_ms: int = 60_000
    """A peer's clock that is this far from this node's is reported in the log."""
    clock_complaint_s: float = 60.0
    """Between two complaints about readings that can only be wrong: a node that sends one sends many."""

    # Storage.

    jobs_s_max: float = 0.005
    """How long the jobs of one commit may keep the loop: some 300 writes. A single job may take longer."""

    commit_s: float = 1.0
    """A commit that takes longer means that the disk hangs: what queues behind it is refused. Longer than the slowest
    of disks that are well takes, and shorter than a client waits, whose request can then be brought to another owner.
    """

    reserve_bytes: int = 16 * 1024 * 1024
    """Room on the disk that records are not let into, so that a full node can promise, take views, hand over and
    forget. Forgetting 64 KiB of small records in each of eight lanes changes up to 3 MiB of pages, and LMDB writes
    pages anew and uses the old ones again only after two more commits; half of the reserve covers that, since it is
    half that has to be left for records to be let in again."""
    reserve_share: float = 1 / 8
    """But no more than this part of a small file system."""

    # Retention: what may be forgotten, and when.

    stable_every_s: float = 1.0
    """Between two announcements of what is on all owners. Each is a durable write, and news for the gossip."""
    stable_lag_s: float = 2.0
    """How old a clock reading must be before it is announced: older than any request grows, so that none is refused for
    its age."""
    tombstone_grace_s: float = 24 * 3600.0
    """A deletion is remembered for at least this long: a node that was removed may come home within it."""
    purge_every_s: float = 10.0
    """Between two looks at what may be forgotten."""

    # Repair: bringing copies together, and records home.

    compare_every_s: float = 10.0
    """Between two looks at whether copies are alike at rest."""
    digests_wait_s: float = 1.0
    """How long a co-owner may take to compare its digests at rest."""
    transfer_s: float = 2.0
    """A peer that has not made a batch durable within this, and the time that its bytes take on a slow link, is taken
    for silent, and is sent it again: long for a small batch on a slow disk, short for a link that went dead during a
    cut."""
    slow_link_bytes_s: int = 100_000
    """The slowest link that transfers are made for: some 1 Mbit/s, less what else is sent."""
    stall_s: float = 15.0
    """A view change of which nothing has moved for so long waits for what may never come, and gives way to another."""
    co_owners_wait_s: float = 1.5
    """How long a batch that has arrived may wait for this node's co-owners to have it too."""
    clients_recent_s: float = 0.1
    """A client's request this long ago means that there will be more: transfers leave them room."""
    give_up_s: float = 10.0
    """A donor outside the view that has not said for so long what it holds is dropped, where others have told the same:
    longer than it takes to start a process, or to find one again that was cut off."""
    transfer_rest_s_max: float = 0.5
    """Where clients are served, a transfer rests for as long as it has worked, but no longer than this: what takes that
    long is a disk or a link that hangs, and no work that would keep clients waiting."""
    handoff_retry_s: float = 0.25
    """Between two looks at what is left to hand over or to take."""
    transfer_lanes: int = 8
    """Partitions that one transfer works on at once: enough to share commits, few enough to bound memory."""
    batch_bytes: int = 64 * 1024
    """One message of a transfer holds about so much of records; little, so that no client waits behind a long job."""

    # Links between nodes, besides `silence_s`, `attempt_s` and `redial_s`: see `net.link_state`.

    silent_share: float = 0.9
    """A call must have waited in vain for this part of `silence_s` for its peer to count as silent. One that was given
    less, since its own client's time is running out, says nothing: were such a peer passed over, readers would miss
    what only it has."""
    ping_s: float = 0.1
    """Between two pings on a link, from an attempt at an owner on, for as long as anything waits."""
    wanted_s: float = 5.0
    """A peer that cannot be reached is dialled again and again for so long after the last call to it; a later call
    dials it, and waits."""
    lookup_slow_s: float = 3.0
    """A look-up that takes longer, and is wanted, is reported. The system waits for a silent name server for 5 s."""
    unwanted_s: float = 60.0
    """A link that nobody has used for so long is closed when a new one is made. Gossip speaks to every node of the
    store more often than this, except in clusters of hundreds."""
    dialer_keepalive_s: float = 2.0
    """Between two keepalives of the side that asks: an idle link that went dead in a cut is noticed within this and
    half as much again, not by the first request after."""
    acceptor_keepalive_s: float = 10.0
    """The same of the side that answers: until then it keeps a link whose other end is gone without a word."""
    bulk_keepalive_s: float = 10.0
    """The same where transfers are sent: a keepalive waits behind a large value like all else, and what is sent there
    has a limit of its own."""
    link_close_s: float = 1.0
    """The side that answers waits for the other one's part in closing a link at most so long."""
    link_drain_s: float = 1.0
    """A node that stops answers other nodes for so long at most; the callers of what takes longer ask another node."""

    def __post_init__(self) -> None:
        """Raises AssertionError unless the numbers fit together."""
        self._check_edge()
        self._check_requests()
        self._check_replication()
        self._check_clock()
        self._check_retention()
        self._check_transfers()
        self._check_links()
        self._check_storage()

    def _check_links(self) -> None:
        assert 0 < self.silent_share <= 1, "nobody is silent before a call has waited, nor may it have to wait for more"
        assert 0 < self.ping_s < self.silence_s, "a peer that waits for others shows that it is there within a silence"
        assert 0 < self.redial_s < self.silence_s, "a peer that is back is found before a call to it would time out"
        assert self.silence_s + self.redial_s < self.wanted_s, "a peer that cannot be reached is dialled more than once"
        assert self.silence_s < self.lookup_slow_s, "a look-up is reported when a peer is down because of it"
        assert self.wanted_s < self.unwanted_s, "no link is closed while it is dialled for somebody"
        assert self.silence_s < self.dialer_keepalive_s, "a link in use is judged by its calls, not by its keepalive"
        assert self.dialer_keepalive_s < self.bulk_keepalive_s, "a link for transfers may be busy for longer"
        assert self.dialer_keepalive_s < self.acceptor_keepalive_s, "who asks notices first: only it can dial again"

    def _check_edge(self) -> None:
        assert self.request_s < self.answer_s, "a call without an answer ends, with its dead link, before its request"
        assert self.answer_s < PATIENCE_S, "a client is answered before it gives up"
        assert self.count_wait_s < PATIENCE_S, "a silent replica does not keep a client waiting for a count"
        assert self.pause_s <= self.late_s, "a pause that makes requests late is noticed as one"
        assert 0 < self.reconcile_share < 1, "a caller is still there when its call is acted on"

    def _check_requests(self) -> None:
        assert 2 * self.attempt_s < self.request_s, "an owner that is silent must leave time to ask another one"
        assert self.silence_s + self.keep_s < self.request_s - self.silence_s, "a read that is kept comes in time"
        assert self.silence_s + self.reply_s < self.attempt_s, "an owner must outwait a silent peer, and still answer"
        assert 0 < self.retry_s < self.reply_s < self.silence_s, "a pause must be short beside what is waited for"

    def _check_replication(self) -> None:
        assert 3 * self.heartbeat_s < self.lease_s, "a lease outlasts two heartbeats that are lost"
        assert self.owing_s <= self.lease_s, "who falls behind is refused its next lease before its last one ends"
        assert self.lease_s < self.silence_s, "when a co-owner is found silent, its lease has ended"
        assert self.silence_s < self.relay_s < self.relay_call_s, "a relay outlasts a silence, and its caller a relay"
        assert self.silence_s + self.ping_s < self.confirm_s < self.relay_s, "a disk hangs only if its node is there"
        assert self.owing_s + self.lease_s < self.confirm_s, "when a disk is found to hang, its node's lease has ended"
        assert self.retry_s < self.stuck_retry_s < self.stuck_compare_s, "who is stuck is asked less often"
        assert self.retry_s < self.heartbeat_s, "a stream notices no later than the heartbeats who is back"

    def _check_clock(self) -> None:
        assert self.clock_lead_step_ms < self.clock_lead_ms_max, "a lead is remembered before it is taken for an error"
        assert self.clock_off_ms <= self.clock_reach_ms, "a clock is reported before it is not believed any more"
        assert 1000 * self.clock_ceiling_s < self.clock_reach_ms, "the first stamps after a restart are believed"
        assert self.clock_reach_ms < self.clock_lead_ms_max, "who knows of a write can name it in a context"
        assert self.clock_jitter_ms < self.clock_reach_ms, "a clock that is set is noticed"
        assert self.silence_s < self.clock_alone_s, "a node that is silent for a moment leaves nobody alone"

    def _check_retention(self) -> None:
        assert self.answer_s < self.stable_lag_s, "a write that is tried at a second owner is not refused for its age"
        assert self.stable_lag_s < self.tombstone_grace_s, "nothing is forgotten before it can be on all owners"
        assert self.purge_every_s < self.tombstone_grace_s, "tombstones go when they may, not a grace later"

    def _check_transfers(self) -> None:
        assert self.silence_s + self.lease_s < self.co_owners_wait_s, "a batch outlives a co-owner's silence and lease"
        assert self.co_owners_wait_s < self.transfer_s, "who sends a batch hears of the wait in time"
        assert self.silence_s + self.lease_s < self.give_up_s, "no lease that it has may count when a donor is dropped"
        kept_out_s = self.promise_s + self.adoption_s
        assert kept_out_s < self.give_up_s, "a donor that serves under an earlier view is asked for as long"
        assert self.give_up_s < self.stall_s, "a removed node that is silent is dropped before all is given up"
        assert self.give_up_s < self.tombstone_grace_s, "what nobody else has is waited for the longer"
        assert self.transfer_lanes > 0 and self.batch_bytes > 0, "a transfer gets on"
        longest_s = self.transfer_limit_s(VALUE_BYTES_MAX + self.batch_bytes)
        assert longest_s < self.stall_s, "a large value on a slow link is progress"
        assert longest_s < 1.5 * self.bulk_keepalive_s, "a keepalive does not end a link that is busy with one value"

    def _check_storage(self) -> None:
        assert self.jobs_s_max < self.pause_s, "a node that is busy with writes does not take itself for paused"
        assert self.silence_s < self.commit_s, "a disk may take longer than a node that is there is silent"
        assert self.commit_s + self.attempt_s < self.request_s, "another owner is asked when the disk here hangs"
        forgotten = 6 * self.transfer_lanes * self.batch_bytes
        assert self.reserve_bytes >= 2 * forgotten, "a full node can forget what it has handed over"
        assert 0 < self.reserve_share < 1, "a small disk is not all reserve"

    def transfer_limit_s(self, bytes_: int) -> float:
        """How long a call of a transfer may take if so many bytes are on their way to its peer."""
        return self.transfer_s + bytes_ / self.slow_link_bytes_s

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
    def pause_check_s(self) -> float:
        """Between two looks at whether this process was paused: a few that are late do not add up to a pause."""
        return self.pause_s / 8

    @property
    def tombstone_grace_ms(self) -> int:
        """The grace by the wall clock."""
        return int(1000 * self.tombstone_grace_s)

    @classmethod
    def for_test(
        cls, address: Address, view: tuple[Address, ...], data_dir: Path, repl_factor: int | None = None
    ) -> Self:
        """As in production, but quicker to notice that something is gone, and patient with a process that starves."""
        return cls(
            address=address,
            view=view,
            data_dir=data_dir,
            repl_factor=repl_factor,
            bind=host_of(address),
            late_s=30.0,
            promise_s=2.0,
            settle_poll_s=0.01,
            redial_s=0.02,
            stable_every_s=0.1,
            handoff_retry_s=0.05,
        )

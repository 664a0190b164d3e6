"""Every number that a node goes by, with its reason, and how these numbers must relate.

Where two of them must fit together (a wait that has to end before another one does), a `_check_…` method says so, and
no node starts with numbers that do not. The numbers that follow from how far nodes are from each other are in
`time_limits`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Self

from gossip.view import Address, Zone, host_of
from node.limits import Limits
from node.time_limits import TimeLimits, limits_for

CLUSTER_DEFAULT = "kvs"
"""The name of a store that was given none."""

VALUE_BYTES_MAX = 1024 * 1024
"""The longest value that a client may store."""


class TlsFiles(NamedTuple):
    cert: Path
    """The certificate of this node, and those between it and a CA."""
    key: Path
    ca: Path
    """Whoever has a certificate of one of these is a node."""


class Config(TimeLimits, frozen=True, kw_only=True):
    """Everything a node is told, and every bound it keeps. Seconds are of the monotonic clock. Made as it stands, it is
    for the default round trip; `for_round_trip` makes one for another."""

    address: Address
    view: tuple[Address, ...]
    """The nodes of the store on an empty disk; may omit `address`."""
    repl_factor: int | None = None
    data_dir: Path
    bind: str | None = None
    """Listening host; None: all interfaces."""
    zone: Zone = ""
    """What fails together with this node; empty: the host of its address."""
    log_level: str = "info"
    """One of `environment.LOG_LEVELS`; what is below it is not logged."""
    log_format: str = "text"
    """One of `environment.LOG_FORMATS`."""
    slow_request_ms: int = 1000
    """A request that takes as long is logged; 0: none is. Clients wait for twice that."""
    cluster: str = CLUSTER_DEFAULT
    """The name of the store. Nodes of another name are turned away."""
    cluster_secret_file: Path | None = None
    """What all nodes of the store know; None: they prove nothing to each other."""
    tokens_file: Path | None = None
    """Which token has which role; None: anybody may do anything."""
    limits: Limits = Limits()
    """Of what clients may take."""
    tls: TlsFiles | None = None
    """None: clients and nodes are spoken to in the clear."""

    # Co-owners whose disk takes nothing, nodes that were paused, views that are late.
    stuck_retry_s: float = 0.25
    """Between two attempts at a co-owner whose disk is full or hangs: how soon it is caught up once it takes something
    again, at the price of a small message now and then."""
    stuck_compare_s: float = 1.0
    """The same for a comparison with it, which takes more."""
    recovery_s: float = 0.5
    """At least this long after a pause longer than `late_s`, clients' requests are taken for old: hundreds of
    connections may have piled up, and they are accepted some at a time."""
    adoption_s: float = 1.0
    """A node that has a later view to store, and cannot for so long, serves nothing until it has."""
    settle_poll_s: float = 0.05
    """How often a coordinator asks, at first, whether all is where it should be: a view change of little data answers
    within this. Later it asks whenever it has waited a tenth longer."""
    settle_poll_s_max: float = 1.0
    """The longest that a coordinator waits before it asks again."""

    # The edge: clients and their connections.

    body_s: float = 10.0
    """A body that has not arrived within this never will."""
    tls_handshake_s: float = 10.0
    """Who connects has so long to agree on a key."""
    tls_farewell_s: float = 1.0
    """The end of an encrypted connection is waited for at most so long."""
    head_s: float = 10.0
    """The head of a request that has not arrived within this never will."""
    reader_s: float = 30.0
    """A client that takes nothing of an answer for so long reads nothing."""
    keepalive_s: float = 75.0
    """An idle client keeps its connection for so long."""
    drain_s: float = 1.0
    """When a node stops, requests that wait for something else than a key (a view change, for instance) may go on for
    so long. Requests for keys have been answered by then."""
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
    clock_off_ms: int = 60_000
    """A peer's clock that is this far from this node's is reported in the log."""
    clock_complaint_s: float = 60.0
    """Between two complaints about readings that can only be wrong: a node that sends one sends many."""

    # Storage.

    jobs_s_max: float = 0.005
    """How long the jobs of one commit may keep the loop: some 300 writes. A single job may take longer."""

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
    tombstone_grace_s: float = 24 * 3600.0
    """A deletion is remembered for at least this long: a node that was removed may come home within it."""
    purge_every_s: float = 10.0
    """Between two looks at what may be forgotten."""

    expire_every_s: float = 0.5
    """Between two looks at whether a key has expired, at most: a second after its time, it is not counted any more."""

    # Watching: what clients are told of what changes.

    watch_kept_s: float = 60.0
    """An owner notes what changes for so long after it was last asked, and a node asks for so long after the last
    client has gone: whoever comes back within this has missed nothing."""
    watch_log_bytes: int = 16 * 1024 * 1024
    """How much of what has changed an owner notes at most."""
    watch_queue_bytes: int = 1024 * 1024
    """How much may wait to be told to one client: one that reads more slowly is told so, and its stream ends."""
    watch_park_s: float = 5.0
    """An owner of which nothing is to be told is asked anew after so long."""
    watch_retry_s: float = 1.0
    """Between two attempts at an owner that could not be heard."""

    # Repair: bringing copies together, and records home.

    compare_every_s: float = 10.0
    """Between two looks at whether copies are alike at rest."""
    slow_link_bytes_s: int = 100_000
    """The slowest link that transfers and large values are made for: some 1 Mbit/s, less what else is sent."""
    clients_recent_s: float = 0.1
    """A client's request this long ago means that there will be more: transfers leave them room."""
    transfer_rest_s_max: float = 0.5
    """Where clients are served, a transfer rests for as long as it has worked, but no longer than this: what takes that
    long is a disk or a link that hangs, and no work that would keep clients waiting."""
    handoff_retry_s: float = 0.25
    """Between two looks at what is left to hand over or to take."""
    transfer_lanes: int = 8
    """Partitions that one transfer works on at once: enough to share commits, few enough to bound memory."""
    batch_bytes: int = 64 * 1024
    """One message of a transfer holds about so much of records; little, so that no client waits behind a long job."""

    # Links between nodes that nobody needs any more.

    unwanted_s: float = 60.0
    """A link that nobody has used for so long is closed when a new one is made. Gossip speaks to every node of the
    store more often than this, except in clusters of hundreds."""
    proof_s: float = 10.0
    """Who dials has so long to prove that it knows the secret of the cluster."""
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
        self._check_watching()
        self._check_transfers()
        self._check_links()
        self._check_storage()
        self._check_rest()

    def _check_rest(self) -> None:
        assert 0 < self.reconcile_share < 1, "a caller is still there when its call is acted on"
        assert self.retry_s < self.stuck_retry_s < self.stuck_compare_s, "who is stuck is asked less often"
        assert self.wanted_s < self.unwanted_s, "no link is closed while it is dialled for somebody"

    def _check_clock(self) -> None:
        assert self.clock_lead_step_ms < self.clock_lead_ms_max, "a lead is remembered before it is taken for an error"
        assert self.clock_off_ms <= self.clock_reach_ms, "a clock is reported before it is not believed any more"
        assert 1000 * self.clock_ceiling_s < self.clock_reach_ms, "the first stamps after a restart are believed"
        assert self.clock_reach_ms < self.clock_lead_ms_max, "who knows of a write can name it in a context"
        assert self.clock_jitter_ms < self.clock_reach_ms, "a clock that is set is noticed"
        assert self.silence_s < self.clock_alone_s, "a node that is silent for a moment leaves nobody alone"

    def _check_retention(self) -> None:
        assert self.stable_lag_s < self.tombstone_grace_s, "nothing is forgotten before it can be on all owners"
        assert self.expire_every_s < 1, "what has expired is not counted a second later"
        assert self.expire_every_s < self.tombstone_grace_s, "what may be forgotten has been swept"
        assert self.purge_every_s < self.tombstone_grace_s, "tombstones go when they may, not a grace later"

    def _check_watching(self) -> None:
        assert self.silence_s + self.lease_s < self.request_s, "an owner that waits for a silent one is heard in time"
        assert self.watch_park_s < self.watch_kept_s, "what changes is noted while somebody asks"
        assert self.watch_queue_bytes * 2 > VALUE_BYTES_MAX, "more than one value may wait"

    def _check_transfers(self) -> None:
        assert self.silence_s + self.lease_s < self.co_owners_wait_s, "a batch outlives a co-owner's silence and lease"
        assert self.co_owners_wait_s < self.transfer_s, "who sends a batch hears of the wait in time"
        assert self.silence_s + self.lease_s < self.give_up_s, "no lease that it has may count when a donor is dropped"
        kept_out_s = self.promise_s + self.adoption_s
        assert kept_out_s < self.give_up_s, "a donor that serves under an earlier view is asked for as long"
        assert self.give_up_s < self.stall_s, "a removed node that is silent is dropped before all is given up"
        assert self.give_up_s < self.tombstone_grace_s, "what nobody else has is waited for the longer"
        assert self.transfer_lanes > 0 and self.batch_bytes > 0, "a transfer gets on"
        longest_s = self.transfer_s + self.carry_s(VALUE_BYTES_MAX + self.batch_bytes)
        assert longest_s < self.stall_s, "a large value on a slow link is progress"
        assert longest_s < 1.5 * self.bulk_keepalive_s, "a keepalive does not end a link that is busy with one value"

    def _check_storage(self) -> None:
        assert self.jobs_s_max < self.pause_s, "a node that is busy with writes does not take itself for paused"
        forgotten = 6 * self.transfer_lanes * self.batch_bytes
        assert self.reserve_bytes >= 2 * forgotten, "a full node can forget what it has handed over"
        assert 0 < self.reserve_share < 1, "a small disk is not all reserve"

    def carry_s(self, bytes_: int) -> float:
        """How long so many bytes take on a slow link; what must get through with them is given that besides."""
        return bytes_ / self.slow_link_bytes_s

    def taking_s(self, bytes_: int) -> float:
        """How long a client may take over an answer of so many bytes."""
        return self.reader_s + self.carry_s(bytes_)

    @property
    def reads_files(self) -> bool:
        """Whether there are files that are read again on SIGHUP."""
        return (self.cluster_secret_file, self.tokens_file, self.tls) != (None, None, None)

    @property
    def tombstone_grace_ms(self) -> int:
        """The grace by the wall clock."""
        return int(1000 * self.tombstone_grace_s)

    @classmethod
    def for_round_trip(cls, round_trip_ms: int, **told: Any) -> Self:
        """For nodes between which a round trip takes up to `round_trip_ms`, with what else a node is told."""
        return cls(**(limits_for(round_trip_ms) | told))

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

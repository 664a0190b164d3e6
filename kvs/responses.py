"""The store's answers as its clients read them: typed, and checked once, where they come in.

Owns which fields a client relies on; others are ignored, so that a node may tell more than its clients know. Encoded
again, they are what `kvs -o json` prints: renaming a field here breaks somebody's program. Imports nothing of ours.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

KeysAtRisk: TypeAlias = int | msgspec.UnsetType | None
"""How many keys would be, or were, lost, at most: None: nobody knows; UNSET: none."""


class _Body(msgspec.Struct, frozen=True, rename="kebab"):
    pass


class ErrorBody(_Body, frozen=True):
    error: str
    unreachable: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    """Nodes whose disks are full."""
    epoch: int | None = None
    """That of the view in force, where another one was expected."""
    keys_at_risk: KeysAtRisk = msgspec.UNSET
    view: str | None = None
    """That before the change which has settled and so cannot be taken back."""

    @property
    def in_the_way(self) -> tuple[str, ...]:
        """The nodes that keep it from being done, and why, unless they cannot be reached."""
        return (*self.unreachable, *(f"{node} (its disk is full)" for node in self.full))

    @property
    def line(self) -> str:
        """All of it that people need, in one line."""
        return f"{self.error}: {', '.join(self.in_the_way)}" if self.in_the_way else self.error


class Entry(_Body, frozen=True, omit_defaults=True):
    key: str
    value: msgspec.Raw
    etag: str
    ttl: float | None = None
    """See `Got`."""


class KeysPage(_Body, frozen=True):
    """A part of a listing, in the order of the keys' UTF-8 bytes. It may be empty, and yet not be the last."""

    listed: tuple[str, ...] = msgspec.field(name="keys")
    next: str | None
    """The key after which the next part begins; None: this is the last."""


class EntriesPage(_Body, frozen=True):
    """The same, with values."""

    listed: tuple[Entry, ...] = msgspec.field(name="entries")
    next: str | None


class NodeStatus(_Body, frozen=True):
    address: str
    state: str
    member: bool
    shard_id: str | None
    key_count: int | None
    settled_epoch: int | None
    clock_offset_ms: int | None = None
    """By how much the node's clock is ahead of the asked node's; None: not heard of yet, or this is the asked node."""
    keys_to_hand_over: int | None = None
    """Keys that it has and does not own."""
    keys_waiting_for_copies: int | None = None
    """Those of them that it keeps until more of their owners have them."""


class CrowdedShard(_Body, frozen=True):
    """A shard whose copies share zones, though they need not."""

    shard_id: str
    zones: tuple[str, ...]
    """Those that are shared."""


class Problem(_Body, frozen=True, omit_defaults=True):
    """Something that is wrong with the store, as the asked node sees it."""

    code: str
    """Stable, for programs."""
    severity: str
    """`critical` or `warning`."""
    what: str
    do: str
    nodes: tuple[str, ...] = ()
    keys: int | None = None
    """How many it is about."""
    for_seconds: float | None = None
    """How long it has lasted, as far as that is known."""

    @property
    def is_critical(self) -> bool:
        return self.severity == "critical"


class Status(_Body, frozen=True):
    address: str
    epoch: int
    digest: str
    state: str
    repl_factor: int | None
    nodes: tuple[NodeStatus, ...]
    crowded_shards: tuple[CrowdedShard, ...] = ()
    keys_waiting_for_copies: int = 0
    problems: tuple[Problem, ...] = ()
    """What is wrong, the critical first."""

    @property
    def former(self) -> tuple[str, ...]:
        """Nodes outside the view that the store knows: most were in it."""
        return tuple(node.address for node in self.nodes if not node.member)


class Environment(_Body, frozen=True):
    """What a node was told, defaults included."""

    view: tuple[str, ...]
    repl_factor: int | None
    cluster: str
    round_trip_ms: int


class Disk(_Body, frozen=True):
    free_bytes: int | None
    """None: nobody can tell."""
    bytes: int | None
    full: bool
    hangs: bool


class PeerReport(_Body, frozen=True):
    """Another node, as a node sees it."""

    address: str
    reached: bool
    took_ms: float | None
    """For a question and its answer."""
    clock_offset_ms: int | None
    """By how much its clock is ahead."""
    name_fault: str | None
    """Why its name leads nowhere; None: it does, or there is none."""


class NodeReport(_Body, frozen=True):
    """What a node says of itself."""

    address: str
    release: str | None
    epoch: int
    digest: str
    zone: str
    zone_in_view: str | None
    """None: it is not in the view."""
    key_count: int
    settled: bool
    whole: bool
    """Whether it has all that its co-owners have had."""
    ready: bool
    environment: Environment
    disk: Disk
    peers: tuple[PeerReport, ...]


class TopNode(_Body, frozen=True):
    """What a node did since the last look. None: nobody knows."""

    address: str
    state: str
    key_count: int | None
    ops_per_second: float | None
    p50_ms: float | None
    p99_ms: float | None


class Top(_Body, frozen=True):
    time: float
    """Seconds since 1970."""
    ops_per_second: float | None
    """Of all nodes."""
    problems: int
    """How many `kvs status` would tell of."""
    nodes: tuple[TopNode, ...]


class PlannedShard(_Body, frozen=True):
    shard_id: str
    replicas: tuple[str, ...]
    partitions: int


class ShardShare(_Body, frozen=True):
    shard_id: str
    replicas: tuple[str, ...]
    partitions: int
    zones: tuple[str, ...] = ()
    """Of each replica, in their order."""


class RingMap(_Body, frozen=True):
    epoch: int
    digest: str
    repl_factor: int | None
    partitions: int
    shards: tuple[ShardShare, ...]
    ranges: tuple[tuple[int, int, str], ...]
    """First and last partition, both included, and the id of their shard."""
    hash: str = "xxh3_64"
    """Of a key's UTF-8 bytes; its leading bits are the partition."""
    faults: tuple[CrowdedShard, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(address for shard in self.shards for address in shard.replicas)

    def shard_of(self, partition: int) -> ShardShare:
        """Raises ValueError if the answer gives the partition to no shard."""
        for first, last, shard_id in self.ranges:
            if first <= partition <= last:
                return next(shard for shard in self.shards if shard.shard_id == shard_id)
        raise ValueError(f"partition {partition} has no shard")


class Place(_Body, frozen=True):
    """Where a key lives."""

    key: str
    partition: int
    shard_id: str
    replicas: tuple[str, ...]


class ShardIds(_Body, frozen=True):
    shards: tuple[str, ...]


class Shard(_Body, frozen=True):
    shard_id: str
    key_count: int
    replicas: tuple[str, ...]


class Shards(_Body, frozen=True):
    shards: tuple[Shard, ...]


class Remaining(_Body, frozen=True):
    """What a node still has to hand over; None where it could not be asked."""

    address: str
    partitions: int | None
    keys: int | None


class Progress(_Body, frozen=True):
    epoch: int
    coordinator: str | None
    state: str
    nodes: tuple[Remaining, ...]

    @property
    def silent(self) -> str:
        """Those that could not be asked, for a sentence."""
        return ", ".join(node.address for node in self.nodes if node.partitions is None)

    @property
    def keys(self) -> int:
        return sum(node.keys or 0 for node in self.nodes)

    @property
    def partitions(self) -> int:
        return sum(node.partitions or 0 for node in self.nodes)


class Move(_Body, frozen=True):
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    partitions: int
    keys: int


class Plan(_Body, frozen=True):
    partitions: int
    keys: int
    moves: tuple[Move, ...]
    shards: tuple[PlannedShard, ...]
    keys_at_risk: KeysAtRisk = msgspec.UNSET
    unreachable: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """The nodes that alone have the keys at risk."""


class Count(_Body, frozen=True, omit_defaults=True):
    """An entry of a view change's answer: for an address without replication, for a shard with it."""

    key_count: int
    address: str | None = None
    shard_id: str | None = None
    replicas: tuple[str, ...] = ()


class Changed(_Body, frozen=True):
    shards: tuple[Count, ...]
    keys_at_risk: KeysAtRisk = msgspec.UNSET


class Accepted(_Body, frozen=True):
    epoch: int
    keys_at_risk: KeysAtRisk = msgspec.UNSET

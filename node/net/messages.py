"""What nodes say to each other: frozen, typed messages in msgpack, validated once, here.

A *call* is a request and gets one answer; a *cast* is a gossip message that gets none. How they travel is told by
`frames`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

import msgspec

from gossip.view import Address, ViewId
from node.values.context import Context
from node.values.record import KEY_BYTES_MAX, Version

KeyBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=KEY_BYTES_MAX)]
VersionBytes = Annotated[Version, msgspec.Meta(min_length=16, max_length=16)]
Partitions: TypeAlias = bytes
"""Partition numbers, packed by `ring.hashing.pack`."""
Unsigned = Annotated[int, msgspec.Meta(ge=0)]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    any_view: ClassVar[bool] = False
    """Whether a receiver may act on the message whatever view its sender holds."""


# Data: asked of an owner of the key. `context`: what the client depends on, None if it does not ask for that; in an
# answer, what it depends on now.


class Read(_Message, frozen=True, tag=1):
    key: KeyBytes
    context: Context | None = None


class Write(_Message, frozen=True, tag=2):
    """A put, or with `value` None a delete."""

    key: KeyBytes
    version: VersionBytes
    value: bytes | None
    context: Context | None = None


class ReadResult(_Message, frozen=True, tag=3):
    """Answers Read: the JSON text, None if the key does not exist."""

    value: bytes | None
    context: Context | None = None


class Wrote(_Message, frozen=True, tag=4):
    """Answers Write: durable. `replaced`: it found a live value."""

    replaced: bool
    context: Context | None = None


class NothingDeleted(_Message, frozen=True, tag=5):
    """Answers Write: a delete found nothing, and wrote nothing."""

    context: Context | None = None


class Superseded(_Message, frozen=True, tag=6):
    """Answers Write: nothing was written, for the key is held in this newer version, or nothing may be written any more
    that is not newer."""

    version: VersionBytes


class Unable(_Message, frozen=True, tag=7):
    """Answers any call: nothing was done, and it cannot be done now. Of a Read or Write: nobody can tell what is
    right."""


class MayBeStored(_Message, frozen=True, tag=8):
    """Answers Write: it is on this owner's disk, but not on all those that it must be on, and may or may not last."""


class Unsatisfied(_Message, frozen=True, tag=9):
    """Answers Read, and a delete: nothing was done, for what the context demands is not here, and may be where nobody
    can look now."""


# Views: acted on whatever view the sender holds.


class Hello(_Message, frozen=True, tag=10):
    """Answered with ViewIs. How nodes learn of each other's views before they have one in common."""

    any_view = True
    view: bytes


class FetchView(_Message, frozen=True, tag=11):
    any_view = True


class ViewIs(_Message, frozen=True, tag=12):
    """Answers Hello, FetchView and Adopt; and any call whose sender holds another view: it was refused, nothing was
    done."""

    view: bytes


class Promise(_Message, frozen=True, tag=14):
    """A coordinator asks for the right to make the view of an epoch. `old_nodes`: those of the view it builds on."""

    any_view = True
    epoch: Unsigned
    coordinator: Address
    target: str
    old_nodes: tuple[Address, ...]
    lineage: Unsigned


class Promised(_Message, frozen=True, tag=15):
    pass


class Busy(_Message, frozen=True, tag=16):
    """Answers Promise and Adopt: another coordinator has this node's promise of an epoch at least as high."""

    epoch: Unsigned
    coordinator: Address
    target: str


class Foreign(_Message, frozen=True, tag=17):
    """Answers Promise, Adopt, and any call under a later view: this node holds the data of another cluster."""


class Release(_Message, frozen=True, tag=18):
    """The coordinator gives back the promise of this epoch."""

    any_view = True
    epoch: Unsigned
    coordinator: Address


class Adopt(_Message, frozen=True, tag=19):
    """Take this view. Answered with ViewIs, the view that the receiver holds then; with Busy or Foreign if it may
    not."""

    any_view = True
    view: bytes


class AskStatus(_Message, frozen=True, tag=20):
    any_view = True


class Owed(_Message, frozen=True):
    """Partitions and records on their way from or to `address`."""

    address: Address
    partitions: Unsigned
    records: Unsigned


class Status(_Message, frozen=True, tag=21):
    """Where a node stands. Settled: it has nothing to hand over, and waits for nobody it could hear."""

    view: ViewId
    promised: Unsigned
    """The highest epoch promised and not void; 0: none."""
    target: str
    """What the promise is for."""
    key_count: Unsigned
    handing: tuple[Owed, ...]
    waiting: tuple[Owed, ...]
    settled: bool
    holds_records: bool
    """Of any partition, be they deletions only."""


class CountKeys(_Message, frozen=True, tag=22):
    """How many live keys does the receiver hold of each of these partitions?"""

    partitions: Partitions


class KeyCounts(_Message, frozen=True, tag=23):
    counts: tuple[Unsigned, ...]


# Sync: between those who hold keys of a partition and its owners, under the same view.


class Fetch(_Message, frozen=True, tag=30):
    """An owner asks a donor for its record of a key."""

    key: KeyBytes


class Fetched(_Message, frozen=True, tag=31):
    """`stable_watermark`: see `retention.tombstones`; of Compare and Offer too. `may_lack`: that there is no record
    says nothing."""

    record: bytes | None
    stable_watermark: Unsigned = 0
    may_lack: bool = False


class AskHolding(_Message, frozen=True, tag=32):
    """An owner asks: of which of my partitions do you hold records? Answered with Holding."""


class Holding(_Message, frozen=True, tag=33):
    """All the receiver's partitions of which the sender holds records; as a call of its own, a donor's announcement."""

    partitions: Partitions


class Push(_Message, frozen=True, tag=34):
    """Records on their way to their owner, of any of its partitions. Of those in `finished`, the sender holds no
    others."""

    records: tuple[tuple[KeyBytes, bytes], ...]
    finished: Partitions


class Taken(_Message, frozen=True, tag=35):
    """Answers Push, Holding and Replicate: durable."""


class Compare(_Message, frozen=True, tag=36):
    """The sender's digests of these partitions, 8 bytes each. Answered with Differing."""

    partitions: Partitions
    digests: bytes
    stable_watermark: Unsigned = 0


class Differing(_Message, frozen=True, tag=37):
    """Which of the partitions compared the answerer holds nothing of and takes everything of, and of which it has to be
    offered what there is."""

    empty: Partitions
    different: Partitions
    sweep_watermark: Unsigned = 0
    """See `retention.tombstones`."""


class Offer(_Message, frozen=True, tag=38):
    """Keys with their versions, to one that may lack them."""

    versions: tuple[tuple[KeyBytes, VersionBytes], ...]
    stable_watermark: Unsigned = 0


class Wanted(_Message, frozen=True, tag=39):
    """Answers Offer: the indexes, packed like partitions, of those of which the answerer holds nothing as new."""

    indexes: Partitions


# Co-owners: the replicas of a shard.


class Heartbeat(_Message, frozen=True, tag=40):
    """May I answer reads alone? Answered with HeartbeatAnswer. Both tell whose store it is, and whether its disk is a
    new one with nothing on it; see `replication.filling`."""

    store_id: Unsigned
    is_empty: bool


class HeartbeatAnswer(_Message, frozen=True, tag=41):
    """`may_lack`: what the answerer has may not be all that there is. `owing`: no lease, but what the asker lacks is on
    its way to it."""

    store_id: Unsigned
    is_empty: bool
    may_lack: bool
    lease_granted: bool
    owing: bool


class Replicate(_Message, frozen=True, tag=42):
    """Records that have changed at a co-owner. `relayed`: there is one that the sender cannot reach; before it
    confirms, whoever takes them sees to it that all other co-owners but those that were `told` have them too, or are
    left out and hold no lease."""

    records: tuple[tuple[KeyBytes, bytes], ...]
    relayed: bool
    told: tuple[Address, ...] = ()


class NoRoom(_Message, frozen=True, tag=43):
    """Answers Replicate: the disk has refused it."""


Request: TypeAlias = (
    Read
    | Write
    | Fetch
    | Hello
    | FetchView
    | Promise
    | Release
    | Adopt
    | AskStatus
    | CountKeys
    | AskHolding
    | Holding
    | Push
    | Compare
    | Offer
    | Heartbeat
    | Replicate
)
Answer: TypeAlias = (
    ReadResult
    | Wrote
    | NothingDeleted
    | Superseded
    | Unable
    | MayBeStored
    | Unsatisfied
    | Fetched
    | ViewIs
    | Promised
    | Busy
    | Foreign
    | Status
    | KeyCounts
    | Holding
    | Taken
    | Differing
    | Wanted
    | HeartbeatAnswer
    | NoRoom
)

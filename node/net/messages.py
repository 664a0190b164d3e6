"""What nodes say to each other: frozen, typed messages in msgpack, validated once, here.

A *call* is a request and gets one answer; a *cast* is a gossip message and gets none: see `gossip.messages`. How both
travel is told by `frames`.

    request     sent by                 to                   answered with
    Read        who a client has asked  an owner of the key  ReadResult, Unsatisfied
    Write       who a client has asked  an owner of the key  Wrote, NothingDeleted, Superseded, MayBeStored, Unsatisfied
    Fetch       an owner                a co-owner or donor  Fetched
    Hello       any node                any node             ViewIs
    FetchView   who lacks a later view  who holds it         ViewIs
    Promise     a coordinator           nodes of both views  Promised, Busy, Foreign
    Release     a coordinator           who has promised     ViewIs
    Adopt       a coordinator           nodes of both views  ViewIs, Busy, Foreign
    AskStatus   any node                any node             Status
    CountKeys   a coordinator           who holds the keys   KeyCounts
    AskHolding  an owner                a donor              Holding
    Holding     a donor                 an owner             Taken
    Push        who holds records       an owner             Taken
    Compare     who holds records       an owner             Differing
    Offer       who holds records       an owner             Wanted
    Heartbeat   an owner                a co-owner           HeartbeatAnswer
    Replicate   an owner                a co-owner           Taken, NoRoom

Any call may also be answered with Unable, and, unless it is one of `any_view`, with ViewIs or Foreign.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

import msgspec

from gossip.view import Address, ViewId
from node.values.context import Context
from node.values.record import KEY_BYTES_MAX
from node.values.version import Version

KeyBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=KEY_BYTES_MAX)]
VersionBytes = Annotated[Version, msgspec.Meta(min_length=16, max_length=16)]
Partitions: TypeAlias = bytes
"""Partition numbers, packed by `ring.hashing.pack`."""
Unsigned = Annotated[int, msgspec.Meta(ge=0)]

LARGE_BYTES = 16 * 1024
"""A value or record beyond this counts as bulky."""


class NodeMessage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    any_view: ClassVar[bool] = False
    """Whether a receiver may act on the message whatever view its sender holds."""
    is_batch: ClassVar[bool] = False
    """Whether the message is one of many records or versions."""

    def is_bulky(self) -> bool:
        """Whether it is the last one in its frame: so a frame holds one bulky message at most."""
        return self.is_batch


# Clients' data. `context`: what the client depends on, None if it does not ask for that; in an answer, what it depends
# on now.


class Read(NodeMessage, frozen=True, tag=1):
    key: KeyBytes
    context: Context | None = None


class Write(NodeMessage, frozen=True, tag=2):
    """A put, or with `value` None a delete."""

    key: KeyBytes
    version: VersionBytes
    value: bytes | None
    context: Context | None = None

    def is_bulky(self) -> bool:
        return len(self.value or b"") > LARGE_BYTES


class ReadResult(NodeMessage, frozen=True, tag=3):
    """Answers Read: the JSON text, None if the key does not exist."""

    value: bytes | None
    context: Context | None = None

    def is_bulky(self) -> bool:
        return len(self.value or b"") > LARGE_BYTES


class Wrote(NodeMessage, frozen=True, tag=4):
    """Answers Write: durable. `replaced`: it found a live value."""

    replaced: bool
    context: Context | None = None


class NothingDeleted(NodeMessage, frozen=True, tag=5):
    """Answers Write: a delete found nothing, and wrote nothing."""

    context: Context | None = None


class Superseded(NodeMessage, frozen=True, tag=6):
    """Answers Write: nothing was written, for the key is held in this newer version, or what is not newer than this is
    too old to be written."""

    version: VersionBytes


class Unable(NodeMessage, frozen=True, tag=7):
    """Answers any call: nothing was done, and nothing can be done now. To a Read or Write: nobody can tell what is
    right."""


class MayBeStored(NodeMessage, frozen=True, tag=8):
    """Answers Write: it is on this owner's disk, but not on every disk that it must be on, and may or may not last."""


class Unsatisfied(NodeMessage, frozen=True, tag=9):
    """Answers Read, and a Write that deletes: nothing was done, for what the context demands is not here, and may be
    where nobody can look now."""


# Views, and their changes.


class Hello(NodeMessage, frozen=True, tag=10):
    """This is my view: which is yours? How nodes learn of each other's views before they have one in common."""

    any_view = True
    view: bytes

    def is_bulky(self) -> bool:
        return len(self.view) > LARGE_BYTES


class FetchView(NodeMessage, frozen=True, tag=11):
    """Which view do you hold?"""

    any_view = True


class ViewIs(NodeMessage, frozen=True, tag=12):
    """The view of who answers. To a call that is not of `any_view`: nothing was done, for its sender holds another
    view."""

    view: bytes

    def is_bulky(self) -> bool:
        return len(self.view) > LARGE_BYTES


class Promise(NodeMessage, frozen=True, tag=14):
    """A coordinator asks for the right to make the view of an epoch. `old_nodes`: those of the view it builds on."""

    any_view = True
    epoch: Unsigned
    coordinator: Address
    target: str
    old_nodes: tuple[Address, ...]
    lineage: Unsigned


class Promised(NodeMessage, frozen=True, tag=15):
    """Answers Promise: the coordinator may make the view of that epoch."""


class Busy(NodeMessage, frozen=True, tag=16):
    """Answers Promise and Adopt: another coordinator has this node's promise of an epoch at least as high."""

    epoch: Unsigned
    coordinator: Address
    target: str


class Foreign(NodeMessage, frozen=True, tag=17):
    """Answers Promise, Adopt, and any call under a later view: this node holds the data of another cluster."""


class Release(NodeMessage, frozen=True, tag=18):
    """The coordinator gives back the promise of this epoch."""

    any_view = True
    epoch: Unsigned
    coordinator: Address


class Adopt(NodeMessage, frozen=True, tag=19):
    """Take this view. Answered with the view that the receiver holds then; with Busy or Foreign if it may not take
    it."""

    any_view = True
    view: bytes

    def is_bulky(self) -> bool:
        return len(self.view) > LARGE_BYTES


class AskStatus(NodeMessage, frozen=True, tag=20):
    any_view = True


class Owed(NodeMessage, frozen=True):
    """Partitions and records on their way from or to `address`."""

    address: Address
    partitions: Unsigned
    records: Unsigned


class Status(NodeMessage, frozen=True, tag=21):
    """Where a node stands. `settled`: it has nothing to hand over, and waits for nobody who could be heard."""

    view: ViewId
    promised: Unsigned
    """The highest epoch ever promised, be the promise void by now; 0: none."""
    target: str
    """What the promise is for; empty if none holds."""
    key_count: Unsigned
    handing: tuple[Owed, ...]
    waiting: tuple[Owed, ...]
    settled: bool
    holds_records: bool
    """Of any partition, be they deletions only."""


class CountKeys(NodeMessage, frozen=True, tag=22):
    """How many live keys do you hold of each of these partitions?"""

    partitions: Partitions


class KeyCounts(NodeMessage, frozen=True, tag=23):
    """One for each partition asked for, in the same order."""

    counts: tuple[Unsigned, ...]


# Sync: between who holds keys of a partition and its owners, under the same view.


class Fetch(NodeMessage, frozen=True, tag=30):
    """What is your record of this key?"""

    key: KeyBytes


class Fetched(NodeMessage, frozen=True, tag=31):
    """None: no record. `may_lack`: that there is none says nothing. `stable_watermark`: see `retention.tombstones`; the
    same in Compare and Offer."""

    record: bytes | None
    stable_watermark: Unsigned = 0
    may_lack: bool = False

    def is_bulky(self) -> bool:
        return len(self.record or b"") > LARGE_BYTES


class AskHolding(NodeMessage, frozen=True, tag=32):
    """Of which of my partitions do you hold records?"""


class Holding(NodeMessage, frozen=True, tag=33):
    """All the receiver's partitions of which the sender holds records; as a call, the announcement of a donor.
    `may_lack`: it held more before it lost its disk, so that it speaks for no other copy."""

    partitions: Partitions
    may_lack: bool = False


class Push(NodeMessage, frozen=True, tag=34):
    """Records on their way to their owner, of any of its partitions. Of those in `finished`, the sender holds no other
    records. `may_lack`: see `Holding`."""

    is_batch = True
    records: tuple[tuple[KeyBytes, bytes], ...]
    finished: Partitions
    may_lack: bool = False


class Taken(NodeMessage, frozen=True, tag=35):
    """Answers Push, Holding and Replicate: durable."""


class Compare(NodeMessage, frozen=True, tag=36):
    """The sender's digests of these partitions, 8 bytes each: in which do we differ?"""

    partitions: Partitions
    digests: bytes
    stable_watermark: Unsigned = 0


class Differing(NodeMessage, frozen=True, tag=37):
    """Answers Compare: of which partitions the sender of this holds nothing, and takes everything; and of which others
    it wants to be offered what there is, since they differ."""

    empty: Partitions
    different: Partitions
    sweep_watermark: Unsigned = 0
    """See `retention.tombstones`."""


class Offer(NodeMessage, frozen=True, tag=38):
    """Keys with their versions: which of these records do you want?"""

    is_batch = True
    versions: tuple[tuple[KeyBytes, VersionBytes], ...]
    stable_watermark: Unsigned = 0


class Wanted(NodeMessage, frozen=True, tag=39):
    """Answers Offer: the indexes, packed like partitions, of the records that are newer than its own."""

    indexes: Partitions


# Co-owners: the replicas of a shard.


class Heartbeat(NodeMessage, frozen=True, tag=40):
    """May I answer reads alone? Answered with HeartbeatAnswer. Both tell whose store it is, and whether its disk is a
    new one with nothing on it; see `replication.filling`."""

    store_id: Unsigned
    is_empty: bool


class HeartbeatAnswer(NodeMessage, frozen=True, tag=41):
    """`may_lack`: what the answerer has may not be all that there is. `owing`: no lease, but what the asker lacks is on
    its way to it."""

    store_id: Unsigned
    is_empty: bool
    may_lack: bool
    lease_granted: bool
    owing: bool


class Replicate(NodeMessage, frozen=True, tag=42):
    """Records that have changed at a co-owner. `relayed`: there is one that the sender cannot reach; before it
    confirms, whoever takes them sees to it that all other co-owners but those that were `told` have them too, or are
    left out and hold no lease."""

    is_batch = True
    records: tuple[tuple[KeyBytes, bytes], ...]
    relayed: bool
    told: tuple[Address, ...] = ()


class NoRoom(NodeMessage, frozen=True, tag=43):
    """Answers Replicate: the disk has refused it."""


ViewRequest: TypeAlias = Hello | FetchView | Promise | Release | Adopt | AskStatus | CountKeys
SyncRequest: TypeAlias = AskHolding | Holding | Push | Compare | Offer
Request: TypeAlias = Read | Write | Fetch | ViewRequest | SyncRequest | Heartbeat | Replicate

WriteAnswer: TypeAlias = Wrote | NothingDeleted | Superseded | MayBeStored | Unsatisfied
ViewAnswer: TypeAlias = ViewIs | Promised | Busy | Foreign | Status | KeyCounts
SyncAnswer: TypeAlias = Holding | Taken | Differing | Wanted
Answer: TypeAlias = ReadResult | WriteAnswer | Fetched | ViewAnswer | SyncAnswer | HeartbeatAnswer | NoRoom | Unable

"""Views and their changes: which view a node holds, and what a coordinator asks of the others."""

from __future__ import annotations

from typing import TypeAlias

from gossip.view import Address, ViewId, Zone, host_of, is_zone
from node.net.messages.base import LARGE_BYTES, NodeMessage, Partitions, Unsigned


class ToldView(NodeMessage, frozen=True):
    """A message that tells a view. `founders`: see `views.founding`; none of a view of epoch 1 or later."""

    view: bytes
    founders: tuple[Address, ...] = ()

    def is_bulky(self) -> bool:
        return len(self.view) > LARGE_BYTES or bool(self.founders)


class Hello(ToldView, frozen=True, tag=10):
    """This is my view: which is yours? How nodes learn of each other's views before they have one in common."""

    any_view = True


class FetchView(NodeMessage, frozen=True, tag=11):
    """Which view do you hold?"""

    any_view = True


class ViewIs(ToldView, frozen=True, tag=12):
    """The view that the answering node holds. To a Promise: nothing was promised, for a view of an epoch at least as
    high as the one asked for is in force or was promised, or one later than its `base` is in force. To a call that is
    not of `any_view`: nothing was done, for its sender holds another view."""


class Promise(NodeMessage, frozen=True, tag=14):
    """A coordinator asks for the right to make the view of an epoch. `old_nodes`: those of the view it builds on, and
    `base` the id of that."""

    any_view = True
    epoch: Unsigned
    coordinator: Address
    target: str
    old_nodes: tuple[Address, ...]
    lineage: Unsigned
    base: ViewId | None = None


class Promised(NodeMessage, frozen=True, tag=15):
    """Answers Promise: the coordinator may make the view of that epoch. `supports`: this node holds the view that it
    builds on, and has held no rival of it; `is_established`: it knows besides that this one is. See `views.quorum`."""

    supports: bool = False
    is_established: bool = False


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


class Adopt(ToldView, frozen=True, tag=19):
    """Take this view. Answered with the view that the receiver holds then; with Busy or Foreign if it may not take
    it."""

    any_view = True


class Confirm(NodeMessage, frozen=True, tag=57):
    """Do you hold the view under which this call is made? Whoever answers does. `is_established`: the sender knows that
    it is, see `views.quorum`."""

    is_established: bool = False


class Confirmed(NodeMessage, frozen=True, tag=58):
    """Answers Confirm. `supports`: this node has held no rival of that view; `is_established`: it knows that it is."""

    supports: bool
    is_established: bool


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
    """Whether it holds records of any partition, be they deletions only."""
    zone: Zone = ""
    """Empty: the host of its address."""
    may_lack: bool = False
    """Whether its disk may lack what it, or one before it, held: it is no full copy of anything."""
    full: bool = False
    """Whether its disk takes no more records."""
    still_ms: Unsigned = 0
    """For how long nothing has been moved to or from it, see `repair.movement`."""

    def __post_init__(self) -> None:
        if self.zone and not is_zone(self.zone):
            raise ValueError(f"{self.zone!r} is no name of a zone")

    def zone_at(self, address: Address) -> Zone:
        """The zone of the node, which has this address."""
        return self.zone or host_of(address)


class AskHealth(NodeMessage, frozen=True, tag=75):
    """How are you? Not to be asked of a release that knows of no expiry."""

    any_view = True


class Health(NodeMessage, frozen=True, tag=76):
    """What is wrong with a node, as far as it can tell itself: for how long each of these lasts, in milliseconds, 0 if
    it does not."""

    release: str
    """The version of its program; empty if nobody knows."""
    round_trip_ms: Unsigned
    """The longest that it is made for."""
    full_ms: Unsigned = 0
    """Its disk takes no more records."""
    hung_ms: Unsigned = 0
    """Its disk does not end what it has begun."""
    unstored_ms: Unsigned = 0
    """It knows of a later view, which its disk does not take."""
    unready_ms: Unsigned = 0
    """It has yet to ask others before it may act as an owner."""
    refused_ms: Unsigned = 0
    """Its clock is ahead of all others, by `ahead_s`: it stamps no writes."""
    ahead_s: Unsigned = 0
    free_bytes: Unsigned = 0
    """What its disk has left for others too."""
    disk_bytes: Unsigned = 0
    """How large that is; 0: it did not say, nor how much is left."""
    set_aside_bytes: Unsigned = 0
    """What it has left besides, within the file of the store."""


class CountKeys(NodeMessage, frozen=True, tag=22):
    """How many live keys do you hold of each of these partitions?"""

    partitions: Partitions


class KeyCounts(NodeMessage, frozen=True, tag=23):
    """One for each partition asked for, in the same order."""

    counts: tuple[Unsigned, ...]


ViewRequest: TypeAlias = Hello | FetchView | Promise | Release | Adopt | Confirm | AskStatus | AskHealth | CountKeys
ViewAnswer: TypeAlias = ViewIs | Promised | Busy | Foreign | Confirmed | Status | Health | KeyCounts

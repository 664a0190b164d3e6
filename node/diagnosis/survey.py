"""What one node knows of all others at one moment, and in what form it tells what is wrong with that. Pure data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from gossip.view import Address, View
from node.net.messages import Health, Status
from ring.placement import Shard


class Severity(StrEnum):
    CRITICAL = "critical"
    """Clients are refused, or are about to be, and it does not end by itself."""
    WARNING = "warning"
    """Something is less than was asked for, or may end badly."""


class Problem(NamedTuple):
    code: str
    """Stable, for programs."""
    severity: Severity
    what: str
    do: str
    nodes: tuple[Address, ...] = ()
    """Those that it is about, ascending."""
    keys: int | None = None
    """How many it is about, as far as was heard; None: it is not about keys."""
    lasts_s: float | None = None
    """Since when, as far as that is known; seconds ago."""


class Seen(NamedTuple):
    """One node, as it is seen."""

    status: Status | None = None
    """Where it stands; None: it cannot be reached."""
    health: Health | None = None
    """What it says is wrong with it; None: it was not asked, or has not said."""
    took_s: float = 0.0
    """How long it took to answer."""
    keys: int = 0
    """The keys that it owns, as last heard."""
    kept: int = 0
    """Those that it keeps until more of their owners have a copy, as last heard."""
    dead_s: float | None = None
    """For how long gossip has called it dead; None: it does not."""
    clock_ms: int | None = None
    """By how much its clock is ahead of the asking node's; None: it was not heard."""
    is_foreign: bool = False
    """A node of another cluster was found at its address."""
    why_refused: str = ""
    """Why the asking node and it turned each other away when they met last; empty: they did not."""
    is_older: bool = False
    """It is of a release that knows of no expiry."""
    complaint: str = ""
    """What is wrong with its view."""


class Survey(NamedTuple):
    me: Address
    view: View
    nodes: Mapping[Address, Seen]
    """All nodes of the view, and those besides that are waited for."""
    crowded: Mapping[int, Collection[str]] = {}
    """By the index of each shard whose copies share zones though they need not, these zones."""
    partitions: tuple[int, ...] = ()
    """How many of them each shard has."""
    undecided: Collection[Address] = ()
    """Who would have to hold the view for conditions to be decided under it."""
    round_trip_s: float = 0.05
    """What the asking node is made for."""
    stall_s: float = 15.0
    """A change of which nothing has moved for so long waits for what may never come."""

    def seen(self, node: Address) -> Seen:
        return self.nodes.get(node, Seen())

    def is_up(self, node: Address) -> bool:
        return self.seen(node).status is not None

    @property
    def down(self) -> list[Address]:
        """The nodes of the view that cannot be reached, whoever has their address now."""
        return sorted(node for node in self.view.nodes if not self.is_up(node))

    def is_turned_away(self, node: Address) -> bool:
        """Whether it cannot be reached as it or the asking node will not have it, though both are of one cluster."""
        seen = self.seen(node)
        return bool(seen.why_refused) and seen.status is None and not seen.is_foreign

    @property
    def is_minority(self) -> bool:
        """Whether the asking node reaches no more than half of three or more: it cannot tell whether the others are
        down, or it is cut off itself."""
        nodes = self.view.nodes
        return len(nodes) >= 3 and 2 * (len(nodes) - len(self.down)) <= len(nodes)

    @property
    def is_changing(self) -> bool:
        """Whether somebody has yet to hand over or to take what the view wants elsewhere."""
        statuses = (seen.status for seen in self.nodes.values() if seen.status is not None)
        return any(status.view == self.view.id and not status.settled for status in statuses)

    def serves(self, node: Address) -> bool:
        """Whether it answers for its keys."""
        health = self.seen(node).health
        return self.is_up(node) and not (health and health.unstored_ms)

    def is_only(self, node: Address) -> bool:
        """Whether it owns keys of which no owner answers."""
        return any(node in replicas and not any(map(self.serves, replicas)) for _, replicas in self.shards())

    def holds_view(self, node: Address) -> bool:
        status = self.seen(node).status
        return status is not None and status.view == self.view.id

    def is_full(self, node: Address) -> bool:
        status, health = self.seen(node).status, self.seen(node).health
        return bool(status and status.full) or bool(health and health.full_ms)

    def hangs(self, node: Address) -> bool:
        health = self.seen(node).health
        return bool(health and health.hung_ms)

    def is_stuck(self, node: Address) -> bool:
        """Whether its disk takes nothing."""
        return self.is_full(node) or self.hangs(node)

    def is_copy(self, node: Address) -> bool:
        """Whether it has all that its shard has, and gets what is written."""
        status = self.seen(node).status
        is_whole = status is not None and not status.may_lack
        return is_whole and self.holds_view(node) and self.serves(node) and not self.is_stuck(node)

    def keys_of(self, replicas: Shard) -> int:
        """The keys of a shard, by whoever of its replicas is best informed; if none answers, as last heard, which says
        nothing of what has come since."""
        answered = [self.nodes[node].status for node in replicas if self.is_up(node)]
        counts = [status.key_count for status in answered if status is not None]
        return max(counts or [self.seen(node).keys for node in replicas], default=0)

    def is_counted(self, replicas: Shard) -> bool:
        """Whether somebody who answers has all keys of a shard, and so knows how many there are."""
        statuses = (self.seen(node).status for node in replicas)
        return any(status is not None and not status.may_lack for status in statuses)

    def arriving(self, node: Address) -> int:
        """How many records others have yet to bring to it, at most: two of them may hold the same, and deletions are
        records too."""
        statuses = (seen.status for seen in self.nodes.values() if seen.status is not None)
        return sum(owed.records for status in statuses for owed in status.handing if owed.address == node)

    def hears_all_that_arrives(self, node: Address) -> bool:
        """Whether everybody answers from whom it has yet to hear."""
        status = self.seen(node).status
        return status is not None and all(self.is_up(owed.address) for owed in status.waiting)

    def shards(self) -> Iterator[tuple[int, Shard]]:
        return enumerate(self.view.shards)

    def healths(self) -> Iterator[tuple[Address, Health]]:
        """What nodes say of themselves, by address, ascending."""
        return ((node, seen.health) for node, seen in sorted(self.nodes.items()) if seen.health is not None)

    def dead_s(self, nodes: Collection[Address]) -> float | None:
        """For how long the first of them has been dead; None: nobody knows yet."""
        return max((dead_s for node in nodes if (dead_s := self.seen(node).dead_s) is not None), default=None)

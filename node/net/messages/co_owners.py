"""Co-owners in step: leases, and the stream of what has changed, among the replicas of one shard."""

from __future__ import annotations

from typing import TypeAlias

from gossip.view import Address
from node.net.messages.base import KeyBytes, NodeMessage, Unsigned


class Heartbeat(NodeMessage, frozen=True, tag=40):
    """May I answer reads alone? Answered with HeartbeatAnswer. Both tell whose store it is, and whether its disk is a
    new one with nothing on it; see `replication.emptied_disk`."""

    store_id: Unsigned
    is_empty: bool


class HeartbeatAnswer(NodeMessage, frozen=True, tag=41):
    """`may_lack`: what the answerer has may not be all that there is. `owing`: no lease, but what the asker lacks is on
    its way to it. `lease_ms`: for how long after the question the answerer will go by the lease, if it grants one."""

    store_id: Unsigned
    is_empty: bool
    may_lack: bool
    lease_granted: bool
    owing: bool
    lease_ms: Unsigned = 400


class Replicate(NodeMessage, frozen=True, tag=42):
    """Records that have changed at a co-owner. `relayed`: there is one that the sender cannot reach; before it
    confirms, whoever takes them sees to it that all other co-owners but those that were `told` have them too, or are
    left out and hold no lease."""

    is_batch = True
    records: tuple[tuple[KeyBytes, bytes], ...]
    relayed: bool
    told: tuple[Address, ...] = ()

    def carried_bytes(self) -> int:
        return sum(len(record) for _, record in self.records)


class NoRoom(NodeMessage, frozen=True, tag=43):
    """Answers Replicate, Push and Promise: the disk has refused it; and Holding: noted, but the disk takes no
    records."""


CoOwnerRequest: TypeAlias = Heartbeat | Replicate
CoOwnerAnswer: TypeAlias = HeartbeatAnswer | NoRoom

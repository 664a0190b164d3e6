"""What a node that is watched by clients asks the owners of keys, and what these have to tell: see `node.watching`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from gossip.view import Address
from node.net.messages.base import KeyBytes, NodeMessage, Unsigned

OPENING = 0
"""The log that nobody has: who asks for it is told which there is, and where it ends."""


class Tail(NodeMessage, frozen=True, tag=63):
    """What has changed at your place after this position of this log? If nothing has, wait, at most so long."""

    log: Unsigned
    after: Unsigned
    wait_ms: Unsigned
    with_copied: bool
    """Also what a co-owner has brought: who brought it is not heard."""
    with_expired: bool
    """Also what has expired."""


class Tailed(NodeMessage, frozen=True, tag=64):
    """Answers Tail. What it tells is on every owner but those `left_out`."""

    is_batch = True
    log: Unsigned
    changes: tuple[tuple[Unsigned, KeyBytes, bytes], ...]
    """Position, key and record of each."""
    up_to: Unsigned
    """All up to this position has been told."""
    is_whole: bool
    """There was no more when this was asked."""
    left_out: tuple[Address, ...]

    def carried_bytes(self) -> int:
        return sum(len(key) + len(record) for _, key, record in self.changes)

    def carried_records(self) -> Iterable[bytes]:
        return (record for *_, record in self.changes)


WatchRequest: TypeAlias = Tail
WatchAnswer: TypeAlias = Tailed

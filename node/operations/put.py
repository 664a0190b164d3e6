"""The short way of a plain put: of a key that this node owns, while nobody has to be asked about it.

It is stamped and put into the store's queue as soon as it has arrived, and its answer is known as soon as that is
committed, and all co-owners have confirmed it. No task waits, none of the coroutines that lead from a client to an
owner is made, and all puts share two timers: those take a third of the processor time of a durable write.

This is a way through `router`, `owner` and `streams`, no second set of rules. The owner says whether it may be taken,
by what it asks before a read; the store and its fence say what becomes of it, and the outboxes of the co-owners when
they have it. Whatever is not as expected then (another view, a newer version, a disk that refuses, a co-owner that is
silent, a pause) is not judged here: the put goes on by the ordinary way, under the version that it has if it may be
stored under that, else as if nothing had been.
"""

from __future__ import annotations

import asyncio

import msgspec

from gossip.view import ViewId
from node.storage.writes import WriteOutcome
from node.values.version import Version


class Put(msgspec.Struct):
    """One that is on this way: see `Router.put_here`."""

    key: bytes
    value: bytes
    version: Version
    view_id: ViewId
    """Under which it was begun."""
    began: float
    """Monotonic."""
    due: float
    """When its time is over; loop's time."""
    stored: asyncio.Future[WriteOutcome]
    """What the store makes of it. Raises Fenced or StorageFault; cancelled once its time is over."""
    copied: asyncio.Future[bool] | None = None
    """Whether all co-owners have it, once that can be told; cancelled once its time is over. None: nobody is waited
    for."""

    def cancel(self) -> None:
        """Nobody waits for it. If it has not been begun by then, it leaves the store's queue."""
        self.stored.cancel()
        if self.copied is not None:
            self.copied.cancel()

    @property
    def is_late(self) -> bool:
        """Whether its time was over before it was done."""
        return self.stored.cancelled() or (self.copied is not None and self.copied.cancelled())

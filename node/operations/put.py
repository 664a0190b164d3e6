"""The short way of a plain put: of a key that this node alone owns, while nobody has to be asked about it.

It is stamped and put into the store's queue as soon as it has arrived, and its answer is known as soon as that is
committed. No task waits, none of the coroutines that lead from a client to an owner is made, and all puts share one
timer: those take a third of the processor time of a durable write.

This is a way through `router` and `owner`, no second set of rules. The owner says whether it may be taken, by what it
asks before a read; the store and its fence say what becomes of it. Whatever is not as expected then (another view, a
newer version, a disk that refuses, a pause) is not judged here: the put goes on by the ordinary way, under the version
that it has if it may be stored under that, else as if nothing had been.
"""

from __future__ import annotations

import asyncio

import msgspec

from node.storage.writes import WriteOutcome
from node.values.version import Version


class Put(msgspec.Struct, frozen=True):
    """One that is on this way: see `Router.put_here`."""

    key: bytes
    value: bytes
    version: Version
    began: float
    """Monotonic."""
    stored: asyncio.Future[WriteOutcome]
    """What the store makes of it. Raises Fenced or StorageFault; cancelled once its time is over."""

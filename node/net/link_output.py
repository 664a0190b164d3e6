"""The phases of a link, its bounds, and what its driver is told to do: the words between `link_state` and who drives
it."""

from __future__ import annotations

from enum import Enum, auto
from typing import Generic, TypeVar

import msgspec

from node.errors import PeerFault

Caller = TypeVar("Caller")
"""Whatever the driver knows a call's caller by; a future for instance."""

PENDING_MAX = 10_000
"""Calls that wait on one link, and casts as well; more would be too much for this node's memory."""
LATE_DIALS = 3
"""Of so many dials in a row, each may take twice as long as the one before; then it begins anew, as a dial during a cut
gets through only when the kernel tries again."""
BUDGET_S_MIN = 0.001
"""A call says in whole milliseconds how long its sender waits: with less, no answer can come in time."""


class Phase(Enum):
    IDLE = auto()
    """Nobody wants the peer, and nothing is known against it."""
    WANTED = auto()
    """To be dialled at once."""
    DIALLING = auto()
    """Calls wait for the connection."""
    UP = auto()
    """Connected: calls are sent."""
    DOWN = auto()
    """The peer could not be reached, and is dialled again in a while. Until then calls are refused."""
    REDIALLING = auto()
    """Dialled while the peer still counts as down. Calls are refused."""
    CLOSED = auto()
    """For good."""


class Output(msgspec.Struct, Generic[Caller]):
    """What is to be done at once, in this order. Of what the driver has queued, it then drops whatever is not waiting
    any more."""

    abort: bool = False
    """Break the connection, or give up dialling; this machine is not told of it."""
    failed: list[tuple[Caller, PeerFault]] = []
    """Tell these callers."""
    is_silent: bool = False
    """The peer has just been found silent."""
    dial: bool = False
    """Make a connection, and tell of it by `connected` or `dial_failed`."""
    ping: int = 0
    """Queue a ping with this id, unless it is 0."""

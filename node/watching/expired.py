"""What owners tell to have expired: each client is told once, though each owner tells it, at a time of its own.

Each owner sweeps by itself, and by its own clock. Were one of them alone heard, a client would never be told of what
had expired there before the client began, while it listed the keys after that at another owner, where this one was
still to expire. So all of them are heard, and whoever was not told by the first is told by the next one.

Pure: no loop, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection

from gossip.view import Address
from node.values.record import version_of
from node.values.version import Version
from node.watching.joint import Event

REMEMBERED_MAX = 50_000
"""Keys; what is forgotten may be told once more."""


class Expired:
    """`owners`: who is listened to."""

    def __init__(self, owners: Collection[Address]) -> None:
        self._owners = frozenset(owners)
        self._told: dict[bytes, tuple[Version, float, frozenset[Address]]] = {}
        """Of each key whose expiry was told: of which version, when first, and which owners have yet to tell."""

    def first_told(self, event: Event, now: float) -> float | None:
        """When this expiry was told first; None: it is now."""
        version = version_of(event.record)
        before, at, others = self._told.pop(event.key, (None, now, self._owners))
        if is_first := before != version:
            at, others = now, self._owners
        others = others.difference(owner for owner, _ in event.places)
        if others:
            self._told[event.key] = version, at, others
            if len(self._told) > REMEMBERED_MAX:
                del self._told[next(iter(self._told))]
        return None if is_first else at

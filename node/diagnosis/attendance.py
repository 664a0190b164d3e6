"""Who is dead, by the word of gossip, and since when: a line in the log of every node when one dies, and one when it is
back."""

from __future__ import annotations

import logging
from collections.abc import Collection

from gossip.view import Address
from node.timing.clock import Time

log = logging.getLogger(__name__)


class Attendance:
    def __init__(self, time: Time) -> None:
        self._time = time
        self._dead: dict[Address, float] = {}
        """Since when (monotonic) each was found to be."""

    def look(self, dead: Collection[Address], known: Collection[Address], nodes: Collection[Address]) -> None:
        """Who is dead now, of all that gossip knows; `nodes`: those of the view. That one outside the view has gone is
        what was to come."""
        if not dead and not self._dead:
            return
        now = self._time.monotonic()
        for node in sorted(set(dead) - self._dead.keys()):
            if node in nodes:
                log.warning("%s is down: it has answered nobody for some seconds", node)
            else:
                log.info("%s, which is not in the view, is down", node)
        for node in sorted(self._dead.keys() - set(dead)):
            if node in known:
                log.info("%s is back, after %.0f s", node, now - self._dead[node])
        self._dead = {node: self._dead.get(node, now) for node in dead}

    def dead_s(self, node: Address) -> float | None:
        """For how long it has been; None: it is not."""
        since = self._dead.get(node)
        return None if since is None else self._time.monotonic() - since

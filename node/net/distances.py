"""Peers that are farther away than is made for, in the log: a line when one is found to be, and one when it is not."""

from __future__ import annotations

from gossip.view import Address
from node.config import Config
from node.state_log import StateLog


class Distances:
    def __init__(self, config: Config) -> None:
        self._made_for_ms = config.round_trip_ms
        self._log = StateLog()
        self._far: set[Address] = set()

    def note(self, peer: Address, distance_s: float | None) -> None:
        """`distance_s`: see `RoundTrips.far_s`."""
        if distance_s is None:
            if peer in self._far:
                self._far.remove(peer)
                self._log.end(peer, f"a round trip to {peer} takes no longer than {self._made_for_ms} ms again")
        elif peer not in self._far:
            self._far.add(peer)
            measured_ms = round(1000 * distance_s)
            self._log.begin(
                peer,
                f"a round trip to {peer} takes {measured_ms} ms, and this node is made for {self._made_for_ms}: "
                "set ROUND_TRIP_MS on all nodes",
            )

"""How requests were answered, and how long that took, in plain integers.

The short way adds to it for each request, so nothing here may cost more than some list and dictionary look-ups: a
counter of the usual library takes 8% of a GET. What stands in it is bounded: a path or a method that a client
makes up counts as `OTHER`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from enum import StrEnum

from node.api.answers import HttpAnswer
from node.api.data import KEYS
from node.diagnosis.recorder import Counted
from node.errors import Reason
from node.histogram import SECONDS, Histogram

OTHER = "other"
KEY_ROUTE = KEYS + "{key}"
WAIT_ROUTE = KEY_ROUTE + "?wait"
"""Of reads that wait for something new: what those take says nothing."""
METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})
KEY_METHODS = ("GET", "PUT", "DELETE")
STATUSES = 600


class NoHandshake(StrEnum):
    """Why there was none of TLS, as it is counted."""

    CERTIFICATE = "certificate"
    """One was shown that is not accepted."""
    IN_THE_CLEAR = "in-the-clear"
    TIMEOUT = "timeout"
    OTHER = "other"


class OfMethod:
    """The requests for keys of one method."""

    __slots__ = ("forwarded", "here", "statuses")

    def __init__(self) -> None:
        self.statuses = [0] * STATUSES
        """By status."""
        self.here = Histogram(SECONDS)
        """What those took that this node has answered as an owner."""
        self.forwarded = Histogram(SECONDS)
        """Those that another node has."""


class Tally:
    def __init__(self) -> None:
        self.keys = {method: OfMethod() for method in KEY_METHODS}
        """Those that came by the short way, and by aiohttp those of the same methods."""
        self.others: Counter[tuple[str, str, int]] = Counter()
        """All others, by route, method and status."""
        self.unavailable = dict.fromkeys(Reason, 0)
        self.handshakes_failed = dict.fromkeys(NoHandshake, 0)
        self.lines = 0
        """Of batches."""

    def counted(self) -> Counted:
        """All of it in a few numbers."""
        reads, puts, deletes = (self.keys[method] for method in KEY_METHODS)
        histograms = [found for of_method in self.keys.values() for found in (of_method.here, of_method.forwarded)]
        return Counted(
            sum(reads.statuses),
            sum(puts.statuses) + sum(deletes.statuses),
            self.lines,
            sum(self.unavailable.values()),
            tuple(map(sum, zip(*(found.counts for found in histograms), strict=True))),
        )

    def note_key(self, method: str, answer: HttpAnswer, took_s: float) -> None:
        """A request for a key, of one of `KEY_METHODS`, was answered. The hot path."""
        of_method = self.keys[method]
        of_method.statuses[answer.status] += 1
        if answer.forwarded is None:
            if answer.reason is not None:
                self.unavailable[answer.reason] += 1
            return
        histogram = of_method.forwarded if answer.forwarded else of_method.here
        histogram.counts[bisect_left(histogram.bounds, took_s)] += 1  # `observe` written out.
        histogram.total += took_s

    def note_line(self, reason: Reason | None) -> None:
        """A line of a batch, which counts as one request, was answered; `reason`: that of a 503."""
        self.lines += 1
        if reason is not None:
            self.unavailable[reason] += 1

    def note(self, route: str, method: str, status: int, reason: Reason | None) -> None:
        """Any other was."""
        self.others[route, method if method in METHODS else OTHER, status] += 1
        if reason is not None:
            self.unavailable[reason] += 1

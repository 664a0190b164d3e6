"""When something was last moved to or from this node.

A view change that gets on is not interrupted, and whether it does is judged by this, not by who can be reached: a node
whose disk is full or hangs answers for ever, and moves nothing. What counts is what leaves less to do: records taken
that were not there, records forgotten, a donor that has finished, an earlier view left. What is merely said again and
again is no progress.
"""

from __future__ import annotations

from node.timing.clock import Time


class Movement:
    def __init__(self, time: Time) -> None:
        self._time = time
        self._moved_at = time.monotonic()
        self.handed_over = 0
        """How many records were brought to their owners and forgotten here, since the start."""

    def note(self) -> None:
        """Something has moved."""
        self._moved_at = self._time.monotonic()

    def note_handed_over(self, records: int) -> None:
        """So many were brought to their owners, and are forgotten here."""
        self.handed_over += records
        self.note()

    def still_ms(self) -> int:
        """For how long nothing has; at most since this node has started."""
        return int(1000 * (self._time.monotonic() - self._moved_at))

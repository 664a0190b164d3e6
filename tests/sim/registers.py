"""What may be read of a key: one register for each, one write to it at a time.

A write that was acknowledged is what a read must return, or a later one; a write that got no answer, or a 503, may have
happened.
"""

from __future__ import annotations

from typing import NamedTuple

from gossip.view import Address
from node.values.version import Version

SPENT_S = 10.0
"""A write without an answer can no longer happen after this."""


class Violation(AssertionError):
    """The store broke a promise."""


class Attempt(NamedTuple):
    """A write that may have happened, or may yet win."""

    value: bytes | None
    since: float
    version: Version | None = None
    """Of one that was passed over below its version, as nobody could be reached who had it: it may win for as long as
    all that is acknowledged is below it."""

    def may_win_over(self, later: Attempt, version: Version | None) -> bool:
        """Whether it may still happen once `later` was acknowledged under `version`; None: nobody knows."""
        is_above = self.version is not None and (version is None or self.version > version)
        return self is not later and (is_above or self.since > later.since - SPENT_S)


class Register:
    """What may be read of one key. None: it does not exist."""

    def __init__(self) -> None:
        self.acknowledged: bytes | None = None
        self.version: Version | None = None
        """The version of what was acknowledged; None: nothing was written, or it cannot be seen any more."""
        self.acknowledged_at = 0.0
        self.since = 0.0
        """From when on it may have been stamped."""
        self.acknowledged_by: Address | None = None
        self.attempts: list[Attempt] = []
        self.history: list[bytes | None] = [None]
        """Every value that anybody tried to write."""
        self.busy = False

    @property
    def possible(self) -> set[bytes | None]:
        return {self.acknowledged, *(attempt.value for attempt in self.attempts)}

    def besides(self, attempt: Attempt) -> set[bytes | None]:
        """What could be there before `attempt`."""
        return {self.acknowledged, *(other.value for other in self.attempts if other is not attempt)}

    def acknowledge(self, attempt: Attempt, version: Version | None, owner: Address, now: float) -> None:
        self.acknowledged, self.version = attempt.value, version
        self.acknowledged_at, self.acknowledged_by, self.since = now, owner, attempt.since
        self.attempts = [other for other in self.attempts if other.may_win_over(attempt, version)]

    def settle(self, value: bytes | None, version: Version | None, now: float) -> None:
        """Nothing is under way, and this is what all copies hold."""
        self.since = self.since if version == self.version else 0.0
        self.acknowledged, self.version = value, version
        self.acknowledged_at, self.acknowledged_by = now, None
        self.attempts.clear()

"""Until when a lock is certainly held, and when it is to be renewed. Pure.

The store lets a lock expire by its own time; its holder has nothing but its own clock. So the holder counts from an
instant that is certainly no later than the store's: before the request was sent that has made the lock, or renewed it,
or that was told how long it has left. And it stops a margin before the ttl is over. Should it stop too late, two would
hold the lock; too early, and the work is done again.

What was lost stays lost. Whoever has been told so may have stopped already, so a renewal that succeeds after all
changes nothing.
"""

from __future__ import annotations

MARGIN_SHARE = 0.2
"""Of the ttl: by how much sooner the holder takes the lock for lost than the store does. By so much may the store's
time advance faster than the holder's within one ttl: as the time of a store is that of the clocks of its nodes, they
may be apart by that much."""
RENEWAL_SHARE = 1 / 3
"""Of the ttl: after so much the lock is renewed. What is left until the margin is for tries that fail."""
CALL_SHARE = 1 / 4
"""Of the ttl: for one try. Two fit in what is left."""
PAUSE_SHARE = 1 / 20
"""Of the ttl: between a try that fails and the next."""
WAIT_S_MAX = 1.0
"""A machine that was suspended goes on with the wait that it was in. So none is long: after it, the clock is read."""
OVER = "it was not renewed in time"


class Hold:
    """One holder's lock, from when it was made. Times in seconds, by a clock of the holder's that nobody sets."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._until: float | None = None
        """None: the store has not confirmed it yet."""
        self._renew_at = 0.0
        self.version = ""
        """Of the key: what the next renewal, or the release, is conditional on."""
        self.reason: str | None = None
        """Why it is lost; None: it is not, as far as was noticed."""

    def confirmed(self, version: str, sent: float, left_s: float, now: float) -> None:
        """The store has made it, renewed it, or shown it, in an answer to what was sent at `sent`: it had `left_s`
        seconds left then, or more."""
        self.version = version
        expires = sent + left_s
        if self._until is None or self.is_held(now):
            self._until = max(expires - MARGIN_SHARE * self._ttl_s, self._until or 0.0)
            self._renew_at = expires - (1 - RENEWAL_SHARE) * self._ttl_s

    def failed(self, now: float) -> None:
        """A renewal has failed, or nobody knows."""
        self._renew_at = now + PAUSE_SHARE * self._ttl_s

    def end(self, reason: str) -> None:
        """It is known to be lost."""
        self.reason = self.reason or reason

    def is_held(self, now: float) -> bool:
        if self._until is None:
            return False
        if self.reason is None and now >= self._until:
            self.reason = OVER
        return self.reason is None

    def is_due(self, now: float) -> bool:
        """Whether to renew it now."""
        return self.is_held(now) and now >= self._renew_at

    def wait_s(self, now: float) -> float:
        """Until there may be something to do, at most."""
        assert self._until is not None
        return min(max(min(self._renew_at, self._until) - now, 0.0), WAIT_S_MAX)

    def call_s(self, now: float) -> float:
        """For one try to renew it."""
        assert self._until is not None
        return min(CALL_SHARE * self._ttl_s, self._until - now)

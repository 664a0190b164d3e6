"""The key of a lock: what is stored there, and the requests that make, renew and release it, each found out if need be.

The value names the holder by a random id, one for each time that the lock is had, beside a name for people:

    {"id": "4f1d…", "holder": "web1, process 4711"}

After an unknown outcome, the key is read. If the id is there, the lock is this holder's, and the store tells for how
long. A renewal that is repeated has the version of the former one as its condition, so one of the two is refused; so
has a release. When to ask, and how often, is the business of `kvs.lock`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from kvs.data import Data
from kvs.errors import BadRequest, ConditionFailed, OutcomeUnknown, Unreachable
from kvs.hold import Hold

PAUSE_S = 0.1
"""Between two tries to release it."""
TAKEN = "it is gone from the store, or somebody else's"


class Time(Protocol):
    """What a lock goes by."""

    def now(self) -> float:
        """In seconds, of a clock that nobody sets; from any thread."""

    async def sleep(self, seconds: float) -> None: ...


class Holder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a lock."""

    id: str
    holder: str


class Seen(msgspec.Struct, frozen=True):
    """A look at a lock that somebody holds."""

    by: Holder
    version: str
    left_s: float
    """Until it expires; infinite if it never does, as it was put by something else then."""


class LockKey:
    """As one holder sees it."""

    def __init__(self, client: Data, name: str, ttl_s: float, me: Holder, time: Time) -> None:
        self._client = client
        self._name = name
        self._ttl_s = ttl_s
        self._me = me
        self._value = msgspec.to_builtins(me)
        self._time = time

    async def claim(self, hold: Hold) -> OutcomeUnknown | None:
        """Put it, if it does not exist; what is not known of that. Raises KvsError."""
        sent = self._time.now()
        try:
            stored = await self._client.put_if(self._name, self._value, must_not_exist=True, ttl=self._ttl_s)
        except ConditionFailed:
            return None
        except OutcomeUnknown as fault:
            return fault
        hold.confirmed(stored.version, sent, self._ttl_s, self._time.now())
        return None

    async def find(self, hold: Hold) -> Seen | None:
        """Who holds it, None if nobody does; and if this one does, until when. Raises KvsError."""
        sent = self._time.now()
        seen = await self._look()
        if seen is not None and seen.by == self._me:
            hold.confirmed(seen.version, sent, min(seen.left_s, self._ttl_s), self._time.now())
        return seen

    async def renew(self, hold: Hold) -> None:
        """Raises KvsError."""
        sent, former = self._time.now(), hold.version
        try:
            stored = await self._client.put_if(self._name, self._value, version=former, ttl=self._ttl_s)
        except (ConditionFailed, OutcomeUnknown):
            seen = await self.find(hold)
            if seen is None or seen.by != self._me:
                hold.end(TAKEN)
            elif seen.version == former:
                hold.failed(self._time.now())
        else:
            hold.confirmed(stored.version, sent, self._ttl_s, self._time.now())

    async def release(self, hold: Hold, within_s: float) -> bool:
        """Delete it, if it is this holder's; False if it is known not to have been any more. If that reaches nobody
        within that time, or a little more, the lock goes by itself. Raises KvsError."""
        until, is_in_doubt = self._time.now() + within_s, False
        while True:
            try:
                if await self._client.delete(self._name, if_version=hold.version):
                    return True
            except ConditionFailed:
                pass
            except (Unreachable, OutcomeUnknown) as fault:
                is_in_doubt |= isinstance(fault, OutcomeUnknown)
            try:
                seen = await self._look()
                if seen is None or seen.by != self._me:
                    return is_in_doubt
                hold.version = seen.version
            except Unreachable:
                pass
            if self._time.now() >= until:
                return True
            await self._time.sleep(PAUSE_S)

    async def _look(self) -> Seen | None:
        """Raises KvsError."""
        found = await self._client.get(self._name)
        if found is None:
            return None
        try:
            by = msgspec.json.decode(found.raw, type=Holder)
        except msgspec.MsgspecError:
            raise BadRequest(f"{self._name!r} holds something else than a lock") from None
        return Seen(by, found.version, float("inf") if found.ttl is None else found.ttl)

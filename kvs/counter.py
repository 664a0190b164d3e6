"""A counter of which each increment counts once, whoever else counts at the same time and whatever fails meanwhile.

An increment reads the count and writes the next one on the condition that the version is still the one it read. The
hard part is the write of which nobody knows whether it has happened. Done again, it might count twice; given up, once
or never. So each increment has an id of its own, and the value names those of the last ones beside the count:

    {"count": 12, "recent": ["4f1d…", "a07b…"]}

After an unknown outcome, the key is read again:

- It has the version of the condition still. Then the same write is sent once more, under the same condition. Should the
  first be on its way yet, one of the two changes the version, and the other one is refused.
- It has another version. Then the first can happen no more, and it has happened if its id is named. That it has not is
  known only if all increments since are named: if the newest one of those that were read before is there still. If not,
  so many others have counted meanwhile that nobody can know any more.

Who deletes a counter begins another one, which remembers nothing: increments of that moment are lost, or unknown.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from enum import Enum
from typing import NamedTuple

import msgspec

from kvs.data import Data
from kvs.errors import BadRequest, ConditionFailed, Contended, KvsError, OutcomeUnknown

RECENT_MAX = 64
"""So many others may count between an unknown outcome and the look at what became of it."""
PAUSE_S, PAUSE_S_MAX = 0.01, 0.5
"""After the first time that somebody else was faster, and later: at most, by chance."""
COUNT_MAX = 10**1000
"""Python reads no number of more than 4300 digits."""
TIMEOUT_S = 30.0
"""For one increment, of however many tries."""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a counter."""

    count: int = 0
    recent: tuple[str, ...] = ()
    """Ids of the last increments, the newest at the end."""

    def after(self, by: int, id: str) -> State:
        return State(self.count + by, (*self.recent, id)[-RECENT_MAX:])

    def names_all_since(self, former: State) -> bool:
        """Whether the id of each increment since `former` is here."""
        return former.recent[-1] in self.recent if former.recent else len(self.recent) < RECENT_MAX


NONE_YET = State()


class Looked(NamedTuple):
    """What the key has."""

    state: State
    version: str | None
    """None: there is nothing."""
    ttl: float | None
    """In how many seconds it expires; None: it stays."""


class Seen(Enum):
    """What a look at the key says of an increment whose outcome is unknown."""

    COUNTED = "it has happened"
    NOT_COUNTED = "it has not, and can happen no more"
    OPEN = "it has not, and may yet"
    LOST = "nobody can tell"


class Increment:
    """One increment on its way. Pure."""

    def __init__(self, by: int, id: str, state: State, version: str | None) -> None:
        """`state`, `version`: what was read; None: there was nothing."""
        self._by = by
        self._id = id
        self.begin_at(state, version)

    def begin_at(self, state: State, version: str | None) -> None:
        """Do it to this state, now that it is not done to another."""
        self._former = state
        self.version = version
        self.wanted = state.after(self._by, self._id)

    def seen(self, state: State, version: str | None) -> Seen:
        if self._id in state.recent:
            return Seen.COUNTED
        if version == self.version:
            return Seen.OPEN
        return Seen.NOT_COUNTED if state.names_all_since(self._former) else Seen.LOST


class AsyncCounter:
    """Made by `AsyncClient.counter`."""

    def __init__(self, client: Data, name: str, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._name = name
        self._timeout_s = timeout_s

    async def value(self) -> int:
        """The count; 0 of a counter that nobody has incremented. Raises KvsError."""
        return (await self._look()).state.count

    async def increment(self, by: int = 1) -> int:
        """The count after that. `by`: a whole number; the count has no more than 1000 digits. A counter that expires
        goes on to expire when it did. Raises KvsError: Contended if others were faster each time; OutcomeUnknown if it
        may have been counted, and nobody can tell. After any other one it was not counted."""
        if type(by) is not int:
            raise BadRequest(f"a counter counts by whole numbers, not by {by!r}")
        until = asyncio.get_running_loop().time() + self._timeout_s
        looked = await self._look()
        mine = Increment(by, secrets.token_hex(8), looked.state, looked.version)
        doubt: OutcomeUnknown | None = None
        tries = 0
        try:
            while True:
                try:
                    await self._write(mine, looked.ttl)
                    return mine.wanted.count
                except ConditionFailed:
                    pass
                except OutcomeUnknown as fault:
                    doubt = fault
                tries += 1
                if asyncio.get_running_loop().time() > until:
                    raise Contended(self._name, tries)
                await asyncio.sleep(random.uniform(0, min(PAUSE_S * 2**tries, PAUSE_S_MAX)))
                looked = await self._look()
                match mine.seen(looked.state, looked.version):
                    case Seen.COUNTED:
                        return mine.wanted.count
                    case Seen.LOST if doubt is not None:
                        raise doubt
                    case Seen.LOST | Seen.NOT_COUNTED:
                        doubt = None
                        mine.begin_at(looked.state, looked.version)
        except KvsError:
            if doubt is not None:
                raise doubt from None
            raise

    async def _look(self) -> Looked:
        """What is there. Raises KvsError."""
        found = await self._client.get(self._name)
        if found is None:
            return Looked(NONE_YET, None, None)
        try:
            return Looked(msgspec.json.decode(found.raw, type=State), found.version, found.ttl)
        except msgspec.MsgspecError:
            raise BadRequest(f"{self._name!r} holds something else than a counter") from None

    async def _write(self, mine: Increment, ttl: float | None) -> None:
        """Raises KvsError."""
        if abs(mine.wanted.count) >= COUNT_MAX:
            raise BadRequest(f"{self._name!r} would have more than 1000 digits: no counter does")
        value = msgspec.to_builtins(mine.wanted)
        if mine.version is None:
            await self._client.put_if(self._name, value, must_not_exist=True)
        else:
            await self._client.put_if(self._name, value, version=mine.version, ttl=ttl)

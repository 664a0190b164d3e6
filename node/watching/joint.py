"""What the owners of a shard have told of their keys, put in order: when it may be told on.

Any owner takes writes. Of two versions of a key that two owners take at the same time, the one that has the newer
drops the older unseen, though that is acknowledged too. So all owners are listened to, and the rule is:

*What an owner has told is told on once every other one has told all that it had when it was asked after that.*

For what an owner tells is on every other one (see `owner_log`), and whoever has a version takes no older one any more:
so whatever is older, of the same key, stands before that in the log of whoever has taken it, and has been heard by
then. So versions of a key are told in order, each once, and nothing is left to be remembered of what has been told.

Pure: no loop, no clock, no I/O. Time is counted in answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from gossip.view import Address
from node.values.record import expires, has_value, version_of
from node.values.version import Version

Order = tuple[Version, bool]
"""Of the events of one key: what expires does so under the version with which it was put."""
FIRST: Order = (b"", False)
"""Before all others."""


class Event(msgspec.Struct, frozen=True, eq=False):
    """A key has this record by now. Equal only to itself, so that what is made of it can be kept by it."""

    key: bytes
    record: bytes
    places: tuple[tuple[Address, int], ...] = ()
    """Where it has been found: in whose logs, at which positions."""

    @property
    def is_put(self) -> bool:
        return has_value(self.record)

    @property
    def is_expiry(self) -> bool:
        return not has_value(self.record) and expires(self.record)

    @property
    def order(self) -> Order:
        return version_of(self.record), self.is_expiry


_At = tuple[Order, bytes]
"""What an event is known by: its order among those of its key, and the key. They are told by it."""


class _Batch:
    """What one answer has told."""

    def __init__(self, number: int, end: int, events: Iterable[Event]) -> None:
        """`number`: of the answer; `end`: the position in the log up to which it tells."""
        self.number = number
        self.end = end
        self.events: dict[_At, Event] = {(event.order, event.key): event for event in events}
        self.is_torn = False
        """Whether some of it was told on before the rest."""

    def tear(self, newest: Mapping[bytes, Order]) -> list[tuple[_At, Event]]:
        """What has to be told before these: older versions of the same keys."""
        early = [(order, key) for order, key in self.events if key in newest and order <= newest[key]]
        self.is_torn |= bool(early)
        return [(at, self.events.pop(at)) for at in early]


class Joint:
    def __init__(self, positions: Mapping[Address, int]) -> None:
        """`positions`: of each owner that is listened to, up to where its log has been told on."""
        self.told = dict(positions)
        """The same later: who goes on from there is told all that was not told on, and nothing after what is newer."""
        self._passed = dict(positions)
        """The same, but what stands there may have been told on after something that stands behind it elsewhere."""
        self.heard = dict(positions)
        """Up to where it has been heard."""
        self._answers = 0
        """How many have been heard."""
        self._asked_after = dict.fromkeys(positions, 0)
        """Of each owner: how many had been heard when it was asked to tell all that it had, and has done so since."""
        self._untold: dict[Address, deque[_Batch]] = {owner: deque() for owner in positions}

    def ask(self) -> int:
        """Somebody is asked now: what `hear` is to be told with the answer."""
        return self._answers

    def is_awaited(self, owner: Address, asked: int) -> bool:
        """Whether something that others have told waits until `owner` is asked once more: it was last asked at
        `asked`."""
        return any(
            batches and any(batch.events and batch.number > asked for batch in batches)
            for other, batches in self._untold.items()
            if other != owner
        )

    def hear(
        self, owner: Address, asked: int, changes: Iterable[tuple[int, bytes, bytes]], end: int, is_whole: bool
    ) -> list[Event]:
        """`owner` has told these changes, and thereby all up to `end`. Returns what may be told on now, in order."""
        self._answers += 1
        heard = self.heard[owner]
        if end > heard:
            fresh = (Event(key, record, ((owner, at),)) for at, key, record in changes if at > heard)
            self._untold[owner].append(_Batch(self._answers, end, fresh))
            self.heard[owner] = end
        if is_whole:
            self._asked_after[owner] = max(self._asked_after[owner], asked)
        return self._to_tell()

    def _to_tell(self) -> list[Event]:
        found: list[tuple[_At, Event]] = []
        for owner, batches in self._untold.items():
            passed = min((asked for other, asked in self._asked_after.items() if other != owner), default=self._answers)
            while batches and batches[0].number <= passed:
                batch = batches.popleft()
                found += batch.events.items()
                self._passed[owner] = batch.end
        untold = [batch for batches in self._untold.values() for batch in batches]
        if found and untold:
            newest: dict[bytes, Order] = {}
            for (order, key), _ in found:
                newest[key] = max(order, newest.get(key, order))
            for batch in untold:
                found += batch.tear(newest)
        if not any(batch.is_torn for batch in untold):
            self.told |= self._passed
        return _each_once(found)


def _each_once(found: Iterable[tuple[_At, Event]]) -> list[Event]:
    """In order: what two owners have told is one event."""
    merged: dict[_At, Event] = {}
    for at, event in found:
        other = merged.get(at)
        merged[at] = event if other is None else Event(event.key, event.record, other.places + event.places)
    return [merged[at] for at in sorted(merged)]

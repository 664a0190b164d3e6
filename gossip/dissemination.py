"""What to tell first: the nodes of which something changed here lately, and the rumours that have not been
told often enough.

Everything that changes is news for a time in proportion to log2 of the cluster, about as long as an
epidemic needs to reach all; then it is left to chance. Without an end to it every message would be full for
ever; without the order, what matters now would wait behind what everybody knows. Must never import `ring`
or `node`, nor do any I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gossip.messages import Rumour
from gossip.view import Address


@dataclass(slots=True)
class _Telling:
    rumour: Rumour
    times: int = 0


class Dissemination:
    def __init__(self) -> None:
        self._changed_at: dict[Address, float] = {}
        """In the order of time."""
        self._tellings: dict[Address, _Telling] = {}

    def note(self, address: Address, rumour: Rumour | None, now: float) -> None:
        """Something changed about this node, against which there now is this rumour, or none."""
        self._changed_at.pop(address, None)
        self._changed_at[address] = now
        if rumour is None:
            self._tellings.pop(address, None)
            return
        telling = self._tellings.get(address)
        if telling is None or telling.rumour != rumour:
            self._tellings[address] = _Telling(rumour)

    def expire(self, before: float) -> None:
        """What changed before that time is no longer recent."""
        oldest = next(iter(self._changed_at.values()), before)
        if oldest < before:  # Made anew, as a dict that was large once never gives back its memory.
            self._changed_at = {address: at for address, at in self._changed_at.items() if at >= before}

    def recent(self) -> Iterator[Address]:
        """The nodes that changed lately, the latest first."""
        return reversed(self._changed_at)

    def has_rumours(self) -> bool:
        return bool(self._tellings)

    def rumours(self) -> list[Rumour]:
        """Those still to be told, the least told first."""
        return [telling.rumour for telling in sorted(self._tellings.values(), key=lambda telling: telling.times)]

    def told(self, rumours: Iterable[Rumour], tellings_max: int) -> None:
        """These rumours go out in one more message; each ceases to be news with its `tellings_max`th."""
        for rumour in rumours:
            telling = self._tellings.get(rumour.address)
            if telling is not None and telling.rumour == rumour:
                telling.times += 1
                if telling.times >= tellings_max:
                    del self._tellings[rumour.address]

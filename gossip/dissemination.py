"""What messages carry first (the dissemination component of SWIM): the nodes of which something changed here lately,
and the rumours that have not been told often enough.

A change is disseminated for a time in proportion to log2 of the cluster, about as long as an epidemic needs to reach
everybody; after that, spreading it is left to chance. Were there no end to it, every message would always be full; were
there no order, what matters now would wait behind what everybody knows.
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
        """In the order of the times."""
        self._tellings: dict[Address, _Telling] = {}
        """How the telling of each rumour stands that is still to be told, by the node it is about."""

    def note(self, address: Address, rumour: Rumour | None, now: float) -> None:
        """Something about this node has changed, and this is the rumour that now stands against it, if any."""
        self._changed_at.pop(address, None)
        self._changed_at[address] = now
        if rumour is None:
            self._tellings.pop(address, None)
            return
        telling = self._tellings.get(address)
        if telling is None or telling.rumour != rumour:
            self._tellings[address] = _Telling(rumour)

    def expire(self, before: float) -> None:
        """Whatever changed before that time ceases to be recent."""
        oldest = next(iter(self._changed_at.values()), before)
        if oldest < before:  # Made anew, as a dict that was once large never gives back its memory.
            self._changed_at = {address: at for address, at in self._changed_at.items() if at >= before}

    def recent(self) -> Iterator[Address]:
        """The nodes that changed lately, the latest first."""
        return reversed(self._changed_at)

    def has_rumours(self) -> bool:
        return bool(self._tellings)

    def rumours(self) -> list[Rumour]:
        """The rumours still to be told, those told least often first."""
        return [telling.rumour for telling in sorted(self._tellings.values(), key=lambda telling: telling.times)]

    def count_telling(self, rumours: Iterable[Rumour], tellings_max: int) -> None:
        """These rumours go out in one more message; a rumour's `tellings_max`th message is its last."""
        for rumour in rumours:
            telling = self._tellings.get(rumour.address)
            if telling is not None and telling.rumour == rumour:
                telling.times += 1
                if telling.times >= tellings_max:
                    del self._tellings[rumour.address]

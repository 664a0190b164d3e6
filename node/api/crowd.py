"""Connections whose handshake is to begin: whose turn it is, and who goes if there are too many.

A handshake is dear, so they wait for each other. If they waited in one line, somebody who dials a thousand times would
have everybody else wait for a thousand handshakes. So one network has its turn after the other, and within each they
go in order; where there are too many, it is the network with most of them that loses its oldest. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Crowd(Generic[T]):
    """Of `most` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, deque[T]] = {}
        """By network, each of which has some; the first is the next."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, one: T, network: str) -> T | None:
        """Who has to go for it, if anybody; that may be itself."""
        self._waiting.setdefault(network, deque()).append(one)
        self._count += 1
        if self._count <= self._most:
            return None
        return self._pop(max(self._waiting, key=lambda each: len(self._waiting[each])))

    def take(self) -> T:
        """The next one. Raises StopIteration if there is none."""
        network = next(iter(self._waiting))
        one = self._pop(network)
        if network in self._waiting:
            self._waiting[network] = self._waiting.pop(network)
        return one

    def _pop(self, network: str) -> T:
        waiting = self._waiting[network]
        one = waiting.popleft()
        if not waiting:
            del self._waiting[network]
        self._count -= 1
        return one

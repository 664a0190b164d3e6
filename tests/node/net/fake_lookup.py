"""What stands in for the system's look-up of names: it says what a test wants, or nothing for as long as that wants."""

from __future__ import annotations

import threading
from collections import Counter

from tests.cluster import PATIENCE_S


class FakeLookup:
    """To be called in any thread."""

    def __init__(self, **answers: tuple[str, ...] | Exception) -> None:
        self.answers: dict[str, tuple[str, ...] | Exception] = dict(answers)
        """A name that is not among them does not exist."""
        self.asked: Counter[str] = Counter()
        """How often, by name."""
        self._speaks: dict[str, threading.Event] = {}
        self._under_way: Counter[str] = Counter()
        self.most_under_way = 0
        """Look-ups of one name at a time."""
        self._lock = threading.Lock()

    def __call__(self, host: str) -> tuple[str, ...]:
        with self._lock:
            self.asked[host] += 1
            self._under_way[host] += 1
            self.most_under_way = max(self.most_under_way, self._under_way[host])
        try:
            if (speaks := self._speaks.get(host)) is not None:
                speaks.wait(PATIENCE_S)
            answer = self.answers.get(host, OSError("no such name"))
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            with self._lock:
                self._under_way[host] -= 1

    def silence(self, *hosts: str) -> None:
        """From now on, these get no answer until `speak`."""
        for host in hosts:
            self._speaks[host] = threading.Event()

    def speak(self, host: str) -> None:
        self._speaks.pop(host).set()

    def close(self) -> None:
        for host in list(self._speaks):
            self.speak(host)

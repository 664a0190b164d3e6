"""Waiting for a key to change: what a client and a session can do besides reading and writing.

The store lets a request wait for a while; whoever wants to wait for longer asks again.
"""

from __future__ import annotations

import asyncio

from kvs.data import Ask, Data, checked_version, found_in
from kvs.errors import BadRequest
from kvs.http import NO_HEADERS
from kvs.values import UNCHANGED, Found, Unchanged

WAIT_S = 30.0
WAIT_AT_ONCE_S = 1.5
"""So long a node is let wait: less than it is given to answer, so that one that has gone is noticed."""


class Waiting(Data):
    """Reads and writes keys, and waits for them to change."""

    async def await_change(self, key: str, version: str | None, *, wait: float = WAIT_S) -> Found | Unchanged | None:
        """The key's value and version, once that is not `version` any more; None: there is no such key, any more, or if
        `version` is None after `wait` seconds. `Unchanged`: it is the same after `wait` seconds. Raises KvsError."""
        if not 0 < wait < float("inf"):
            raise BadRequest(f"wait is a number of seconds above 0, not {wait!r}")
        conditions = NO_HEADERS if version is None else {"If-None-Match": checked_version(version)}
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while True:
            left_s = until - loop.time()
            told = await self.call(Ask("GET", key, None, conditions, wait=min(max(left_s, 0.001), WAIT_AT_ONCE_S)))
            is_same = told.status == 304 or (told.status == 404 and version is None)
            if not is_same or loop.time() >= until:
                return UNCHANGED if told.status == 304 else found_in(told)

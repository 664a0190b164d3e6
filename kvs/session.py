"""A session: what it tells is never older than what it has told, through whatever node, also across a cut.

It carries the causal context of each answer in the next request. The context is the store's, opaque and bounded there:
64 keys, then 64 owners, some 7 KiB. Requests of a session go one after the other: the answers to two at a time would
carry a context each, and neither would cover what the other one has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import msgspec

from kvs.data import Ask, Told
from kvs.errors import Misuse
from kvs.waiting import Waiting

EMPTY = b"{}"


class AsyncSession(Waiting):
    """Reads and writes keys as a client does, one call after the other. To be used as `async with`."""

    def __init__(self, bring: Callable[[Ask, bytes], Awaitable[Told]]) -> None:
        self._bring = bring
        self._context = EMPTY
        self._turn = asyncio.Lock()
        self._is_over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Nothing is asked in it any more."""
        self._is_over = True

    async def call(self, ask: Ask) -> Told:
        async with self._turn:
            if self._is_over:
                raise Misuse("the session is over")
            told = await self._bring(ask, self._context)
            if not isinstance(told.body.causal_context, msgspec.UnsetType):
                self._context = bytes(told.body.causal_context)
            return told

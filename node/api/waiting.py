"""Reading a key once it is not any more as the client has it: `GET /kvs/keys/<key>?wait=30`.

The key is watched first and read then, and once more whenever something has happened to it, or may have been missed. So
this needs no rule of its own.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from node.api.answers import NOT_MODIFIED, HttpAnswer
from node.api.conditions import Given
from node.api.data import DataApi, PathKey, answered_as
from node.api.presence import Presence
from node.api.query import option_of
from node.errors import RequestFault
from node.watching.hub import Hub
from node.watching.watcher import Watcher

WAIT_S_MAX = 300
"""Proxies rarely keep a silent connection for longer."""
BAD_WAIT = f"Malformed wait: not a number of seconds above 0, up to {WAIT_S_MAX}"
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON has it: a client writes a number as its language does."""


class WaitingApi:
    def __init__(self, data: DataApi, hub: Hub, client_check_s: float) -> None:
        """`client_check_s`: between two looks at whether the client is still there."""
        self._data = data
        self._hub = hub
        self._client_check_s = client_check_s

    async def get(self, request: web.Request) -> web.Response:
        wait = option_of(request.rel_url.raw_query_string, "wait")
        if wait is None:
            return await self._data.handle(request)
        until = asyncio.get_running_loop().time() + wait_s_of(wait)
        method, key, body, given = await self._data.parse(request)
        if key.fault is not None:
            return (await self._data.answer(method, key, body, given)).for_aiohttp()
        watcher = await self._hub.watch(key.raw, is_exact=True)
        try:
            answer = await self._answer(watcher, Presence(request), until, key, body, given)
        finally:
            self._hub.leave(watcher)
        return answer.for_aiohttp()

    async def _answer(
        self, watcher: Watcher, client: Presence, until: float, key: PathKey, body: bytes, given: Given
    ) -> HttpAnswer:
        loop = asyncio.get_running_loop()
        while True:
            answer = await self._data.answer("GET", key, body, given)
            if not is_as_before(answer, given) or watcher.is_over:
                return answer
            while not await _something_happens(watcher, min(until, loop.time() + self._client_check_s)):
                if loop.time() >= until or client.has_left():
                    return answer


async def _something_happens(watcher: Watcher, until: float) -> bool:
    try:
        async with asyncio.timeout_at(until):
            await watcher.take()
    except TimeoutError:
        return False
    return True


def is_as_before(answer: HttpAnswer, given: Given) -> bool:
    """Whether the answer tells the client nothing new: it has this version; or it says that it has none, and there is
    none."""
    return answer.status == NOT_MODIFIED or (answer.status == 404 and given.if_none_match is None)


def waits(request: web.Request) -> bool:
    """Whether one for a key asks for this, and so takes its time on purpose."""
    return answered_as(request.method) == "GET" and "wait" in request.query


def wait_s_of(text: str) -> float:
    """Raises RequestFault if it is not what may be asked for."""
    if _SECONDS.fullmatch(text) and 0 < float(text) <= WAIT_S_MAX:
        return float(text)
    raise RequestFault(BAD_WAIT)

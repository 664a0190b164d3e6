"""Watching keys: `GET /kvs/watch`, a stream of server-sent events.

Each event tells its `id`, and so does a comment now and then: whoever comes back with the last one, to whatever node,
goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec
from aiohttp import web

from node.api.conditions import etag_of
from node.api.event_stream import EventStream, Turns
from node.api.query import options_of, part_of_key
from node.api.shapes import streams
from node.api.shapes.streams import Happened
from node.api.ttl import seconds
from node.errors import RequestFault
from node.values.record import expiry_of, value_of, version_of
from node.watching.hub import Hub, is_position
from node.watching.joint import Event
from node.watching.watcher import Gap, Told

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
BAD_ID = "Malformed Last-Event-ID: not the id of an event of this store"

_encode = msgspec.json.Encoder().encode


class WatchApi:
    def __init__(self, hub: Hub, now_ms: Callable[[], int]) -> None:
        """`now_ms`: the time by which keys expire."""
        self._hub = hub
        self._turns = Turns()
        self._told = lru_cache(4096)(lambda event: told(event, now_ms))
        """What is sent of an event to all who watch it."""

    async def watch(self, request: web.Request) -> web.StreamResponse:
        prefix = part_of_key(options_of(request.rel_url.raw_query_string, {"prefix"}), "prefix")
        since = request.headers.get("Last-Event-ID") or None
        if since is not None and not is_position(since):
            raise RequestFault(BAD_ID)
        if request.method == "HEAD":
            return web.Response(headers=HEADERS)
        watcher = await self._hub.watch(prefix, since=since)
        response = web.StreamResponse(headers=HEADERS)
        stream = EventStream(self._turns, watcher, self._text)
        try:
            await stream.open(request, response, _id(watcher.position.text) + b"\n")
            await stream.run(lambda: _id(self._hub.reached(watcher).text) + b": still watching\n\n")
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._hub.leave(watcher)
        return response

    def _text(self, item: Told | Gap) -> bytes:
        if isinstance(item, Gap):
            return _id(item.position.text) + b"event: gap\ndata: " + _encode(streams.Gap(item.why)) + b"\n\n"
        return _id(item.position.text) + self._told(item.event)


def told(event: Event, now_ms: Callable[[], int]) -> bytes:
    """What is sent of it, but for the id. `now_ms` is asked about what expires only."""
    value, expires_ms = value_of(event.record), expiry_of(event.record)
    kind = b"put" if event.is_put else b"expire" if event.is_expiry else b"delete"
    left_ms = None if value is None or expires_ms is None else expires_ms - now_ms()
    data = Happened(
        key=event.key.decode(),
        value=msgspec.UNSET if value is None else msgspec.Raw(_one_line(value)),
        etag=etag_of(version_of(event.record)).decode(),
        ttl=msgspec.UNSET if left_ms is None else msgspec.Raw(seconds(max(0, left_ms))),
    )
    return b"event: %b\ndata: %b\n\n" % (kind, _encode(data))


def _one_line(value: bytes) -> bytes:
    """Outside of strings, JSON may have line breaks; a line of an event has none."""
    return value.replace(b"\r", b" ").replace(b"\n", b" ")


def _id(position: str) -> bytes:
    return b"id: %b\n" % position.encode()

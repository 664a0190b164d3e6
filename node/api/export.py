"""The HTTP interface for exports: what a request says, and the stream that answers it."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import msgspec
from aiohttp import web

from node.api.query import options_of, part_of_key
from node.errors import RequestFault, Unavailable
from node.operations.export_progress import BadCursor, Progress, decode
from node.operations.exporting import Exporter

NDJSON_HEADERS = {"Content-Type": "application/x-ndjson"}
READER_S = 60.0
"""A client that does not take a block within this reads nothing."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    prefix: bytes = b""
    progress: Progress = Progress()


class ExportApi:
    def __init__(self, exporter: Exporter, reader_s: float = READER_S) -> None:
        self._exporter = exporter
        self._reader_s = reader_s

    async def export(self, request: web.Request) -> web.StreamResponse:
        prefix, progress = wanted_of(request.rel_url.raw_query_string)
        stream = _Stream(request, prefix, self._reader_s)
        if request.method == "HEAD":
            return stream.response
        try:
            await self._tell_all(prefix, progress, stream)
        except Exception as fault:
            if not stream.has_begun:
                raise
            stream.abort(fault)  # Another answer in its midst would be taken for a part of it.
        return stream.response

    async def _tell_all(self, prefix: bytes, progress: Progress, stream: _Stream) -> None:
        try:
            await self._exporter.export(prefix, progress, stream.tell)
            await stream.end({"end": True})
        except Unavailable as fault:
            if not stream.has_begun:
                raise
            await stream.end({"error": fault.error, "unreachable": []} | fault.details)


class _Stream:
    """An answer that is begun with its first line. Writing raises OSError if the client has gone, or reads
    nothing."""

    def __init__(self, request: web.Request, prefix: bytes, reader_s: float) -> None:
        self.response = web.StreamResponse(headers=NDJSON_HEADERS)
        self._request = request
        self._prefix = prefix
        self._reader_s = reader_s

    @property
    def has_begun(self) -> bool:
        return self.response.prepared

    async def tell(self, lines: bytes, progress: Progress) -> None:
        """A block of lines, and the cursor after it."""
        await self._write(b'%b{"cursor":"%b"}\n' % (lines, progress.encode(self._prefix).encode()))

    async def end(self, last: dict[str, object]) -> None:
        await self._write(_encode(last) + b"\n")

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(self._reader_s):
            if not self.has_begun:
                await self.response.prepare(self._request)
            await self.response.write(data)

    def abort(self, fault: Exception) -> None:
        if isinstance(fault, OSError) or (isinstance(fault, ExceptionGroup) and fault.split(OSError)[1] is None):
            _log.debug("an export ends early, as its reader has gone or reads nothing: %s", fault)
        else:
            _log.error("an export ends early", exc_info=fault)
        if self._request.transport is not None:
            self._request.transport.abort()


def wanted_of(query: str) -> Wanted:
    """`query`: as it was sent. Raises RequestFault."""
    given = options_of(query, {"prefix", "cursor"})
    prefix = part_of_key(given, "prefix")
    if "cursor" not in given:
        return Wanted(prefix)
    try:
        return Wanted(prefix, decode(given["cursor"], prefix))
    except BadCursor as fault:
        raise RequestFault(f"Malformed cursor: {fault}") from None

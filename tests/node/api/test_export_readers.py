"""How the stream of an export ends, and what becomes of it if its client is slow, or goes."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpClient

from node.api.app import json_errors
from node.api.export import ExportApi
from node.errors import Unavailable
from node.operations.export_progress import Progress
from node.operations.exporting import Exporter, Tell


class HandExporter(Exporter):
    """Tells so many blocks, and then raises this."""

    def __init__(self, blocks: int, block: bytes = b'{"key":"k","value":1}\n', raises: Exception | None = None) -> None:
        self._blocks = blocks
        self._block = block
        self._raises = raises
        self.told = 0
        self.ended: BaseException | None = None

    async def export(self, prefix: bytes, progress: Progress, tell: Tell) -> None:
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._tell(tell))
        except BaseException as error:
            self.ended = error
            raise
        if self._raises is not None:
            raise self._raises

    async def _tell(self, tell: Tell) -> None:
        while self.told < self._blocks:
            await tell(self._block, Progress())
            self.told += 1


async def served(aiohttp_client: AiohttpClient, exporter: Exporter, reader_s: float = 60.0) -> Any:
    app = web.Application(middlewares=[json_errors])
    app.router.add_get("/kvs/export", ExportApi(exporter, reader_s).export)
    return await aiohttp_client(app)


@pytest.mark.parametrize("blocks", [1, 2])
async def test_export_that_cannot_go_on_says_so_in_its_last_line(aiohttp_client: AiohttpClient, blocks: int) -> None:
    exporter = HandExporter(blocks, raises=Unavailable(unreachable=["a:1"]))
    reply = await (await served(aiohttp_client, exporter)).get("/kvs/export")
    told = (await reply.read()).splitlines()
    assert reply.status == 200 and len(told) == 2 * blocks + 1
    assert told[-1] == b'{"error":"Unable to satisfy request","unreachable":["a:1"]}'


async def test_export_that_cannot_begin_is_refused_as_ever(aiohttp_client: AiohttpClient) -> None:
    exporter = HandExporter(0, raises=Unavailable(unreachable=["a:1"]))
    reply = await (await served(aiohttp_client, exporter)).get("/kvs/export")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    assert await reply.json() == {
        "error": "Unable to satisfy request",
        "message": "Error in GET",
        "unreachable": ["a:1"],
    }


async def test_export_says_of_an_error_without_names_that_nobody_is_missing(aiohttp_client: AiohttpClient) -> None:
    reply = await (await served(aiohttp_client, HandExporter(1, raises=Unavailable()))).get("/kvs/export")
    assert (await reply.read()).endswith(b'\n{"error":"Unable to satisfy request","unreachable":[]}\n')


async def test_export_of_an_error_of_ours_ends_without_an_end(aiohttp_client: AiohttpClient) -> None:
    """Another answer in its midst would be taken for a part of it."""
    reply = await (await served(aiohttp_client, HandExporter(1, raises=ValueError("ours")))).get("/kvs/export")
    with pytest.raises(aiohttp.ClientError):
        await reply.read()


async def test_export_holds_back_for_a_slow_reader_and_ends_for_one_that_reads_nothing(
    aiohttp_client: AiohttpClient,
) -> None:
    exporter = HandExporter(10_000, b"x" * 1_000_000)
    http = await served(aiohttp_client, exporter, reader_s=0.5)
    reply = await http.get("/kvs/export")
    await reply.content.readexactly(1_000_000)
    async with asyncio.timeout(20.0):
        while exporter.ended is None:
            await asyncio.sleep(0.01)
    assert exporter.told < 100
    with pytest.raises(aiohttp.ClientError):
        await reply.read()


async def test_export_ends_once_its_reader_has_gone(aiohttp_client: AiohttpClient) -> None:
    exporter = HandExporter(10**9)
    reply = await (await served(aiohttp_client, exporter)).get("/kvs/export")
    await reply.content.readline()
    reply.close()
    async with asyncio.timeout(20.0):
        while exporter.ended is None:
            await asyncio.sleep(0.01)

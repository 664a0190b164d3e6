"""A body in chunks of which one is malformed is refused as soon as that one has come, and never taken for a whole."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from node.api.app import json_errors
from node.api.data import read_data
from node.errors import NotFound
from tests.cluster import eventually
from tests.node.api.short_way import aiohttps_connection
from tests.node.api.two_nodes import fault

HEAD = b"PUT /kvs/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /kvs/keys/a HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNK = b"5\r\nabcde\r\n"
BODY_S = 600.0
"""Longer than a test."""


@pytest.mark.parametrize(
    "pieces",
    [
        [b"zz\r\n"],
        [CHUNK, b"zz\r\n"],
        [CHUNK + b"zz\r\n"],
        [b"5\r\nabcde", b"\r\nzz\r\n"],
        [b"5\r\nabcdefgh\r\n"],
        [b"5\r\nab", b"cdefgh\r\n"],
        [CHUNK, b"zz\r\n", b"yy\r\n", GET],
        [CHUNK, b"-1\r\n" + GET],
    ],
)
@pytest.mark.parametrize("before", [0, 3], ids=["alone", "behind others"])
async def test_app_malformed_chunk_is_answered_when_it_comes(
    caplog: pytest.LogCaptureFixture, pieces: list[bytes], before: int
) -> None:
    read, waits = [], asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        waits.set()
        read.append(await read_data(request, BODY_S))  # type: ignore[arg-type]
        return web.Response(text="read")

    async def in_json(request: web.BaseRequest) -> web.StreamResponse:
        return await json_errors(request, handler)  # type: ignore[arg-type]

    with aiohttps_connection(in_json, before * GET + HEAD) as (protocol, transport):
        await waits.wait()
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0)

        async def is_closed() -> bool:
            return transport.is_closed

        await eventually(is_closed, "the end of the connection")
    assert read == before * [b""]
    assert transport.written.count(b"HTTP/1.") == before + 1
    assert transport.written.endswith(fault("Malformed body", "PUT"))
    assert "Traceback" not in caplog.text


async def test_app_malformed_chunk_of_what_is_answered_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        raise NotFound("Not found")

    async def in_json(request: web.BaseRequest) -> web.StreamResponse:
        return await json_errors(request, refuse)  # type: ignore[arg-type]

    with aiohttps_connection(in_json, HEAD) as (protocol, transport):

        async def is_answered() -> bool:
            return b" 404 " in transport.written

        await eventually(is_answered, "the answer")
        assert not transport.is_closed
        protocol.data_received(b"zz\r\n")

        async def is_closed() -> bool:
            return transport.is_closed

        await eventually(is_closed, "the end of the connection")
    assert transport.written.count(b"HTTP/1.") == 1
    assert "Traceback" not in caplog.text

"""The limit for a Python server of this kind: the smallest protocol on uvloop, which answers all that comes with one
constant, a node's answer to a GET, and reads nothing.

Run as `python -m bench.peers.answerer`, with the `ADDRESS` and the `VALUE` in its environment.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import uvloop

from gossip.view import host_of, port_of
from node.api.answers import RETRIEVED


class Answerer(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's own are no subclasses

    def data_received(self, data: bytes) -> None:
        self._write(self._answer)


async def serve(address: str, value: str) -> None:
    body = b'{%b"%b"}' % (RETRIEVED, value.encode())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = head.encode() + body
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answerer(answer), host_of(address), port_of(address), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(os.environ["ADDRESS"], os.environ["VALUE"]))

"""What a thousand clients that watch through a node cost those who put: each watches keys of its own, and all that is
put is told to one of them."""

from __future__ import annotations

import asyncio
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure
from bench.lanes import BODY, Lane, any_keys, sample
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, fill, free_addresses, node_env, server
from gossip.view import Address, host_of, port_of

WATCHERS = 1000


def watchers(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Durable PUTs at a node through which a thousand clients watch, as a share of those without, in alternation."""
    (address,) = free_addresses(1)
    keys = any_keys(WATCHERS)
    fill(directory, keys, VALUE)
    with server("node", address, node_env(address, directory), KEY_COUNT) as node:
        node.serving_after(f"/kvs/keys/{keys[-1]}")
        lane, shares, rates, told = Lane("durable PUT", node, BODY), list[float](), list[float](), 0
        for _ in range(scale.rounds):
            alone = sample(lane, keys, scale).result.per_second
            with _watching(address, keys) as crowd:
                watched = sample(lane, keys, scale).result.per_second
            shares.append(watched / alone)
            rates.append(watched)
            told += crowd.events
    taken = f"{statistics.median(rates):,.0f} requests/s; {told:,} events were told"
    yield Figure("durable PUT beside 1,000 watchers", statistics.median(shares), "of durable PUT", 0.5, False, taken)


class _Crowd:
    """Clients on a thread of their own, which read what they are told and throw it away."""

    def __init__(self) -> None:
        self.events = 0
        self.are_there = threading.Event()
        self.is_over = asyncio.Event()

    async def run(self, address: Address, keys: list[str]) -> None:
        streams = [await _stream(address, key) for key in keys]
        self.are_there.set()
        readers = [asyncio.create_task(self._read(reader)) for reader, _ in streams]
        await self.is_over.wait()
        for _, writer in streams:
            writer.transport.abort()
        await asyncio.wait(readers)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while part := await reader.read(1 << 16):
                self.events += part.count(b"event: put")
        except ConnectionError:
            pass  # The end.


async def _stream(address: Address, key: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Asked for again as long as the node, which was busy, takes that for late."""
    while True:
        reader, writer = await asyncio.open_connection(host_of(address), port_of(address))
        writer.write(f"GET /kvs/watch?prefix={key} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        try:
            if (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.0 200"):
                return reader, writer
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()


@contextmanager
def _watching(address: Address, keys: list[str]) -> Iterator[_Crowd]:
    crowd, loop = _Crowd(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[crowd.run(address, keys)])
    thread.start()
    crowd.are_there.wait()
    try:
        yield crowd
    finally:
        loop.call_soon_threadsafe(crowd.is_over.set)
        thread.join()
        loop.close()

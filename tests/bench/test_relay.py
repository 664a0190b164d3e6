"""Relays hand on every byte, and count it."""

from __future__ import annotations

import asyncio

from bench.relay import relays
from gossip.view import host_of, port_of
from tests.cluster import fresh_addresses

CHUNK = bytes(range(256)) * 1000


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def test_relay_hands_on_both_ways_and_counts() -> None:
    address, behind = fresh_addresses(2)
    server = await asyncio.start_server(echo, host_of(behind), port_of(behind))
    with relays({address: behind}) as count:
        reader, writer = await asyncio.open_connection(host_of(address), port_of(address))
        writer.write(CHUNK)
        assert await asyncio.wait_for(reader.readexactly(len(CHUNK)), 10) == CHUNK
        assert count.passed_bytes == 2 * len(CHUNK)
        writer.close()
    server.close()


async def test_relay_ends_a_connection_that_leads_nowhere() -> None:
    address, behind = fresh_addresses(2)
    with relays({address: behind}) as count:
        reader, _ = await asyncio.open_connection(host_of(address), port_of(address))
        assert await asyncio.wait_for(reader.read(1), 10) == b""
        assert count.passed_bytes == 0

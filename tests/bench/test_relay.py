"""Relays hand on every byte, and count it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bench.relay import Count, relays
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


VALUE = b'"vvvvvvvvvv"'


def masked(data: bytes) -> bytes:
    return bytes(byte ^ b"mask"[place % 4] for place, byte in enumerate(data))


@pytest.mark.parametrize("data", [b".." + VALUE + b"." + VALUE + b"vvv", VALUE + VALUE], ids=["apart", "together"])
@pytest.mark.parametrize("as_sent", [bytes, masked])
@pytest.mark.parametrize("piece", [1, 3, 7, 12, 13, 100])
def test_relay_counts_values_wherever_they_are_cut(data: bytes, as_sent: Callable[[bytes], bytes], piece: int) -> None:
    """Each once, as the side that dials sends them, and as the other one does."""
    count, last, sent = Count(run=10), b"", as_sent(data)
    for start in range(0, len(sent), piece):
        last = count.note(sent[start : start + piece], last)
    assert count.passed_values == 2 and count.passed_bytes == len(data)


@pytest.mark.parametrize("run", [9, 11, 40])
def test_relay_counts_nothing_else(run: int) -> None:
    count = Count(run=10)
    count.note(masked(b"..." + bytes(run) + b"..."), b"")
    assert count.passed_values == 0


async def test_relay_ends_a_connection_that_leads_nowhere() -> None:
    address, behind = fresh_addresses(2)
    with relays({address: behind}) as count:
        reader, _ = await asyncio.open_connection(host_of(address), port_of(address))
        assert await asyncio.wait_for(reader.read(1), 10) == b""
        assert count.passed_bytes == 0

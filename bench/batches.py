"""Operations in batches, beside the same by a request each."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import perf_counter

import uvloop

from bench.figures import Figure
from bench.lanes import BODY, KEYS, Lane, any_keys, sample
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, Server, free_addresses, node_env, server
from gossip.view import host_of, port_of

TARGET = 6.0
PIECE_LINES = 500
HEAD = b"POST /kvs/batch HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n"


def batches(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Durable PUTs and GETs of one client that sends them on one connection, at the owner of all keys."""
    (address,) = free_addresses(1)
    keys = any_keys(KEYS)
    with server("node", address, node_env(address, directory), KEY_COUNT) as node:
        for name, body, line in (
            ("durable PUT", BODY, b'{"op":"put","key":"%b","value":' + VALUE.encode() + b"}\n"),
            ("GET", None, b'{"op":"get","key":"%b"}\n'),
        ):
            pieces = pieces_of([line % key.encode() for key in keys])
            shares, rates, costs = list[float](), list[float](), list[float]()
            for _ in range(scale.rounds):
                single = sample(Lane(name, node, body), keys, scale).result.per_second
                rate, cpu_us = _sample(node, pieces, scale)
                rates.append(rate)
                costs.append(cpu_us)
                shares.append(rate / single)
            detail = f"{statistics.median(rates):,.0f} lines/s, {statistics.median(costs):.0f} us of CPU each"
            share, of = statistics.median(shares), f"of {name} by a request each"
            yield Figure(f"{name} in batches", share, of, TARGET if body else None, False, detail)


def pieces_of(lines: list[bytes]) -> list[bytes]:
    """As they are sent: so many lines at a time."""
    joined = [b"".join(lines[start : start + PIECE_LINES]) for start in range(0, len(lines), PIECE_LINES)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in joined]


def _sample(node: Server, pieces: list[bytes], scale: Scale) -> tuple[float, float]:
    """Lines that are answered in a second, and the processor time of each, in us."""
    return uvloop.run(_measured(node, pieces, scale))


async def _measured(node: Server, pieces: list[bytes], scale: Scale) -> tuple[float, float]:
    reader, writer = await asyncio.open_connection(host_of(node.address), port_of(node.address))
    writer.write(HEAD)

    async def send() -> None:
        for piece in cycle(pieces):
            writer.write(piece)
            await writer.drain()

    sending = asyncio.create_task(send())
    try:
        await reader.readuntil(b"\r\n\r\n")
        await _answers_until(reader, perf_counter() + scale.warm_up_s)
        began, cpu_s = perf_counter(), node.cpu_s()
        count = await _answers_until(reader, began + scale.duration_s)
        return count / (perf_counter() - began), 1e6 * (node.cpu_s() - cpu_s) / count
    finally:
        sending.cancel()
        writer.close()


async def _answers_until(reader: asyncio.StreamReader, end: float) -> int:
    """How many there were, each of which must be good."""
    count = 0
    while perf_counter() < end:
        size = int(await reader.readuntil(b"\r\n"), 16)
        data = await reader.readexactly(size + 2)
        count += data.count(b"\n") - 1
        if data.count(b'"status":20') != data.count(b"\n") - 1:
            raise RuntimeError(f"a line was refused: {data[:2000]!r}")
    return count

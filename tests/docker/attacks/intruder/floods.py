"""What is done for as long as is told: to slow down, to fill up, to use up.

Each tells what it got. Whether it has succeeded is not for the intruder to say: who looks after the nodes and their
clients sees that.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

from tests.docker.attacks.intruder.peers import CHALLENGE, UPGRADE, frame, greeted, path_of
from tests.docker.attacks.intruder.wire import (
    CANARY,
    PLANTED,
    Flood,
    Got,
    Place,
    Streams,
    Target,
    dial,
    dial_bare,
    head,
    status_of,
)

AT_ONCE = 24
HELD_MAX = 6000
"""Connections that are held open, all nodes together: more than they let in, fewer than this machine's ports."""
DESCRIPTORS_KEPT = 200
"""By the intruder, for itself."""
PAUSE_S = 0.05
"""After a connection that could not be made."""
CHUNK = b"a" * 16_384
MIB = 1 << 20

Turn = Callable[[Target, Counter[str]], Awaitable[None]]
"""One of very many of the same, to one node."""


def now() -> float:
    return asyncio.get_running_loop().time()


async def again_and_again(targets: list[Target], seconds: float, turn: Turn, at_once: int = AT_ONCE) -> Got:
    """`turn` after `turn`, some at a time, each with another node."""
    seen: Counter[str] = Counter()
    end, turns = now() + seconds, itertools.cycle(targets)

    async def work() -> None:
        while now() < end:
            try:
                async with asyncio.timeout(max(0.1, end - now())):
                    await turn(next(turns), seen)
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                seen[type(error).__name__] += 1
                await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return told(seen)


def told(seen: Counter[str]) -> Got:
    return Got(", ".join(f"{what} x {times:,}" for what, times in seen.most_common(8)))


async def hold(
    targets: list[Target],
    seconds: float,
    open_one: Callable[[Target], Awaitable[Streams]],
    keep: Callable[[Streams], Awaitable[None]] | None = None,
) -> Got:
    """Open as many as there can be, and keep them; `keep`: what is done on each now and then."""
    seen: Counter[str] = Counter()
    held: list[Streams] = []
    end, turns = now() + seconds, itertools.cycle(targets)
    most = min(HELD_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_KEPT)

    async def work() -> None:
        while now() < end:
            if len(held) < most:
                try:
                    held.append(await open_one(next(turns)))
                    seen["opened"] += 1
                except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
                    seen[type(error).__name__] += 1
                    await asyncio.sleep(PAUSE_S)
            else:
                await asyncio.sleep(PAUSE_S)

    async def look_after() -> None:
        while now() < end:
            for streams in held[:]:
                if streams[0].at_eof() or streams[1].transport.is_closing():
                    held.remove(streams)
                    seen["closed by the node"] += 1
                    streams[1].transport.abort()
                elif keep is not None:
                    with suppress(OSError):
                        await keep(streams)
            seen["held at most"] = max(seen["held at most"], len(held))
            await asyncio.sleep(0.5)

    await asyncio.gather(look_after(), *(work() for _ in range(AT_ONCE)))
    for _, writer in held:
        writer.transport.abort()
    return told(seen)


async def answered(streams: Streams, seen: Counter[str]) -> None:
    """Note what comes, until the end."""
    reader, writer = streams
    heard = b""
    try:
        while data := await reader.read(65536):
            heard = (heard + data)[:4096]
    finally:
        writer.transport.abort()
    seen[str(status_of(heard)) if heard else "no answer"] += 1


# Connections


async def connections(place: Place, seconds: float) -> Got:
    return await hold([*place.nodes], seconds, dial)


async def silent_connections(place: Place, seconds: float) -> Got:
    return await hold([*place.nodes], seconds, dial_bare)


async def half_handshakes(place: Place, seconds: float) -> Got:
    async def begin(target: Target) -> Streams:
        streams = await dial_bare(target)
        streams[1].write(bytes.fromhex("16030102000100") + os.urandom(20))
        return streams

    return await hold([*place.nodes], seconds, begin)


async def handshakes(place: Place, seconds: float) -> Got:
    async def turn(target: Target, seen: Counter[str]) -> None:
        _, writer = await dial(target)
        writer.transport.abort()
        seen["handshakes"] += 1

    return await again_and_again([*place.nodes], seconds, turn)


async def resets(place: Place, seconds: float) -> Got:
    """Opened, and cut off with a reset, also in the middle of a handshake."""

    async def turn(target: Target, seen: Counter[str]) -> None:
        _, writer = await dial_bare(target)
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if seen["resets"] % 2:
            writer.write(b"\x16\x03\x01")
        writer.transport.abort()
        seen["resets"] += 1

    return await again_and_again([*place.nodes], seconds, turn)


async def clear_and_garbage(place: Place, seconds: float) -> Got:
    async def turn(target: Target, seen: Counter[str]) -> None:
        streams = await dial_bare(target)
        streams[1].write(os.urandom(4096) if seen.total() % 2 else head("GET", "/livez"))
        await answered(streams, seen)

    return await again_and_again([*place.nodes], seconds, turn)


# Heads


async def slow_heads(place: Place, seconds: float) -> Got:
    async def begin(target: Target) -> Streams:
        streams = await dial(target)
        streams[1].write(b"GET /livez HTTP/1.1\r\nHost: node\r\nA: ")
        return streams

    async def drip(streams: Streams) -> None:
        streams[1].write(b"a")

    return await hold([*place.nodes], seconds, begin, drip)


async def slow_heads_of_links(place: Place, seconds: float) -> Got:
    """Links are no clients, and do not count as such."""

    async def begin(target: Target) -> Streams:
        streams = await dial(target)
        streams[1].write(f"GET {path_of(target, place.nodes[0].address)} HTTP/1.1\r\nHost: n\r\nA: ".encode())
        return streams

    async def drip(streams: Streams) -> None:
        streams[1].write(b"a")

    return await hold([*place.nodes], seconds, begin, drip)


async def large_heads(place: Place, seconds: float) -> Got:
    """Just too large, just not, too many lines, too long a path."""
    forms = itertools.cycle(
        [
            head("GET", "/livez", [(f"A{n}", "a" * 8000) for n in range(7)]),
            head("GET", "/livez", [(f"A{n}", "a" * 8000) for n in range(20)]),
            head("GET", "/livez", [(f"A{n}", "a") for n in range(4000)]),
            head("GET", "/kvs/keys/" + "a" * 60_000),
            head("GET", "/kvs/keys/" + "%" * 8000),
            head("GET", "/livez", [("A", "a" * (4 * MIB))]),
        ]
    )

    async def turn(target: Target, seen: Counter[str]) -> None:
        streams = await dial(target)
        streams[1].write(next(forms))
        async with asyncio.timeout(2):
            await answered(streams, seen)

    return await again_and_again([*place.nodes], seconds, turn)


# Bodies


async def large_bodies(place: Place, seconds: float) -> Got:
    """Nearly all of 1 MiB for a key, without a token, and then nothing."""

    async def begin(target: Target) -> Streams:
        streams = await dial(target)
        start = f"PUT /kvs/keys/{PLANTED} HTTP/1.1\r\nHost: node\r\nContent-Length: {MIB}\r\n\r\n".encode()
        streams[1].write(start + b"a" * (MIB - 100))
        async with asyncio.timeout(2):
            await streams[1].drain()
        return streams

    return await hold([*place.nodes], seconds, begin)


async def endless_bodies(place: Place, seconds: float) -> Got:
    """By chunks, for a key and for a batch, for as long as they are taken."""
    starts = itertools.cycle((f"PUT /kvs/keys/{PLANTED}", "POST /kvs/batch", "PUT /kvs/view-change", "POST /livez"))

    async def turn(target: Target, seen: Counter[str]) -> None:
        _, writer = await dial(target)
        writer.write(f"{next(starts)} HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            async with asyncio.timeout(5):
                for _ in range(1000):
                    writer.write(b"4000\r\n" + CHUNK + b"\r\n")
                    await writer.drain()
                    seen["chunks"] += 1
        except (OSError, TimeoutError):
            seen["cut off"] += 1
        writer.transport.abort()

    return await again_and_again([*place.nodes], seconds, turn)


# Requests


async def refused_requests(place: Place, seconds: float) -> Got:
    """One after the other, on connections that are kept, with a token that nobody has made."""
    sent = head("GET", f"/kvs/keys/{CANARY}", {"Authorization": "Bearer " + "x" * 43}) * 20

    async def turn(target: Target, seen: Counter[str]) -> None:
        reader, writer = await dial(target)
        try:
            for _ in range(50):
                writer.write(sent)
                for _ in range(20):
                    answer = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
                    seen[str(status_of(answer))] += 1
        finally:
            writer.transport.abort()

    return await again_and_again([*place.nodes], seconds, turn)


async def unread_answers(place: Place, seconds: float) -> Got:
    """Thousands of requests sent ahead, of which no answer is read: of keys, and of the largest file that is open."""
    paths = itertools.cycle((f"/kvs/keys/{CANARY}", "/ui/main.js", "/ui", "/readyz?verbose", "/kvs/export"))

    async def begin(target: Target) -> Streams:
        streams = await dial(target)
        cast(asyncio.Transport, streams[1].transport).pause_reading()
        streams[1].write(head("GET", next(paths)) * 2000)
        return streams

    return await hold([*place.nodes], seconds, begin)


async def open_routes(place: Place, seconds: float) -> Got:
    """What anybody may ask, as often as can be."""
    sent = b"".join(head("GET", path) for path in ("/livez", "/readyz", "/readyz?verbose", "/ui", "/livez?verbose"))

    async def turn(target: Target, seen: Counter[str]) -> None:
        reader, writer = await dial(target)
        try:
            for _ in range(100):
                writer.write(sent)
                heard = 0
                while heard < 5:
                    heard += (await reader.read(65536)).count(b"HTTP/1.1 ") or (5 if reader.at_eof() else 0)
                seen["rounds of five"] += 1
        finally:
            writer.transport.abort()

    return await again_and_again([*place.nodes], seconds, turn)


# Links


async def dials(place: Place, seconds: float) -> Got:
    """Each under another name, so that each would be worth a line in the log."""
    numbers = itertools.count()

    async def turn(target: Target, seen: Counter[str]) -> None:
        reader, writer = await dial(target)
        lines = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
        path = path_of(target, f"stranger-{next(numbers)}.example:1")
        writer.write(f"GET {path} HTTP/1.1\r\nHost: n\r\nKvs-Challenge: {CHALLENGE.hex()}\r\n{lines}\r\n".encode())
        await answered((reader, writer), seen)

    return await again_and_again([*place.nodes], seconds, turn)


async def dials_in_the_clear(place: Place, seconds: float) -> Got:
    """To the node that is kept by its secret alone: no proof, a wrong one, a wrong name, another cluster."""
    numbers = itertools.count()

    async def turn(target: Target, seen: Counter[str]) -> None:
        number = next(numbers)
        sender = f"stranger-{number}.example:1"
        if number % 2:
            link = await greeted(target, sender)
            link.streams[1].write(frame(os.urandom(32)))
            await answered(link.streams, seen)
            return
        reader, writer = await dial(target)
        wrong = [{"cluster": "c" * 4000}, {"to": f"wrong-{number}:1"}, {"protocols": "9" * 4000}, {}][number // 2 % 4]
        lines = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
        path = path_of(target, sender).partition("?")[0]
        query = {"from": sender, "to": target.address, "cluster": "kvs"} | wrong
        asked = f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"
        writer.write(f"GET {asked} HTTP/1.1\r\nHost: n\r\n{lines}\r\n".encode())
        await answered((reader, writer), seen)

    return await again_and_again([place.clear], seconds, turn)


async def unproven_links(place: Place, seconds: float) -> Got:
    """Greeted, and never proven; with a frame begun that is said to have 8 MiB, of which most comes."""
    numbers = itertools.count()

    async def begin(target: Target) -> Streams:
        link = await greeted(target, f"stranger-{next(numbers)}.example:1")
        link.streams[1].write(frame(bytes(7 * MIB), length=8 * MIB))
        return link.streams

    return await hold([place.clear], seconds, begin)


FLOODS = [
    Flood("connections, idle", "the limit, then 503 or closed", connections),
    Flood("connections without a word of TLS", "the oldest dropped", silent_connections),
    Flood("handshakes that are not ended", "the oldest dropped", half_handshakes),
    Flood("handshakes, one after the other", "slow for the intruder alone", handshakes),
    Flood("resets", "nothing", resets),
    Flood("HTTP in the clear, and noise, to the port of TLS", "400, or broken off", clear_and_garbage),
    Flood("heads, a byte at a time", "408 after 10 s", slow_heads),
    Flood("heads of links, a byte at a time", "dropped; other nodes are let in", slow_heads_of_links),
    Flood("heads that are too large", "431", large_heads),
    Flood("bodies that are not ended, without a token", "401, and closed", large_bodies),
    Flood("bodies that never end, without a token", "401, and cut off", endless_bodies),
    Flood("requests with a wrong token, as fast as can be", "401", refused_requests),
    Flood("requests sent ahead, of which no answer is read", "nothing read, then cut off", unread_answers),
    Flood("what anybody may ask, as fast as can be", "200", open_routes),
    Flood("links, each under another name", "403; few lines in the log", dials),
    Flood("links to a node with a secret alone, each wrong in another way", "403, 421; few lines", dials_in_the_clear),
    Flood("links to a node with a secret alone, unproven, with 7 MiB each", "the oldest cut off", unproven_links),
]

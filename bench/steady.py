"""Clients that ask at a fixed rate, whatever the store is doing, and judge every answer.

An open loop: each request has its moment, and its latency is counted from there, so that a store which stands still for
a second is seen to have kept five hundred requests waiting, not one. Half of them are writes. Each key is counted up by
one writer, which waits for its answer before it writes the key again; a read must give what was acknowledged before it
began, or something later that was sent.

A process of its own, so that the load does not wait for who measures. It is told one JSON `Job` in the first line of
stdin, then the name of each phase, a line each; at the end of stdin it answers with one JSON list of `Phase` on stdout.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from itertools import cycle

import aiohttp
import msgspec
import uvloop

PATIENCE_S = 10.0
FAULTS_NAMED_MAX = 5


class Job(msgspec.Struct, frozen=True):
    addresses: list[str]
    """Asked in turn."""
    keys: list[str]
    """Nobody else writes these."""
    per_second: float


class Phase(msgspec.Struct):
    """What was seen of the requests that began in one phase."""

    name: str
    requests: int = 0
    failed: int = 0
    """Answers other than 200 and 201, and none at all."""
    wrong: int = 0
    """Reads of something older than what was acknowledged before, or that nobody sent."""
    faults: list[str] = msgspec.field(default_factory=list)
    """The first few of both."""
    latencies_ms: list[float] = msgspec.field(default_factory=list)

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def note_fault(self, text: str) -> None:
        if len(self.faults) < FAULTS_NAMED_MAX:
            self.faults.append(text)


class Clients:
    def __init__(self, job: Job, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._nodes = cycle(job.addresses)
        self._interval_s = 1 / job.per_second
        self._idle = deque(job.keys)
        """Keys that nobody is writing or reading now."""
        self._written: set[str] = set()
        """The keys that are to be read next."""
        self._sent: dict[str, int] = {}
        self._acknowledged: dict[str, int] = {}
        self.phases = [Phase("start")]

    async def run(self, until: asyncio.Event) -> None:
        """Begin a request at each of its moments; return once all are answered."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as tasks:
            while True:
                due += self._interval_s
                await asyncio.sleep(due - loop.time())
                if until.is_set():
                    break
                if self._idle:
                    tasks.create_task(self._ask(self._idle.popleft(), due))
                else:
                    self.phases[-1].failed += 1
                    self.phases[-1].note_fault("no request is answered: none of the keys is free")

    async def _ask(self, key: str, due: float) -> None:
        """Write the key, or if that was the last that was done with it, read it."""
        phase, node = self.phases[-1], next(self._nodes)
        phase.requests += 1
        is_write = key not in self._written
        (self._written.add if is_write else self._written.remove)(key)
        try:
            await (self._write if is_write else self._read)(phase, f"http://{node}/kvs/keys/{key}", key)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            phase.failed += 1
            phase.note_fault(f"{key} through {node}: {error!r}")
        phase.latencies_ms.append(1000 * (asyncio.get_running_loop().time() - due))
        self._idle.append(key)

    async def _write(self, phase: Phase, url: str, key: str) -> None:
        value = self._sent[key] = self._sent.get(key, 0) + 1
        async with self._http.put(url, data=b'{"value":%d}' % value) as answer:
            body = await answer.read()
        if answer.status in (200, 201):
            self._acknowledged[key] = value
        else:
            phase.failed += 1
            phase.note_fault(f"PUT {url}: {answer.status} {body!r}")

    async def _read(self, phase: Phase, url: str, key: str) -> None:
        least = self._acknowledged.get(key)
        async with self._http.get(url) as answer:
            body = await answer.read()
        if answer.status != 200 and not (answer.status == 404 and least is None):
            phase.failed += 1
            phase.note_fault(f"GET {url}: {answer.status} {body!r}")
        elif least is not None:
            value = msgspec.json.decode(body)["value"]
            if not least <= value <= self._sent[key]:
                phase.wrong += 1
                phase.note_fault(f"GET {url}: {value}, not {least} to {self._sent[key]}")


async def run(job: Job) -> list[Phase]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    is_over = asyncio.Event()
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        clients = Clients(job, http)
        running = asyncio.create_task(clients.run(is_over))
        while name := await reader.readline():
            clients.phases.append(Phase(name.decode().strip()))
        is_over.set()
        await running
    return clients.phases


def _first_line() -> bytes:
    """Read byte by byte: what follows is for the loop."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"\n", b""):
        line += byte
    return line


if __name__ == "__main__":
    phases = uvloop.run(run(msgspec.json.decode(_first_line(), type=Job)))
    sys.stdout.buffer.write(msgspec.json.encode(phases))

"""The load: keep-alive connections that each send the next request when the last answer is complete (a closed loop).

A process of its own, told by one JSON `Job` on stdin, answering with one JSON `Result` on stdout. It has to be several
times cheaper than the servers under test, or it is itself what is measured: hence raw protocols, whole requests made
beforehand, and of each answer only the status and the length looked at.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from itertools import cycle
from time import perf_counter
from typing import cast

import msgspec
import uvloop

from gossip.view import host_of, port_of

KEEP_BYTES_MAX = 1 << 20
"""More than this without the end of an answer is no answer of ours."""


class Job(msgspec.Struct, frozen=True):
    address: str
    method: str
    keys: list[str]
    """Asked for in turn."""
    body: str | None
    connections: int
    warm_up_s: float
    duration_s: float
    """At most."""
    header: str = ""
    """Of each request, beside those that it needs."""
    repeat: bool = True
    """Whether to begin again with the first key after the last one; if not, the last one is the end."""


class Result(msgspec.Struct, frozen=True):
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int
    """Answers other than 200 and 201; in a sound measurement, none."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Connection(asyncio.Protocol):
    """One client. It stops by itself at `Run.end`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclasses
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + _content_length(data, head):
            self._buffer = data
            assert len(data) < KEEP_BYTES_MAX
            return
        self._buffer = b""
        if self._run.note(self._sent_at, data[9:12]):
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost(exc)

    def _send(self) -> None:
        self._sent_at = perf_counter()
        request = next(self._run.requests, None)
        if request is None:
            self._run.end()
            self._transport.close()
        else:
            self._transport.write(request)


class Run:
    """What the connections share."""

    def __init__(self, job: Job) -> None:
        requests = [_request(job, key) for key in job.keys]
        self.requests = cycle(requests) if job.repeat else iter(requests)
        self._begin = perf_counter() + job.warm_up_s
        self._end = self._begin + job.duration_s
        self._latencies = array("d")
        self._failed = 0
        self._is_over = False
        self._open = job.connections
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """There is nothing left to ask; what was asked is still answered."""
        self._is_over = True

    def note(self, sent_at: float, status: bytes) -> bool:
        """Count an answer; whether to go on."""
        now = perf_counter()
        if now > self._end:
            return False
        if now > self._begin:
            self._latencies.append(now - sent_at)
            self._failed += status not in (b"200", b"201")
        return True

    def lost(self, error: Exception | None) -> None:
        self._open -= 1
        if perf_counter() < self._end and not self._is_over and not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))
        elif not self._open and not self.done.done():
            self.done.set_result(None)

    def result(self) -> Result:
        ordered = sorted(self._latencies)
        assert ordered, "no answer within the time of the measurement"
        return Result(
            len(ordered),
            self._end - self._begin,
            1000 * ordered[len(ordered) // 2],
            1000 * ordered[len(ordered) * 99 // 100],
            self._failed,
        )


async def run(job: Job) -> Result:
    loop = asyncio.get_running_loop()
    shared = Run(job)
    for _ in range(job.connections):
        await loop.create_connection(lambda: Connection(shared), host_of(job.address), port_of(job.address))
    await shared.done
    return shared.result()


def _request(job: Job, key: str) -> bytes:
    head = f"{job.method} /kvs/keys/{key} HTTP/1.1\r\nHost: {job.address}\r\n"
    if job.header:
        head += f"{job.header}\r\n"
    if job.body is None:
        return f"{head}\r\n".encode()
    return (
        f"{head}Content-Type: application/json\r\nContent-Length: {len(job.body.encode())}\r\n\r\n{job.body}".encode()
    )


def _content_length(data: bytes, head: int) -> int:
    start = data.index(b"Content-Length: ", 0, head) + 16
    return int(data[start : data.index(b"\r\n", start)])


if __name__ == "__main__":
    result = uvloop.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
    sys.stdout.buffer.write(msgspec.json.encode(result))

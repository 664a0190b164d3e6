"""The load of one client that asks at a pace of its own, whatever else goes on, and how long it waits at worst.

A process of its own, told by one line of JSON, a `Job`, on stdin, which asks until stdin ends, and then says in one
JSON `Felt` on stdout what it felt: were it a thread beside another client, it would measure how long that one holds the
interpreter.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import cycle

import msgspec

from bench.servers import ROOT

PATIENCE_S = 30.0


class Job(msgspec.Struct, frozen=True):
    address: str
    keys: list[str]
    """Asked for in turn."""
    per_second: int
    """GETs, if each is answered in time."""


class Felt(msgspec.Struct, frozen=True):
    p50_ms: float
    p99_ms: float
    count: int


def felt(job: Job, while_: Callable[[], None]) -> Felt:
    """While that is called. Raises RuntimeError if an answer was not a value."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.paced"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
        process.stdout.readline()  # It has begun.
        while_()
        process.stdin.close()
        answer = process.stdout.read()
    if process.returncode:
        raise RuntimeError("a GET was not answered with its value")
    return msgspec.json.decode(answer, type=Felt)


def ask(job: Job, is_over: threading.Event) -> Felt:
    """Until then. Raises RuntimeError unless each answer is a value."""
    connection, latencies_ms, due = http.client.HTTPConnection(job.address, timeout=PATIENCE_S), list[float](), 0.0
    for key in cycle(job.keys):
        if is_over.wait(max(0.0, due - time.monotonic())) and latencies_ms:
            break
        began = time.monotonic()
        get(connection, f"/kvs/keys/{key}")
        latencies_ms.append(1000 * (time.monotonic() - began))
        due = began + 1 / job.per_second
    return Felt(share(latencies_ms, 0.5), share(latencies_ms, 0.99), len(latencies_ms))


def get(connection: http.client.HTTPConnection, path: str) -> bytes:
    """Raises RuntimeError unless it is answered with 200."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body!r}")
    return body


def share(latencies_ms: list[float], part: float) -> float:
    """What so many of them do not exceed."""
    return sorted(latencies_ms)[min(len(latencies_ms) - 1, int(len(latencies_ms) * part))]


def main() -> None:
    job, is_over = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job), threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        is_over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(flush=True)
    sys.stdout.buffer.write(msgspec.json.encode(ask(job, is_over)))


if __name__ == "__main__":
    main()

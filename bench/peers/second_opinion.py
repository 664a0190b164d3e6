"""The same closed loops by other people's tools: wrk for those that speak HTTP, redis-benchmark for Redis.

Both are C and cost less than the load of `generator`. Where they see another ratio than that one does, the load was
part of what it measured.
"""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.peers.contenders import Contender
from bench.peers.dialects import Method, dialect
from bench.peers.histogram import Histogram
from bench.peers.loads import GRACE_S, Sample, spent
from gossip.view import host_of, port_of

SCRIPT = Path(__file__).with_name("wrk.lua")
INTEGER = "__rand_int__"
"""What redis-benchmark puts a number of twelve digits in place of."""


class Told(msgspec.Struct, frozen=True):
    answered: int
    failed: int
    seconds: float


def tool_of(contender: Contender) -> str:
    return "redis-benchmark" if contender.dialect == "redis" else "wrk"


def sample(
    contender: Contender,
    method: Method,
    keys: Sequence[str],
    value: str,
    connections: int,
    duration_s: float,
    expected_per_second: float,
    directory: Path,
) -> Sample:
    """`expected_per_second`: redis-benchmark counts requests, not seconds. Raises RuntimeError if a request failed."""

    def ask() -> Told:
        if contender.dialect == "redis":
            count = max(connections, int(expected_per_second * duration_s))
            return _redis_benchmark(contender.process.address, method, len(keys), value, connections, count)
        spoken = dialect(contender.dialect, contender.process.address)
        requests = [spoken.get(key) if method == "GET" else spoken.put(key, value) for key in keys]
        file = directory / "requests"
        file.write_bytes(b"\0".join(requests))
        return _wrk(contender.process.address, file, connections, duration_s)

    told, cpu_s, written = spent(contender.process, ask)
    if told.failed or not told.answered:
        raise RuntimeError(f"{tool_of(contender)}: {told.failed} of {told.answered} answers were no success")
    each = 1 / told.answered
    return Sample(told.answered / told.seconds, Histogram(), 1e6 * cpu_s * each, written * each)


def _wrk(address: str, requests: Path, connections: int, duration_s: float) -> Told:
    whole_s = max(1, round(duration_s))  # It knows no others.
    command = ["wrk", "--threads", "1", "--connections", f"{connections}", "--duration", f"{whole_s}s"]
    command += ["--script", str(SCRIPT), f"http://{address}/", "--", str(requests)]
    return msgspec.json.decode(_output(command, duration_s + GRACE_S).splitlines()[-1], type=Told)


def _redis_benchmark(address: str, method: Method, key_count: int, value: str, connections: int, count: int) -> Told:
    """Of the keys `key-0000000000000000` and so on, by chance."""
    command = ["redis-benchmark", "-h", host_of(address), "-p", str(port_of(address)), "--csv"]
    command += ["-c", str(connections), "-n", str(count), "-r", str(key_count)]
    words = ["GET", f"key-0000{INTEGER}"] if method == "GET" else ["SET", f"key-0000{INTEGER}", value]
    (row,) = csv.DictReader(_output([*command, *words], 10 * GRACE_S).splitlines())
    return Told(count, 0, count / float(row["rps"]))


def _output(command: Sequence[str], patience_s: float) -> str:
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=patience_s)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout

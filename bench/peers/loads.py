"""One lane measured once: the load in a process of its own, and what the asked process spends meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from bench.peers.dialects import Name
from bench.peers.generator import PATIENCE_S, Job, Result
from bench.peers.histogram import Histogram
from bench.servers import ROOT, Process

GRACE_S = 20.0
"""For the load's process to start and to end."""
FILL_CONNECTIONS = 32
FILL_S = 60.0
R = TypeVar("R")


class Sample(NamedTuple):
    per_second: float
    taken: Histogram
    """Of the answers; with nothing in it where who measured has not told."""
    cpu_us: float = 0.0
    """Processor time of the asked process for each request."""
    written_bytes: float = 0.0
    """On disk, by the asked process for each request."""
    busy: float = 0.0
    """Processor time of the load's process, as a share of one processor."""
    late_p99_ms: float = 0.0
    """That the load was behind, in an open loop."""


def sample(process: Process, job: Job) -> Sample:
    """Raises RuntimeError if a request failed."""
    result, cpu_s, written = spent(process, lambda: _run(job))
    if result.failed:
        raise RuntimeError(_failures(result))
    if not result.counts:
        raise RuntimeError(f"no answer in {job.duration_s} s")
    return Sample(
        result.per_second,
        Histogram.counted(result.counts),
        1e6 * cpu_s / result.answered,
        written / result.answered,
        result.busy,
        result.late_p99_ms,
    )


def spent(process: Process, call: Callable[[], R]) -> tuple[R, float, int]:
    """What comes of the call, and the processor time and the bytes on disk that it cost that process."""
    cpu_s, written = process.cpu_s(), process.written_bytes()
    result = call()
    return result, process.cpu_s() - cpu_s, process.written_bytes() - written


def write_once(address: str, dialect: Name, keys: Sequence[str], value: str) -> None:
    """Each of `keys`. Raises RuntimeError if a write failed or is missing."""
    result = _run(Job(address, dialect, "PUT", list(keys), value, FILL_CONNECTIONS, 0.0, FILL_S, once=True))
    if result.failed:
        raise RuntimeError(f"filling {dialect} at {address}: {_failures(result)}")
    if result.answered != len(keys):
        raise RuntimeError(f"filling {dialect} at {address}: {result.answered} of {len(keys)} writes in {FILL_S:.0f} s")


def _failures(result: Result) -> str:
    return f"{result.failed} of {result.answered} answers were no success, such as {result.failure!r}"


def _run(job: Job) -> Result:
    """Raises RuntimeError if the load ended early, with the reason, or not at all."""
    patience_s = job.warm_up_s + job.duration_s + PATIENCE_S + GRACE_S
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.peers.generator"],
            input=msgspec.json.encode(job),
            capture_output=True,
            cwd=ROOT,
            check=False,
            timeout=patience_s,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"asking {job.dialect} at {job.address} did not end in {patience_s:.0f} s") from None
    if done.returncode:
        raise RuntimeError(f"asking {job.dialect} at {job.address}: {done.stderr.decode().strip()}")
    return msgspec.json.decode(done.stdout, type=Result)

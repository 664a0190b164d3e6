"""Requests of one kind to one server, and how fast they are answered.

What is compared runs in alternation, one lane after the other and then all of them again: a machine that is slow for a
while is slow for both sides of a ratio, and the median of the rounds forgets the round in which it was slow for one.
The requests come from a process of their own (`bench.load`), always of this checkout, whatever it is that answers them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from typing import NamedTuple

import msgspec

from bench.load import Job, Result
from bench.scale import VALUE, Scale
from bench.servers import ROOT, Server
from gossip.view import parse_nodes
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

CONNECTIONS = 32
KEYS = 2_000
"""That the requests go round; enough that none is asked for twice at the same time."""
GRACE_S = 10.0
"""For the load's process to start and to end."""
BODY = f'{{"value":{VALUE}}}'
"""Of every PUT."""


class Lane(NamedTuple):
    """One of the things that are compared."""

    name: str
    server: Server
    body: str | None
    """Of a PUT; None: a GET."""
    yardstick: str | None = None
    """The name of the lane whose rate this one's is a share of."""
    target: float | None = None
    """Of that share."""
    header: str = ""
    """Of each request, beside those that it needs."""


class Sample(NamedTuple):
    result: Result
    cpu_us: float
    """Processor time of the asked server per request."""


def sample(lane: Lane, keys: list[str], scale: Scale) -> Sample:
    """Measure the lane once. Raises RuntimeError if a request failed."""
    method = "GET" if lane.body is None else "PUT"
    job = Job(lane.server.address, method, keys, lane.body, CONNECTIONS, scale.warm_up_s, scale.duration_s, lane.header)
    before_s = lane.server.cpu_s()
    result = _run_load(job)
    if result.failed:
        raise RuntimeError(f"{lane.name}: {result.failed} of {result.requests} requests failed")
    asked = result.per_second * (scale.warm_up_s + scale.duration_s)
    return Sample(result, 1e6 * (lane.server.cpu_s() - before_s) / asked)


def write_once(address: str, keys: list[str], patience_s: float) -> None:
    """PUT each of `keys` once, as fast as 32 clients can. Raises RuntimeError if a write failed or is missing."""
    result = _run_load(Job(address, "PUT", keys, BODY, CONNECTIONS, 0.0, patience_s, repeat=False))
    if result.failed or result.requests != len(keys):
        raise RuntimeError(f"{result.requests} of {len(keys)} writes, {result.failed} failed")


def read_once(address: str, keys: list[str], patience_s: float) -> None:
    """GET each of `keys` once, as fast as 32 clients can. Raises RuntimeError if one is missing."""
    result = _run_load(Job(address, "GET", keys, None, CONNECTIONS, 0.0, patience_s, repeat=False))
    if result.failed or result.requests != len(keys):
        raise RuntimeError(f"{result.requests} of {len(keys)} keys read, {result.failed} not there")


def any_keys(number: int) -> list[str]:
    """Of 20 bytes each, always the same."""
    return list(islice(_all_keys(), number))


def keys_of(owner: str, view: str) -> list[str]:
    """Keys that `owner` owns under the first view of these nodes."""
    ring = Ring(first_placement(parse_nodes(view), None))
    return list(islice((key for key in _all_keys() if ring.owners(partition_of(key.encode()))[0] == owner), KEYS))


def _all_keys() -> Iterator[str]:
    return (f"key-{index:016d}" for index in count())


def _run_load(job: Job) -> Result:
    output = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
        timeout=job.warm_up_s + job.duration_s + GRACE_S,
    ).stdout
    return msgspec.json.decode(output, type=Result)

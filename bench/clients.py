"""What is measured of the Python client, beside plain aiohttp calls to a node by chance, in alternation."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec

from bench.calls import INTRODUCTIONS_S, Job
from bench.figures import Figure
from bench.lanes import CONNECTIONS, GRACE_S, KEYS, any_keys, write_once
from bench.load import Result
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, ROOT, free_addresses, node_env, server

NODES = 3
TARGET = 1.5
METHODS: tuple[Literal["GET", "PUT"], ...] = ("GET", "PUT")


def clients(scale: Scale, directory: Path) -> Iterator[Figure]:
    """GET and PUT by one process, of keys that live on three nodes."""
    addresses = free_addresses(NODES)
    view, keys = ",".join(addresses), any_keys(KEYS)
    with ExitStack() as stack:
        for address in addresses:
            stack.enter_context(server("node", address, node_env(view, directory / address), KEY_COUNT))
        write_once(addresses[0], keys, GRACE_S)
        for method in METHODS:
            ours, plain = list[Result](), list[Result]()
            for _ in range(scale.rounds):
                plain.append(sample("aiohttp", method, addresses, keys, scale))
                ours.append(sample("kvs", method, addresses, keys, scale))
            yield share(method, ours, plain)


def share(method: str, ours: list[Result], plain: list[Result]) -> Figure:
    """The median of the shares of each round: a machine that is slow in one of them is slow for both."""
    value = statistics.median(mine.per_second / theirs.per_second for mine, theirs in zip(ours, plain, strict=True))
    rate, p50, p99 = (
        statistics.median(of)
        for of in zip(*((each.per_second, each.p50_ms, each.p99_ms) for each in ours), strict=True)
    )
    detail = f"{rate:,.0f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return Figure(f"{method} by kvs.AsyncClient", value, "of plain aiohttp calls", TARGET, False, detail)


def sample(
    client: Literal["kvs", "aiohttp"],
    method: Literal["GET", "PUT"],
    addresses: list[str],
    keys: list[str],
    scale: Scale,
) -> Result:
    """Calls for `keys` at random, 32 at a time, by one process. Raises CalledProcessError if one fails."""
    value = msgspec.json.decode(VALUE, type=str)
    job = Job(client, addresses, method, keys, value, CONNECTIONS, scale.warm_up_s, scale.duration_s)
    output = subprocess.run(
        [sys.executable, "-m", "bench.calls"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
        timeout=INTRODUCTIONS_S + job.warm_up_s + job.duration_s + GRACE_S,
    ).stdout
    return msgspec.json.decode(output, type=Result)

"""What is measured, and how. Figures that the targets compare come from one interleaved run: a machine that is slow
for a while is slow for both sides of a ratio, and the median of the rounds forgets the one in which it was slow for
one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.figures import Figure
from bench.load import Job, Result
from bench.scale import MB, VALUE, Scale
from bench.servers import ROOT, Server, fill, free_addresses, node_env, server
from gossip.view import parse_nodes
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

CONNECTIONS = 32
KEYS = 2_000
"""That the requests go round; enough that none is asked for twice at the same time."""
GRACE_S = 10.0
"""For the load's process to start and to end."""
KEY_COUNT = "/kvs/key-count"


class Lane(NamedTuple):
    """One of the things that are compared: requests of one kind to one server."""

    name: str
    server: Server
    body: str | None
    yardstick: str | None = None
    target: float | None = None
    """Of its rate, as a share of the yardstick's."""


class Sample(NamedTuple):
    result: Result
    cpu_us: float
    """Processor time of the asked server per request."""


def speed(scale: Scale, directory: Path) -> Iterator[Figure]:
    """GET and PUT at the owner and through another node, as shares of what a bare application does."""
    bare_address, owner_address, other_address = free_addresses(3)
    view = f"{owner_address},{other_address}"
    keys = _keys_of(owner_address, view)
    for name in ("owner", "other"):
        (directory / name).mkdir()
    fill(directory / "owner", keys, VALUE)
    with ExitStack() as stack:
        bare = stack.enter_context(server("bench.bare", bare_address, {"VALUE": VALUE}, f"/kvs/keys/{keys[0]}"))
        owner, other = (
            stack.enter_context(server("node", address, node_env(view, directory / name), KEY_COUNT))
            for address, name in ((owner_address, "owner"), (other_address, "other"))
        )
        body = f'{{"value":{VALUE}}}'
        lanes = [
            Lane("bare GET", bare, None),
            Lane("GET at the owner", owner, None, "bare GET", 0.8),
            Lane("GET forwarded", other, None, "bare GET", 0.6),
            Lane("bare PUT", bare, body),
            Lane("durable PUT at the owner", owner, body, "bare PUT", 0.75),
            Lane("durable PUT forwarded", other, body, "bare PUT", 0.5),
        ]
        other.serving_after(f"/kvs/keys/{keys[-1]}")
        samples: dict[str, list[Sample]] = {lane.name: [] for lane in lanes}
        for _ in range(scale.rounds):
            for lane in lanes:
                samples[lane.name].append(_sample(lane, keys, scale))
    for lane in lanes:
        yield from _compared(lane, samples)


def copies(scale: Scale, directory: Path) -> Iterator[Figure]:
    """GET and PUT at one of two nodes that hold the same, as shares of what a node alone does."""
    alone_address, one_address, other_address = free_addresses(3)
    pair = f"{one_address},{other_address}"
    keys = [f"key-{number:016d}" for number in range(KEYS)]
    for name in ("alone", "one", "other"):
        (directory / name).mkdir()
        fill(directory / name, keys, VALUE)
    with ExitStack() as stack:
        alone = stack.enter_context(
            server("node", alone_address, node_env(alone_address, directory / "alone"), KEY_COUNT)
        )
        one, _ = (
            stack.enter_context(
                server("node", address, {**node_env(pair, directory / name), "REPL_FACTOR": "2"}, KEY_COUNT)
            )
            for address, name in ((one_address, "one"), (other_address, "other"))
        )
        body = f'{{"value":{VALUE}}}'
        lanes = [
            Lane("GET of one copy", alone, None),
            Lane("GET of two copies", one, None, "GET of one copy", 0.95),
            Lane("durable PUT of one copy", alone, body),
            Lane("durable PUT of two copies", one, body, "durable PUT of one copy", 0.5),
        ]
        one.serving_after(f"/kvs/keys/{keys[-1]}")
        samples: dict[str, list[Sample]] = {lane.name: [] for lane in lanes}
        for _ in range(scale.rounds):
            for lane in lanes:
                samples[lane.name].append(_sample(lane, keys, scale))
    for lane in lanes:
        yield from _compared(lane, samples)


def many_keys(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Memory and restart of a node with very many keys of 20 bytes."""
    (address,) = free_addresses(1)
    keys = [f"key-{number:016d}" for number in range(scale.many_keys)]
    fill(directory, keys, VALUE)
    env = node_env(address, directory)
    with server("node", address, env, f"/kvs/keys/{keys[0]}"):
        pass
    with server("node", address, env) as node:
        restart_s = node.serving_after(f"/kvs/keys/{keys[0]}")
        some = keys[:: len(keys) // min(len(keys), 50_000)]
        for body in (None, f'{{"value":{VALUE}}}'):
            _sample(Lane("", node, body), some, scale)
        counted = f"{len(keys):,} keys of 20 + 100 bytes"
        yield Figure(
            "anonymous memory",
            node.anonymous_bytes() / MB,
            "MB",
            150,
            True,
            f"{counted}, after reads and writes",
        )
        yield Figure("restart to serving", restart_s, "s", 2, True, counted)


def handover(scale: Scale, directory: Path) -> Iterator[Figure]:
    """A view change from one node to another, without load."""
    old, new = free_addresses(2)
    keys = [f"key-{number:016d}" for number in range(scale.moved_keys)]
    for name in ("old", "new"):
        (directory / name).mkdir()
    fill(directory / "old", keys, VALUE)
    with (
        server("node", old, node_env(old, directory / "old"), f"/kvs/keys/{keys[0]}"),
        server("node", new, node_env(old, directory / "new"), f"/kvs/keys/{keys[0]}"),
    ):
        request = urllib.request.Request(
            f"http://{old}/kvs/view-change", msgspec.json.encode({"view": new}), method="PUT"
        )
        began = time.perf_counter()
        with urllib.request.urlopen(request) as response:
            answer = msgspec.json.decode(response.read())
        seconds = time.perf_counter() - began
    counted = {entry["address"]: entry["key-count"] for entry in answer["shards"]}
    if counted != {new: len(keys)}:
        raise RuntimeError(f"keys were lost on the way: {counted}")
    yield Figure("handing over", len(keys) / seconds, "keys/s", 30_000, False, f"{len(keys):,} keys to another node")


def _keys_of(owner: str, view: str) -> list[str]:
    """Keys that `owner` owns under the first view of these nodes."""
    ring = Ring(first_placement(parse_nodes(view), None))
    keys: list[str] = []
    number = 0
    while len(keys) < KEYS:
        key = f"key-{number:016d}"
        if ring.owners(partition_of(key.encode()))[0] == owner:
            keys.append(key)
        number += 1
    return keys


def _sample(lane: Lane, keys: list[str], scale: Scale) -> Sample:
    method = "GET" if lane.body is None else "PUT"
    job = Job(lane.server.address, method, keys, lane.body, CONNECTIONS, scale.warm_up_s, scale.duration_s)
    before_s = lane.server.cpu_s()
    output = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
        timeout=scale.warm_up_s + scale.duration_s + GRACE_S,
    ).stdout
    result = msgspec.json.decode(output, type=Result)
    if result.failed:
        raise RuntimeError(f"{lane.name}: {result.failed} of {result.requests} requests failed")
    asked = result.per_second * (scale.warm_up_s + scale.duration_s)
    return Sample(result, 1e6 * (lane.server.cpu_s() - before_s) / asked)


def _compared(lane: Lane, samples: dict[str, list[Sample]]) -> Iterator[Figure]:
    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, samples[lane.name]))

    rate = median(lambda sample: sample.result.per_second)
    detail = (
        f"{rate:,.0f} requests/s, p50 {median(lambda sample: sample.result.p50_ms):.1f} ms, "
        f"p99 {median(lambda sample: sample.result.p99_ms):.1f} ms, "
        f"{median(lambda sample: sample.cpu_us):.0f} us of CPU each"
    )
    if lane.yardstick is None:
        yield Figure(lane.name, rate, "requests/s", detail=detail.partition(", ")[2])
        return
    pairs = zip(samples[lane.name], samples[lane.yardstick], strict=True)
    share = statistics.median(mine.result.per_second / theirs.result.per_second for mine, theirs in pairs)
    yield Figure(lane.name, share, f"of {lane.yardstick}", lane.target, False, detail)

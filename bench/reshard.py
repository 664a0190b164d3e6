"""`python -m bench.reshard`: how long a change of view takes, what clients feel of it, and what it costs.

Each course starts with nodes that hold all keys, and changes the view step by step: once at rest, once beside clients
that ask at a fixed rate, and once, with fewer keys, behind relays that count what passes between the nodes. At the end
every key is read. One that is missing, a count that is not exact, a request that failed, or a read of something old
ends the whole with an error. Beside it, where it is installed, Redis Cluster makes the same first move.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import redis_cluster
from bench.figures import Figure, table
from bench.lanes import any_keys, read_once
from bench.relay import Count, relays
from bench.scale import MB, VALUE, VALUE_RUN
from bench.servers import ROOT, Server, fill, free_addresses, server, status_of, wait_until
from bench.steady import Job, Phase
from bench.tables import show
from gossip.view import host_of, port_of
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import PARTITIONS, partition_of
from ring.placement import first_placement
from ring.ring import Ring

PATIENCE_S = 600.0
CALM_S = 10.0
"""How long clients ask at rest, to have something to compare with."""
STEADY_KEYS = 5_000
"""Some of those that move, which the clients at a fixed rate count up."""
SAMPLE_S = 0.02
RECORD_BYTES = len(Record(make_version(1, 1), VALUE.encode(), False).encode())


class Course(NamedTuple):
    name: str
    sizes: tuple[int, ...]
    """How many nodes the view has, step by step."""
    repl_factor: int | None


COURSES = (Course("one copy", (2, 3, 5, 2), None), Course("two copies", (4, 6, 4), 2))


class Scale(NamedTuple):
    keys: int
    keys_counted: int
    """Where the bytes are counted."""
    per_second: float


FULL = Scale(1_000_000, 200_000, 500.0)
QUICK = Scale(20_000, 10_000, 200.0)


class Cluster(NamedTuple):
    nodes: list[Server]
    asked: list[str]
    """Where each of them takes requests: not its address, if that is a relay's."""


@contextmanager
def cluster(
    course: Course, keys: Sequence[str], directory: Path, addresses: Sequence[str], *, behind_relays: bool = False
) -> Iterator[Cluster]:
    """All the nodes that the course will need, at `addresses`; the first ones hold the keys."""
    first = addresses[: course.sizes[0]]
    ring = Ring(first_placement(first, course.repl_factor))
    owned: dict[str, list[str]] = {address: [] for address in addresses}
    for key in keys:
        for owner in ring.owners(partition_of(key.encode())):
            owned[owner].append(key)
    with ExitStack() as stack:
        nodes = []
        for number, address in enumerate(addresses):
            home = directory / str(number)
            home.mkdir()
            fill(home, owned[address], VALUE)
            env = {"VIEW": ",".join(first), "DATA_DIR": str(home)}
            if course.repl_factor is not None:
                env["REPL_FACTOR"] = str(course.repl_factor)
            if behind_relays:
                env["BIND"] = host_of(_behind(address))
            nodes.append(stack.enter_context(server("node", address, env)))
        asked = [_behind(address) if behind_relays else address for address in addresses]
        for address in asked:
            wait_until(lambda address=address: _is_settled(address), PATIENCE_S)  # type: ignore[misc]
        yield Cluster(nodes, asked)


def _behind(address: str) -> str:
    """Where the node of this address listens, behind its relay."""
    return f"127.0.0.2:{port_of(address)}"


def _is_settled(address: str) -> bool:
    return bool(status_of(address)["state"] == "settled")


def change(running: Cluster, size: int, keys: int) -> float:
    """Make the first `size` nodes the view; the seconds that it took. Raises RuntimeError unless the counts are
    exact."""
    view = ",".join(node.address for node in running.nodes[:size])
    request = urllib.request.Request(
        f"http://{running.asked[0]}/kvs/view-change", msgspec.json.encode({"view": view}), method="PUT"
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        answer = msgspec.json.decode(response.read())
    seconds = time.perf_counter() - began
    counted = sum(shard["key-count"] for shard in answer["shards"])
    if counted != keys:
        raise RuntimeError(f"{counted} keys after the change to {size} nodes, not {keys}")
    return seconds


def owners(address: str) -> list[frozenset[str]]:
    """Of each partition, as the node says."""
    with urllib.request.urlopen(f"http://{address}/kvs/ring") as response:
        ring = msgspec.json.decode(response.read())
    replicas = {shard["shard-id"]: frozenset(shard["replicas"]) for shard in ring["shards"]}
    return [replicas[shard] for first, last, shard in ring["ranges"] for _ in range(first, last + 1)]


@contextmanager
def steady(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    """Clients that ask at a fixed rate; see `begin` and `ended`."""
    clients = subprocess.Popen(
        [sys.executable, "-m", "bench.steady"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert clients.stdin is not None
    try:
        clients.stdin.write(msgspec.json.encode(job) + b"\n")
        clients.stdin.flush()
        yield clients
    finally:
        clients.kill()
        clients.wait()


def begin(clients: subprocess.Popen[bytes], phase: str) -> None:
    assert clients.stdin is not None
    clients.stdin.write(f"{phase}\n".encode())
    clients.stdin.flush()


def ended(clients: subprocess.Popen[bytes]) -> dict[str, Phase]:
    """All phases, by their names, once no request is under way. Raises RuntimeError if one failed."""
    output, _ = clients.communicate(timeout=PATIENCE_S)
    phases = msgspec.json.decode(output, type=list[Phase])
    faults = [fault for phase in phases for fault in phase.faults]
    if faults:
        failed, wrong = sum(phase.failed for phase in phases), sum(phase.wrong for phase in phases)
        raise RuntimeError(f"{failed} requests failed, {wrong} were answered wrongly: {faults[0]}")
    return {phase.name: phase for phase in phases}


class Memory:
    """The most anonymous memory that any of the nodes has had above what it had at the start, while the block runs."""

    def __init__(self, nodes: Sequence[Server]) -> None:
        self._before = {node: node.anonymous_bytes() for node in nodes}
        self.above_bytes = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            for node, before in self._before.items():
                self.above_bytes = max(self.above_bytes, node.anonymous_bytes() - before)


def at_rest(course: Course, scale: Scale, directory: Path) -> Iterator[Figure]:
    """Nobody asks anything meanwhile."""
    keys = any_keys(scale.keys)
    addresses = free_addresses(max(course.sizes))
    with cluster(course, keys, directory, addresses) as running, Memory(running.nodes) as memory:
        for before, after in _steps(course):
            seconds = change(running, after, len(keys))
            yield Figure(f"{course.name}, {before} -> {after}", seconds, "s", detail=f"{len(keys):,} keys, at rest")
        read_once(running.asked[0], keys, PATIENCE_S)
    yield Figure(
        f"{course.name}: memory", memory.above_bytes / MB, "MB", 64, True, "anonymous, above that at rest, at most"
    )


def under_load(course: Course, scale: Scale, directory: Path) -> Iterator[Figure]:
    """Clients ask at a fixed rate, and no request may fail."""
    keys = any_keys(scale.keys)
    with cluster(course, keys, directory, free_addresses(max(course.sizes))) as running:
        with steady(Job(running.asked, keys[:: len(keys) // STEADY_KEYS], scale.per_second)) as clients:
            begin(clients, "calm")
            time.sleep(CALM_S)
            took = []
            for before, after in _steps(course):
                begin(clients, f"{before} -> {after}")
                took.append(change(running, after, len(keys)))
            begin(clients, "last")
            phases = ended(clients)
        read_once(running.asked[0], keys, PATIENCE_S)
    calm_ms = phases["calm"].percentile_ms(0.99)
    for (before, after), seconds in zip(_steps(course), took, strict=True):
        phase = phases[f"{before} -> {after}"]
        if phase.requests:
            yield Figure(
                f"{course.name}, {before} -> {after}: p99",
                phase.percentile_ms(0.99) / calm_ms,
                "of that in calm",
                3.0,
                True,
                f"{phase.percentile_ms(0.99):.1f} ms and {calm_ms:.1f} ms, {scale.per_second:.0f} requests/s, half of "
                f"them writes; {phase.requests} in {seconds:.1f} s, none failed",
            )


def counted(course: Course, scale: Scale, directory: Path) -> Iterator[Figure]:
    """What passes between the nodes at rest, and what has to. A record is known by its value."""
    keys = any_keys(scale.keys_counted)
    per_partition = [0] * PARTITIONS
    for key in keys:
        per_partition[partition_of(key.encode())] += 1
    with _relayed_cluster(course, keys, directory) as (running, between):
        for before, after in _steps(course):
            owned, passed, values = owners(running.asked[0]), between.passed_bytes, between.passed_values
            change(running, after, len(keys))
            passed, values = between.passed_bytes - passed, between.passed_values - values
            gained = [len(new - old) for old, new in zip(owned, owners(running.asked[0]), strict=True)]
            records = sum(count * copies for count, copies in zip(per_partition, gained, strict=True))
            if values < records:
                raise RuntimeError(f"{values} records were seen to pass, and {records} must have")
            must = records * (len(keys[0]) + RECORD_BYTES)
            yield Figure(
                f"{course.name}, {before} -> {after}: records",
                values / records,
                "of those that must",
                1.02,
                True,
                f"{values:,} passed between the nodes, {records:,} must",
            )
            yield Figure(
                f"{course.name}, {before} -> {after}: bytes",
                passed / must,
                "of those that must",
                detail=f"{passed / MB:.1f} MB passed between the nodes, both ways; {records:,} records must",
            )


@contextmanager
def _relayed_cluster(course: Course, keys: Sequence[str], directory: Path) -> Iterator[tuple[Cluster, Count]]:
    with ExitStack() as stack:
        addresses = free_addresses(max(course.sizes))
        between = stack.enter_context(relays({address: _behind(address) for address in addresses}, VALUE_RUN))
        yield stack.enter_context(cluster(course, keys, directory, addresses, behind_relays=True)), between


def beside_redis(scale: Scale) -> Iterator[Figure]:
    if not redis_cluster.is_installed():
        print("redis-server and redis-cli are not installed: nothing to compare with", file=sys.stderr)
        return
    ports = [port_of(address) for address in free_addresses(3)]
    seconds, count = redis_cluster.seconds_to_move_a_third(ports, any_keys(scale.keys), VALUE)
    yield Figure("Redis Cluster, 2 -> 3", seconds, "s", detail=f"{count:,} keys moved by 100, nothing on disk")


def _steps(course: Course) -> list[tuple[int, int]]:
    return list(pairwise(course.sizes))


MEASURES = (at_rest, under_load, counted)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench.reshard", description="Measure changes of view, at rest and under load."
    )
    parser.add_argument("--quick", action="store_true", help="few keys: a smoke test")
    parser.add_argument(
        "--only", nargs="+", choices=[measure.__name__ for measure in MEASURES], help="leave out the rest"
    )
    parser.add_argument("--dir", type=Path, default=ROOT / "data", help="where nodes keep their data")
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    scale, figures = QUICK if options.quick else FULL, list[Figure]()
    for measure in MEASURES:
        if options.only is None or measure.__name__ in options.only:
            for course in COURSES:
                with tempfile.TemporaryDirectory(dir=options.dir, prefix="bench-") as directory:
                    figures += measure(course, scale, Path(directory))
                    print(f"{measure.__name__}, {course.name}: done", file=sys.stderr)
    show(table(figures + list(beside_redis(scale))))


if __name__ == "__main__":
    main()

"""What is measured of the store beside a bare application, and of one copy beside two."""

from __future__ import annotations

import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from bench.figures import Figure
from bench.lanes import BODY, KEYS, Lane, Sample, any_keys, keys_of, sample
from bench.scale import MB, VALUE, Scale
from bench.servers import KEY_COUNT, fill, free_addresses, node_env, server
from gossip.view import parse_nodes
from ring.placement import first_placement


def speed(scale: Scale, directory: Path) -> Iterator[Figure]:
    """GET and PUT at the owner and through another node, as shares of what a bare application does."""
    bare_address, owner_address, other_address = free_addresses(3)
    view = f"{owner_address},{other_address}"
    keys = keys_of(owner_address, view)
    for name in ("owner", "other"):
        (directory / name).mkdir()
    fill(directory / "owner", keys, VALUE)
    with ExitStack() as stack:
        bare = stack.enter_context(server("bench.bare", bare_address, {"VALUE": VALUE}, f"/kvs/keys/{keys[0]}"))
        owner, other = (
            stack.enter_context(server("node", address, node_env(view, directory / name), KEY_COUNT))
            for address, name in ((owner_address, "owner"), (other_address, "other"))
        )
        lanes = [
            Lane("bare GET", bare, None),
            Lane("GET at the owner", owner, None, "bare GET", 0.8),
            Lane("GET forwarded", other, None, "bare GET", 0.6),
            Lane("bare PUT", bare, BODY),
            Lane("durable PUT at the owner", owner, BODY, "bare PUT", 0.75),
            Lane("durable PUT forwarded", other, BODY, "bare PUT", 0.5),
        ]
        other.serving_after(f"/kvs/keys/{keys[-1]}")
        samples = _in_turn(lanes, keys, scale)
    for lane in lanes:
        yield _figure(lane, samples)


def copies(scale: Scale, directory: Path) -> Iterator[Figure]:
    """GET and PUT at one of two nodes that hold the same, as shares of what a node alone does. That one is the first
    owner of all keys."""
    alone_address, one_address, other_address = free_addresses(3)
    pair = f"{one_address},{other_address}"
    ((one_address, other_address),) = first_placement(parse_nodes(pair), 2).shards
    keys = any_keys(KEYS)
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
        lanes = [
            Lane("GET of one copy", alone, None),
            Lane("GET of two copies", one, None, "GET of one copy", 0.95),
            Lane("durable PUT of one copy", alone, BODY),
            Lane("durable PUT of two copies", one, BODY, "durable PUT of one copy", 0.5),
            Lane("conditional PUT of two copies", one, BODY, "durable PUT of two copies", 0.7, "If-Match: *"),
        ]
        one.serving_after(f"/kvs/keys/{keys[-1]}")
        samples = _in_turn(lanes, keys, scale)
    for lane in lanes:
        yield _figure(lane, samples)


def many_keys(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Memory and restart of a node with very many keys of 20 bytes."""
    (address,) = free_addresses(1)
    keys = any_keys(scale.many_keys)
    fill(directory, keys, VALUE)
    env = node_env(address, directory)
    with server("node", address, env, f"/kvs/keys/{keys[0]}"):
        pass
    with server("node", address, env) as node:
        restart_s = node.serving_after(f"/kvs/keys/{keys[0]}")
        some = keys[:: len(keys) // min(len(keys), 50_000)]
        for body in (None, BODY):
            sample(Lane("", node, body), some, scale)
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
    keys = any_keys(scale.moved_keys)
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


def _in_turn(lanes: list[Lane], keys: list[str], scale: Scale) -> dict[str, list[Sample]]:
    """Of each lane, by its name, a sample for each round."""
    samples: dict[str, list[Sample]] = {lane.name: [] for lane in lanes}
    for _ in range(scale.rounds):
        for lane in lanes:
            samples[lane.name].append(sample(lane, keys, scale))
    return samples


def _figure(lane: Lane, samples: dict[str, list[Sample]]) -> Figure:
    """Its rate, or, where it has a yardstick, its share of that one's: each the median of the rounds."""

    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, samples[lane.name]))

    rate = median(lambda each: each.result.per_second)
    taken = (
        f"p50 {median(lambda each: each.result.p50_ms):.1f} ms, "
        f"p99 {median(lambda each: each.result.p99_ms):.1f} ms, "
        f"{median(lambda each: each.cpu_us):.0f} us of CPU each"
    )
    if lane.yardstick is None:
        return Figure(lane.name, rate, "requests/s", detail=taken)
    pairs = zip(samples[lane.name], samples[lane.yardstick], strict=True)
    share = statistics.median(mine.result.per_second / theirs.result.per_second for mine, theirs in pairs)
    return Figure(lane.name, share, f"of {lane.yardstick}", lane.target, False, f"{rate:,.0f} requests/s, {taken}")

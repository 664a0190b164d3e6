"""What a thousand clients that watch through a node cost those who put: each watches keys of its own, and all that is
put is told to one of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.audience import Job, watching
from bench.figures import Figure
from bench.lanes import BODY, Lane, any_keys, sample
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, fill, free_addresses, node_env, server

WATCHERS = 1000


def watchers(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Durable PUTs at a node through which a thousand clients watch, as a share of those at one through which nobody
    does, nor has before: it would listen to itself for a while yet."""
    keys, shares, rates, told = any_keys(WATCHERS), list[float](), list[float](), 0
    with ExitStack() as stack:
        lanes = []
        for name in ("alone", "watched"):
            (address,) = free_addresses(1)
            (directory / name).mkdir()
            fill(directory / name, keys, VALUE)
            node = stack.enter_context(server("node", address, node_env(address, directory / name), KEY_COUNT))
            node.serving_after(f"/kvs/keys/{keys[-1]}")
            lanes.append(Lane(f"durable PUT, {name}", node, BODY))
        lane_alone, lane_watched = lanes
        for _ in range(scale.rounds):
            alone = sample(lane_alone, keys, scale).result.per_second
            with watching(Job(lane_watched.server.address, keys)) as events:
                watched = sample(lane_watched, keys, scale).result.per_second
                told += events()
            shares.append(watched / alone)
            rates.append(watched)
    taken = f"{statistics.median(rates):,.0f} requests/s; {told:,} events were told"
    yield Figure("durable PUT beside 1,000 watchers", statistics.median(shares), "of durable PUT", 0.5, False, taken)

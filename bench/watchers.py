"""What a thousand clients that watch through a node cost those who put: each watches keys of its own, and all that is
put is told to one of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from bench.audience import Job, watching
from bench.figures import Figure
from bench.lanes import BODY, Lane, any_keys, sample
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, fill, free_addresses, node_env, server

WATCHERS = 1000


def watchers(scale: Scale, directory: Path) -> Iterator[Figure]:
    """Durable PUTs at a node through which a thousand clients watch, as a share of those without, in alternation."""
    (address,) = free_addresses(1)
    keys = any_keys(WATCHERS)
    fill(directory, keys, VALUE)
    with server("node", address, node_env(address, directory), KEY_COUNT) as node:
        node.serving_after(f"/kvs/keys/{keys[-1]}")
        lane, shares, rates, told = Lane("durable PUT", node, BODY), list[float](), list[float](), 0
        for _ in range(scale.rounds):
            alone = sample(lane, keys, scale).result.per_second
            with watching(Job(address, keys)) as events:
                watched = sample(lane, keys, scale).result.per_second
                told += events()
            shares.append(watched / alone)
            rates.append(watched)
    taken = f"{statistics.median(rates):,.0f} requests/s; {told:,} events were told"
    yield Figure("durable PUT beside 1,000 watchers", statistics.median(shares), "of durable PUT", 0.5, False, taken)

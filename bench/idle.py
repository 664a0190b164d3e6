"""What a cluster costs while nobody asks it anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.figures import Figure
from bench.scale import Scale
from bench.servers import free_addresses, node_env, server, status_of, wait_until

NODES = 5
PATIENCE_S = 30.0


def idle(scale: Scale, directory: Path) -> Iterator[Figure]:
    """The share of one processor that each of five nodes takes, with two copies of each shard."""
    addresses = free_addresses(NODES)
    with ExitStack() as stack:
        nodes = []
        for number, address in enumerate(addresses):
            env = {**node_env(",".join(addresses), directory / str(number)), "REPL_FACTOR": "2"}
            nodes.append(stack.enter_context(server("node", address, env)))
        for node in nodes:
            wait_until(partial(_is_settled, node.address), PATIENCE_S)
        time.sleep(scale.settling_s)
        began, before_s = time.monotonic(), [node.cpu_s() for node in nodes]
        time.sleep(scale.idle_s)
        seconds = time.monotonic() - began
        shares = [(node.cpu_s() - used_s) / seconds for node, used_s in zip(nodes, before_s, strict=True)]
    yield Figure(
        "idle node",
        100 * max(shares),
        "% of a core",
        3,
        True,
        f"the busiest of {NODES}, two copies, {scale.idle_s:.0f} s; mean {100 * sum(shares) / NODES:.1f}%",
    )


def _is_settled(address: str) -> bool:
    return bool(status_of(address)["state"] == "settled")

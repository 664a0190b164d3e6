"""`kvs top`: what every node does, again and again, until Ctrl-C."""

# ruff: noqa: PLC0415

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from kvs.ending import output_option
from kvs.live import keep_showing
from kvs.params import Addresses, DurationParam

if TYPE_CHECKING:
    from kvs.operating import Operator
    from kvs.rates import Sample
    from kvs.responses import NodeStatus, Top, TopNode

NODES_AT_ONCE = 16
"""How many nodes are asked at the same time."""
NODE_S = 2.0
"""For one of them to answer."""


@click.command()
@click.option("--interval", type=DurationParam(), default="1", show_default="1s", help="Between two looks.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many looks; else with Ctrl-C.")
@output_option
@click.pass_obj
def top(endpoints: Addresses, interval: float, count: int | None, output: str) -> None:
    """Show what each node does: requests for keys a second, how long they take, keys.

    What operators ask is not counted, as this command does itself. The first look has no rates yet. With -o json,
    each look is one JSON document on a line of its own. With --count, it ends with 3 if no node answers the last look.
    """
    keep_showing(endpoints, Watch().look, output, interval, count)


class Watch:
    """One look after the other, each compared with the one before it."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, Sample | None]] = {}
        """What each node had counted, and when (monotonic)."""

    async def look(self, client: Operator) -> Top:
        """Raises KvsError if no endpoint answers."""
        import asyncio

        from kvs.responses import Top

        status = await client.status()
        turns = asyncio.Semaphore(NODES_AT_ONCE)

        async def look_at(node: NodeStatus) -> TopNode:
            async with turns:
                return await self._look_at(client, node)

        nodes = [node for node in status.nodes if node.member or node.state == "alive"]
        seen = tuple(await asyncio.gather(*map(look_at, nodes)))
        known = [node.ops_per_second for node in seen if node.ops_per_second is not None]
        problems = len(status.problems)
        return Top(time.time(), round(sum(known), 1) if known else None, problems, seen)

    async def _look_at(self, client: Operator, node: NodeStatus) -> TopNode:
        from kvs.rates import rates_between, sample_of
        from kvs.responses import TopNode

        text = await _metrics_of(client.of_one(node.address))
        now, sample = time.monotonic(), None if text is None else sample_of(text)
        before_at, before = self._before.get(node.address, (now, None))
        self._before[node.address] = now, sample
        rates = rates_between(before, sample, now - before_at)
        state = node.state if text is not None or node.state == "dead" else "silent"
        return TopNode(node.address, state, node.key_count, *(_rounded(rate) for rate in rates))


async def _metrics_of(client: Operator) -> str | None:
    """None: it does not answer. Empty: it counts nothing, as releases before this one."""
    from kvs.errors import KvsError

    try:
        async with client:
            return await client.metrics(NODE_S)
    except KvsError:
        return None


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)

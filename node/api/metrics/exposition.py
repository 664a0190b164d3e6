"""`/metrics`: all figures of a node, as text, made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from node.api.health import HealthApi
from node.api.metrics.sources import of_build, of_health, of_loop, of_members, of_requests, of_store, of_views
from node.api.tally import Tally
from node.node import Node
from node.timing.turns import Turns


class NodeCollector(Collector):
    def __init__(self, node: Node, health: HealthApi, turns: Turns, tally: Tally) -> None:
        self._node = node
        self._health = health
        self._turns = turns
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        yield from of_build()
        yield from of_requests(self._tally)
        yield from of_health(self._health.checks())
        yield from of_store(self._node)
        yield from of_views(self._node)
        yield from of_members(self._node)
        yield from of_loop(self._turns)

    def describe(self) -> Iterator[Metric]:
        """Nothing: it would be collected once to learn the names, before there is anything to collect."""
        return iter(())


class MetricsApi:
    def __init__(self, node: Node, health: HealthApi, turns: Turns, tally: Tally) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(NodeCollector(node, health, turns, tally))
        ProcessCollector(registry=self._registry)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

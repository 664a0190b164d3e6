"""Two nodes in one view, and the shapes that requests to them share."""

from __future__ import annotations

import json
import time
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from aiohttp import web

from gossip.view import Address
from node.api.admission import Admission
from node.api.app import make_app
from node.api.data import DataApi
from node.api.request_log import RequestLog
from node.api.tally import Tally
from node.limits import Limits
from node.net.handshake import PATH as PEER
from node.net.pool import Peers
from node.timing.turns import Turns
from tests.cluster import Client, Cluster

A_VALUE = b'{"value":1}'


class TwoNodes(NamedTuple):
    """Two nodes, in one view."""

    http: Client
    cluster: Cluster
    nodes: list[Address]

    def owner(self, raw_key: str) -> Address:
        return self.cluster.nodes[self.nodes[0]].router.owners(unquote_to_bytes(raw_key))[0]

    def other(self, node: Address) -> Address:
        return next(other for other in self.nodes if other != node)

    async def prepare(self, raw_key: str, held: bytes | None) -> None:
        """Make `held` the value of the key, None: no value."""
        path = f"/kvs/keys/{raw_key}"
        await self.http.ask(self.owner(raw_key), "DELETE", path)
        if held is not None:
            assert (await self.http.ask(self.owner(raw_key), "PUT", path, b'{"value":%b}' % held)).status == 201


def routes_of(two: TwoNodes) -> set[tuple[str, str]]:
    """Path and method of each route of a node, but HEAD, and what is for other nodes."""
    node = two.cluster.nodes[two.nodes[0]]
    assert isinstance(node.transport, Peers)
    turns, requests = Turns(3600.0, time.monotonic), RequestLog(time.monotonic, 0.0)
    admission = Admission(Limits(), time.monotonic)
    app = make_app(node, DataApi(node.config, node.router), node.transport, turns, Tally(), requests, admission)
    turns.close()
    return {path_and_method(route) for route in app.router.routes()} - {(PEER, "GET")}


def path_and_method(route: web.AbstractRoute) -> tuple[str, str]:
    assert route.resource is not None
    return route.resource.canonical, "GET" if route.method == "HEAD" else route.method


def fault(error: str, method: str) -> bytes:
    return f'{{"error":"{error}","message":"Error in {method}"}}'.encode()


def with_context(body: bytes | None, context: bytes | None) -> bytes | None:
    if context is None:
        return body
    fields = (body or b"{}").strip()[1:-1]
    return b"{" + fields + (b"," if fields else b"") + b'"causal-context":' + context + b"}"


def counts(message: str, **fields: object) -> dict[str, object]:
    return {"message": message} | {name.replace("_", "-"): value for name, value in fields.items()}


def same(body: bytes, expected: object) -> bool:
    """Equal, with the fields in the same order."""
    return json.dumps(json.loads(body)) == json.dumps(expected)


async def put_words(two: TwoNodes, count: int) -> None:
    for number in range(count):
        assert (await two.http.put(two.nodes[number % 2], f"word{number}", number)).status in (200, 201)


def shard_info(id_: str, count: int, replicas: list[Address]) -> dict[str, object]:
    return counts("Shard information retrieved successfully", shard_id=id_, key_count=count, replicas=replicas)

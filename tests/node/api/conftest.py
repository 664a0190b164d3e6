"""Two nodes for all the tests of a module; and a server of the short way in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
import pytest_asyncio
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from node.api.admission import Bounds
from node.api.app import json_errors, route_of
from node.api.data import BODY_BYTES_MAX, KEYS
from node.api.doors import Doors
from node.api.fastpath import FastPath
from node.api.limiting import limiting
from node.api.protocol import JsonProtocol
from node.api.request_log import RequestLog
from node.api.staleness import Staleness
from node.api.tally import Tally
from node.config import Config
from node.net.pool import Peers
from node.node import Node
from node.storage.identity import identify
from node.timing.turns import Turns
from tests.cluster import Cluster, client, fresh_addresses
from tests.node.api.short_way import EchoApi, Server, bounds_of
from tests.node.api.two_nodes import TwoNodes
from tests.node.fakes.clocks import SteadyTime
from tests.node.fakes.readiness import HandReadiness
from tests.node.storage.opening import open_store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoNodes]:
    nodes, cluster = fresh_addresses(2), Cluster(tmp_path_factory.mktemp("two"))
    async with client() as http:
        await cluster.start_all(nodes)
        yield TwoNodes(http, cluster, nodes)
        await cluster.close()


@pytest.fixture
def keepalive_s() -> float:
    return 60.0


@pytest.fixture
def descriptors() -> int:
    """That clients may have."""
    return 1 << 20


@pytest.fixture
def doors() -> Doors | None:
    return None


@pytest.fixture
def bounds() -> Bounds:
    return bounds_of()


@pytest.fixture
async def server(
    aiohttp_server: AiohttpServer, keepalive_s: float, descriptors: int, doors: Doors | None, bounds: Bounds
) -> AsyncIterator[Server]:
    api = EchoApi()
    middlewares = [json_errors, *([] if doors is None else [doors.check]), limiting(bounds.admission, route_of)]
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=middlewares)
    app.router.add_route("*", KEYS + "{key:.*}", api.handle)
    behind = (await aiohttp_server(app)).handler
    assert behind is not None
    loop, turns = asyncio.get_running_loop(), Turns(0.01, monotonic)
    staleness = Staleness(HandReadiness(), turns, monotonic, 1000.0)
    successor = partial(JsonProtocol, behind, staleness, bounds, loop=loop, access_log=None)
    requests = RequestLog(monotonic, 0.0)
    front = FastPath(api, staleness, successor, keepalive_s, descriptors, Tally(), requests, bounds.admission, doors)
    listening = await loop.create_server(front, "127.0.0.1", 0)
    yield Server(api, front, behind, listening.sockets[0].getsockname()[1])
    api.go.set()
    listening.close()
    await front.close()
    turns.close()


@pytest.fixture
async def idle_node(tmp_path: Path) -> AsyncIterator[Node]:
    """One of two, which does not run."""
    config, rng = Config.for_test("a:1", ("a:1", "b:1"), tmp_path), random.Random(1)
    with closing(open_store(tmp_path)) as store:
        peers = Peers(config)
        node = Node(config, SteadyTime(), rng, store, await identify(store, rng, config.cluster, config.address), peers)
        await node.start()
        yield node
        await node.close()


@pytest.fixture
async def still_turns() -> AsyncIterator[Turns]:
    """Which do not tick."""
    with closing(Turns(3600.0, monotonic)) as turns:
        yield turns

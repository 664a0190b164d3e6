"""A node says what it is, and names every path that it takes."""

from __future__ import annotations

import re
import time

import pytest

from node.api.app import make_app
from node.api.data import DataApi
from node.api.index import PATHS
from node.api.request_log import RequestLog
from node.api.tally import Tally
from node.net.handshake import PATH as PEER
from node.net.pool import Peers
from node.timing.turns import Turns
from tests.node.api.two_nodes import TwoNodes

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/", "/kvs"])
async def test_index_golden(two: TwoNodes, path: str) -> None:
    for node in two.nodes:
        reply = await two.http.ask(node, "GET", path)
        assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
        assert list(reply.json) == ["message", "version", "address", "paths"]
        assert reply.json["address"] == node
        assert reply.json["version"] is None or re.fullmatch(r"\d+\.\d+\.\d+", reply.json["version"])


async def test_index_has_every_path_that_there_is_and_no_other(two: TwoNodes) -> None:
    node = two.cluster.nodes[two.nodes[0]]
    assert isinstance(node.transport, Peers)
    turns, requests = Turns(3600.0, time.monotonic), RequestLog(time.monotonic, 0.0)
    app = make_app(node, DataApi(node.config, node.router), node.transport, turns, Tally(), requests)
    turns.close()
    paths = {resource.canonical for resource in app.router.resources()} - {"/", "/kvs", "/ui/{file}", PEER}
    assert paths == {path.translate({ord("<"): "{", ord(">"): "}"}) for path in PATHS}


@pytest.mark.parametrize("path", PATHS)
async def test_index_says_which_methods_a_path_takes(two: TwoNodes, path: str) -> None:
    allowed = (await two.http.ask(two.nodes[0], "OPTIONS", re.sub("<.*>", "1", path))).headers["Allow"]
    told = set(re.findall("PUT|GET|DELETE|POST", PATHS[path]))
    assert told | {"OPTIONS"} | ({"HEAD"} if "GET" in told else set()) == set(allowed.split(", "))

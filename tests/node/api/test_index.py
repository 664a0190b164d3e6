"""A node says what it is, and names every path that it takes."""

from __future__ import annotations

import re

import pytest

from node.api.index import LINKS, PATHS
from tests.node.api.two_nodes import TwoNodes, routes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/", "/kvs"])
async def test_index_golden(two: TwoNodes, path: str) -> None:
    for node in two.nodes:
        reply = await two.http.ask(node, "GET", path)
        assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
        assert list(reply.json) == ["message", "version", "address", "paths", "links"]
        assert reply.json["address"] == node
        assert reply.json["version"] is None or re.fullmatch(r"\d+\.\d+\.\d+", reply.json["version"])


async def test_index_has_every_path_that_there_is_and_no_other(two: TwoNodes) -> None:
    paths = {path for path, _ in routes_of(two)} - {"/", "/kvs", "/ui/{file}"}
    assert paths == {path.translate({ord("<"): "{", ord(">"): "}"}) for path in PATHS}


async def test_index_links_lead_somewhere(two: TwoNodes) -> None:
    for link in LINKS.values():
        assert (await two.http.ask(two.nodes[0], "GET", link)).status == 200


async def test_index_says_where_the_description_is(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", "/")
    link = re.fullmatch(r'<(.*)>; rel="service-desc"; type="(.*)"', reply.headers["Link"])
    assert link is not None and link[1] == reply.json["links"]["openapi"]
    described = await two.http.ask(two.nodes[0], "GET", link[1])
    assert (described.headers["Content-Type"], described.json["openapi"]) == (link[2], "3.1.0")


@pytest.mark.parametrize("path", PATHS)
async def test_index_says_which_methods_a_path_takes(two: TwoNodes, path: str) -> None:
    allowed = (await two.http.ask(two.nodes[0], "OPTIONS", re.sub("<.*>", "1", path))).headers["Allow"]
    told = set(re.findall("PUT|GET|DELETE|POST", PATHS[path]))
    assert told | {"OPTIONS"} | ({"HEAD"} if "GET" in told else set()) == set(allowed.split(", "))

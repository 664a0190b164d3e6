"""Versions as clients see them: an ETag with each value, the same through every node, and what may be asked by it."""

from __future__ import annotations

import pytest

from gossip.view import Address
from tests.cluster import Cluster, client, fresh_addresses
from tests.node.api.two_nodes import A_VALUE, TwoNodes, fault, with_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/kvs/keys/apple"
BY_AIOHTTP = {"TE": "trailers"}
"""A header that the short way in does not take."""
WAYS = pytest.mark.parametrize("way", [{}, BY_AIOHTTP], ids=["short way", "aiohttp"])
THROUGH = pytest.mark.parametrize("forwarded", [False, True], ids=["owner", "forwarder"])
CONTEXT = pytest.mark.parametrize("context", [None, b"{}"], ids=["bare", "with a context"])
REFUSED = fault("Precondition failed", "GET")


def asked(two: TwoNodes, forwarded: bool) -> Address:
    owner = two.owner("apple")
    return two.other(owner) if forwarded else owner


@WAYS
@THROUGH
@CONTEXT
async def test_each_value_comes_with_the_tag_of_its_write(
    two: TwoNodes, way: dict[str, str], forwarded: bool, context: bytes | None
) -> None:
    await two.prepare("apple", None)
    node, body = asked(two, forwarded), with_context(A_VALUE, context)
    added = await two.http.ask(node, "PUT", PATH, body, headers=way)
    updated = await two.http.ask(node, "PUT", PATH, body, headers=way)
    assert (added.status, updated.status) == (201, 200)
    assert added.headers["ETag"] != updated.headers["ETag"], "each write has its own, the same value or not"
    for one in two.nodes:
        for method in ("GET", "HEAD"):
            found = await two.http.ask(one, method, PATH, with_context(None, context), headers=way)
            assert (found.status, found.headers["ETag"]) == (200, updated.headers["ETag"])
    deleted = await two.http.ask(node, "DELETE", PATH, headers=way)
    missing = await two.http.ask(node, "GET", PATH, headers=way)
    assert (deleted.status, missing.status) == (200, 404)
    assert "ETag" not in deleted.headers and "ETag" not in missing.headers


@WAYS
@THROUGH
@CONTEXT
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_known_version_is_not_sent_again(
    two: TwoNodes, way: dict[str, str], forwarded: bool, method: str, context: bytes | None
) -> None:
    await two.prepare("apple", b"1")
    node, body = asked(two, forwarded), with_context(None, context)
    tag = (await two.http.ask(node, "GET", PATH)).headers["ETag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        reply = await two.http.ask(node, method, PATH, body, headers={"If-None-Match": known, **way})
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
        assert {name.lower() for name in reply.headers} == {"etag", "date", "server"}
    assert (await two.http.ask(node, method, PATH, body, headers={"If-None-Match": '"other"', **way})).status == 200
    assert (await two.http.ask(node, "PUT", PATH, A_VALUE)).status == 200
    again = await two.http.ask(node, method, PATH, body, headers={"If-None-Match": tag, **way})
    assert again.status == 200 and again.headers["ETag"] != tag
    await two.prepare("apple", None)
    assert (await two.http.ask(node, method, PATH, body, headers={"If-None-Match": tag, **way})).status == 404


@WAYS
@THROUGH
async def test_version_that_is_there_no_more_is_not_sent(two: TwoNodes, way: dict[str, str], forwarded: bool) -> None:
    await two.prepare("apple", b"1")
    node = asked(two, forwarded)
    tag = (await two.http.ask(node, "GET", PATH)).headers["ETag"]
    assert (await two.http.ask(node, "GET", PATH, headers={"If-Match": tag, **way})).status == 200
    refused = await two.http.ask(node, "GET", PATH, headers={"If-Match": '"other"', **way})
    assert (refused.status, refused.headers["ETag"]) == (412, tag) and refused.body.startswith(REFUSED[:-1])
    await two.prepare("apple", None)
    refused = await two.http.ask(node, "GET", PATH, headers={"If-Match": tag, **way})
    assert refused.status == 412 and "ETag" not in refused.headers


@WAYS
@THROUGH
@pytest.mark.parametrize("held", [None, b"1"], ids=["nothing", "something"])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
async def test_malformed_condition_is_named(
    two: TwoNodes, way: dict[str, str], forwarded: bool, held: bytes | None, header: str
) -> None:
    await two.prepare("apple", held)
    reply = await two.http.ask(asked(two, forwarded), "GET", PATH, headers={header: "apple", **way})
    told = f"Malformed {header}: neither * nor ETags in double quotes, with commas between them"
    assert (reply.status, reply.body) == (400, fault(told, "GET"))


async def test_copies_tell_the_same_version(tmp_path_factory: pytest.TempPathFactory) -> None:
    nodes, cluster = fresh_addresses(3), Cluster(tmp_path_factory.mktemp("copies"))
    async with client() as http:
        await cluster.start_all(nodes, 2)
        for number in range(10):
            written = await http.put(nodes[number % 3], f"key-{number}", number)
            read = [await http.get(node, f"key-{number}") for node in nodes]
            assert {reply.headers["ETag"] for reply in [written, *read]} == {written.headers["ETag"]}
        await cluster.close()

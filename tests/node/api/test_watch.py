"""Watching keys over HTTP: the events of the contract, through whatever node."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from ring.hashing import partition_of
from tests.cluster import Cluster, client, eventually, fresh_addresses
from tests.events import watching
from tests.node.api.two_nodes import TwoNodes, fault

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def copies(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoNodes]:
    """Two nodes, two copies."""
    nodes, cluster = fresh_addresses(2), Cluster(tmp_path_factory.mktemp("copies"))
    async with client() as http:
        await cluster.start_all(nodes, repl_factor=2)
        yield TwoNodes(http, cluster, nodes)
        await cluster.close()


@pytest.fixture(params=["one copy", "two copies"])
def store(request: pytest.FixtureRequest, two: TwoNodes, copies: TwoNodes) -> TwoNodes:
    return two if request.param == "one copy" else copies


async def test_each_write_is_told_through_each_node(store: TwoNodes) -> None:
    for node in store.nodes:
        async with watching(node, "told") as events:
            etags = []
            for number in range(6):
                reply = await store.http.put(store.nodes[number % 2], f"told{number % 2}", number)
                etags.append(reply.headers["ETag"])
            await store.http.put(node, "else", 1)
            await store.http.ask(node, "DELETE", "/kvs/keys/told0")
            seen = await events.take(7)
            of_one = [event for event in seen if event.data["key"] == "told1"]
            assert [event.brief for event in of_one] == [("put", "told1", number) for number in (1, 3, 5)]
            assert [event.data["etag"] for event in of_one] == etags[1::2]
            of_other = [event.brief for event in seen if event.data["key"] == "told0"]
            assert of_other == [*(("put", "told0", number) for number in (0, 2, 4)), ("delete", "told0", None)]
            assert all(event.id for event in seen)


async def has_been_swept(store: TwoNodes, key: bytes) -> bool:
    records = [node.store.get(partition_of(key), key) for node in store.cluster.nodes.values()]
    return not any(record is not None and record.has_value for record in records)


async def test_what_expires_is_told_once(store: TwoNodes) -> None:
    async with watching(store.nodes[0], "brief") as events:
        path = "/kvs/keys/brief"
        await store.http.ask(store.nodes[1], "PUT", path, b'{"value":[1],"ttl":1}')
        await store.http.put(store.nodes[1], "brief-last", 1)
        put, last, expired = await events.take(3)
        assert put.brief == ("put", "brief", [1]) and 0 <= put.data["ttl"] <= 1
        assert last.brief == ("put", "brief-last", 1) and "ttl" not in last.data
        assert expired.kind == "expire" and expired.data == {"key": "brief", "etag": put.data["etag"]}
        await eventually(partial(has_been_swept, store, b"brief"))
        await store.http.put(store.nodes[1], "brief-last", 2)
        assert (await events.take(1))[0].brief == ("put", "brief-last", 2)


async def test_a_value_is_told_in_one_line(two: TwoNodes) -> None:
    async with watching(two.nodes[0], "lines") as events:
        await two.http.ask(two.nodes[0], "PUT", "/kvs/keys/lines", b'{"value":[1,\r\n"a\\nb"]}')
        (seen,) = await events.take(1)
        assert seen.data["value"] == [1, "a\nb"]


async def test_whoever_comes_back_goes_on_from_there(store: TwoNodes) -> None:
    async with watching(store.nodes[0], "back") as events:
        await store.http.put(store.nodes[0], "back", 1)
        (first,) = await events.take(1)
    async with watching(store.nodes[1], "back"):  # So that it listens by itself.
        for number in (2, 3):
            await store.http.put(store.nodes[0], "back", number)
        for node in store.nodes:
            async with watching(node, "back", since=first.id) as events:
                assert [seen.brief for seen in await events.take(2)] == [("put", "back", 2), ("put", "back", 3)]
                await store.http.put(store.nodes[1], "back", 4)
                assert (await events.take(1))[0].brief == ("put", "back", 4)
                await store.http.put(store.nodes[1], "back", 3)
                await events.take(1)


async def test_an_id_that_nobody_knows_is_a_gap(two: TwoNodes) -> None:
    async with watching(two.nodes[0], "", since="0123456789abcdef-1.2") as events:
        (gap,) = await events.take(1)
        assert gap.kind == "gap" and gap.data == {"why": "what came after that id is not known any more"}
        await two.http.put(two.nodes[0], "gone", 1)
        assert (await events.take(1))[0].brief == ("put", "gone", 1)


@pytest.mark.parametrize(
    ("query", "last_id", "error"),
    [
        ("?prefix=" + "x" * 51, None, "Malformed prefix: no key has more than 50 characters"),
        ("?prefix=%ff", None, "Malformed query: not UTF-8"),
        ("?prefix=a&prefix=b", None, "Malformed query: an option stands there twice"),
        ("", "7", "Malformed Last-Event-ID: not the id of an event of this store"),
    ],
)
async def test_what_nobody_can_watch(two: TwoNodes, query: str, last_id: str | None, error: str) -> None:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    reply = await two.http.ask(two.nodes[0], "GET", f"/kvs/watch{query}", headers=headers)
    assert (reply.status, reply.body) == (400, fault(error, "GET"))


async def test_a_client_that_leaves_is_no_fault(two: TwoNodes, caplog: pytest.LogCaptureFixture) -> None:
    hub = two.cluster.nodes[two.nodes[0]].hub
    async with watching(two.nodes[0], "left") as events:
        await two.http.put(two.nodes[0], "left", 1)
        await events.take(1)

    async def has_left() -> bool:
        await two.http.put(two.nodes[0], "left", 2)
        return (b"left", False) not in hub._watchers

    await eventually(has_left)
    assert not [message for message in caplog.messages if "/kvs/watch" in message]


async def test_the_answer_is_a_stream(two: TwoNodes) -> None:
    async with watching(two.nodes[0]) as events:
        assert events.response.headers["Content-Type"] == "text/event-stream"
        assert (
            json.loads((await two.http.ask(two.nodes[0], "POST", "/kvs/watch")).body)["error"] == "Method not allowed"
        )

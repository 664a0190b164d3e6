"""Listing keys over HTTP: the answers of the contract, byte for byte, through whatever node."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from gossip.view import Address
from tests.cluster import Client, Cluster, client, fresh_addresses
from tests.node.api.two_nodes import fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = ["", " ", "a b", "a/b", "a%2Fb", "a+b", "é", "\x00", "\n", '"', "zz", "𝄞" * 50]
"""But for the first, keys; with some that need escapes, in a URL or in JSON."""
WORDS = sorted({*ODD[1:], *(f"word{number}" for number in range(100))}, key=str.encode)
MIB = 1024 * 1024


class Store:
    """Three nodes, two copies, and the words."""

    def __init__(self, http: Client, nodes: list[Address]) -> None:
        self.http = http
        self.nodes = nodes

    async def put(self, key: str, value: bytes) -> str:
        """The ETag."""
        path = f"/kvs/keys/{quote(key, safe='')}"
        reply = await self.http.ask(self.nodes[0], "PUT", path, b'{"value":%b}' % value)
        assert reply.status in (200, 201)
        return reply.headers["ETag"]

    async def delete(self, key: str) -> None:
        assert (await self.http.ask(self.nodes[0], "DELETE", f"/kvs/keys/{quote(key, safe='')}")).status == 200

    async def page(self, query: str, node: int = 1) -> tuple[list[str], str | None]:
        reply = await self.http.ask(self.nodes[node], "GET", f"/kvs/keys{query}")
        assert (reply.status, reply.json["message"]) == (200, "Keys retrieved successfully"), reply.body
        return reply.json["keys"], reply.json["next"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    nodes, cluster = fresh_addresses(3), Cluster(tmp_path_factory.mktemp("listing"))
    async with client() as http:
        await cluster.start_all(nodes, 1)
        made = Store(http, nodes)
        for word in WORDS:
            await made.put(word, b"1")
        yield made
        await cluster.close()


async def test_listing_golden(store: Store) -> None:
    tags = [await store.put(f"golden{number}", b"[1.50]") for number in range(3)]
    for node in store.nodes:
        reply = await store.http.ask(node, "GET", "/kvs/keys?prefix=golden&limit=2")
        assert reply.body == b'{"message":"Keys retrieved successfully","keys":["golden0","golden1"],"next":"golden1"}'
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        rest = await store.http.ask(node, "GET", "/kvs/keys?prefix=golden&after=golden1&values=true")
        entry = b'{"key":"golden2","value":[1.50],"etag":%b}' % json.dumps(tags[2]).encode()
        assert rest.body == b'{"message":"Keys retrieved successfully","entries":[%b],"next":null}' % entry
    for number in range(3):
        await store.delete(f"golden{number}")
    assert await store.page("?prefix=golden") == ([], None)


@pytest.mark.parametrize("limit", [1, 7, 110, 10_000])
async def test_listing_pages_follow_each_other_in_the_order_of_bytes(store: Store, limit: int) -> None:
    found: list[str] = []
    end: str | None = ""
    number = 0
    while end is not None:
        number += 1
        keys, end = await store.page(f"?limit={limit}&after={quote(end, safe='')}", node=number % 3)
        assert len(keys) <= limit and (end is None or keys[-1] == end)
        found += keys
    assert found == WORDS


@pytest.mark.parametrize("prefix", [*ODD, "word9", "w", "none"])
async def test_listing_by_prefix(store: Store, prefix: str) -> None:
    assert await store.page(f"?prefix={quote(prefix, safe='')}") == (
        [word for word in WORDS if word.startswith(prefix)],
        None,
    )


async def test_listing_begins_after_a_key_that_need_not_exist(store: Store) -> None:
    assert await store.page("?prefix=word&after=word98x") == (["word99"], None)
    assert await store.page("?prefix=word&after=a&limit=1") == (["word0"], "word0")
    assert await store.page("?prefix=word&after=x") == ([], None)


async def test_listing_large_values_come_in_more_pages(store: Store) -> None:
    large = b'"%b"' % (b"x" * (MIB - 2))
    for number in range(12):
        await store.put(f"large{number:02}", large)
    found: list[str] = []
    end: str | None = ""
    pages = 0
    while end is not None:
        reply = await store.http.ask(store.nodes[1], "GET", f"/kvs/keys?prefix=large&values=true&after={end}")
        assert reply.status == 200 and len(reply.body) <= 8 * MIB
        assert all(len(entry["value"]) == MIB - 2 for entry in reply.json["entries"])
        found += [entry["key"] for entry in reply.json["entries"]]
        end, pages = reply.json["next"], pages + 1
    assert found == [f"large{number:02}" for number in range(12)] and 1 < pages <= 6
    keys, end = await store.page("?prefix=large")
    assert len(keys) == 12 and end is None, "without their values they are small"
    for key in keys:
        await store.delete(key)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=0", "Malformed limit: not a number from 1 to 10000"),
        ("limit=10001", "Malformed limit: not a number from 1 to 10000"),
        ("limit=-1", "Malformed limit: not a number from 1 to 10000"),
        ("limit=1.5", "Malformed limit: not a number from 1 to 10000"),
        ("limit=", "Malformed limit: not a number from 1 to 10000"),
        ("limit=%C2%B2", "Malformed limit: not a number from 1 to 10000"),
        ("values=yes", "Malformed values: neither true nor false"),
        ("values", "Malformed values: neither true nor false"),
        ("prefix=%ff", "Malformed query: not UTF-8"),
        ("prefix=a&prefix=b", "Malformed query: an option stands there twice"),
        (f"prefix={'a' * 51}", "Malformed prefix: no key has more than 50 characters"),
        (f"after={'a' * 51}", "Malformed after: no key has more than 50 characters"),
        ("prefx=a", "Unknown option prefx: did you mean prefix?"),
        ("recursive=true", "Unknown option recursive: known are after, limit, prefix, values"),
    ],
)
async def test_listing_malformed(store: Store, query: str, error: str) -> None:
    reply = await store.http.ask(store.nodes[0], "GET", f"/kvs/keys?{query}")
    assert (reply.status, reply.body) == (400, fault(error, "GET"))

"""Exporting over HTTP: lines and cursors of the contract, through whatever node."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from gossip.view import Address
from node.operations import exporting
from node.operations.export_progress import LANES, Progress
from ring.hashing import partition_of
from ring.sets import ALL, bits_of
from tests.cluster import Client, Cluster, client, fresh_addresses
from tests.node.api.two_nodes import fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = [" ", "a b", "a/b", "a%2Fb", "a+b", "é", "\x00", "\n", '"', "zz", "𝄞" * 50]
WORDS = sorted({*ODD, *(f"word{number}" for number in range(100))})
OF_ANOTHER = "cut off, or changed, or of an export with another prefix"


class Store:
    """Three nodes, two copies, and the words."""

    def __init__(self, http: Client, nodes: list[Address]) -> None:
        self.http = http
        self.nodes = nodes

    async def put(self, key: str, body: bytes) -> None:
        path = f"/kvs/keys/{quote(key, safe='')}"
        assert (await self.http.ask(self.nodes[0], "PUT", path, body)).status in (200, 201)

    async def export(self, query: str = "", node: int = 1) -> list[dict[str, Any]]:
        reply = await self.http.ask(self.nodes[node], "GET", f"/kvs/export{query}")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-ndjson"), reply.body
        assert reply.body.endswith(b"\n")
        return [json.loads(line) for line in reply.body.splitlines()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    nodes, cluster = fresh_addresses(3), Cluster(tmp_path_factory.mktemp("export"))
    async with client() as http:
        await cluster.start_all(nodes, 1)
        made = Store(http, nodes)
        for word in WORDS:
            await made.put(word, b'{"value":1}')
        yield made
        await cluster.close()


async def test_export_golden(store: Store) -> None:
    await store.put("golden", b'{"value":{ "a":\n[1.50] }}')
    cursor = Progress(ALL & ~bits_of([partition_of(b"golden")])).encode(b"golden")
    for node in store.nodes:
        reply = await store.http.ask(node, "GET", f"/kvs/export?prefix=golden&cursor={cursor}")
        done = Progress(ALL).encode(b"golden").encode()
        assert reply.body == b'{"key":"golden","value":{ "a": [1.50] }}\n{"cursor":"%b"}\n{"end":true}\n' % done
    await store.http.ask(store.nodes[0], "DELETE", "/kvs/keys/golden")


async def test_export_head_says_what_a_get_would_answer(store: Store) -> None:
    reply = await store.http.ask(store.nodes[0], "HEAD", "/kvs/export")
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/x-ndjson", b"")
    assert (await store.http.ask(store.nodes[0], "HEAD", "/kvs/export?limit=1")).status == 400


async def test_export_tells_when_a_value_expires(store: Store) -> None:
    await store.put("short", b'{"value":1,"ttl":1000}')
    line, *_ = await store.export("?prefix=short")
    listed = (await store.http.ask(store.nodes[0], "GET", "/kvs/keys?prefix=short&values=true")).json["entries"][0]
    assert list(line) == ["key", "value", "expires"] and round(line["expires"], 3) == line["expires"]
    assert abs(line["expires"] - time.time() - listed["ttl"]) < 5
    await store.http.ask(store.nodes[0], "DELETE", "/kvs/keys/short")


async def test_export_tells_all_through_each_node(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "BLOCK_BYTES", 500)
    for node in range(3):
        told = await store.export(node=node)
        assert sorted(line["key"] for line in told if "key" in line) == WORDS
        assert told[-1] == {"end": True} and "cursor" in told[-2] and sum("cursor" in line for line in told) > 4


@pytest.mark.parametrize("prefix", [*ODD, "word9", "w", "none"])
async def test_export_by_prefix(store: Store, prefix: str) -> None:
    told = await store.export(f"?prefix={quote(prefix, safe='')}")
    assert sorted(line["key"] for line in told if "key" in line) == [word for word in WORDS if word.startswith(prefix)]


async def test_export_goes_on_after_any_cursor(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "BLOCK_BYTES", 500)
    told = await store.export("?prefix=w")
    for at, line in enumerate(told):
        if "cursor" in line:
            rest = await store.export(f"?prefix=w&cursor={line['cursor']}", node=at % 3)
            keys = [line["key"] for line in [*told[:at], *rest] if "key" in line]
            assert sorted(keys) == [word for word in WORDS if word.startswith("w")] and rest[-1] == {"end": True}


async def test_export_takes_the_longest_cursor(store: Store) -> None:
    ends = (chr(0x1D11E) * 48 + f"{number:02}" for number in range(1000))
    by_partition = {partition_of(end.encode()): end.encode() for end in ends}
    progress = Progress(0, tuple(by_partition[number] for number in sorted(by_partition)[:LANES]))
    prefix = quote(chr(0x1D11E) * 48)
    assert await store.export(f"?prefix={prefix}&cursor={progress.encode((chr(0x1D11E) * 48).encode())}")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("cursor=", "Malformed cursor: not one that an export of this release has told"),
        ("cursor=a*", "Malformed cursor: not one that an export has told"),
        (
            f"cursor={Progress().encode(b'a')}",
            "Malformed cursor: cut off, or changed, or of an export with another prefix",
        ),
        (
            f"prefix=a&cursor={Progress().encode(b'')}",
            "Malformed cursor: cut off, or changed, or of an export with another prefix",
        ),
        ("prefix=%ff", "Malformed query: not UTF-8"),
        ("prefix=a&prefix=b", "Malformed query: an option stands there twice"),
        (f"prefix={'a' * 51}", "Malformed prefix: no key has more than 50 characters"),
        ("prefx=a", "Unknown option prefx: did you mean prefix?"),
        ("limit=1", "Unknown option limit: known are cursor, prefix"),
    ],
)
async def test_export_malformed(store: Store, query: str, error: str) -> None:
    reply = await store.http.ask(store.nodes[0], "GET", f"/kvs/export?{query}")
    assert (reply.status, reply.body) == (400, fault(error, "GET"))

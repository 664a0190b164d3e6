"""`GET /ui/stream` of real nodes: what comes, who may have it, and who is left to itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gossip.view import Address, host_of, port_of
from node.api.ui import stream
from node.api.ui.feed import Feed, Viewer
from tests.cluster import PATIENCE_S, Client, Cluster, eventually, fresh_addresses
from tests.events import Events
from tests.node.api.two_nodes import TwoNodes
from tests.node.tokens import READ, UNKNOWN, bearing, tokens_file

in_module = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def page(node: Address, headers: dict[str, str] | None = None) -> AsyncIterator[Events]:
    timeout = aiohttp.ClientTimeout(total=None)
    url = f"http://{node}/ui/stream"
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        yield Events(response)


async def until(events: Events, kind: str) -> Any:
    """What the next event of this kind tells."""
    while (seen := await events.next()) is not None:
        if seen.kind == kind:
            return seen.data
    raise AssertionError(f"the stream has ended without {kind}")


@in_module
async def test_stream_begins_with_who_serves_it_and_tells_all_nodes(two: TwoNodes) -> None:
    a, b = two.nodes
    async with page(a) as events:
        first = await events.next()
        assert first is not None and first.kind == "you"
        assert (first.data["address"], first.data["role"], first.data["tokens"]) == (a, "admin", False)
        assert [shard["replicas"] for shard in (await until(events, "view"))["shards"]] == [[a], [b]]
        assert isinstance(await until(events, "problems"), list)
        wanted = [(a, "up", True), (b, "up", False)]
        nodes: Any = await until(events, "nodes")
        while [(node["address"], node["state"], node["me"]) for node in nodes] != wanted:
            nodes = await until(events, "nodes")
        assert all(node["disk-bytes"] >= node["free-bytes"] > 0 for node in nodes)
        assert await until(events, "tick") < await until(events, "tick")


@in_module
async def test_stream_takes_no_options_and_has_a_head(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", "/ui/stream?since=1")
    assert (reply.status, reply.json["error"]) == (400, "Unknown option since: there is none here")
    head = await two.http.ask(two.nodes[0], "HEAD", "/ui/stream")
    assert (head.status, head.headers["Content-Type"]) == (200, "text/event-stream")


async def test_stream_says_what_the_token_is_for(cluster: Cluster, http: Client, tmp_path: Path) -> None:
    (node,) = fresh_addresses(1)
    await cluster.start(node, [node], tokens_file=tokens_file(tmp_path))
    for headers in (None, bearing(UNKNOWN)):
        assert (await http.ask(node, "GET", "/ui/stream", headers=headers)).status == 401
    assert (await http.ask(node, "GET", "/ui")).status == 200, "the page itself says nothing"
    async with page(node, bearing(READ)) as events:
        you = await until(events, "you")
        assert (you["role"], you["tokens"]) == ("read", True)


async def test_stream_ends_with_its_node(cluster: Cluster) -> None:
    (node,) = fresh_addresses(1)
    await cluster.start(node, [node])
    async with page(node) as events:
        await until(events, "tick")
        async with asyncio.timeout(PATIENCE_S):
            await cluster.stop(node)
            while await events.next() is not None:
                pass


async def test_stream_of_who_reads_nothing_is_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a great deal to say, so that what the kernel holds is full at once."""
    left: list[Viewer] = []
    leave = Feed.leave

    def note(feed: Feed, viewer: Viewer) -> None:
        left.append(viewer)
        leave(feed, viewer)

    monkeypatch.setattr(stream, "STUCK_S", 0.2)
    monkeypatch.setattr(Feed, "leave", note)
    monkeypatch.setattr(stream, "sections_of", lambda _: {"nodes": "x" * (1 << 24)})
    (node,) = fresh_addresses(1)
    await cluster.start(node, [node])
    with socket.create_connection((host_of(node), port_of(node))) as deaf:
        deaf.sendall(b"GET /ui/stream HTTP/1.1\r\nHost: x\r\n\r\n")

        async def is_left() -> bool:
            return bool(left)

        await eventually(is_left, "who reads nothing is left")

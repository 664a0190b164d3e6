"""What a client may do with which token, on real nodes that have tokens and a secret: all that it has, at any node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

import kvs
from gossip.view import Address
from tests.cluster import PATIENCE_S, Client, Processes, eventually, fresh_addresses
from tests.node.tokens import READ, UNKNOWN, WRITE, bearing, tokens_file, write_secret

pytestmark = pytest.mark.process

SECRET = "a-secret-of-the-nodes" * 2
KEY = "k"

Call = Callable[[kvs.AsyncClient], Awaitable[object]]


async def get(client: kvs.AsyncClient) -> object:
    found = await client.get(KEY)
    return found and found.value


async def put(client: kvs.AsyncClient) -> object:
    return type(await client.put(KEY, 7))


async def batch(client: kvs.AsyncClient) -> object:
    """Raises what it got for an operation."""
    told = [result async for result in client.batch([kvs.Put(KEY, 7), kvs.Get(KEY)])]
    for result in told:
        if isinstance(result, kvs.KvsError):
            raise result
    return [type(result) for result in told]


async def export(client: kvs.AsyncClient) -> object:
    return [(entry.key, entry.value) async for entry in client.export()]


async def listing(client: kvs.AsyncClient) -> object:
    return [(entry.key, entry.value) async for entry in client.scan()]


async def watch(client: kvs.AsyncClient) -> object:
    """What comes after a deletion and a new value, which it makes once it watches."""
    async with aclosing(client.watch()) as events:
        seen = [type(await anext(events))]
        await client.delete(KEY)
        await client.put(KEY, 7)
        while seen[-1] is not kvs.WasPut:
            seen.append(type(await anext(events)))
    return seen


async def begin_to_watch(client: kvs.AsyncClient) -> object:
    async with aclosing(client.watch()) as events:
        return type(await anext(events))


READS: dict[Call, object] = {
    get: 7,
    export: [(KEY, 7)],
    listing: [(KEY, 7)],
    begin_to_watch: kvs.Gap,
}
WRITES: dict[Call, object] = {
    put: kvs.Stored,
    batch: [kvs.Stored, kvs.Found],
    watch: [kvs.Gap, kvs.WasDeleted, kvs.WasPut],
}


async def called(call: Call, node: Address, token: str | None) -> object:
    """By a client that knows of this node alone, so that this is the one that it asks."""
    async with kvs.AsyncClient(node, token=token, timeout_s=PATIENCE_S) as client:
        return await call(client)


@pytest.fixture
async def nodes(processes: Processes, http: Client, tmp_path: Path) -> list[Address]:
    """Of the key, one is the owner, and the other forwards."""
    nodes = fresh_addresses(2)
    files = {
        "TOKENS_FILE": str(tokens_file(tmp_path)),
        "CLUSTER_SECRET_FILE": str(write_secret(tmp_path / "secret", SECRET)),
    }
    await asyncio.gather(*(processes.start(node, nodes, **files) for node in nodes))

    async def are_linked() -> bool:
        asked = [await http.ask(node, "GET", "/kvs/view-change", headers=bearing(READ)) for node in nodes]
        return all(shown["keys"] is not None for reply in asked for shown in reply.json["nodes"])

    await eventually(are_linked, "nodes reaching each other")
    return nodes


async def test_tokens_client_does_what_its_token_may(nodes: list[Address]) -> None:
    for node in nodes:
        for call, expected in (WRITES | READS).items():
            assert await called(call, node, WRITE) == expected
        for call, expected in READS.items():
            assert await called(call, node, READ) == expected


@pytest.mark.parametrize(
    ("token", "status", "calls"),
    [(READ, 403, WRITES), (UNKNOWN, 401, WRITES | READS), (None, 401, WRITES | READS)],
)
async def test_tokens_client_is_not_allowed_what_its_token_may_not(
    nodes: list[Address], token: str | None, status: int, calls: dict[Call, object]
) -> None:
    await called(put, nodes[0], WRITE)
    for node in nodes:
        for call in calls:
            with pytest.raises(kvs.NotAllowed) as caught:
                await called(call, node, token)
            assert caught.value.status == status
        assert await called(get, node, READ) == 7

"""Exports on their way: through nodes that break off, say that they cannot go on, or know of none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pytest_aiohttp import AiohttpServer

import kvs
from kvs import exporting
from kvs.client import AsyncClient
from kvs.repeating import Patience
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, answer, endpoint_of

KEYS = [f"k{n:04}" for n in range(1000)]


@pytest.fixture
async def stores(aiohttp_server: AiohttpServer) -> list[FakeStore]:
    stores = [FakeStore(), FakeStore()]
    for store in stores:
        store.values = {key.encode(): b"1" for key in KEYS}
    return stores


@pytest.fixture
async def client(aiohttp_server: AiohttpServer, stores: list[FakeStore]) -> AsyncIterator[AsyncClient]:
    endpoints = [endpoint_of(await aiohttp_server(store.app())) for store in stores]
    async with AsyncClient([NOWHERE, *endpoints]) as client:
        yield client


async def exported(client: AsyncClient, prefix: str = "") -> list[str]:
    return sorted([entry.key async for entry in client.export(prefix)])


async def test_export_tells_all_keys_with_values_and_expiry(client: AsyncClient, stores: list[FakeStore]) -> None:
    for store in stores:
        store.values[b"x"], store.expiries[b"x"] = b'{"a": 1.50}', 123.5
    found = {entry.key: entry async for entry in client.export()}
    assert sorted(found) == [*KEYS, "x"]
    assert (found["x"].raw, found["x"].value, found["x"].expires) == (b'{"a": 1.50}', {"a": 1.5}, 123.5)
    assert found[KEYS[0]].expires is None
    assert await exported(client, "k001") == KEYS[10:20]
    assert await exported(client, "ü&=") == []


async def test_export_goes_on_from_the_last_cursor_through_another_node(
    client: AsyncClient, stores: list[FakeStore]
) -> None:
    stores[0].export_breaks = [250, 130, 0]
    stores[1].export_breaks = [b'{"error":"Unable","unreachable":["10.0.0.9:80"]}', 99, b""]
    assert await exported(client) == KEYS
    asked = [path for store in stores for _, path in store.asked]
    assert sum("cursor=" in path for path in asked) >= 5
    assert len(asked) <= 9, "each goes on where the one before broke"


async def test_export_that_nobody_can_go_on_with_says_who_is_in_the_way(
    client: AsyncClient, stores: list[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PATIENCE", Patience(None, 20.0, 1))
    for store in stores:
        store.fault = lambda _m, _p: answer(503, error="Unable", unreachable=["10.0.0.9:80"])
    with pytest.raises(kvs.Unreachable, match=r"Unable: 10\.0\.0\.9:80"):
        await exported(client)


async def test_export_tells_why_it_waits_and_forgets_that_where_it_gets_on(
    client: AsyncClient, stores: list[FakeStore]
) -> None:
    refusals = [answer(503, error="Unable", unreachable=["10.0.0.9:80"]) for _ in range(3)]
    for store in stores:
        store.fault = lambda _m, path: refusals.pop() if refusals and path.startswith("/kvs/export") else None
        store.export_breaks = [b'{"error":"Later"}']
    told: list[str] = []

    def tell(why: kvs.Unreachable) -> None:
        told.append(str(why))

    assert len([block async for block in client.export_blocks("", tell)]) >= 10
    late = [why for why in told if "Later" in why]
    assert sum("Unable: 10.0.0.9:80" in why for why in told) >= 3
    assert late and not any("Unable" in why for why in late), "it has got on since"


async def test_export_passes_over_a_node_whose_release_has_none(client: AsyncClient, stores: list[FakeStore]) -> None:
    stores[0].exports = False
    assert await exported(client) == KEYS


async def test_export_that_is_refused_is_no_reason_to_ask_on(client: AsyncClient, stores: list[FakeStore]) -> None:
    stores[0].fault = lambda _m, _p: answer(400, error="Malformed cursor")
    with pytest.raises(kvs.BadRequest, match="Malformed cursor"):
        await exported(client)
    assert stores[1].asked == []
    with pytest.raises(kvs.BadRequest, match="surrogate"):
        await exported(client, "\ud800")


async def test_export_that_is_left_gives_its_connection_back(client: AsyncClient) -> None:
    entries = client.export()
    await anext(entries)
    await entries.aclose()  # type: ignore[attr-defined]
    assert client._asker._connections._taken == 0
    assert await exported(client) == KEYS


async def test_export_sends_its_token(endpoint: str, store: FakeStore) -> None:
    store.token, store.values = "t1", {b"a": b"1"}
    async with AsyncClient(endpoint, token="t1") as client:
        assert await exported(client) == ["a"]
    async with AsyncClient(endpoint, token="t2") as client:
        with pytest.raises(kvs.NotAllowed, match="Token is unknown"):
            await exported(client)

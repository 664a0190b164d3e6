"""The client: keys and values pass unharmed, and an endpoint that cannot answer is passed over where that is safe."""

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

import kvs.client
from kvs.client import Client, Refused, Unreachable
from kvs.responses import Progress
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, Fault, answer, endpoint_of, progress

KEYS = ["a", "a/b%20 ü..", "..", ".", "?q#f", "a//b/", "%2F", "+ ", "\x00\n", "日本", "😀"]


@pytest.fixture
async def stores() -> list[FakeStore]:
    return [FakeStore(), FakeStore()]


@pytest.fixture
async def client(stores: list[FakeStore], aiohttp_server: AiohttpServer) -> AsyncIterator[Client]:
    endpoints = [endpoint_of(await aiohttp_server(store.app())) for store in stores]
    async with Client(endpoints) as client:
        yield client


@pytest.mark.parametrize("key", KEYS)
async def test_client_key_of_any_characters_arrives_as_it_is(client: Client, stores: list[FakeStore], key: str) -> None:
    assert await client.put(key, b"1") is False
    assert list(stores[0].values) == [key.encode()]
    assert await client.put(key, b"2") is True
    assert await client.get(key) == b"2"
    await client.delete(key)
    assert not stores[0].values


@pytest.mark.parametrize(
    "value", [b"null", b"1.50", b"123456789012345678901234567890", b'{"b":1, "a":2}', b'"\\u00fc"']
)
async def test_client_value_comes_back_byte_for_byte(client: Client, value: bytes) -> None:
    await client.put("k", value)
    assert await client.get("k") == value


async def test_client_missing_key_is_refused_without_asking_elsewhere(client: Client, stores: list[FakeStore]) -> None:
    with pytest.raises(Refused, match="Key does not exist") as caught:
        await client.get("k")
    assert caught.value.status == 404
    assert stores[1].asked == []


FAULTS: dict[str, Fault] = {
    "503": lambda _m, _p: answer(503, error="Unable to satisfy request"),
    "500": lambda _m, _p: answer(500, error="Internal server error"),
    "not JSON": lambda _m, _p: web.Response(text="<html>"),
    "JSON of another service": lambda _m, _p: web.json_response({"hello": 1}),
    "404 of another service": lambda _m, _p: web.Response(status=404, text="nginx"),
    "redirect": lambda _m, _p: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_client_endpoint_that_cannot_answer_is_passed_over(
    client: Client, stores: list[FakeStore], fault: Fault
) -> None:
    stores[0].fault = fault
    stores[1].values[b"k"] = b"7"
    assert await client.get("k") == b"7"
    assert await client.get("k") == b"7"
    assert len(stores[0].asked) == 1, "an endpoint that failed is asked last from then on"


async def test_client_delete_that_may_have_happened_is_not_repeated(client: Client, stores: list[FakeStore]) -> None:
    stores[0].fault = FAULTS["503"]
    stores[1].values[b"k"] = b"7"
    with pytest.raises(Unreachable, match="it may have happened all the same"):
        await client.delete("k")
    assert stores[1].asked == []


async def test_client_delete_goes_on_where_no_connection_was_made(aiohttp_server: AiohttpServer) -> None:
    store = FakeStore()
    store.values[b"k"] = b"7"
    async with Client([NOWHERE, endpoint_of(await aiohttp_server(store.app()))]) as client:
        await client.delete("k")
    assert not store.values


async def test_client_silent_endpoint_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Its backlog takes the connection.
        port = silent.getsockname()[1]
        async with Client([f"127.0.0.1:{port}"], data_timeout_s=0.1) as client:
            with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port} \(no answer within 0\.1 s\)"):
                await client.get("k")


async def test_client_names_every_endpoint_that_failed() -> None:
    async with Client(["127.0.0.1:1", "127.0.0.1:2"]) as client:
        with pytest.raises(Unreachable) as caught:
            await client.status()
    refused = "no node could answer: 127.0.0.1:1 (connection refused), 127.0.0.1:2 (connection refused)"
    assert str(caught.value) == refused


async def test_client_view_change_with_unreachable_nodes_is_refused_by_name(
    client: Client, stores: list[FakeStore]
) -> None:
    stores[0].fault = lambda _m, _p: answer(503, error="Nodes cannot be reached", unreachable=["10.0.0.9:80"])
    with pytest.raises(Refused, match=r"Nodes cannot be reached: 10\.0\.0\.9:80"):
        await client.plan(["10.0.0.9:80"], None)
    assert stores[1].asked == []


async def test_client_view_change_tells_progress_until_it_is_done(
    client: Client, stores: list[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvs.client, "POLL_INTERVAL_S", 0.01)
    stores[0].progress = [progress(9, 90), progress(None, None), progress(2, 10)]
    told: list[Progress] = []
    changed = await client.change_view(["10.0.0.1:80", "10.0.0.2:80"], 2, told.append)
    assert [(each.partitions, each.keys) for each in told[:2]] == [(9, 90), (0, 0)]
    assert [count.key_count for count in changed.shards] == [5, 4]
    assert b'{"view":"10.0.0.1:80,10.0.0.2:80","repl-factor":2}' in stores[0].bodies


async def test_client_view_change_that_lost_its_coordinator_joins_elsewhere(
    client: Client, stores: list[FakeStore]
) -> None:
    stores[0].fault = FAULTS["500"]
    assert (await client.change_view(["10.0.0.1:80"], None, lambda _told: None)).shards
    assert ("PUT", "/kvs/view-change") in stores[1].asked

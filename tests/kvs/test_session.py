"""Sessions: each request carries what the answer before it said that the client depends on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from pytest_aiohttp import AiohttpServer

from kvs.client import AsyncClient
from kvs.errors import BadRequest, ConditionFailed, Misuse, Unreachable
from kvs.operating import Operator
from tests.kvs.fake_store import FakeStore, answer, endpoint_of

PATIENCE_S = 40.0
"""Nothing that is waited for here takes a tenth of this on an idle machine."""


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def client(store: FakeStore, aiohttp_server: AiohttpServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient([endpoint_of(await aiohttp_server(store.app()))], timeout_s=PATIENCE_S) as client:
        yield client


def contexts(store: FakeStore) -> list[object]:
    """Those of the requests so far."""
    return [json.loads(body).get("causal-context") for body in store.bodies if body]


def after(answers: int) -> object:
    """The context of a session that has had so many."""
    return {"seen": answers} if answers else {}


async def test_session_carries_the_context_of_each_answer_in_the_next_request(
    client: AsyncClient, store: FakeStore
) -> None:
    async with client.session() as session:
        await session.put("k", 1)
        found = await session.get("k")
        assert found is not None and found.value == 1
        await session.get("missing")
        with pytest.raises(ConditionFailed):
            await session.put_if("k", 2, must_not_exist=True)
        await session.delete("k")
    assert contexts(store) == [after(n) for n in range(5)]
    assert store.values == {}


async def test_session_begins_with_nothing_and_knows_nothing_of_others(client: AsyncClient, store: FakeStore) -> None:
    async with client.session() as first, client.session() as second:
        await first.get("k")
        await second.get("k")
        await client.get("k")
    assert contexts(store) == [{}, {}]
    assert store.bodies[2] == b"", "outside of a session, none is sent"


async def test_session_requests_go_one_after_the_other(client: AsyncClient, store: FakeStore) -> None:
    """Two at a time would be told a context each, and neither covers what the other one has seen."""
    async with client.session() as session:
        await asyncio.gather(*(session.put(f"k{n}", n) for n in range(5)))
    assert contexts(store) == [after(n) for n in range(5)]


async def test_session_keeps_its_context_where_an_answer_has_none(client: AsyncClient, store: FakeStore) -> None:
    async with client.session() as session:
        await session.get("k")
        store.fault = lambda _method, _path: answer(503, {"Retry-After": "3600"}, error="Unable to satisfy request")
        with pytest.raises(Unreachable):
            await session.get("k")
        store.fault = lambda _method, _path: None
        await session.get("k")
    assert contexts(store)[-1] == after(1)


async def test_session_what_would_be_too_old_is_asked_for_elsewhere(
    aiohttp_server: AiohttpServer, store: FakeStore
) -> None:
    """A DELETE too: it has not been executed."""
    behind = FakeStore()
    behind.fault = lambda _method, _path: answer(400, error="Unable to satisfy request")
    store.values[b"k"] = b"7"
    endpoints = [endpoint_of(await aiohttp_server(each.app())) for each in (behind, store)]
    async with Operator(endpoints, data_timeout_s=PATIENCE_S) as client, client.session() as session:
        assert await session.get("k") is not None
        assert await session.delete("k")
        store.fault = behind.fault
        for call in (session.get("k"), session.delete("k")):
            with pytest.raises(Unreachable, match="respects what the session has seen"):
                await call


async def test_session_whose_context_the_store_does_not_know_is_refused(client: AsyncClient, store: FakeStore) -> None:
    store.fault = lambda _method, _path: answer(400, error="Malformed causal context")
    async with client.session() as session:
        with pytest.raises(BadRequest, match="Malformed causal context"):
            await session.get("k")


async def test_session_that_is_over_asks_nothing(client: AsyncClient, store: FakeStore) -> None:
    async with client.session() as session:
        pass
    with pytest.raises(Misuse, match="the session is over"):
        await session.get("k")
    assert store.asked == []

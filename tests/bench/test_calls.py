"""What a client process counts: calls that were answered within the time of the measurement, of either client."""

from __future__ import annotations

from typing import Literal

import pytest
from pytest_aiohttp import AiohttpServer

from bench.calls import Job, run
from tests.kvs.fake_store import FakeStore, endpoint_of


@pytest.mark.parametrize("client", ["kvs", "aiohttp"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_calls_are_those_that_were_asked_for(
    aiohttp_server: AiohttpServer, client: Literal["kvs", "aiohttp"], method: Literal["GET", "PUT"]
) -> None:
    store = FakeStore()
    store.values |= {b"a": b'"v"', b"b": b'"v"'}
    address = endpoint_of(await aiohttp_server(store.app()))
    counted = await run(Job(client, [address], method, ["a", "b"], "v", 4, 0.1, 0.5))
    asked = [path for sent, path in store.asked if sent == method and path.startswith("/kvs/keys/")]
    assert set(asked) == {"/kvs/keys/a", "/kvs/keys/b"}
    assert 0 < counted.requests < len(asked), "the warm-up is not counted"
    assert counted.per_second == counted.requests / 0.5

"""The asker: it learns the ring from answers, follows it as it changes, and ends all that it has begun."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pytest_aiohttp import AiohttpServer

from kvs import repeating
from kvs.client import AsyncClient
from kvs.connections import Connections
from kvs.errors import Misuse, OutcomeUnknown, Unreachable
from kvs.http import Reply
from kvs.repeating import Busy
from ring.hashing import partition_of
from tests.cluster import eventually
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, answer, endpoint_of, ring_of
from tests.kvs.scripted import Scripted, served

PATIENCE_S = 40.0
"""Nothing that is waited for here takes a tenth of this on an idle machine."""
FIRST = next(key for key in map(str, range(100)) if partition_of(key.encode()) < 2048)
SECOND = next(key for key in map(str, range(100)) if partition_of(key.encode()) >= 2048)
"""A key that the first of two nodes owns, and one that the second owns."""


class Two:
    """Nodes of one store, the second of which serves what the first is asked."""

    def __init__(self, servers: list[TestServer], stores: list[FakeStore]) -> None:
        self.first, self.second = stores
        self.servers = servers
        self.endpoints = [endpoint_of(server) for server in servers]
        for store in stores:
            store.ring = ring_of(*self.endpoints)
        self.first.address = self.endpoints[1]


@pytest.fixture
async def two(aiohttp_server: AiohttpServer) -> Two:
    stores = [FakeStore(), FakeStore()]
    return Two([await aiohttp_server(store.app()) for store in stores], stores)


@pytest.fixture
async def client(two: Two) -> AsyncIterator[AsyncClient]:
    """It knows of the first node alone."""
    async with AsyncClient(two.endpoints[0], timeout_s=PATIENCE_S) as client:
        yield client


def asked_for(store: FakeStore, what: str) -> int:
    return sum(path.startswith(what) for _, path in store.asked)


async def comes_to(store: FakeStore, client: AsyncClient, key: str) -> None:
    """Ask for the key until this node is asked for it."""

    async def is_asked() -> bool:
        before = asked_for(store, "/kvs/keys/")
        await client.get(key)
        return asked_for(store, "/kvs/keys/") > before

    await eventually(is_asked, "the node being asked for the key")


async def test_asker_that_was_forwarded_learns_the_ring_and_asks_the_owner(two: Two, client: AsyncClient) -> None:
    await client.get(SECOND)
    assert two.first.asked[0] == ("GET", f"/kvs/keys/{SECOND}"), "no call waits for the ring"
    await comes_to(two.second, client, SECOND)
    before = asked_for(two.first, "/kvs/keys/")
    for _ in range(5):
        await client.get(SECOND)
    assert asked_for(two.first, "/kvs/keys/") == before
    await client.get(FIRST)
    assert asked_for(two.first, "/kvs/keys/") == before + 1


async def test_asker_does_not_look_at_the_ring_while_owners_answer(two: Two, client: AsyncClient) -> None:
    two.first.address = None
    for n in range(20):
        await client.put(str(n), n)
    await asyncio.sleep(0.1)
    assert asked_for(two.first, "/kvs/ring") == 0


async def test_asker_asks_nobody_for_keys_who_holds_another_view(two: Two, client: AsyncClient) -> None:
    """What is at that address from here may be another store."""
    two.second.ring = ring_of(*two.endpoints, digest="another")
    await client.put(SECOND, 1)

    async def is_introduced() -> bool:
        return asked_for(two.second, "/kvs/ring") > 0

    await eventually(is_introduced)
    await asyncio.sleep(0.1)
    for _ in range(5):
        await client.put(SECOND, 1)
    assert two.second.writes == 0


async def test_asker_follows_a_view_change(two: Two, client: AsyncClient) -> None:
    await client.get(SECOND)
    await comes_to(two.second, client, SECOND)
    for store in (two.first, two.second):  # From here on, the first node owns all.
        store.ring = ring_of(two.endpoints[0], digest="later")
    two.first.address, two.second.address = None, two.endpoints[0]
    await comes_to(two.first, client, SECOND)


async def test_asker_goes_on_elsewhere_when_a_node_is_gone(two: Two, client: AsyncClient) -> None:
    await client.get(SECOND)
    await comes_to(two.second, client, SECOND)
    await two.servers[1].close()
    two.first.address = None
    two.first.values[SECOND.encode()] = b"7"
    for _ in range(2):
        found = await client.get(SECOND)
        assert found is not None and found.value == 7


async def test_asker_does_not_ask_again_before_the_time_that_a_node_asked_for(two: Two) -> None:
    times: list[float] = []

    def busy_at_first(_method: str, _path: str) -> web.Response | None:
        times.append(time.monotonic())
        return answer(503, {"Retry-After": "1"}, error="no") if len(times) == 1 else None

    two.first.fault = busy_at_first
    async with AsyncClient(two.endpoints[0], timeout_s=PATIENCE_S) as client:
        assert await client.get("k") is None
    assert times[1] - times[0] >= 1.0


async def test_asker_that_is_busy_itself_does_not_blame_the_node(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncClient(two.endpoints, timeout_s=0.3) as client:
        monkeypatch.setattr(Connections, "ask", busy)
        with pytest.raises(Unreachable, match="9 other requests are under way"):
            await client.get("k")
        assert client._asker.nodes._up == set(two.endpoints)


async def busy(*_: object, **__: object) -> Reply:
    raise Busy(9)


Call = Callable[[AsyncClient], Awaitable[object]]


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda client: client.get("k"), Unreachable),
        (lambda client: client.put("k", 1), OutcomeUnknown),
        (lambda client: client.delete("k"), OutcomeUnknown),
    ],
)
async def test_asker_closed_ends_calls_that_wait_for_an_answer(call: Call, fault: type[Exception]) -> None:
    silent = Scripted()
    silent.proceed.clear()
    async with served(silent) as node:
        client = AsyncClient(node, timeout_s=PATIENCE_S)
        waiting = asyncio.ensure_future(call(client))

        async def has_arrived() -> bool:
            return bool(silent.requests)

        await eventually(has_arrived, "the request arriving")
        await client.close()
        with pytest.raises(fault, match="the client was closed"):
            await asyncio.wait_for(waiting, PATIENCE_S / 4)


async def test_asker_closed_ends_calls_that_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "PAUSE_S", 1000.0)
    client = AsyncClient(NOWHERE, timeout_s=10_000.0)
    waiting = asyncio.ensure_future(client.get("k"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    await client.close()
    with pytest.raises(Unreachable):
        await asyncio.wait_for(waiting, PATIENCE_S / 4)


async def test_asker_closed_leaves_nothing_behind(two: Two) -> None:
    two.second.fault = lambda _method, _path: answer(503, error="no")
    client = AsyncClient(two.endpoints[0], timeout_s=PATIENCE_S)
    await client.get(SECOND)
    assert client._asker._looking is not None
    await client.close()
    await client.close()
    assert client._asker._looking is None
    with pytest.raises(Misuse, match="the client was closed"):
        await client.get("k")


async def test_asker_closed_before_it_was_used_asks_nothing() -> None:
    client = AsyncClient(NOWHERE)
    await client.close()
    with pytest.raises(Misuse, match="the client was closed"):
        await client.get("k")


def test_asker_belongs_to_one_event_loop() -> None:
    client = AsyncClient(NOWHERE, timeout_s=0.2)

    async def use() -> None:
        with pytest.raises(Unreachable):
            await client.get("k")

    async def use_elsewhere() -> None:
        with pytest.raises(Misuse, match="belongs to another event loop"):
            await client.get("k")
        with pytest.raises(Misuse, match="belongs to another event loop"):
            await client.close()

    asyncio.run(use())
    asyncio.run(use_elsewhere())


async def test_asking_node_that_does_not_know_the_token_is_left_to_others(two: Two, client: AsyncClient) -> None:
    """Tokens are read on each node by itself."""
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    two.second.token = "another"

    async def is_introduced() -> bool:
        await client.get(SECOND)
        return asked_for(two.second, "/kvs/ring") > 0

    await eventually(is_introduced, "the second node being asked for its ring")
    for _ in range(8):
        await client.get(SECOND)
    assert asked_for(two.second, "/kvs/keys/") == 0
    await client.close()
    gc.collect()
    assert faults == []

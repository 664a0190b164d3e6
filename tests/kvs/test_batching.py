"""Batches on their way: to the owners, through failures and changes of the ring, in bounded memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

import kvs
from kvs import Delete, Get, Put, batch_state
from kvs.client import AsyncClient
from kvs.operations import Operation, Result, slot_of
from kvs.responses import RingMap
from tests.cluster import eventually
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, answer, endpoint_of, ring_of

PATIENCE_S = 40.0
"""Nothing that is waited for here takes a tenth of this on an idle machine."""


@pytest.fixture
async def stores() -> list[FakeStore]:
    return [FakeStore(), FakeStore()]


@pytest.fixture
async def endpoints(aiohttp_server: AiohttpServer, stores: list[FakeStore]) -> list[str]:
    endpoints = [endpoint_of(await aiohttp_server(store.app())) for store in stores]
    for store in stores:
        store.ring = ring_of(*endpoints)
        store.values, store.versions = stores[0].values, stores[0].versions  # They are of one store.
    return endpoints


@pytest.fixture
async def client(endpoints: list[str]) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(endpoints, timeout_s=PATIENCE_S) as client:
        await client._asker.learn_ring()
        yield client


async def results(client: AsyncClient, *operations: Operation) -> list[Result]:
    return [result async for result in client.batch(operations)]


def puts(count: int, first: int = 0) -> Iterator[Put]:
    return (Put(f"k{n}", n) for n in range(first, first + count))


def batches(store: FakeStore) -> list[list[str]]:
    """The keys of each request."""
    asked = [body for (_, path), body in zip(store.asked, store.bodies, strict=True) if path == "/kvs/batch"]
    return [[json.loads(line)["key"] for line in body.splitlines()] for body in asked]


async def test_batch_results_are_those_of_single_calls_in_order(client: AsyncClient) -> None:
    await client.put("old", 1)
    told = await results(
        client,
        Put("a", {"n": 1}),
        Get("a"),
        Delete("a"),
        Get("a"),
        Delete("a"),
        Put("old", 2, must_not_exist=True),
        Put("", 1),
        Put("k" * 51, 1),
    )
    assert isinstance(told[0], kvs.Stored) and not told[0].replaced
    assert isinstance(told[1], kvs.Found) and told[1].value == {"n": 1} and told[1].version == told[0].version
    assert told[2:5] == [True, None, False]
    assert isinstance(told[5], kvs.ConditionFailed)
    assert [type(each) for each in told[6:]] == [kvs.BadRequest, kvs.BadRequest]
    assert await results(client) == []


async def test_batch_goes_to_owners_many_operations_in_a_request(client: AsyncClient, stores: list[FakeStore]) -> None:
    told = await results(client, *puts(4000))
    assert all(isinstance(each, kvs.Stored) for each in told) and len(told) == 4000
    for store, other in (stores, stores[::-1]):
        sent = batches(store)
        assert not {key for keys in sent for key in keys} & {key for keys in batches(other) for key in keys}
        assert sum(map(len, sent)) > 1500
        assert len(sent) < 30


async def test_batch_asks_for_the_ring_beside_the_first_operations(
    endpoints: list[str], stores: list[FakeStore]
) -> None:
    async with AsyncClient(endpoints[0], timeout_s=PATIENCE_S) as client:
        stores[0].address = endpoints[1]
        assert len(await results(client, Put("a", 1))) == 1

        async def knows() -> bool:
            return client._asker.nodes.owners is not None

        await eventually(knows, "the client knowing the ring")


async def test_batch_keeps_the_order_of_each_key_through_failures_and_changes_of_the_ring(
    endpoints: list[str], stores: list[FakeStore]
) -> None:
    """What was written last stays, though parts of requests are lost and the owners change all the time."""
    count = 0
    seen: dict[str, int] = {}

    def fault(method: str, path: str) -> web.Response | None:
        nonlocal count
        count += method == "PUT"
        return answer(503, error="busy") if method == "PUT" and count % 97 == 0 else None

    for store in stores:
        store.fault = fault

    async def operations(client: AsyncClient) -> AsyncIterator[Put]:
        for n in range(6000):
            if n % 500 == 0:
                stores[n // 500 % 2].breaks_after = 50
                for store in stores:
                    store.ring = ring_of(*(endpoints if n % 1000 else endpoints[::-1]))
                await client._asker.learn_ring()
            seen[f"k{n % 300}"] = n
            yield Put(f"k{n % 300}", n)

    async with AsyncClient(endpoints, timeout_s=PATIENCE_S) as client:
        told = [result async for result in client.batch(operations(client))]
    assert {type(each) for each in told} == {kvs.Stored}
    assert {key.decode(): int(value) for key, value in stores[0].values.items()} == seen


async def test_batch_takes_no_more_operations_under_a_new_ring_before_those_under_the_old_one_are_done(
    client: AsyncClient, endpoints: list[str]
) -> None:
    """So it gets to the new owners, however many keep coming, and no operation overtakes an earlier one of its key."""
    batch = client.begin_batch()
    batch.add([slot_of(put) for put in puts(100)])
    client._asker.nodes.learned(msgspec.convert(ring_of(endpoints[1]), RingMap))
    async with asyncio.timeout(PATIENCE_S):
        await batch.room()
    assert batch._window.unsettled == 0
    batch.add([slot_of(Put("later", 1))])
    assert batch._owners == ((endpoints[1],),) * 4096
    await batch.close()


async def test_batch_repeats_nothing_of_unknown_outcome_on_a_condition(
    client: AsyncClient, stores: list[FakeStore], endpoints: list[str]
) -> None:
    for store in stores:
        store.ring = ring_of(endpoints[0])
    await client._asker.learn_ring()
    stores[0].breaks_after = 1
    told = await results(client, Put("a", 1), Put("b", 1), Put("c", 1, must_not_exist=True), Delete("d"))
    assert [type(each) for each in told] == [kvs.Stored, kvs.Stored, kvs.OutcomeUnknown, bool]
    assert sum("c" in keys for store in stores for keys in batches(store)) == 1


async def test_batch_waits_as_long_as_a_node_asks_for(
    aiohttp_server: AiohttpServer, endpoints: list[str], stores: list[FakeStore]
) -> None:
    refusals = iter([{"Retry-After": "1"}] * 2)
    for store in stores:
        store.fault = lambda method, path: (
            answer(503, headers, error="full") if path == "/kvs/batch" and (headers := next(refusals, None)) else None
        )
    loop = asyncio.get_running_loop()
    async with AsyncClient(endpoints, timeout_s=PATIENCE_S) as client:
        began = loop.time()
        (told,) = await results(client, Put("a", 1))
    assert isinstance(told, kvs.Stored)
    assert loop.time() - began >= 1.0


async def test_batch_with_nobody_there_tells_so_of_each() -> None:
    async with AsyncClient(NOWHERE, timeout_s=0.3) as client:
        told = await results(client, Put("a", 1), Get("b"), Put("c", 1, must_not_exist=True), Delete("d"))
    assert {type(each) for each in told} == {kvs.Unreachable}


async def test_batch_of_a_refused_client_tells_so_of_each(client: AsyncClient, stores: list[FakeStore]) -> None:
    for store in stores:
        store.fault = lambda _m, path: answer(401, error="Unauthorized") if path == "/kvs/batch" else None
    told = await results(client, Put("a", 1), Get("b"))
    assert [(type(each), str(each)) for each in told] == [(kvs.NotAllowed, "Unauthorized")] * 2


async def test_batch_passes_over_a_node_whose_release_takes_none(client: AsyncClient, stores: list[FakeStore]) -> None:
    stores[0].takes_batches = False
    told = await results(client, *puts(100))
    assert {type(each) for each in told} == {kvs.Stored}
    assert len(stores[0].values) == 100


async def test_batch_reads_operations_no_further_ahead_than_its_bound(
    client: AsyncClient, stores: list[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_state, "OPERATIONS_MAX", 1000)
    taken = 0

    def count() -> Iterator[Put]:
        nonlocal taken
        for each in puts(50_000):
            taken += 1
            yield each

    told = 0
    async for _ in client.batch(count()):
        told += 1
        assert taken - told < 1000 + 2 * 256
        if told == 5000:
            break
    await asyncio.sleep(0)


async def test_batch_leaves_answers_unread_while_nobody_takes_results(
    client: AsyncClient, stores: list[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_state, "BYTES_MAX", 1 << 20)
    value = json.dumps("x" * 100_000).encode()
    for n in range(200):
        stores[0].values[b"k%d" % n] = value
    batch = client.begin_batch()
    batch.add([slot_of(Get(f"k{n}")) for n in range(200)])
    batch.end()

    async def is_full() -> bool:
        return batch._window.is_full

    await eventually(is_full, "as much being read as there may be")
    for _ in range(50):
        await asyncio.sleep(0.002)
    assert batch._window._bytes < (1 << 20) + 4 * (512 * 1024)
    got = 0
    while slots := await batch.results():
        got += len(slots)
        assert all(slot.outcome is not None for slot in slots)
    assert got == 200
    await batch.close()


async def test_batch_lane_is_free_as_soon_as_nothing_waits(client: AsyncClient) -> None:
    """Or what is added in the same turn of the loop would be started by nobody."""
    batch = client.begin_batch()
    lane = batch._lanes[0]
    lane.is_busy = True
    slot = slot_of(Put("a", 1))
    batch._window.add(slot)
    lane.waiting.append(slot)
    await batch._run(lane)
    assert not lane.is_busy and slot.outcome is not None
    await batch.close()


async def test_batch_gives_results_while_it_waits_for_more_operations(client: AsyncClient) -> None:
    given = asyncio.Queue[Put | None]()

    async def operations() -> AsyncIterator[Put]:
        while (operation := await given.get()) is not None:
            yield operation

    told = client.batch(operations())
    for n in range(3):
        given.put_nowait(Put(f"k{n}", n))
        async with asyncio.timeout(PATIENCE_S):
            assert isinstance(await anext(told), kvs.Stored)
    given.put_nowait(None)
    assert await anext(told, "end") == "end"


async def test_batch_raises_what_its_operations_raise_after_their_results(client: AsyncClient) -> None:
    def operations() -> Iterator[Operation]:
        yield from puts(300)
        raise LookupError("mine")

    told = []
    with pytest.raises(LookupError, match="mine"):
        async for each in client.batch(operations()):
            told.append(each)
    assert len(told) == 300


async def test_batch_of_a_closed_client_is_misuse(client: AsyncClient) -> None:
    await client.close()
    with pytest.raises(kvs.Misuse):
        await results(client, Put("a", 1))


async def test_batch_ends_when_the_client_is_closed(client: AsyncClient, stores: list[FakeStore]) -> None:
    told = client.batch(puts(100_000))
    await anext(told)
    await client.close()
    seen = set()
    with pytest.raises(kvs.Misuse):
        async for each in told:
            seen.add(type(each))
    assert seen <= {kvs.Stored, kvs.OutcomeUnknown, kvs.Unreachable}


async def test_batch_that_is_left_leaves_no_task_behind(client: AsyncClient) -> None:
    before = asyncio.all_tasks()
    told = client.batch(puts(100_000))
    await anext(told)
    await told.aclose()  # type: ignore[attr-defined]
    assert {
        task for task in asyncio.all_tasks() - before if "serve" not in repr(task) and "start" not in repr(task)
    } == set()


async def test_batch_sends_its_token(endpoints: list[str], stores: list[FakeStore]) -> None:
    for store in stores:
        store.token = "t1"
    async with AsyncClient(endpoints, timeout_s=PATIENCE_S, token="t1") as client:
        assert [type(result) for result in await results(client, Put("a", 1), Get("a"))] == [kvs.Stored, kvs.Found]

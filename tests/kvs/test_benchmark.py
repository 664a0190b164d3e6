"""The load of `kvs bench`: what it does to the store, how it counts, and that it takes its keys away again."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from kvs.benchmark import PREFIX, Load, measure
from kvs.client import AsyncClient
from kvs.errors import BadRequest
from tests.kvs.fake_store import FakeStore, answer, endpoint_of

LOAD = Load(seconds=100.0, clients=4, value_bytes=50, reads=0.25, keys=300)


def steps() -> Iterator[float]:
    """Of a clock that goes on by 0.1 s each time that somebody looks."""
    now = 0.0
    while True:
        now += 0.1
        yield now


@pytest.fixture
async def client(aiohttp_server: AiohttpServer, store: FakeStore) -> AsyncClient:
    return AsyncClient(endpoint_of(await aiohttp_server(store.app())), timeout_s=1.0)


async def test_bench_reads_and_writes_its_own_keys_and_removes_them(client: AsyncClient, store: FakeStore) -> None:
    store.values[b"mine"] = b"1"
    sizes = set[int]()

    def look(method: str, path: str) -> None:
        sizes.update(len(value) for key, value in store.values.items() if key != b"mine")

    store.fault = look
    clock = steps()
    measured = await measure(client, LOAD, random.Random(1), lambda: next(clock))
    await client.close()
    single = [(method, path) for method, path in store.asked if path.startswith("/kvs/keys/")]
    assert all(path.startswith(f"/kvs/keys/{PREFIX}") for _, path in single)
    reads = sum(method == "GET" for method, _ in single)
    assert 0.1 < reads / len(single) < 0.4
    assert len({path for _, path in single}) > 100
    assert sizes == {50}
    assert measured.reads.per_second == pytest.approx(reads / measured.seconds)
    assert measured.writes.per_second == pytest.approx((len(single) - reads) / measured.seconds)
    assert measured.seconds >= 100.0
    for each in (measured.reads, measured.writes):
        assert each.p50_ms is not None and each.p99_ms is not None and each.p999_ms is not None
        assert 100.0 <= each.p50_ms <= each.p99_ms <= each.p999_ms
    assert store.values == {b"mine": b"1"}


async def test_bench_counts_errors_and_goes_on(client: AsyncClient, store: FakeStore) -> None:
    turns = iter(range(1_000_000))

    def fault(method: str, path: str) -> web.Response | None:
        is_single = method == "GET" and path.startswith("/kvs/keys/")
        return answer(400, error="no") if is_single and next(turns) % 2 else None

    store.fault = fault
    clock = steps()
    measured = await measure(client, LOAD, random.Random(1), lambda: next(clock))
    await client.close()
    assert measured.reads.errors > 10 and measured.writes.errors == 0
    assert measured.first_errors == {"no": measured.reads.errors}
    assert store.values == {}


async def test_bench_that_cannot_begin_takes_away_what_it_has_stored(client: AsyncClient, store: FakeStore) -> None:
    full = iter(range(1_000_000))
    store.fault = lambda method, _p: answer(400, error="full") if method == "PUT" and next(full) > 100 else None
    with pytest.raises(BadRequest, match="full"):
        await measure(client, LOAD, random.Random(1), lambda: 0.0)
    await client.close()
    assert store.values == {}

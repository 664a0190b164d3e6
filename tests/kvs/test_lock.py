"""The lock: one holder at a time, who is told when it is lost, or may be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from kvs.client import AsyncClient
from kvs.errors import BadRequest, Contended, KvsError, Locked, LockLost, Misuse, OutcomeUnknown, Unreachable
from kvs.lock import AsyncLock
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, answer, endpoint_of
from tests.kvs.moved_time import MovedTime, come_true

NAME, TTL_S = "job", 30.0
HELD_S = 24.0
"""Less the margin."""
OTHER = b'{"id": "other", "holder": "somebody"}'

Make = Callable[..., AsyncLock]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def time(store: FakeStore) -> MovedTime:
    return MovedTime(store)


@pytest.fixture
async def client(store: FakeStore, aiohttp_server: AiohttpServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(endpoint_of(await aiohttp_server(store.app())), timeout_s=40.0) as client:
        yield client


@pytest.fixture
def make(client: AsyncClient, time: MovedTime) -> Make:
    """A lock on the time that the test moves."""

    def lock(timeout: float | None = 0.0) -> AsyncLock:
        return AsyncLock(client, NAME, TTL_S, client._renewing, timeout=timeout, holder="me", system=time)

    return lock


def silent(method: str) -> Callable[[str, str], web.Response | None]:
    return lambda asked, _path: answer(503, error="no") if asked == method else None


def there(store: FakeStore) -> bool:
    return NAME.encode() in store.values


async def test_lock_of_many_is_held_by_one_at_a_time(client: AsyncClient, store: FakeStore) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with client.lock(NAME, TTL_S) as lock:
            inside += 1
            assert inside == 1 and lock.is_held
            await asyncio.sleep(0.01)
            inside -= 1
        assert not lock.is_held

    await asyncio.gather(*(work() for _ in range(8)))
    assert not there(store)


async def test_lock_names_its_holder_and_has_an_id_of_its_own_each_time(make: Make, store: FakeStore) -> None:
    lock, ids = make(), set[str]()
    for _ in range(2):
        async with lock:
            value = json.loads(store.values[NAME.encode()])
            assert value["holder"] == "me"
            ids.add(value["id"])
    assert len(ids) == 2


async def test_lock_is_renewed_as_long_as_the_block_runs(make: Make, store: FakeStore, time: MovedTime) -> None:
    async with make() as lock:
        for writes in range(1, 11):
            time.move(10.0)

            def is_renewed(writes: int = writes) -> bool:
                return store.writes > writes and bool(time.sleepers)

            await come_true(is_renewed)
            assert lock.is_held and there(store)
    assert not there(store)


async def test_lock_that_cannot_be_renewed_is_lost_a_margin_before_its_ttl(
    make: Make, store: FakeStore, time: MovedTime
) -> None:
    with pytest.raises(LockLost, match="not renewed in time"):
        async with make() as lock:
            store.fault = silent("PUT")
            time.move(HELD_S - 0.1)
            assert lock.is_held
            time.move(0.1)
            assert not lock.is_held, "at once, though nothing else has run since"
            assert there(store), "the next one gets it later"
            await asyncio.wait_for(lock.lost(), 20)
            store.fault = lambda _m, _p: None
            assert not lock.is_held
    assert not there(store)


async def test_lock_that_is_somebody_elses_is_lost_and_left_alone(
    make: Make, store: FakeStore, time: MovedTime
) -> None:
    with pytest.raises(LockLost):
        async with make() as lock:
            store._write(NAME.encode(), OTHER)
            time.move(10.0)
            await asyncio.wait_for(lock.lost(), 20)
            assert not lock.is_held
    assert store.values[NAME.encode()] == OTHER


async def test_lock_that_is_found_lost_only_when_it_is_released_says_so(make: Make, store: FakeStore) -> None:
    with pytest.raises(LockLost):
        async with make() as lock:
            store._write(NAME.encode(), OTHER)
            assert lock.is_held


async def test_lock_that_is_lost_does_not_hide_the_error_of_the_block(make: Make, store: FakeStore) -> None:
    with pytest.raises(ValueError, match="mine") as raised:
        async with make():
            store._write(NAME.encode(), OTHER)
            raise ValueError("mine")
    assert "lost" in raised.value.__notes__[0]


@pytest.mark.parametrize("hook", ["loses", "fault"])
async def test_lock_is_had_in_the_end_though_outcomes_are_unknown(
    client: AsyncClient, store: FakeStore, hook: str
) -> None:
    left = iter(range(3))
    setattr(store, hook, lambda m, _p: answer(503, error="no") if m == "PUT" and next(left, None) is not None else None)
    async with client.lock(NAME, TTL_S, timeout=20.0) as lock:
        assert lock.is_held


async def test_lock_whose_answer_came_too_late_is_not_had(make: Make, store: FakeStore, time: MovedTime) -> None:
    store.loses = lambda method, _path: time.move(HELD_S) if method == "PUT" else None
    with pytest.raises(Locked, match="held by me"):
        await make().__aenter__()


async def test_lock_of_somebody_else_is_waited_for_and_no_longer(make: Make, store: FakeStore, time: MovedTime) -> None:
    store._write(NAME.encode(), OTHER)
    with pytest.raises(Locked, match="held by somebody"):
        await make().__aenter__()
    assert [method for method, _ in store.asked] == ["PUT", "GET"]
    waiting = asyncio.ensure_future(make(timeout=5.0).__aenter__())
    for _ in range(20):
        await come_true(lambda: time.sleepers or waiting.done())
        time.move(0.3)
    with pytest.raises(Locked):
        await asyncio.wait_for(waiting, 20)
    assert store.values[NAME.encode()] == OTHER


async def test_lock_of_a_holder_that_died_is_had_after_its_ttl(make: Make, store: FakeStore, time: MovedTime) -> None:
    first = await make().__aenter__()
    first._renewing.cancel()
    waiting = asyncio.ensure_future(make(timeout=None).__aenter__())
    time.move(TTL_S - 0.1)
    await asyncio.sleep(0.1)
    assert not waiting.done() and not first.is_held
    for _ in range(4):
        await come_true(lambda: time.sleepers or waiting.done())
        time.move(1.0)
    second = await asyncio.wait_for(waiting, 20)
    assert second.is_held and not first.is_held
    await second.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(silent("PUT"), OutcomeUnknown), (lambda m, _p: answer(412, error="no") if m == "PUT" else None, Contended)],
)
async def test_lock_that_is_not_had_says_what_is_known(
    make: Make, store: FakeStore, fault: Callable[[str, str], web.Response | None], kind: type[KvsError]
) -> None:
    store.fault = fault
    with pytest.raises(kind):
        await make().__aenter__()


async def test_lock_that_reaches_nobody_says_so() -> None:
    async with AsyncClient(NOWHERE, timeout_s=0.2) as client:
        with pytest.raises(Unreachable):
            await client.lock(NAME, TTL_S, timeout=0.0).__aenter__()


async def test_lock_token_grows_from_holder_to_holder(make: Make) -> None:
    tokens = []
    for _ in range(3):
        async with make() as lock:
            tokens.append(await lock.token())
            assert await lock.token() == tokens[-1]
    assert tokens == [1, 2, 3]


async def test_lock_token_that_was_drawn_too_late_is_none(make: Make, store: FakeStore, time: MovedTime) -> None:
    with pytest.raises(LockLost):
        async with make() as lock:
            store.fault = lambda _m, path: time.move(HELD_S) if path.endswith("token") else None
            with pytest.raises(LockLost):
                await lock.token()


async def test_lock_of_a_client_that_is_closed_is_lost(make: Make, client: AsyncClient) -> None:
    with pytest.raises(KvsError):
        async with make() as lock:
            await client.close()
            await asyncio.wait_for(lock.lost(), 20)
            assert not lock.is_held


async def test_lock_is_entered_by_one_at_a_time(make: Make) -> None:
    lock = make()
    with pytest.raises(Misuse, match="not held"):
        await lock.token()
    async with lock:
        with pytest.raises(Misuse, match="entered already"):
            await lock.__aenter__()
        assert lock.is_held


@pytest.mark.parametrize("ttl", [0.9, 0, -1, float("nan")])
def test_lock_ttl_is_long_enough_to_be_renewed(ttl: float) -> None:
    with pytest.raises(BadRequest, match="at least 1 s"):
        AsyncClient(NOWHERE).lock(NAME, ttl)


async def test_lock_does_not_touch_what_is_none(make: Make, store: FakeStore) -> None:
    store.values[NAME.encode()] = b"7"
    with pytest.raises(BadRequest, match="something else than a lock"):
        await make().__aenter__()
    assert store.values[NAME.encode()] == b"7"

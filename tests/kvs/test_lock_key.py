"""The key of a lock: whatever became of a request, the id tells whose it is, and nobody touches what is another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from kvs.client import AsyncClient
from kvs.errors import BadRequest, OutcomeUnknown
from kvs.hold import Hold
from kvs.lock_key import PAUSE_S, Holder, LockKey
from tests.kvs.fake_store import FakeStore, answer, endpoint_of
from tests.kvs.moved_time import MovedTime, come_true

NAME, TTL_S = "job", 30.0
ME, OTHER = Holder("mine", "me"), Holder("other", "other")


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def time(store: FakeStore) -> MovedTime:
    return MovedTime(store)


@pytest.fixture
async def key(store: FakeStore, time: MovedTime, aiohttp_server: AiohttpServer) -> AsyncIterator[LockKey]:
    async with AsyncClient(endpoint_of(await aiohttp_server(store.app())), timeout_s=40.0) as client:
        yield LockKey(client, NAME, TTL_S, ME, time)


def lost(store: FakeStore, method: str, *, executed: bool) -> None:
    """The next such request has no answer, executed or not."""
    left = iter([method])

    def fault(asked: str, _path: str) -> web.Response | None:
        return answer(503, error="no") if asked == method and next(left, None) is not None else None

    setattr(store, "loses" if executed else "fault", fault)


def holder(store: FakeStore) -> Holder | None:
    raw = store.values.get(NAME.encode())
    return None if raw is None else msgspec.json.decode(raw, type=Holder)


async def claimed(key: LockKey) -> Hold:
    hold = Hold(TTL_S)
    assert await key.claim(hold) is None and hold.version
    return hold


def taken(store: FakeStore) -> None:
    store._write(NAME.encode(), msgspec.json.encode(OTHER))


async def test_lock_key_is_claimed_by_one_and_expires(key: LockKey, store: FakeStore, time: MovedTime) -> None:
    hold = await claimed(key)
    assert hold.is_held(time.now()) and holder(store) == ME
    again = Hold(TTL_S)
    assert await key.claim(again) is None and not again.version
    time.move(TTL_S)
    assert await key.find(Hold(TTL_S)) is None


@pytest.mark.parametrize("executed", [True, False])
async def test_lock_key_claim_of_an_unknown_outcome_is_found_by_its_id(
    key: LockKey, store: FakeStore, time: MovedTime, executed: bool
) -> None:
    lost(store, "PUT", executed=executed)
    hold = Hold(TTL_S)
    assert isinstance(await key.claim(hold), OutcomeUnknown)
    assert not hold.is_held(time.now())
    time.move(10.0)
    seen = await key.find(hold)
    assert (seen is not None and seen.by == ME) == hold.is_held(time.now()) == executed
    time.move(13.9)
    assert hold.is_held(time.now()) == executed
    time.move(0.2)
    assert not hold.is_held(time.now()), "counted from when it was put"


async def test_lock_key_of_somebody_else_is_seen_and_not_had(key: LockKey, store: FakeStore, time: MovedTime) -> None:
    taken(store)
    hold = Hold(TTL_S)
    seen = await key.find(hold)
    assert seen is not None and (seen.by, seen.left_s) == (OTHER, float("inf"))
    assert not hold.is_held(time.now())


@pytest.mark.parametrize("executed", [True, False])
async def test_lock_key_renewal_of_an_unknown_outcome_is_found_out(
    key: LockKey, store: FakeStore, time: MovedTime, executed: bool
) -> None:
    hold = await claimed(key)
    time.move(10.0)
    lost(store, "PUT", executed=executed)
    await key.renew(hold)
    assert hold.is_due(time.now()) is False
    time.move(15.0)
    assert hold.is_held(time.now()) == executed


async def test_lock_key_renewal_does_not_touch_what_is_anothers(
    key: LockKey, store: FakeStore, time: MovedTime
) -> None:
    hold = await claimed(key)
    taken(store)
    await key.renew(hold)
    assert not hold.is_held(time.now()) and holder(store) == OTHER


async def test_lock_key_renewal_does_not_bring_back_what_has_expired(
    key: LockKey, store: FakeStore, time: MovedTime
) -> None:
    hold = await claimed(key)
    store.now = lambda: time.now() + TTL_S
    await key.renew(hold)
    assert not hold.is_held(time.now()) and holder(store) is None


async def test_lock_key_release_lets_go(key: LockKey, store: FakeStore) -> None:
    assert await key.release(await claimed(key), 0.0) is True
    assert holder(store) is None


async def test_lock_key_release_leaves_what_is_anothers_and_says_so(key: LockKey, store: FakeStore) -> None:
    hold = await claimed(key)
    taken(store)
    assert await key.release(hold, 0.0) is False
    assert holder(store) == OTHER


async def test_lock_key_release_of_what_has_expired_says_so(key: LockKey, store: FakeStore, time: MovedTime) -> None:
    hold = await claimed(key)
    time.move(TTL_S)
    assert await key.release(hold, 0.0) is False


async def test_lock_key_release_that_was_executed_without_an_answer_is_one(key: LockKey, store: FakeStore) -> None:
    hold = await claimed(key)
    lost(store, "DELETE", executed=True)
    assert await key.release(hold, 0.0) is True
    assert holder(store) is None


async def test_lock_key_release_goes_on_with_the_version_of_a_renewal_that_nobody_waited_for(
    key: LockKey, store: FakeStore, time: MovedTime
) -> None:
    hold = await claimed(key)
    former = hold.version
    await key.renew(hold)
    hold.version = former
    releasing = asyncio.ensure_future(key.release(hold, 5.0))
    await come_true(lambda: time.sleepers)
    time.move(PAUSE_S)
    assert await releasing is True
    assert holder(store) is None


@pytest.mark.parametrize("value", [b"7", b'{"id":"a"}', b'{"id":"a","holder":"b","more":1}'])
async def test_lock_key_does_not_touch_what_is_none(key: LockKey, store: FakeStore, value: bytes) -> None:
    store.values[NAME.encode()] = value
    with pytest.raises(BadRequest, match="something else than a lock"):
        await key.find(Hold(TTL_S))
    assert store.values[NAME.encode()] == value

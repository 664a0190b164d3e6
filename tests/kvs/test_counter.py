"""The counter: each increment counts once, or its caller is told that nobody knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pytest_aiohttp import AiohttpServer

from kvs.client import AsyncClient
from kvs.counter import RECENT_MAX, AsyncCounter, Increment, Seen, State
from kvs.errors import BadRequest, Contended, OutcomeUnknown, Unreachable
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, answer, endpoint_of

PATIENCE_S = 40.0
"""Nothing that is waited for here takes a tenth of this on an idle machine."""
LATER = {"Retry-After": "3600"}


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def client(store: FakeStore, aiohttp_server: AiohttpServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(endpoint_of(await aiohttp_server(store.app())), timeout_s=PATIENCE_S) as client:
        yield client


def counted(store: FakeStore) -> int:
    count = json.loads(store.values[b"hits"])["count"]
    assert isinstance(count, int)
    return count


def lost(store: FakeStore, times: int, *, executed: bool) -> None:
    """The next so many writes have no answer, executed or not."""
    left = iter(range(times))

    def fault(method: str, _path: str) -> web.Response | None:
        return answer(503, error="no") if method == "PUT" and next(left, None) is not None else None

    setattr(store, "loses" if executed else "fault", fault)


def state_of(*ids: str) -> State:
    state = State()
    for id in ids:
        state = state.after(1, id)
    return state


OTHERS = tuple(f"other{n}" for n in range(RECENT_MAX))


@pytest.mark.parametrize(
    ("former", "version", "now", "now_version", "seen"),
    [
        (("a",), "1", ("a",), "1", Seen.OPEN),
        (("a",), "1", ("a", "mine"), "2", Seen.COUNTED),
        (("a",), "1", ("a", "mine", "b"), "3", Seen.COUNTED),
        (("a",), "1", ("a", "b"), "2", Seen.NOT_COUNTED),
        (("a",), "1", ("a", *OTHERS[1:]), "9", Seen.NOT_COUNTED),
        (("a",), "1", ("a", *OTHERS), "9", Seen.LOST),
        (("a",), "1", ("z",), "9", Seen.LOST),
        (("a",), "1", (), None, Seen.LOST),
        ((), None, (), None, Seen.OPEN),
        ((), None, ("mine",), "1", Seen.COUNTED),
        ((), None, ("b",), "1", Seen.NOT_COUNTED),
        ((), None, OTHERS, "9", Seen.LOST),
    ],
)
def test_increment_whose_outcome_is_unknown_is_told_from_what_is_there(
    former: tuple[str, ...], version: str | None, now: tuple[str, ...], now_version: str | None, seen: Seen
) -> None:
    assert Increment(1, "mine", state_of(*former), version).seen(state_of(*now), now_version) is seen


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2 * RECENT_MAX)), max_size=6))
def test_increment_is_never_taken_for_what_it_is_not(steps: list[tuple[bool, int]]) -> None:
    """`steps`: whether the write of an unknown outcome happened, and how many others counted after it."""
    state, version = State(), 0
    for happened, others in steps:
        mine = Increment(1, f"mine{version}", state, str(version))
        if happened:
            state, version = mine.wanted, version + 1
        for n in range(others):
            state, version = state.after(1, f"{version}-{n}"), version + 1
        seen = mine.seen(state, str(version))
        assert seen is not Seen.COUNTED or happened
        assert seen not in (Seen.NOT_COUNTED, Seen.OPEN) or not happened


async def test_counter_counts(client: AsyncClient, store: FakeStore) -> None:
    hits = client.counter("hits")
    assert await hits.value() == 0
    assert [await hits.increment(), await hits.increment(5), await hits.increment(-2)] == [1, 6, 4]
    assert await hits.value() == counted(store) == 4
    assert await hits.increment(10**30) == 10**30 + 4


async def test_counter_keeps_a_bounded_number_of_ids(client: AsyncClient, store: FakeStore) -> None:
    hits = client.counter("hits")
    for _ in range(RECENT_MAX + 10):
        await hits.increment()
    assert len(json.loads(store.values[b"hits"])["recent"]) == RECENT_MAX


async def test_counter_of_many_at_once_counts_each_once(client: AsyncClient, store: FakeStore) -> None:
    counts = await asyncio.gather(*(client.counter("hits").increment() for _ in range(30)))
    assert sorted(counts) == list(range(1, 31)), "each is told another count"
    assert counted(store) == 30


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("begun", [True, False])
async def test_counter_unknown_outcome_is_found_out_and_counts_once(
    client: AsyncClient, store: FakeStore, executed: bool, times: int, begun: bool
) -> None:
    hits = client.counter("hits")
    if begun:
        await hits.increment()
    lost(store, times, executed=executed)
    assert await hits.increment() == 1 + begun
    assert counted(store) == 1 + begun


@pytest.mark.parametrize("executed", [True, False])
async def test_counter_of_many_at_once_whose_writes_get_lost_counts_each_once(
    client: AsyncClient, store: FakeStore, executed: bool
) -> None:
    lost(store, 15, executed=executed)
    await asyncio.gather(*(client.counter("hits").increment() for _ in range(20)))
    assert counted(store) == 20


async def test_counter_of_which_nobody_knows_says_so(client: AsyncClient, store: FakeStore) -> None:
    """Others have counted so often meanwhile that its id, if it was ever there, is forgotten."""
    await client.counter("hits").increment()

    def overtaken(method: str, _path: str) -> web.Response | None:
        if method != "PUT":
            return None
        store._write(b"hits", json.dumps({"count": 99, "recent": OTHERS}).encode())
        return answer(503, error="no")

    store.loses = overtaken
    with pytest.raises(OutcomeUnknown):
        await client.counter("hits").increment()


async def test_counter_that_cannot_look_what_became_of_it_says_so(client: AsyncClient, store: FakeStore) -> None:
    def breaks(method: str, _path: str) -> web.Response | None:
        if method == "PUT":
            store.fault = lambda _m, _p: answer(503, LATER, error="down")
            return answer(503, error="no")
        return None

    store.loses = breaks
    with pytest.raises(OutcomeUnknown):
        await client.counter("hits").increment()
    assert counted(store) == 1


async def test_counter_that_reaches_nobody_has_not_counted() -> None:
    async with AsyncClient(NOWHERE, timeout_s=0.2) as client:
        with pytest.raises(Unreachable):
            await client.counter("hits").increment()


async def test_counter_that_others_change_each_time_gives_up_and_has_not_counted(
    client: AsyncClient, store: FakeStore
) -> None:
    def faster(method: str, _path: str) -> None:
        if method == "PUT":
            store._write(b"hits", json.dumps({"count": 7, "recent": ["other"]}).encode())

    store.fault = faster
    with pytest.raises(Contended, match="changed by others"):
        await AsyncCounter(client, "hits", timeout_s=0.3).increment()
    assert counted(store) == 7


@pytest.mark.parametrize("value", [b"7", b'{"count": 7, "more": 1}', b'{"count": "7"}', b"[]"])
async def test_counter_does_not_touch_what_is_none(client: AsyncClient, store: FakeStore, value: bytes) -> None:
    store.values[b"hits"] = value
    for call in (client.counter("hits").increment(), client.counter("hits").value()):
        with pytest.raises(BadRequest, match="something else than a counter"):
            await call
    assert store.values == {b"hits": value}


@pytest.mark.parametrize("by", [1.5, 2.0, True, "1", None, [], float("nan")])
async def test_counter_counts_by_whole_numbers_only(client: AsyncClient, store: FakeStore, by: object) -> None:
    counter = client.counter("hits")
    await counter.increment(5)
    with pytest.raises(BadRequest, match="by whole numbers, not by"):
        await counter.increment(by)  # type: ignore[arg-type]
    assert await counter.increment() == counted(store) == 6


@pytest.mark.parametrize("by", [10**1000, -(10**1000), 10**4299])
async def test_counter_stays_below_what_fits(client: AsyncClient, store: FakeStore, by: int) -> None:
    counter = client.counter("hits")
    with pytest.raises(BadRequest, match="more than 1000 digits"):
        await counter.increment(by)
    assert not store.values
    assert await counter.increment(by=1 - 10**1000) == 1 - 10**1000


async def test_counter_that_expires_goes_on_to(client: AsyncClient, store: FakeStore) -> None:
    await client.put("hits", {"count": 4, "recent": []}, ttl=29.5)
    assert await client.counter("hits").increment() == 5
    assert bytes(store.ttls[b"hits"]) == b"29.5"

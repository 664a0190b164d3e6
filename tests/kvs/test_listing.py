"""Listings: pages follow one another to the end, from whatever node, and one that does not get on is given up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pytest_aiohttp import AiohttpServer

from kvs.asking import Asker
from kvs.errors import BadRequest, Unreachable
from kvs.listing import pages, request_for
from kvs.repeating import Patience
from kvs.responses import EntriesPage, KeysPage
from tests.kvs.fake_store import FakeStore, answer, endpoint_of

HUNDRED = [f"k{n:02}" for n in range(100)]


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore()
    store.values |= {key.encode(): b"%d" % n for n, key in enumerate(HUNDRED)}
    return store


@pytest.fixture
async def asker(store: FakeStore, aiohttp_server: AiohttpServer) -> AsyncIterator[Asker]:
    asker = Asker((endpoint_of(await aiohttp_server(store.app())),), Patience(None, 5.0, 1))
    yield asker
    await asker.close()


async def test_listing_page_is_what_was_asked_for(asker: Asker) -> None:
    assert await asker.ask(request_for(KeysPage, "k1", "k13", 2)) == (
        KeysPage(("k14", "k15"), "k15"),
        *asker.nodes.endpoints,
    )
    page, _ = await asker.ask(request_for(EntriesPage, "k42", None, 10))
    (entry,) = page.listed
    assert (entry.key, bytes(entry.value), entry.etag) == ("k42", b"42", '"7"')


@pytest.mark.parametrize(("limit", "page_keys"), [(None, 7), (None, 100), (45, 30), (30, 30), (0, 30), (1, 30)])
async def test_listing_ends_at_its_limit_or_at_the_end(
    asker: Asker, store: FakeStore, limit: int | None, page_keys: int
) -> None:
    store.page_keys_max = page_keys
    keys = [key async for page in pages(asker, KeysPage, "k", limit) for key in page.listed]
    assert keys == HUNDRED[:limit]


async def test_listing_asks_for_the_next_page_when_it_is_wanted(asker: Asker, store: FakeStore) -> None:
    store.page_keys_max = 1
    async for _ in pages(asker, KeysPage):
        break
    assert len(store.asked) == 1


async def test_listing_that_does_not_get_on_is_given_up(asker: Asker, store: FakeStore) -> None:
    store.fault = lambda _method, _path: answer(200, keys=["k"], next="k")
    with pytest.raises(Unreachable, match="does not get on"):
        async for _ in pages(asker, KeysPage):
            pass
    assert len(store.asked) == 2


async def test_listing_of_what_is_no_prefix_is_refused(asker: Asker, store: FakeStore) -> None:
    with pytest.raises(BadRequest, match="surrogate"):
        request_for(KeysPage, "\udcff", None, 1)
    store.fault = lambda _method, _path: answer(400, error="Malformed prefix")
    with pytest.raises(BadRequest, match="Malformed prefix") as refusal:
        async for _ in pages(asker, KeysPage, "k"):
            pass
    assert refusal.value.status == 400

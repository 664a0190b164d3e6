"""Requests for keys: what is sent arrives as it is, and each answer is told for what it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from kvs.client import AsyncClient
from kvs.data import path_of
from kvs.errors import BadRequest, ConditionFailed, KvsError, OutcomeUnknown, Unreachable
from kvs.values import Copies, Json
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore, Fault, answer, endpoint_of

KEYS = ["a", "a/b%20 ü..", "..", ".", "?q#f", "a//b/", "%2F", "+ ", "\x00\n", "日本", "😀"]

PATIENCE_S = 40.0
"""Nothing that is waited for here takes a tenth of this on an idle machine."""

Call = Callable[[AsyncClient], Awaitable[object]]
READS: dict[str, Call] = {"get": lambda client: client.get("k")}
PLAIN: dict[str, Call] = {"put": lambda client: client.put("k", 1)}
ONCE: dict[str, Call] = {
    "delete": lambda client: client.delete("k"),
    "put_if version": lambda client: client.put_if("k", 1, version='"0"'),
    "put_if must_not_exist": lambda client: client.put_if("new", 1, must_not_exist=True),
    "delete if_version": lambda client: client.delete("k", if_version='"0"'),
}


@pytest.fixture
def stores() -> list[FakeStore]:
    """Two nodes; `k` is there."""
    stores = [FakeStore(), FakeStore()]
    for store in stores:
        store.values[b"k"] = b"7"
    return stores


@pytest.fixture
async def client(stores: list[FakeStore], aiohttp_server: AiohttpServer) -> AsyncIterator[AsyncClient]:
    endpoints = [endpoint_of(await aiohttp_server(store.app())) for store in stores]
    async with AsyncClient(endpoints, timeout_s=PATIENCE_S) as client:
        yield client


@pytest.mark.parametrize("key", KEYS)
async def test_data_key_of_any_characters_arrives_as_it_is(
    client: AsyncClient, stores: list[FakeStore], key: str
) -> None:
    del stores[0].values[b"k"]
    assert (await client.put(key, 1)).replaced is False
    assert list(stores[0].values) == [key.encode()]
    assert (await client.put(key, 2)).replaced is True
    found = await client.get(key)
    assert found is not None and found.value == 2
    assert await client.delete(key) is True
    assert await client.delete(key) is False
    assert await client.get(key) is None


@pytest.mark.parametrize("text", [b"null", b"1.50", b"123456789012345678901234567890", b'{"b":1, "a":2}', b'"\\u00fc"'])
async def test_data_text_comes_back_byte_for_byte(client: AsyncClient, text: bytes) -> None:
    await client.put("k", Json(text))
    found = await client.get("k")
    assert found is not None and found.raw == text


@pytest.mark.parametrize("key", ["", "\udcff"])
def test_data_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with pytest.raises(BadRequest):
        path_of(key)


async def test_data_versions_are_those_of_what_was_written_and_read(client: AsyncClient) -> None:
    first, second = await client.put("k", 1), await client.put("k", 2)
    found = await client.get("k")
    assert first.version != second.version
    assert found is not None and found.version == second.version


async def test_data_conditions_hold_for_one_writer_each(client: AsyncClient, stores: list[FakeStore]) -> None:
    first = await client.put_if("new", 1, must_not_exist=True)
    assert first.replaced is False
    with pytest.raises(ConditionFailed) as failed:
        await client.put_if("new", 2, must_not_exist=True)
    assert (failed.value.key, failed.value.version) == ("new", first.version)
    second = await client.put_if("new", 3, version=first.version)
    assert second.replaced is True
    for write in (client.put_if("new", 4, version=first.version), client.delete("new", if_version=first.version)):
        with pytest.raises(ConditionFailed) as failed:
            await write
        assert failed.value.version == second.version
    assert stores[0].values[b"new"] == b"3"
    assert await client.delete("new", if_version=second.version) is True
    with pytest.raises(ConditionFailed, match="does not exist") as failed:
        await client.delete("new", if_version=second.version)
    assert failed.value.version is None


@pytest.mark.parametrize("version", ["*", "", "7", '"a\r\nHost: b"', '"a', 'W/"a"', '"a","b"', '"ü"'])
async def test_data_version_that_no_store_has_told_is_not_sent(
    client: AsyncClient, stores: list[FakeStore], version: str
) -> None:
    for call in (client.put_if("k", 1, version=version), client.delete("k", if_version=version)):
        with pytest.raises(BadRequest, match="no version that a store has told"):
            await call
    assert stores[0].asked == []


@pytest.mark.parametrize("conditions", [{}, {"version": '"1"', "must_not_exist": True}])
async def test_data_put_if_takes_one_condition(client: AsyncClient, conditions: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="one condition"):
        await client.put_if("k", 1, **conditions)  # type: ignore[call-overload]


async def test_data_write_tells_how_many_owners_have_it(client: AsyncClient, stores: list[FakeStore]) -> None:
    assert (await client.put("k", 1)).copies is None
    stores[0].copies = "1/2"
    assert (await client.put("k", 2)).copies == Copies(1, 2)


FAULTS: dict[str, Fault] = {
    "503": lambda _m, _p: answer(503, error="Unable to satisfy request", unreachable=["10.0.0.9:80"]),
    "500": lambda _m, _p: answer(500, error="Internal server error"),
    "not JSON": lambda _m, _p: web.Response(text="<html>"),
    "JSON of another service": lambda _m, _p: web.json_response({"hello": 1}),
    "JSON of another service, with an ETag": lambda _m, _p: web.json_response({"a": 1}, headers={"ETag": '"1"'}),
    "404 of another service": lambda _m, _p: web.Response(status=404, text="nginx"),
    "404 of another service, of JSON": lambda _m, _p: web.json_response({"detail": "Not found"}, status=404),
    "redirect": lambda _m, _p: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
}
LATER = {"Retry-After": "3600"}
"""To ask no more before is to give up."""


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("call", [*READS.values(), *PLAIN.values()], ids=[*READS, *PLAIN])
async def test_data_what_may_be_repeated_goes_on_at_another_node(
    client: AsyncClient, stores: list[FakeStore], call: Call, fault: Fault
) -> None:
    stores[0].fault = fault
    assert await call(client)
    assert len(stores[0].asked) == len(stores[1].asked) == 1


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE)
async def test_data_what_must_not_be_repeated_has_an_unknown_outcome(
    client: AsyncClient, stores: list[FakeStore], call: Call, fault: Fault
) -> None:
    stores[0].fault = fault
    with pytest.raises(OutcomeUnknown, match="may have happened"):
        await call(client)
    assert len(stores[0].asked) == 1
    assert stores[1].asked == []


@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE)
async def test_data_what_must_not_be_repeated_goes_on_where_it_was_not_sent(
    aiohttp_server: AiohttpServer, stores: list[FakeStore], call: Call
) -> None:
    there = endpoint_of(await aiohttp_server(stores[0].app()))
    async with AsyncClient([NOWHERE, "no-such-name.invalid:1", there], timeout_s=PATIENCE_S) as client:
        await call(client)
    assert stores[0].writes == 1


@pytest.mark.parametrize("call", [*READS.values(), *PLAIN.values(), *ONCE.values()], ids=[*READS, *PLAIN, *ONCE])
async def test_data_that_reaches_nobody_has_not_happened(call: Call) -> None:
    async with AsyncClient([NOWHERE], timeout_s=0.3) as client:
        with pytest.raises(Unreachable):
            await call(client)


@pytest.mark.parametrize(
    ("call", "fault"),
    [*((call, Unreachable) for call in READS.values()), *((call, OutcomeUnknown) for call in PLAIN.values())],
)
async def test_data_that_no_node_can_answer_is_unknown_if_it_may_have_happened(
    client: AsyncClient, stores: list[FakeStore], call: Call, fault: type[KvsError]
) -> None:
    for store in stores:
        store.fault = lambda _m, _p: answer(503, LATER, error="Unable to satisfy request", unreachable=["10.0.0.9:80"])
    with pytest.raises(fault, match=r"Unable to satisfy request: 10\.0\.0\.9:80"):
        await call(client)


@pytest.mark.parametrize("status", [400, 405, 413, 415, 501])
@pytest.mark.parametrize("call", [*READS.values(), *PLAIN.values(), *ONCE.values()], ids=[*READS, *PLAIN, *ONCE])
async def test_data_refusal_is_told_and_asked_for_nowhere_else(
    client: AsyncClient, stores: list[FakeStore], call: Call, status: int
) -> None:
    stores[0].fault = lambda _m, _p: answer(status, error="No")
    with pytest.raises(BadRequest, match="No") as refusal:
        await call(client)
    assert refusal.value.status == status
    assert stores[1].asked == []


async def test_data_missing_key_is_asked_for_nowhere_else(client: AsyncClient, stores: list[FakeStore]) -> None:
    assert await client.get("missing") is None
    assert stores[1].asked == []

"""What operators ask for: an endpoint that cannot answer is passed over where that is safe, and a view change is made
once."""

import json
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

import kvs.operating
from kvs.errors import OutcomeUnknown, Unreachable
from kvs.operating import Change, Operator, Refused
from kvs.responses import Progress
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import NODES, FakeStore, Fault, answer, endpoint_of, progress


@pytest.fixture
async def stores() -> list[FakeStore]:
    return [FakeStore(), FakeStore()]


@pytest.fixture
async def client(stores: list[FakeStore], aiohttp_server: AiohttpServer) -> AsyncIterator[Operator]:
    endpoints = [endpoint_of(await aiohttp_server(store.app())) for store in stores]
    async with Operator(endpoints) as client:
        yield client


FAULTS: dict[str, Fault] = {
    "503": lambda _m, _p: answer(503, error="Unable to satisfy request"),
    "500": lambda _m, _p: answer(500, error="Internal server error"),
    "not JSON": lambda _m, _p: web.Response(text="<html>"),
    "JSON of another service": lambda _m, _p: web.json_response({"hello": 1}),
    "404 of another service": lambda _m, _p: web.Response(status=404, text="nginx"),
    "redirect": lambda _m, _p: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_operator_endpoint_that_cannot_answer_is_passed_over(
    client: Operator, stores: list[FakeStore], fault: Fault
) -> None:
    stores[0].fault = fault
    stores[1].values[b"k"] = b"7"
    for _ in range(2):
        found = await client.get("k")
        assert found is not None and found.raw == b"7"
    assert len(stores[0].asked) == 1, "an endpoint that failed is asked last from then on"


async def test_operator_delete_that_may_have_happened_is_not_repeated(
    client: Operator, stores: list[FakeStore]
) -> None:
    stores[0].fault = FAULTS["503"]
    stores[1].values[b"k"] = b"7"
    with pytest.raises(OutcomeUnknown, match="it may have happened all the same"):
        await client.delete("k")
    assert stores[1].asked == []


async def test_operator_delete_goes_on_where_no_connection_was_made(aiohttp_server: AiohttpServer) -> None:
    store = FakeStore()
    store.values[b"k"] = b"7"
    async with Operator([NOWHERE, endpoint_of(await aiohttp_server(store.app()))]) as client:
        await client.delete("k")
    assert not store.values


async def test_operator_silent_endpoint_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Its backlog takes the connection.
        port = silent.getsockname()[1]
        async with Operator([f"127.0.0.1:{port}"], data_timeout_s=0.1) as client:
            with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port} \(no answer within 0\.1 s\)"):
                await client.get("k")


async def test_operator_names_every_endpoint_that_failed() -> None:
    async with Operator(["127.0.0.1:1", "127.0.0.1:2"]) as client:
        with pytest.raises(Unreachable) as caught:
            await client.status()
    refused = "no node gave a result: 127.0.0.1:1, 127.0.0.1:2 (connection refused)"
    assert str(caught.value) == refused


async def test_operator_view_change_with_unreachable_nodes_is_refused_by_name(
    client: Operator, stores: list[FakeStore]
) -> None:
    stores[0].fault = lambda _m, _p: answer(503, error="Nodes cannot be reached", unreachable=["10.0.0.9:80"])
    with pytest.raises(Refused, match=r"Nodes cannot be reached: 10\.0\.0\.9:80"):
        await client.plan(Change(("10.0.0.9:80",)))
    assert stores[1].asked == []


async def test_operator_view_change_tells_progress_until_it_is_done(
    client: Operator, stores: list[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvs.operating, "POLL_INTERVAL_S", 0.01)
    stores[0].progress = [progress(9, 90), progress(None, None), progress(2, 10)]
    told: list[Progress] = []
    changed = await client.change_view(Change(("10.0.0.1:80", "10.0.0.2:80"), 2), told.append)
    assert [(each.partitions, each.keys) for each in told[:2]] == [(9, 90), (0, 0)]
    assert [count.key_count for count in changed.shards] == [5, 4]
    assert b'{"view":"10.0.0.1:80,10.0.0.2:80","repl-factor":2}' in stores[0].bodies


async def test_operator_view_change_that_lost_its_coordinator_joins_elsewhere(
    client: Operator, stores: list[FakeStore]
) -> None:
    stores[0].fault = FAULTS["500"]
    assert (await client.change_view(Change(("10.0.0.1:80",)), lambda _told: None)).shards
    assert ("PUT", "/kvs/view-change") in stores[1].asked


PRESENT = tuple(NODES)
"""The nodes of the view that a fake store has, of epoch 3."""


def asked_on(store: FakeStore, condition: str = "if-epoch") -> list[object]:
    """That condition of each change that the store was asked for."""
    asked = zip(store.asked, store.bodies, strict=True)
    return [json.loads(body).get(condition) for (method, _), body in asked if method in ("PUT", "DELETE")]


def breaks(method: str, _path: str) -> web.Response | None:
    return FAULTS["500"](method, _path) if method in ("PUT", "DELETE") else None


async def test_operator_conditional_change_that_was_made_is_joined_on_the_view_that_it_has_made(
    client: Operator, stores: list[FakeStore]
) -> None:
    """Asked again as it was, it would be refused for the very view that it has made."""
    stores[0].fault = breaks
    assert (await client.change_view(Change(PRESENT, if_epoch=2, if_safe=True), lambda _told: None)).shards
    assert asked_on(stores[0]) == [2] and asked_on(stores[1]) == [3]
    assert asked_on(stores[1], "if-safe") == [True]


async def test_operator_conditional_change_that_was_not_made_is_asked_for_again(
    client: Operator, stores: list[FakeStore]
) -> None:
    stores[0].fault = breaks
    assert (await client.change_view(Change(("10.0.0.9:80",), if_epoch=3), lambda _told: None)).shards
    assert asked_on(stores[1]) == [3]


async def test_operator_conditional_change_that_others_may_have_made_is_in_doubt(
    client: Operator, stores: list[FakeStore]
) -> None:
    stores[0].fault = breaks
    with pytest.raises(OutcomeUnknown, match="it may have happened all the same"):
        await client.change_view(Change(("10.0.0.9:80",), if_epoch=2), lambda _told: None)
    assert asked_on(stores[1]) == []


async def test_operator_taking_back_is_not_repeated(client: Operator, stores: list[FakeStore]) -> None:
    """Done twice, it would go back to the view before that one."""
    stores[0].fault = breaks
    with pytest.raises(OutcomeUnknown, match="it may have happened all the same"):
        await client.change_view(Change(None), lambda _told: None)
    assert asked_on(stores[1]) == []


async def test_operator_refusal_tells_what_is_at_risk(client: Operator, stores: list[FakeStore]) -> None:
    more = {"keys-at-risk": None, "unreachable": ["a:1"], "epoch": 5}
    stores[0].fault = lambda _m, _p: answer(409, error="no", **more)
    with pytest.raises(Refused) as refusal:
        await client.start_view_change(Change(PRESENT, if_epoch=3))
    refused = refusal.value
    assert (refused.keys_at_risk, refused.unreachable, refused.epoch) == (None, ("a:1",), 5)

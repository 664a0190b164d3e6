"""Causal contexts at the interface: who gets one back, in which answers, and what is taken for one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gossip.view import Address
from node.node import Node
from node.timing.system_time import SystemTime
from node.values.context import Context, owner_id, to_json
from tests.cluster import Client, Cluster, client, eventually, fresh_addresses

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "apple"
VALUE = {"value": 1}
DAY_MS = 24 * 3_600_000
UNABLE = "Unable to satisfy request"


class Shards(NamedTuple):
    """Two nodes with a copy each of every key, and one, outside the view, that forwards."""

    http: Client
    cluster: Cluster
    owner: Address
    other: Address
    forwarder: Address

    def context(self, *named: Address) -> dict[str, Any]:
        """One that nobody will call stable soon: of an hour ahead, of keys that these owners have."""
        ahead = (SystemTime().wall_ms() + 3_600_000) << 16
        return to_json(Context({}, {owner_id(address): ahead for address in named}))

    async def ask(self, node: Address, method: str, key: str, **fields: Any) -> tuple[int, Any]:
        reply = await self.http.ask(node, method, f"/kvs/keys/{key}", json.dumps(fields).encode())
        assert reply.headers["Content-Type"] == "application/json"
        return reply.status, reply.json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shards(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shards]:
    nodes, cluster = fresh_addresses(3), Cluster(tmp_path_factory.mktemp("shards"))
    async with client() as http:
        for node in nodes:
            await cluster.start(node, nodes[:2], repl_factor=2)

        async def leased() -> bool:
            return not any(cluster.nodes[node].co_owners.out_of_step() for node in nodes[:2])

        await eventually(leased, "owners in step")
        yield Shards(http, cluster, *nodes)
        await cluster.close()


REQUESTS = [
    ("put", "PUT", KEY, VALUE, {200, 201}),
    ("put_no_value", "PUT", KEY, {}, {400}),
    ("put_long_key", "PUT", "a" * 51, VALUE, {400}),
    ("put_bad_key", "PUT", "%ff", VALUE, {400}),
    ("put_large", "PUT", KEY, {"value": "x" * 1024 * 1024}, {413}),
    ("get", "GET", KEY, {}, {200}),
    ("get_missing", "GET", "missing", {}, {404}),
    ("get_long_key", "GET", "a" * 51, {}, {404}),
    ("get_bad_key", "GET", "%ff", {}, {400}),
    ("delete_missing", "DELETE", "missing", {}, {404}),
    ("delete_long_key", "DELETE", "a" * 51, {}, {404}),
    ("delete_bad_key", "DELETE", "%ff", {}, {400}),
    ("delete", "DELETE", KEY, {}, {200}),
]


@pytest.mark.parametrize(("method", "key", "body", "statuses"), [r[1:] for r in REQUESTS], ids=[r[0] for r in REQUESTS])
@pytest.mark.parametrize("forwarded", [False, True], ids=["owner", "forwarder"])
async def test_api_answer_covers_the_context_of_its_request(
    shards: Shards, method: str, key: str, body: dict[str, Any], statuses: set[int], forwarded: bool
) -> None:
    if method != "PUT":
        await shards.ask(shards.owner, "PUT", KEY, **VALUE)
    asked = shards.forwarder if forwarded else shards.owner
    context = shards.context(shards.owner)
    status, answer = await shards.ask(asked, method, key, **body, **{"causal-context": context})
    assert status in statuses
    assert list(answer)[-1] == "causal-context"
    assert answer["causal-context"]["s"] == context["s"]
    bad_key_or_value = status == 400
    served = status in (200, 201) or key == "missing"
    assert ("address" in answer) == (forwarded and (served or bad_key_or_value))
    if method != "DELETE" or status != 200:
        status, answer = await shards.ask(asked, method, key, **body)
        assert status in statuses | {200} and "causal-context" not in answer


@pytest.mark.parametrize(
    "bad",
    [
        *([], 0, 1, False, True, "x", "null", " ", [{}], {"a": 1}, {"v": 1}, {"v": 1, "k": {"a": "b"}}),
        {"v": 1, "s": {"0" * 16: "7" + "f" * 15}},
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_api_context_that_is_not_ours_is_malformed(shards: Shards, method: str, bad: Any) -> None:
    for asked in (shards.owner, shards.forwarder):
        status, answer = await shards.ask(asked, method, KEY, **VALUE, **{"causal-context": bad})
        assert (status, answer) == (400, {"error": "Malformed causal context", "message": f"Error in {method}"})


@pytest.mark.parametrize(("ahead_ms", "status"), [(DAY_MS - 60_000, 404), (DAY_MS + 60_000, 400)])
async def test_api_context_more_than_a_day_ahead_malformed(shards: Shards, ahead_ms: int, status: int) -> None:
    ahead = (SystemTime().wall_ms() + ahead_ms) << 16
    context = to_json(Context({}, {owner_id("gone:1"): ahead}))
    assert (await shards.ask(shards.owner, "GET", "missing", **{"causal-context": context}))[0] == status


@pytest.mark.parametrize("empty", [None, "", "{}", {}], ids=repr)
async def test_api_empty_context_every_form(shards: Shards, empty: Any) -> None:
    status, answer = await shards.ask(shards.forwarder, "GET", "missing", **{"causal-context": empty})
    assert (status, answer["causal-context"]) == (404, {})


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_api_context_that_cannot_be_respected_400(shards: Shards, method: str) -> None:
    """The other owner is named, and cannot be reached; through a forwarder, the answer says who was asked."""
    await shards.ask(shards.owner, "PUT", KEY, **VALUE)
    reachable: list[Node] = [shards.cluster.nodes[shards.owner], shards.cluster.nodes[shards.forwarder]]
    await shards.cluster.stop(shards.other)
    try:
        context = shards.context(shards.other)
        for node in reachable:
            asked = node.config.address
            status, answer = await shards.ask(asked, method, KEY, **{"causal-context": context})
            expected = {"error": UNABLE, "message": f"Error in {method}"}
            if asked == shards.forwarder:
                expected["address"] = shards.owner
            assert (status, answer) == (400, expected | {"causal-context": context})
            status, answer = await shards.ask(asked, "PUT", KEY, **VALUE, **{"causal-context": context})
            assert status == 200, "a write is never refused for its context"
            assert answer["causal-context"]["s"] == context["s"] and len(answer["causal-context"]["k"]) == 1
        assert (await shards.ask(shards.owner, "GET", KEY))[0] == 200
    finally:
        await shards.cluster.start(shards.other, [shards.owner, shards.other], repl_factor=2)

"""Golden bodies of what operators get so as not to regret a view change: conditions, keys at risk, the way back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from gossip.view import Address
from node.repair.handoff import Handoff
from tests.cluster import Client, Cluster, Reply, eventually, fresh_addresses
from tests.node.api.two_nodes import TwoNodes, counts, put_words, same

KEYS = 30


@pytest.fixture
async def nodes(cluster: Cluster, http: Client) -> list[Address]:
    """Three, with keys, of which each has heard how many the others have."""
    nodes = fresh_addresses(3)
    await cluster.start_all(nodes)
    await put_words(TwoNodes(http, cluster, nodes), KEYS)
    kept = [await http.key_count(node) for node in nodes]

    async def told() -> bool:
        shown = [(await http.ask(node, "GET", "/kvs/status")).json["nodes"] for node in nodes]
        return all([node["key-count"] for node in of_one] == kept for of_one in shown)

    await eventually(told, "all counts everywhere")
    return nodes


async def put(http: Client, node: Address, view: list[Address], query: str = "", **fields: object) -> Reply:
    body = {"view": ",".join(view)} | {name.replace("_", "-"): value for name, value in fields.items()}
    return await http.ask(node, "PUT", f"/kvs/view-change{query}", json.dumps(body).encode())


async def take_back(http: Client, node: Address, query: str = "", **fields: object) -> Reply:
    body = json.dumps({name.replace("_", "-"): value for name, value in fields.items()}).encode() if fields else None
    return await http.ask(node, "DELETE", f"/kvs/view-change{query}", body)


@contextmanager
def moving() -> Iterator[None]:
    """Meanwhile, no node finds that it has nothing left to hand over."""
    with patch.object(Handoff, "is_settled", lambda _: False):
        yield


async def test_admin_keys_at_risk_golden(cluster: Cluster, http: Client, nodes: list[Address]) -> None:
    a, b, c = nodes
    lost = await http.key_count(c)
    assert lost > 0
    await cluster.stop(c)
    before = await http.view_of(a)

    reply = await put(http, a, [a, b], if_safe=True)
    error = "Keys would be lost: nodes that alone have them cannot be reached, and would go"
    refusal = {"error": error, "message": "Error in PUT", "keys-at-risk": lost, "unreachable": [c]}
    assert reply.status == 409 and same(reply.body, refusal)
    for fields in ({}, {"if_safe": True}):
        reply = await put(http, b, [a, b], "?dry-run=true", **fields)
        assert reply.status == 200
        assert list(reply.json) == ["message", "partitions", "keys", "moves", "shards", "keys-at-risk", "unreachable"]
        assert (reply.json["keys-at-risk"], reply.json["unreachable"]) == (lost, [c])
    assert [await http.view_of(node) for node in (a, b)] == [before] * 2

    reply = await put(http, a, [a, b])
    kept = [{"address": node, "key-count": await http.key_count(node)} for node in (a, b)]
    assert reply.status == 200
    assert same(reply.body, counts("View change successful", shards=kept, keys_at_risk=lost))
    reply = await put(http, a, [a, b], if_safe=True)
    assert reply.status == 200 and same(reply.body, counts("View change successful", shards=kept)), "there are none now"


async def test_admin_keys_at_risk_of_a_node_never_heard_are_not_known(cluster: Cluster, http: Client) -> None:
    """It may have had any number: the store was restarted, and it was not."""
    a, b = fresh_addresses(2)
    await cluster.start(a, [a, b])
    refusal = await put(http, a, [a], if_safe=True)
    assert refusal.status == 409 and refusal.json["keys-at-risk"] is None and refusal.json["unreachable"] == [b]
    reply = await put(http, a, [a], "?wait=false")
    assert (reply.status, reply.body) == (202, b'{"message":"View change accepted","epoch":1,"keys-at-risk":null}')


async def test_admin_if_safe_lets_pass_what_loses_nothing(http: Client, nodes: list[Address]) -> None:
    a, b, _ = nodes
    reply = await put(http, a, [a, b], if_safe=True, if_epoch=0)
    assert reply.status == 200 and list(reply.json) == ["message", "shards"]
    assert sum(shard["key-count"] for shard in reply.json["shards"]) == KEYS


async def test_admin_if_epoch_golden(http: Client, nodes: list[Address]) -> None:
    a, b, c = nodes
    assert (await put(http, a, [a, b], if_epoch=0)).status == 200
    error = "The view in force is of epoch 1, not 0"
    for node, view, query in ((a, nodes, ""), (b, [a], "?wait=false"), (c, nodes, "?dry-run=true"), (a, [a, b], "")):
        reply = await put(http, node, view, query, if_epoch=0)
        assert reply.status == 409
        assert same(reply.body, {"error": error, "message": "Error in PUT", "epoch": 1})
    assert (await put(http, c, nodes, if_epoch=1)).status == 200


@pytest.mark.parametrize("body", [b'{"if-epoch":"1"}', b'{"if-safe":0}', b"[]", b"{"])
async def test_admin_take_back_malformed(http: Client, nodes: list[Address], body: bytes) -> None:
    reply = await http.ask(nodes[0], "DELETE", "/kvs/view-change", body)
    assert reply.status == 400 and list(reply.json) == ["error", "message"]
    assert reply.json["message"] == "Error in DELETE" and reply.json["error"].startswith("Malformed")


async def test_admin_take_back_golden(cluster: Cluster, http: Client, nodes: list[Address]) -> None:
    """Through any node, in the order of the shards, and with the counts of the state before."""
    a, b, c = nodes
    d = fresh_addresses(1)[0]
    await cluster.start(d, nodes)
    kept = [{"address": node, "key-count": await http.key_count(node)} for node in nodes]
    table = cluster.nodes[a].views.current.table
    with moving():
        assert (await put(http, a, [a, b, c, d], "?wait=false")).status == 202
        reply = await take_back(http, b, "?dry-run=true")
        assert reply.status == 200 and [shard["replicas"] for shard in reply.json["shards"]] == [[a], [b], [c]]
        reply = await take_back(http, b, if_epoch=0)
        error = "The view in force is of epoch 1, not 0"
        assert reply.status == 409 and same(reply.body, {"error": error, "message": "Error in DELETE", "epoch": 1})
        reply = await take_back(http, d, "?wait=false", if_epoch=1, if_safe=True)
        assert (reply.status, reply.body) == (202, b'{"message":"View change accepted","epoch":2}')
        reply = await take_back(http, c)
        error = "Nothing to go back to: the view of epoch 2 takes one back itself"
        assert reply.status == 409 and same(reply.body, {"error": error, "message": "Error in DELETE"})
    reply = await put(http, a, [a, b, c])
    assert reply.status == 200 and same(reply.body, counts("View change successful", shards=kept))
    assert cluster.nodes[a].views.current.table == table
    assert await http.key_count(d) == 0


async def test_admin_take_back_answers_like_a_view_change_golden(http: Client, nodes: list[Address]) -> None:
    a, b, c = nodes
    kept = [{"address": node, "key-count": await http.key_count(node)} for node in nodes]
    with moving():
        assert (await put(http, a, [a, b], "?wait=false")).status == 202
        answer = asyncio.ensure_future(take_back(http, c, if_epoch=1))

        async def accepted() -> bool:
            return (await http.view_of(c))[0] == 2

        await eventually(accepted, "it is taken back")
        assert not answer.done()
    reply = await answer
    assert reply.status == 200 and same(reply.body, counts("View change successful", shards=kept))


async def test_admin_take_back_with_nothing_to_take_back_golden(http: Client, nodes: list[Address]) -> None:
    error = "There is no view change to take back: the view is that of the first start"
    reply = await take_back(http, nodes[0])
    assert reply.status == 409 and same(reply.body, {"error": error, "message": "Error in DELETE"})
    assert (await put(http, nodes[0], nodes[:2])).status == 200
    error = "The view change to epoch 1 has settled: change the view again instead"
    for query in ("", "?wait=false", "?dry-run=true"):
        reply = await take_back(http, nodes[2], query)
        assert reply.status == 409 and same(
            reply.body, {"error": error, "message": "Error in DELETE", "view": ",".join(nodes)}
        )


async def test_admin_take_back_to_a_node_that_is_down_503(cluster: Cluster, http: Client, nodes: list[Address]) -> None:
    a, b, c = nodes
    with moving():
        assert (await put(http, a, [a, b], "?wait=false")).status == 202
        await cluster.stop(c)
        reply = await take_back(http, b)
    refusal = {"error": "Unable to satisfy request", "message": "Error in DELETE", "unreachable": [c]}
    assert reply.status == 503 and same(reply.body, refusal)
    assert (await http.view_of(a))[2] == {a, b}


async def test_admin_status_tells_which_keys_wait_for_copies(cluster: Cluster, http: Client) -> None:
    """One of two new owners is down: the earlier owners keep what only the other one has."""
    nodes = fresh_addresses(4)
    a, b, c, d = nodes
    for node in nodes:
        await cluster.start(node, [a, b], repl_factor=2)
    await put_words(TwoNodes(http, cluster, [a, b]), KEYS)
    with moving():
        assert (await put(http, a, [c, d], "?wait=false")).status == 202
        await cluster.stop(d)

    async def waits() -> bool:
        status = (await http.ask(c, "GET", "/kvs/status")).json
        of_each = {node["address"]: node["keys-waiting-for-copies"] for node in status["nodes"]}
        assert status["keys-waiting-for-copies"] == sum(of_each.values())
        return bool(of_each[a] == of_each[b] == KEYS and of_each[c] == 0)

    await eventually(waits, "both earlier owners say what they keep")
    status = (await http.ask(c, "GET", "/kvs/status")).json
    assert {node["address"]: node["keys-to-hand-over"] for node in status["nodes"]} == {a: KEYS, b: KEYS, c: 0, d: 0}
    await cluster.start(d, [a, b], repl_factor=2)

    async def waits_no_more() -> bool:
        status = (await http.ask(c, "GET", "/kvs/status")).json
        left = sum(node["keys-to-hand-over"] for node in status["nodes"])
        return bool(status["keys-waiting-for-copies"] == left == 0)

    await eventually(waits_no_more, "all copies are there")
    assert [await http.key_count(node) for node in (c, d)] == [KEYS, KEYS]

"""Golden bodies of administration in the plain form: counts, shards, view changes and what these refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster, client, eventually, fresh_addresses
from tests.node.api.raw_http import ask_raw
from tests.node.api.two_nodes import TwoNodes, counts, fault, put_words, same, shard_info

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_admin_plain_form_golden(tmp_path: Path) -> None:
    a, b, c = fresh_addresses(3)
    cluster = Cluster(tmp_path)
    async with client() as http:
        try:
            await cluster.start(a, [a, b])
            await cluster.start(b, [a, b])
            await cluster.start(c, [a, b])
            await put_words(TwoNodes(http, cluster, [a, b]), 30)
            kept = [await http.key_count(node) for node in (a, b)]
            assert sum(kept) == 30 and min(kept) > 5

            reply = await http.ask(a, "GET", "/kvs/key-count")
            assert reply.body == b'{"message":"Key count retrieved successfully","key-count":%d}' % kept[0]
            assert (await http.ask(c, "GET", "/kvs/key-count")).body.endswith(b'"key-count":0}')
            for node in (a, b, c):
                reply = await http.ask(node, "GET", "/kvs/shards")
                assert reply.body == b'{"message":"Shard membership retrieved successfully","shards":["1","2"]}'
                for index, owner in enumerate((a, b)):
                    reply = await http.ask(node, "GET", f"/kvs/shards/{index + 1}")
                    assert same(reply.body, shard_info(str(index + 1), kept[index], [owner]))
                for unknown in ("0", "3", "x", "01", "%31%20", "-1"):
                    reply = await http.ask(node, "GET", f"/kvs/shards/{unknown}")
                    assert (reply.status, reply.body) == (404, fault("Shard does not exist", "GET"))

            reply = await http.change_view(c, [b, c, a])
            kept = [await http.key_count(node) for node in (b, c, a)]
            assert sum(kept) == 30 and min(kept) > 0
            shards = [{"address": n, "key-count": k} for n, k in zip((b, c, a), kept, strict=True)]
            assert reply.status == 200
            assert same(reply.body, counts("View change successful", shards=shards))

            reply = await http.change_view(a, [c])
            assert same(reply.body, counts("View change successful", shards=[{"address": c, "key-count": 30}]))
            assert (await http.key_count(a), await http.key_count(b)) == (0, 0)
        finally:
            await cluster.close()


BAD_VIEW_CHANGES: list[Any] = [
    (b"", "View is missing"),
    (b"{}", "View is missing"),
    (b'{"views":"@a"}', "View is missing"),
    (b'{"repl-factor":1}', "View is missing"),
    (b"[]", "Malformed JSON"),
    (b"{", "Malformed JSON"),
    (b'{"view":null}', "Malformed view"),
    (b'{"view":["@a"]}', "Malformed view"),
    (b'{"view":7}', "Malformed view"),
    (b'{"view":""}', "Malformed view"),
    (b'{"view":" "}', "Malformed view"),
    (b'{"view":","}', "Malformed view"),
    (b'{"view":"@a,"}', "Malformed view"),
    (b'{"view":"@a,,@b"}', "Malformed view"),
    (b'{"view":"@a,@b,@a"}', "Malformed view"),
    (b'{"view":"@a, @a"}', "Malformed view"),
    (b'{"view":"localhost"}', "Malformed view"),
    (b'{"view":"@a,10.0.0.1"}', "Malformed view"),
    (b'{"view":"10.0.0.256:80"}', "Malformed view"),
    (b'{"view":"10.0.0.1:0"}', "Malformed view"),
    (b'{"view":"10.0.0.1:65536"}', "Malformed view"),
    (b'{"view":"::1:80"}', "Malformed view"),
    (b'{"view":"http://10.0.0.1:80"}', "Malformed view"),
    (b'{"view":"@a","repl-factor":0}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":-1}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":2}', "Malformed repl-factor"),
    (b'{"view":"@a,@b","repl-factor":3}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":1.0}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":1.5}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":true}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":"1"}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":[]}', "Malformed repl-factor"),
    (b'{"view":"@a","repl-factor":99999999999999999999999}', "Malformed repl-factor"),
    (b'{"view":"@a","if-epoch":-1}', "Malformed if-epoch"),
    (b'{"view":"@a","if-epoch":0.0}', "Malformed if-epoch"),
    (b'{"view":"@a","if-epoch":"0"}', "Malformed if-epoch"),
    (b'{"view":"@a","if-epoch":null}', "Malformed if-epoch"),
    (b'{"view":"@a","if-epoch":true}', "Malformed if-epoch"),
    (b'{"view":"@a","if-safe":null}', "Malformed if-safe"),
    (b'{"view":"@a","if-safe":1}', "Malformed if-safe"),
    (b'{"view":"@a","if-safe":"true"}', "Malformed if-safe"),
    (b'{"view":"@a","gone-for-good":null}', "Malformed gone-for-good"),
    (b'{"view":"@a","gone-for-good":1}', "Malformed gone-for-good"),
    (b'{"view":"@a","gone_for_good":true}', "Unknown field gone_for_good: did you mean gone-for-good?"),
]


@pytest.mark.parametrize("query", ["", "?wait=false", "?dry-run=true"])
@pytest.mark.parametrize(("body", "error"), BAD_VIEW_CHANGES, ids=[repr(body) for body, _ in BAD_VIEW_CHANGES])
async def test_admin_view_change_malformed_changes_nothing(two: TwoNodes, body: bytes, error: str, query: str) -> None:
    before = [await two.http.view_of(node) for node in two.nodes]
    filled = body.replace(b"@a", two.nodes[0].encode()).replace(b"@b", two.nodes[1].encode())
    reply = await two.http.ask(two.nodes[0], "PUT", f"/kvs/view-change{query}", filled)
    assert reply.status == 400 and list(reply.json) == ["error", "message"]
    assert reply.json["error"].startswith(error) and reply.json["message"] == "Error in PUT"
    assert [await two.http.view_of(node) for node in two.nodes] == before


@pytest.mark.parametrize("query", ["", "?wait=false", "?dry-run=true"])
async def test_admin_view_change_unreachable_503_changes_nothing(two: TwoNodes, query: str) -> None:
    before = [await two.http.view_of(node) for node in two.nodes]
    down = fresh_addresses(2)
    reply = await two.http.change_view(two.nodes[0], [*two.nodes, *reversed(down)], query)
    assert reply.status == 503
    assert same(
        reply.body, {"error": "Unable to satisfy request", "message": "Error in PUT", "unreachable": sorted(down)}
    )
    assert "Retry-After" in reply.headers
    assert [await two.http.view_of(node) for node in two.nodes] == before


async def test_admin_view_change_foreign_cluster_409_names_node(two: TwoNodes, tmp_path: Path) -> None:
    stranger = fresh_addresses(1)[0]
    cluster = Cluster(tmp_path)
    try:
        await cluster.start(stranger, [stranger])
        assert (await two.http.put(stranger, "precious", 1)).status == 201
        before = [await two.http.view_of(node) for node in two.nodes]
        for query in ("", "?wait=false"):
            reply = await two.http.change_view(two.nodes[0], [*two.nodes, stranger], query)
            assert reply.status == 409 and stranger in reply.json["error"]
        assert [await two.http.view_of(node) for node in two.nodes] == before
        assert (await two.http.get(stranger, "precious")).json["value"] == 1
        assert (await two.http.view_of(stranger))[2] == {stranger}
    finally:
        await cluster.close()


async def test_admin_view_change_in_force_answers_and_moves_nothing(two: TwoNodes) -> None:
    before = await two.http.view_of(two.nodes[0])
    reply = await two.http.change_view(two.nodes[1], reversed(two.nodes))
    kept = [await two.http.key_count(node) for node in reversed(two.nodes)]
    shards = [{"address": n, "key-count": k} for n, k in zip(reversed(two.nodes), kept, strict=True)]
    assert reply.status == 200 and same(reply.body, counts("View change successful", shards=shards))
    assert await two.http.view_of(two.nodes[0]) == before


async def test_admin_view_change_of_a_half_closed_client_is_answered(two: TwoNodes) -> None:
    body = b'{"view":"%b"}' % ",".join(two.nodes).encode()
    head = b"PUT /kvs/view-change HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert (await ask_raw(two.nodes[0], head + body, is_all=True))[0] == 200


async def test_admin_view_change_planned_accepted_and_shown(tmp_path: Path) -> None:
    """Dry run, acceptance and progress of one change from two nodes to three, seen from each of them."""
    nodes = fresh_addresses(3)
    cluster = Cluster(tmp_path)
    async with client() as http:
        try:
            for node in nodes:
                await cluster.start(node, nodes[:2])
            await put_words(TwoNodes(http, cluster, nodes[:2]), 60)
            before = [await http.view_of(node) for node in nodes]

            plan = (await http.change_view(nodes[2], nodes, "?dry-run=true")).json
            assert list(plan) == ["message", "partitions", "keys", "moves", "shards"]
            assert plan["message"] == "View change planned"
            assert [list(move) for move in plan["moves"]] == [["from", "to", "partitions", "keys"]] * 2
            assert {move["from"]: move["to"] for move in plan["moves"]} == dict.fromkeys(nodes[:2], nodes[2])
            assert plan["partitions"] == sum(move["partitions"] for move in plan["moves"]) <= -(-4096 // 3)
            assert plan["keys"] == sum(move["keys"] for move in plan["moves"]) > 0
            assert [list(shard) for shard in plan["shards"]] == [["shard-id", "replicas", "partitions"]] * 3
            assert [await http.view_of(node) for node in nodes] == before

            reply = await http.change_view(nodes[2], nodes, "?wait=false")
            assert (reply.status, reply.body) == (202, b'{"message":"View change accepted","epoch":1}')

            async def settled() -> bool:
                shown = [(await http.ask(node, "GET", "/kvs/view-change")).json for node in nodes]
                for progress in shown:
                    assert list(progress) == ["message", "epoch", "coordinator", "state", "nodes"]
                    assert progress["message"] == "View change retrieved successfully"
                    assert [list(node) for node in progress["nodes"]] == [["address", "partitions", "keys"]] * 3
                return all((progress["epoch"], progress["state"]) == (1, "settled") for progress in shown)

            await eventually(settled, "the change settles")
            progress = (await http.ask(nodes[0], "GET", "/kvs/view-change")).json
            assert progress["coordinator"] == nodes[2]
            assert progress["nodes"] == [{"address": node, "partitions": 0, "keys": 0} for node in nodes]
            assert await http.key_count(nodes[2]) == plan["keys"]
            assert sum([await http.key_count(node) for node in nodes]) == 60
        finally:
            await cluster.close()

"""Golden bodies of administration in the replicated form: from the first factor given on, whatever it is."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import Client, Cluster, client, eventually, fresh_addresses
from tests.node.api.two_nodes import TwoNodes, counts, put_words, same, shard_info


async def test_admin_replicated_form_golden(tmp_path: Path) -> None:
    """From the first factor given on, whatever it is: with factor 1 too, and for good."""
    nodes = fresh_addresses(3)
    a, b, c = nodes
    cluster = Cluster(tmp_path)
    async with client() as http:
        try:
            await cluster.start_all(nodes)
            await put_words(TwoNodes(http, cluster, nodes), 20)
            reply = await http.change_view(b, nodes, repl_factor=1)
            assert reply.status == 200
            kept = [await http.key_count(node) for node in nodes]
            shards = [
                {"shard-id": str(i), "key-count": k, "replicas": [n]}
                for i, (n, k) in enumerate(zip(nodes, kept, strict=True), 1)
            ]
            assert same(reply.body, counts("View change successful", shards=shards))
            reply = await http.ask(c, "GET", "/kvs/key-count")
            assert same(reply.body, counts("Key count retrieved successfully", key_count=kept[2], shard_id="3"))

            # Two copies of three nodes: one shard, on all; the factor is kept where it is not given again.
            reply = await http.change_view(a, nodes, repl_factor=2)
            assert len(reply.json["shards"]) == 1 and sorted(reply.json["shards"][0]["replicas"]) == nodes
            assert reply.json["shards"][0]["key-count"] == 20
            reply = await http.change_view(a, [b, c])
            assert same(
                reply.body,
                counts(
                    "View change successful",
                    shards=[{"shard-id": "1", "key-count": 20, "replicas": reply.json["shards"][0]["replicas"]}],
                ),
            )
            for node in nodes:
                assert (await http.ask(node, "GET", "/kvs/shards")).json["shards"] == ["1"]
                assert (await http.ask(node, "GET", "/kvs/shards/1")).json["key-count"] == 20
            reply = await http.ask(a, "GET", "/kvs/key-count")
            assert same(reply.body, counts("Key count retrieved successfully", key_count=0))
        finally:
            await cluster.close()


async def test_admin_replicated_form_by_environment(tmp_path: Path) -> None:
    nodes = fresh_addresses(2)
    cluster = Cluster(tmp_path)
    async with client() as http:
        try:
            await cluster.start_all(nodes, repl_factor=1)
            for shard_id, node in enumerate(nodes, 1):
                reply = await http.ask(node, "GET", "/kvs/key-count")
                assert same(reply.body, counts("Key count retrieved successfully", key_count=0, shard_id=str(shard_id)))
        finally:
            await cluster.close()


async def test_admin_shards_of_two_copies_golden(cluster: Cluster, http: Client) -> None:
    """Counts are of keys, not of copies; through every node."""
    nodes = fresh_addresses(4)
    await cluster.start_all(nodes, repl_factor=2)
    await put_words(TwoNodes(http, cluster, nodes), 40)
    shards = cluster.nodes[nodes[0]].views.current.shards
    kept = [await http.key_count(replicas[0]) for replicas in shards]
    assert [len(replicas) for replicas in shards] == [2, 2] and sum(kept) == 40 and min(kept) > 5
    bodies = [
        shard_info(str(id_), count, list(replicas))
        for id_, (count, replicas) in enumerate(zip(kept, shards, strict=True), 1)
    ]
    for id_, (count, replicas) in enumerate(zip(kept, shards, strict=True), 1):
        for node in replicas:
            reply = await http.ask(node, "GET", "/kvs/key-count")
            text = b'{"message":"Key count retrieved successfully","key-count":%d,"shard-id":"%d"}'
            assert reply.body == text % (count, id_)
        for node in nodes:
            reply = await http.ask(node, "GET", f"/kvs/shards/{id_}")
            assert (reply.status, same(reply.body, bodies[id_ - 1])) == (200, True)
    for node in nodes:
        reply = await http.ask(node, "GET", "/kvs/shards")
        assert reply.body == b'{"message":"Shard membership retrieved successfully","shards":["1","2"]}'
        assert (await http.ask(node, "GET", "/kvs/shards/3")).status == 404

    reply = await http.change_view(nodes[3], nodes)
    shown = [{name: body[name] for name in ("shard-id", "key-count", "replicas")} for body in bodies]
    assert reply.status == 200 and same(reply.body, counts("View change successful", shards=shown))


async def heard_by_co_owners(cluster: Cluster) -> None:
    """A node that was never told what its co-owners hold does not know, for a while, what does not exist."""

    async def leased() -> bool:
        return not any(node.co_owners.unleased() for node in cluster.nodes.values())

    await eventually(leased, "leases from all co-owners to each other")


async def test_admin_shard_is_counted_by_a_replica_that_lives(cluster: Cluster, http: Client) -> None:
    nodes = fresh_addresses(4)
    await cluster.start_all(nodes, repl_factor=2)
    (first, second), (other, _) = cluster.nodes[nodes[0]].views.current.shards
    await heard_by_co_owners(cluster)
    await cluster.stop(first)
    await put_words(TwoNodes(http, cluster, [second, other]), 40)
    kept = [await http.key_count(node) for node in (second, other)]
    assert sum(kept) == 40 and min(kept) > 5
    for node in (second, other):
        reply = await http.ask(node, "GET", "/kvs/shards/1")
        assert same(reply.body, shard_info("1", kept[0], [first, second]))


async def test_admin_view_change_answers_with_the_counts_of_those_that_live(cluster: Cluster, http: Client) -> None:
    """A change under way is asked for again while the first replica of a shard is down."""
    nodes = fresh_addresses(2)
    await cluster.start_all(nodes, repl_factor=2)
    first, second = cluster.nodes[nodes[0]].views.current.shards[0]
    await put_words(TwoNodes(http, cluster, nodes), 10)
    assert (await http.change_view(second, [first, second], repl_factor=2)).status == 200
    await heard_by_co_owners(cluster)
    await cluster.stop(first)
    await put_words(TwoNodes(http, cluster, [second, second]), 20)
    reply = await http.change_view(second, [first, second], repl_factor=2)
    shards = [{"shard-id": "1", "key-count": 20, "replicas": [first, second]}]
    assert reply.status == 200 and same(reply.body, counts("View change successful", shards=shards))

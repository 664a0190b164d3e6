"""The ring as it is shown: by whom each shard is held and in which zones, how a client routes by it, and what is wrong
with it; and what asking for the nodes of the view once more does about that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import xxhash

from gossip.view import Address, host_of
from ring import placement
from ring.hashing import partition_of
from tests.cluster import Client, Cluster, eventually, fresh_addresses
from tests.node.api.two_nodes import TwoNodes, put_words, same


def ring_body(epoch: int, digest: str, shards: Sequence[Sequence[Address]], zones: Sequence[Sequence[str]]) -> Any:
    first, second = zip(map(list, shards), map(list, zones), strict=True)
    return {
        "message": "Ring retrieved successfully",
        "epoch": epoch,
        "digest": digest,
        "repl-factor": 2,
        "hash": "xxh3_64",
        "partitions": 4096,
        "shards": [
            {"shard-id": "1", "replicas": first[0], "zones": first[1], "partitions": 2048},
            {"shard-id": "2", "replicas": second[0], "zones": second[1], "partitions": 2048},
        ],
        "ranges": [[0, 2047, "1"], [2048, 4095, "2"]],
    }


async def test_admin_ring_golden(cluster: Cluster, http: Client) -> None:
    """At first by hosts, from the first view change on by the zones that the nodes were told."""
    nodes = fresh_addresses(4, per_host=2)
    a, b, c, d = nodes
    one, other = host_of(a), host_of(c)
    for node, rack in zip(nodes, ("r1", "r2", "r1", "r2"), strict=True):
        await cluster.start(node, nodes, 2, zone=rack)
    for node in nodes:
        reply = await http.ask(node, "GET", "/kvs/ring")
        body = ring_body(0, reply.json["digest"], [(a, c), (d, b)], [(one, other), (other, one)]) | {"faults": []}
        assert reply.status == 200 and same(reply.body, body)

    await put_words(TwoNodes(http, cluster, nodes), 20)
    reply = await http.change_view(b, nodes)
    assert reply.status == 200 and sum(shard["key-count"] for shard in reply.json["shards"]) == 20
    for node in nodes:
        reply = await http.ask(node, "GET", "/kvs/ring")
        body = ring_body(1, reply.json["digest"], [(a, b), (d, c)], [("r1", "r2"), ("r2", "r1")]) | {"faults": []}
        assert same(reply.body, body)
    assert (await http.change_view(c, nodes)).status == 200
    assert (await http.view_of(d))[0] == 1, "nothing is left to mend"


async def test_admin_ring_tells_of_shards_that_share_a_zone_though_they_need_not(
    cluster: Cluster, http: Client
) -> None:
    """As in a view of a release that did not ask for zones; to ask for its nodes again mends it."""
    nodes = fresh_addresses(4, per_host=2)
    with patch.object(placement, "crowded", lambda _: {}):
        await cluster.start_all(nodes, 2)
    await put_words(TwoNodes(http, cluster, nodes), 20)
    faults = [{"shard-id": "1", "zones": [host_of(nodes[0])]}, {"shard-id": "2", "zones": [host_of(nodes[2])]}]
    assert (await http.ask(nodes[0], "GET", "/kvs/ring")).json["faults"] == faults
    assert (await http.ask(nodes[3], "GET", "/kvs/status")).json["crowded-shards"] == faults
    reply = await http.change_view(nodes[1], nodes)
    assert reply.status == 200 and sum(shard["key-count"] for shard in reply.json["shards"]) == 20
    assert (await http.ask(nodes[0], "GET", "/kvs/ring")).json["faults"] == []
    assert (await http.ask(nodes[3], "GET", "/kvs/status")).json["crowded-shards"] == []


async def test_admin_view_in_force_is_answered_though_its_zones_are_others_if_a_node_is_down(
    cluster: Cluster, http: Client
) -> None:
    """That the view cannot be mended now is no reason not to say that it is in force."""
    nodes = fresh_addresses(2)
    for node in nodes:
        await cluster.start(node, nodes, 1, zone="r1")

    async def has_met() -> bool:
        return cluster.nodes[nodes[0]].calls.has_met(nodes[1])

    await eventually(has_met, "they have met")
    await cluster.stop(nodes[1])
    assert (await http.change_view(nodes[0], nodes)).status == 200
    assert (await http.view_of(nodes[0]))[0] == 0


async def test_admin_ring_is_all_that_a_client_needs_to_ask_owners_themselves(cluster: Cluster, http: Client) -> None:
    nodes = fresh_addresses(4, per_host=2)
    await cluster.start_all(nodes, 2)
    ring = (await http.ask(nodes[0], "GET", "/kvs/ring")).json
    replicas = {shard["shard-id"]: shard["replicas"] for shard in ring["shards"]}
    assert ring["hash"] == "xxh3_64"
    for key in ("apple", "ключ", "/", "k" * 50):
        partition = xxhash.xxh3_64_intdigest(key.encode()) * ring["partitions"] >> 64
        (shard_id,) = (id_ for first, last, id_ in ring["ranges"] if first <= partition <= last)
        owners = cluster.nodes[nodes[0]].views.ring.owners(partition_of(key.encode()))
        assert replicas[shard_id] == list(owners)

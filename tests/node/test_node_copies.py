"""Shards of several copies, as whole nodes with real links and disks: one that dies is not missed, and catches up; a
change of their number loses and doubles nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gossip.view import Address
from ring.hashing import partition_of
from tests.cluster import Client, Cluster, eventually, fresh_addresses


async def alike(cluster: Cluster, nodes: Iterable[Address]) -> None:
    """Wait until the nodes, replicas of one shard, hold the same and know it."""

    async def same() -> bool:
        parts = [cluster.nodes[node] for node in nodes]
        in_step = not any(node.co_owners.out_of_step() or node.co_owners.unleased() for node in parts)
        return in_step and len({node.own_keys.digest for node in parts}) == 1

    await eventually(same, f"{nodes} are alike")


async def put_all(http: Client, node: Address, values: dict[str, int]) -> None:
    for key, value in values.items():
        reply = await http.put(node, key, value)
        assert reply.status in (200, 201)


async def expect_all(http: Client, nodes: Iterable[Address], values: dict[str, int | None]) -> None:
    for node in nodes:
        found = {key: (await http.get(node, key)).json.get("value") for key in values}
        assert found == values


def words(count: int, first: int = 0) -> dict[str, int]:
    return {f"word{number}": number for number in range(first, first + count)}


async def test_copies_a_write_through_one_is_read_from_the_other_alone(cluster: Cluster, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await cluster.start_all(nodes, repl_factor=2)
    await put_all(http, a, words(10))
    reply = await http.get(b, "word3")
    assert "address" not in reply.json
    await cluster.stop(a)
    await expect_all(http, [b], dict(words(10)))


async def test_copies_one_that_was_down_catches_up(cluster: Cluster, http: Client) -> None:
    """Written, written again, deleted and made while it was away."""
    a, b = nodes = fresh_addresses(2)
    await cluster.start_all(nodes, repl_factor=2)
    await put_all(http, a, words(20))
    await alike(cluster, nodes)
    await cluster.stop(b)
    await put_all(http, a, {"word3": 33} | words(10, first=20))
    assert (await http.ask(a, "DELETE", "/kvs/keys/word4")).status == 200
    await cluster.start(b, nodes, repl_factor=2)
    expected: dict[str, int | None] = {**words(30), "word3": 33, "word4": None}
    await expect_all(http, [b], expected)
    await alike(cluster, nodes)
    await cluster.stop(a)
    await expect_all(http, [b], expected)
    assert await http.key_count(b) == 29


async def test_copies_whoever_comes_back_brings_what_only_it_has(cluster: Cluster, http: Client) -> None:
    """Each wrote while the other was down: the later write wins, whichever copy it is on."""
    a, b = nodes = fresh_addresses(2)
    await cluster.start_all(nodes, repl_factor=2)
    await put_all(http, a, {"both": 1, "first": 1})
    await alike(cluster, nodes)
    await cluster.stop(b)
    await put_all(http, a, {"both": 2, "only-a": 2})
    await cluster.stop(a)
    await cluster.start(b, nodes, repl_factor=2)
    await put_all(http, b, {"both": 3, "only-b": 3})
    await cluster.start(a, nodes, repl_factor=2)
    await alike(cluster, nodes)
    await expect_all(http, nodes, {"both": 3, "first": 1, "only-a": 2, "only-b": 3})


async def test_copies_three_of_which_two_die_one_after_the_other(cluster: Cluster, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await cluster.start_all(nodes, repl_factor=3)
    await put_all(http, a, words(10))
    await alike(cluster, nodes)
    await cluster.stop(a)
    await put_all(http, b, words(10, first=10))
    await cluster.stop(b)
    await put_all(http, c, words(10, first=20))
    await expect_all(http, [c], dict(words(30)))
    await cluster.start(a, nodes, repl_factor=3)
    await cluster.start(b, nodes, repl_factor=3)
    await expect_all(http, nodes, dict(words(30)))
    await alike(cluster, nodes)
    assert [await http.key_count(node) for node in nodes] == [30] * 3


async def test_copies_one_whose_disk_was_emptied_is_filled_again(cluster: Cluster, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await cluster.start_all(nodes, repl_factor=2)
    await put_all(http, a, words(20))
    await alike(cluster, nodes)
    await cluster.stop(b)
    cluster.wipe(b)
    await cluster.start(b, nodes, repl_factor=2)
    await expect_all(http, [b], dict(words(20)))
    await alike(cluster, nodes)
    await cluster.stop(a)
    await expect_all(http, [b], dict(words(20)))


async def test_copies_factor_1_to_2_to_1_counts_are_exact_and_keys_right(cluster: Cluster, http: Client) -> None:
    nodes = fresh_addresses(4)
    await cluster.start_all(nodes, repl_factor=1)
    values: dict[str, int | None] = dict(words(100))
    await put_all(http, nodes[0], words(100))
    for change, factor in enumerate((2, 1), 1):
        reply = await http.change_view(nodes[change], nodes, repl_factor=factor)
        assert reply.status == 200
        shards = reply.json["shards"]
        assert [len(shard["replicas"]) for shard in shards] == [factor] * (4 // factor)
        assert sum(shard["key-count"] for shard in shards) == 100
        for shard in shards:
            assert {await http.key_count(node) for node in shard["replicas"]} == {shard["key-count"]}
            await alike(cluster, shard["replicas"])
        await expect_all(http, nodes, values)
        await put_all(http, nodes[change], {"word7": 1000 + factor})
        values["word7"] = 1000 + factor


async def test_copies_writes_during_a_change_of_factor_are_all_there(cluster: Cluster, http: Client) -> None:
    nodes = fresh_addresses(3)
    await cluster.start_all(nodes, repl_factor=1)
    await put_all(http, nodes[0], words(100))
    written = words(100)

    async def write_on() -> None:
        number = 100
        while not changing.done():
            await put_all(http, nodes[number % 3], words(1, first=number))
            written.update(words(1, first=number))
            number += 1

    changing = asyncio.ensure_future(http.change_view(nodes[0], nodes, repl_factor=3))
    await write_on()
    assert (await changing).status == 200
    await alike(cluster, nodes)
    await expect_all(http, nodes, dict(written))
    assert [await http.key_count(node) for node in nodes] == [len(written)] * 3


async def test_copies_a_write_that_some_have_not_says_by_how_many_it_was_acknowledged(
    cluster: Cluster, http: Client
) -> None:
    """Also through a node that is no owner; while all is well, nothing is said."""
    nodes = fresh_addresses(4)
    await cluster.start_all(nodes, repl_factor=2)

    async def told(node: Address, method: str, key: str) -> str | None:
        reply = await http.ask(node, method, f"/kvs/keys/{key}", b'{"value":1}' if method == "PUT" else None)
        assert reply.status in (200, 201)
        return reply.headers.get("Kvs-Copies")

    ring = next(iter(cluster.nodes.values())).views.ring
    gone, *others = ring.owners(partition_of(b"k"))
    elsewhere = next(node for node in nodes if node != gone and node not in others)
    assert [await told(node, "PUT", "k") for node in (*others, elsewhere)] == [None, None]
    await cluster.stop(gone)
    for node in (*others, elsewhere):
        assert await told(node, "PUT", "k") == "1/2"
    assert await told(elsewhere, "DELETE", "k") == "1/2"
    await cluster.start(gone, nodes, repl_factor=2)
    await alike(cluster, [gone, *others])
    assert await told(elsewhere, "PUT", "k") is None

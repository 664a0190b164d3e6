"""Causal contexts across a cut, forwarders and restarts, on whole nodes; and that nothing is left of them when all is
well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gossip.view import Address
from node.errors import PeerRefused
from node.net.transport import Transport
from ring.hashing import partition_of
from tests.cluster import Client, Cluster, Session, eventually, fresh_addresses

UNABLE = {"error": "Unable to satisfy request", "message": "Error in GET"}


class Cutting:
    """A transport that reaches only some."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.unreachable: set[Address] = set()

    def install(self) -> None:
        call, cast, is_down = self._transport.call, self._transport.cast, self._transport.is_down

        async def cut_call(to: Address, *args: Any, **kwargs: Any) -> Any:
            if to in self.unreachable:
                raise PeerRefused(f"{to} is cut off")
            return await call(to, *args, **kwargs)

        def cut_cast(to: Address, message: Any) -> None:
            if to not in self.unreachable:
                cast(to, message)

        patched: Any = self._transport
        patched.call, patched.cast = cut_call, cut_cast
        patched.is_down = lambda to: to in self.unreachable or is_down(to)


class Net:
    """The nodes of a cluster, to be cut apart."""

    def __init__(self, cluster: Cluster) -> None:
        self.cuts: dict[Address, Cutting] = {}
        for address, node in cluster.nodes.items():
            self.cuts[address] = Cutting(node.transport)
            self.cuts[address].install()

    def cut(self, *side: Address) -> None:
        for address, cutting in self.cuts.items():
            cutting.unreachable = {other for other in self.cuts if (other in side) != (address in side)}

    def heal(self) -> None:
        for cutting in self.cuts.values():
            cutting.unreachable = set()


async def in_step(cluster: Cluster) -> None:
    """Wait until all owners hold leases of each other, so that a cut is what it is in a cluster at work."""

    async def leased() -> bool:
        return all(
            node.readiness.is_ready and not node.co_owners.unleased() and not node.co_owners.out_of_step()
            for node in cluster.nodes.values()
        )

    await eventually(leased, "leases everywhere")


async def test_context_across_a_cut_read_never_older_than_what_was_seen(http: Client, cluster: Cluster) -> None:
    one, two = fresh_addresses(2)
    await cluster.start_all([one, two], repl_factor=2)
    await in_step(cluster)
    first, second, third = Session(http), Session(http), Session(http)
    assert (await first.put(one, "a", "old")).status == 201
    assert (await first.put(two, "c", "c")).status == 201
    net = Net(cluster)

    net.cut(one)
    assert (await first.put(one, "a", "question")).status == 200
    assert (await second.get(one, "a")).json["value"] == "question"
    assert (await second.put(two, "b", "answer")).status == 201
    assert (await third.get(two, "b")).json["value"] == "answer"

    refused = await third.get(two, "a")
    assert refused.status == 400
    assert refused.json == UNABLE | {"causal-context": third.context}
    assert third.context
    deleted = await third.ask(two, "DELETE", "a")
    assert (deleted.status, deleted.json["error"]) == (400, "Unable to satisfy request")
    assert (await third.get(two, "c")).json["value"] == "c"
    assert (await third.get(two, "nothing")).status == 404
    assert (await Session(http).get(two, "a")).json["value"] == "old", "without a context there is no demand"
    assert (await http.get(two, "a")).json["value"] == "old"

    assert (await first.put(two, "a", "again")).status == 200
    assert (await third.get(two, "a")).json["value"] == "again"

    net.heal()

    async def healed() -> bool:
        values = [(await Session(http).get(node, "a")).json.get("value") for node in (one, two)]
        return values == ["again", "again"]

    await eventually(healed, "the later write on both sides")

    async def contexts_are_gone() -> bool:
        for session in (first, second, third):
            await session.get(one, "c")
        return not (first.context or second.context or third.context)

    await eventually(contexts_are_gone, "empty contexts")
    assert (await third.get(one, "b")).json == {
        "doesExist": True,
        "message": "Retrieved successfully",
        "value": "answer",
        "causal-context": {},
    }


async def test_context_kept_with_a_value_over_restart(http: Client, cluster: Cluster, tmp_path: Path) -> None:
    one, two = fresh_addresses(2)
    await cluster.start_all([one, two], repl_factor=2)
    await in_step(cluster)
    net = Net(cluster)
    net.cut(one)
    writer, reader = Session(http), Session(http)
    await writer.put(one, "a", "question")
    await writer.put(two, "b", "answer")

    await cluster.stop(one)
    await cluster.stop(two)
    await cluster.start(two, [one, two], repl_factor=2)
    assert (await reader.get(two, "b")).json["value"] == "answer"
    assert (await reader.get(two, "a")).status == 400
    assert (await reader.get(two, "c")).status == 404

    await cluster.start(one, [one, two], repl_factor=2)

    async def found() -> bool:
        return bool((await reader.get(two, "a")).json.get("value") == "question")

    await eventually(found, "the question, once its holder is back")


async def test_context_of_removed_holder_is_no_reason_to_refuse(http: Client, cluster: Cluster) -> None:
    one, two = fresh_addresses(2)
    await cluster.start_all([one, two], repl_factor=2)
    await in_step(cluster)
    net = Net(cluster)
    net.cut(one)
    writer = Session(http)
    await writer.put(one, "a", "question")
    assert (await writer.get(two, "a")).status == 400
    assert (await http.change_view(two, [two], repl_factor=1)).status == 200

    async def served() -> bool:
        return (await writer.get(two, "a")).status == 404

    await eventually(served, "an answer without the node that was removed")


@pytest.mark.parametrize("replicas", [1, 2, 3])
async def test_context_in_a_healthy_cluster_falls_back_to_empty(http: Client, cluster: Cluster, replicas: int) -> None:
    nodes = fresh_addresses(max(2, replicas))
    await cluster.start_all(nodes, repl_factor=replicas)
    await in_step(cluster)
    session = Session(http)
    for number in range(20):
        reply = await session.put(nodes[number % len(nodes)], f"k{number}", number)
        assert (reply.status, session.context) == (201, {})
    for number in range(20):
        reply = await session.get(nodes[number % 2], f"k{number}")
        assert reply.json["value"] == number
        if replicas < 3:
            assert session.context == {}

    async def empty() -> bool:
        await session.get(nodes[0], "other")
        return not session.context

    await eventually(empty, "an empty context")

    async def read_is_stable() -> bool:
        await session.get(nodes[1], "k1")
        return not session.context

    await eventually(read_is_stable, "a stable value")


async def test_context_through_forwarders_and_across_shards(http: Client, cluster: Cluster) -> None:
    """Two shards of two; a context made in one, passed through a node of another, demands in the first."""
    nodes = fresh_addresses(4)
    await cluster.start_all(nodes, repl_factor=2)
    await in_step(cluster)
    ring = cluster.nodes[nodes[0]].views.ring

    def key_of(shard: int) -> str:
        return next(
            key
            for key in map("k{}".format, range(1000))
            if ring.owners(partition_of(key.encode())) == ring.shards[shard]
        )

    question, answer = key_of(0), key_of(1)
    (far, near), (elsewhere, _) = ring.shards
    net = Net(cluster)
    net.cut(far)
    writer, reader = Session(http), Session(http)
    assert (await writer.put(far, question, "question")).status == 201
    assert writer.context
    put = await writer.put(near, answer, "answer")
    assert put.status == 201 and put.json["address"] in ring.shards[1]
    assert (await reader.get(near, answer)).json["value"] == "answer"
    refused = await reader.get(elsewhere, question)
    assert (refused.status, refused.json["address"]) == (400, near)
    assert refused.json["causal-context"] == reader.context != {}
    assert (await reader.get(near, question)).status == 400
    assert "address" not in (await reader.get(near, question)).json
    net.heal()

    async def found() -> bool:
        return bool((await reader.get(elsewhere, question)).json.get("value") == "question")

    await eventually(found, "the question")

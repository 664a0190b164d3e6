"""What one view change does about nodes that stand in its way, and about clients that no longer wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from gossip.view import Address
from node.repair.handoff import Handoff
from tests.cluster import Client, Cluster, client, eventually, fresh_addresses


class Bench(NamedTuple):
    """A cluster of three in a view of epoch 1, the third of which has gone; and another cluster, which is down now, has
    a key, and had a node at the same address."""

    http: Client
    nodes: list[Address]
    strangers: Cluster


@pytest.fixture(params=[0, 3], ids="epoch {}".format)
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    nodes = fresh_addresses(3)
    cluster, strangers = Cluster(tmp_path / "ours"), Cluster(tmp_path / "theirs")
    async with client() as http:
        try:
            await strangers.start(nodes[2], nodes[2:])
            assert (await http.put(nodes[2], "precious", 1)).status == 201
            for others in ([fresh_addresses(1)[0]], [], [fresh_addresses(1)[0]])[: request.param]:
                for other in others:
                    await strangers.start(other, nodes[2:])
                assert (await http.change_view(nodes[2], [nodes[2], *others])).status == 200
            await strangers.close()

            await cluster.start_all(nodes[:2])
            await cluster.start(nodes[2], nodes[:2])
            assert (await http.change_view(nodes[0], nodes)).status == 200
            await cluster.stop(nodes[2])
            yield Bench(http, nodes, strangers)
        finally:
            await cluster.close()
            await strangers.close()


async def test_coordinator_address_taken_by_another_cluster_does_not_stop_its_removal(bench: Bench) -> None:
    a, b, gone = bench.nodes
    await bench.strangers.start(gone, [gone])
    refused = await bench.http.change_view(a, [a, gone])
    assert refused.status == 409 and gone in refused.json["error"]
    for _ in range(2):
        assert (await bench.http.change_view(b, [a, b])).status == 200
    _, _, held = await bench.http.view_of(gone)
    assert gone in held and not held & {a, b}


async def test_coordinator_client_gone_its_request_waits_no_longer(bench: Bench) -> None:
    a, b, _ = bench.nodes

    async def waiting() -> bool:
        return any("Coordinator.await_settled" in repr(task) for task in asyncio.all_tasks())

    async def not_waiting() -> bool:
        return not await waiting()

    assert (await bench.http.change_view(a, [a, b])).status == 200
    with patch.object(Handoff, "is_settled", lambda _: False):
        request = asyncio.create_task(bench.http.change_view(a, [a, b]))
        await eventually(waiting, "the request waits")
        request.cancel()
        await eventually(not_waiting, "nobody waits for it")

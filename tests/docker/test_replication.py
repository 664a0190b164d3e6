"""A shard of two outlives what is done to either: no request fails but for one retry, nothing is lost or stale."""

from __future__ import annotations

import pytest

from tests.cluster import Client
from tests.docker.chaos import KINDS, named, one_after_the_other
from tests.docker.containers import SPOTS, Containers, Spot

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.mark.parametrize("kind", KINDS)
async def test_replication_one_node_after_the_other(containers: Containers, http: Client, kind: str) -> None:
    """For longer, and with figures: `make chaos`."""
    outcome = await one_after_the_other(containers, http, kind, named(SPOTS), copies=2)
    assert outcome.clients.failures == []
    assert outcome.violations == []


@pytest.mark.parametrize(
    ("before", "after", "factors"),
    [(SPOTS, SPOTS, (None, 2, 1)), (SPOTS[:1], SPOTS, (None, 2)), (SPOTS[:2], SPOTS[2:], (2, 2))],
    ids=["copies come and go", "one becomes four", "two other nodes"],
)
async def test_replication_view_changes_keep_every_key(
    containers: Containers,
    http: Client,
    before: tuple[Spot, ...],
    after: tuple[Spot, ...],
    factors: tuple[int | None, ...],
) -> None:
    """Sent to a node that leaves, where one does."""
    await containers.start(*before, view=before, repl_factor=factors[0])
    await containers.start(*(spot for spot in after if spot not in before), view=before, repl_factor=factors[0])
    await containers.serving(*before)
    content = {f"key{number}": number for number in range(1000)}
    for key, value in content.items():
        assert (await http.put(before[value % len(before)].published, key, value)).status == 201
    for factor in factors[1:]:
        reply = await http.change_view(before[0].published, [spot.address for spot in after], repl_factor=factor)
        assert reply.status == 200, reply.body
        assert sum(shard["key-count"] for shard in reply.json["shards"]) == len(content)
        assert {len(shard["replicas"]) for shard in reply.json["shards"]} == {factor}
        for spot in {*before, *after}:
            assert {key: (await http.get(spot.published, key)).json["value"] for key in content} == content
        await containers.alike(*after)

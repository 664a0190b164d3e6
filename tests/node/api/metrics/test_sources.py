"""That each figure is that of the part which knows it."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from prometheus_client.core import Metric

from gossip.membership import State
from node.api.health import HealthApi
from node.api.metrics import sources
from node.api.tally import Tally
from node.errors import Reason
from node.health import Check, Verdict
from node.node import Node
from node.storage.lmdb_engine import LmdbEngine
from node.timing.turns import Turns
from tests.cluster import Client, Cluster, eventually, fresh_addresses
from tests.node.api.metrics.scraped import Scrape, scrape


def figures(families: Iterable[Metric]) -> dict[str, float]:
    """By name, and the values of the labels in their order."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_sources_of_health_are_the_checks() -> None:
    checks = [Check("gate", Verdict.OK), Check("disk", Verdict.FAILED, "hangs"), Check("peers", Verdict.NOTED, "b")]
    assert figures(sources.of_health(checks)) == {
        "kvs_ready": 0,
        "kvs_check_failed gate": 0,
        "kvs_check_failed disk": 1,
        "kvs_check_failed peers": 0,
    }
    assert figures(sources.of_health([checks[0], checks[2]]))["kvs_ready"] == 1


def test_sources_of_requests_have_every_reason_from_the_start() -> None:
    found = figures(sources.of_requests(Tally()))
    assert {name for name in found if name.startswith("kvs_unavailable_total")} == {
        f"kvs_unavailable_total {reason}" for reason in Reason
    }
    assert not any(name.startswith("kvs_requests_total") for name in found)


async def test_sources_of_a_disk_that_hangs_do_not_ask_it(
    idle_node: Node, monkeypatch: pytest.MonkeyPatch, still_turns: Turns
) -> None:
    assert figures(sources.of_store(idle_node))["kvs_disk_writable"] == 1
    assert figures(sources.of_store(idle_node))["kvs_disk_free_bytes"] > 0
    engine = idle_node.store.disk
    assert isinstance(engine, LmdbEngine)
    monkeypatch.setattr(engine, "space", lambda: pytest.fail("asked"))
    monkeypatch.setattr(engine._stall, "has_stalled", True)
    found = figures(sources.of_store(idle_node))
    assert found["kvs_disk_writable"] == 0 and "kvs_store_bytes" not in found
    (disk,) = (check for check in HealthApi(idle_node, still_turns).checks() if check.name == "disk")
    assert disk.verdict is Verdict.FAILED


async def test_sources_of_a_disk_that_is_full(idle_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = idle_node.store.disk
    assert isinstance(engine, LmdbEngine)
    monkeypatch.setattr(engine._room, "is_full", True)
    found = figures(sources.of_store(idle_node))
    assert (found["kvs_disk_full"], found["kvs_disk_writable"]) == (1, 0)


async def test_sources_of_shards_count_those_whose_owners_are_all_out_of_reach(
    idle_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert figures(sources.of_views(idle_node))["kvs_shards"] == 2
    for down, expected in ((set(), 0), ({"b:1"}, 1), ({"a:1", "b:1"}, 1)):
        monkeypatch.setattr(idle_node.calls, "is_down", down.__contains__)
        assert figures(sources.of_views(idle_node))["kvs_shards_unreachable"] == expected


async def test_sources_of_members_name_every_state_and_every_peer(
    idle_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle_node.clock.offsets_ms["b:1"] = -2500
    monkeypatch.setattr(idle_node.transport, "round_trip_s", lambda _: 0.25)
    monkeypatch.setattr(idle_node.calls, "is_down", lambda _: True)
    found = figures(sources.of_members(idle_node))
    states = [found.pop(f"kvs_members {state}") for state in State]
    assert sum(states) == len(idle_node.gossip.members)
    assert found == {
        "kvs_suspicions_total": 0,
        "kvs_peer_up b:1": 0,
        "kvs_peer_round_trip_seconds b:1": 0.25,
        "kvs_peer_clock_offset_seconds b:1": -2.5,
    }


async def test_sources_of_the_loop_are_its_ticks(still_turns: Turns) -> None:
    still_turns.lag.note(0.3, 1.0)
    found = figures(sources.of_loop(still_turns))
    assert (found["kvs_loop_lag_seconds_count"], found["kvs_loop_lag_seconds_sum"]) == (1, 0.3)


async def test_sources_over_the_life_of_a_cluster(cluster: Cluster, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await cluster.start_all(nodes)
    for number in range(20):
        body = {"value": number} | ({"ttl": 1000} if number % 4 == 0 else {})
        reply = await http.ask(a, "PUT", f"/kvs/keys/k{number}", json.dumps(body).encode())
        assert reply.status == 201
    assert (await http.ask(b, "DELETE", "/kvs/keys/k1")).status == 200

    async def both() -> tuple[Scrape, Scrape]:
        return await scrape(http, a), await scrape(http, b)

    def total(found: Iterable[Scrape], name: str, **labels: str) -> float:
        return sum(one(name, **labels) for one in found)

    found = await both()
    assert total(found, "kvs_keys") == 19
    assert total(found, "kvs_tombstones") == 1
    assert total(found, "kvs_keys_expiring") == 5
    assert total(found, "kvs_partitions_owned") == 4096
    assert total(found, "kvs_commit_duration_seconds_count") == total(found, "kvs_commit_jobs_count") > 0
    assert total(found, "kvs_commit_jobs_sum") >= 21
    assert total(found, "kvs_view_changes_total") == 0 and total(found, "kvs_view_settled") == 2
    assert found[0]("kvs_peer_up", peer=b) == found[1]("kvs_peer_up", peer=a) == 1
    held = found[1]("kvs_keys") + found[1]("kvs_tombstones")
    assert (await http.change_view(a, [a])).status == 200

    async def is_over() -> bool:
        left = await scrape(http, b)
        return left("kvs_records_handed_over_total") == held and left("kvs_view_settled") == 1

    await eventually(is_over, "what was handed over, counted")
    found = await both()
    assert [one("kvs_keys") for one in found] == [19, 0]
    assert [one("kvs_view_epoch") for one in found] == [one("kvs_view_changes_total") for one in found] == [1, 1]
    assert [one("kvs_partitions_owned") for one in found] == [4096, 0]
    assert total(found, "kvs_keys_expiring") == 5 and found[1]("kvs_keys_expiring") == 0

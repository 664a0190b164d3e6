"""The store's answers: read from what a node sends, and printed as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pytest

from kvs.responses import RingMap
from tests.kvs.command import Kvs
from tests.kvs.fake_store import CROWDED, RANGES, SHARDS, STATUS, ZONED_SHARDS, FakeStore, answer


def a_ring(partitions: int, ranges: Sequence[object]) -> dict[str, object]:
    return {
        "epoch": 0,
        "digest": "",
        "repl-factor": 1,
        "partitions": partitions,
        "shards": SHARDS,
        "ranges": ranges,
    }


def test_status_json_is_what_the_store_says(run: Kvs) -> None:
    assert json.loads(run("status", "-o", "json").stdout) == STATUS


def test_ring_json_is_what_the_store_says(run: Kvs) -> None:
    shown = json.loads(run("ring", "-o", "json").stdout)
    assert set(shown) == {"epoch", "digest", "repl-factor", "hash", "partitions", "shards", "ranges", "faults"}
    assert (shown["shards"], shown["ranges"], shown["faults"]) == (ZONED_SHARDS, RANGES, CROWDED)


def test_ring_json_of_a_key_is_its_place(run: Kvs) -> None:
    place = json.loads(run("ring", "zebra", "-o", "json").stdout)
    shard = "1" if place["partition"] < 2048 else "2"
    assert place == {
        "key": "zebra",
        "partition": place["partition"],
        "shard-id": shard,
        "replicas": [f"10.0.0.{shard}:80"],
    }


def test_ring_of_another_number_of_partitions_is_not_guessed_at(run: Kvs, store: FakeStore) -> None:
    store.fault = lambda _m, _p: answer(200, **a_ring(16, [[0, 15, "1"]]))
    assert run("ring", "zebra").exit_code == 2


def test_shards_json_is_what_the_store_says(run: Kvs) -> None:
    assert json.loads(run("shards", "-o", "json").stdout)["shards"][1] == {
        "shard-id": "2",
        "key-count": 4,
        "replicas": ["10.0.0.2:80"],
    }


def test_ring_map_finds_the_shard_of_a_partition_and_ignores_fields_it_does_not_know() -> None:
    text = json.dumps({**a_ring(4096, RANGES), "added-later": [1]})
    ring = msgspec.json.decode(text, type=RingMap)
    assert [ring.shard_of(partition).shard_id for partition in (0, 2047, 2048, 4095)] == ["1", "1", "2", "2"]


def test_ring_map_of_a_node_that_tells_of_no_zones_is_read() -> None:
    ring = msgspec.json.decode(json.dumps(a_ring(4096, RANGES)), type=RingMap)
    assert ([shard.zones for shard in ring.shards], ring.faults) == ([(), ()], ())


def test_ring_map_partition_that_nobody_has_is_an_error() -> None:
    ring = msgspec.json.decode(json.dumps(a_ring(4096, [[1, 4095, "1"]])), type=RingMap)
    with pytest.raises(ValueError, match="partition 0 has no shard"):
        ring.shard_of(0)

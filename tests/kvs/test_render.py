"""`kvs status`, `ring` and `shards`: the tables for people, and the JSON for programs."""

from __future__ import annotations

import json
import re

from tests.kvs.command import Kvs
from tests.kvs.fake_store import RANGES, SHARDS, STATUS, FakeStore, answer


def test_status_table_shows_addresses_of_all_kinds(run: Kvs) -> None:
    shown = run("status").stdout
    assert "epoch 3 (00ff00ff00ff00ff), moving, no replication, as 10.0.0.1:80 sees it" in shown
    assert re.search(r"10\.0\.0\.1:80 +alive +1 +12,345 +epoch 3", shown)
    assert re.search(r"\[fe80::1\]:80 +dead, clock -3,600 s off +outside +- +-", shown)
    assert "\x1b" not in shown


def test_status_json_is_what_the_store_says(run: Kvs) -> None:
    assert json.loads(run("status", "-o", "json").stdout) == STATUS


def test_ring_shows_shares(run: Kvs) -> None:
    assert re.search(r"2 +2,048 +50\.0% +1 +10\.0\.0\.2:80", run("ring").stdout)
    shown = json.loads(run("ring", "-o", "json").stdout)
    assert set(shown) == {"epoch", "digest", "repl-factor", "partitions", "shards", "ranges"}
    assert (shown["shards"], shown["ranges"]) == (SHARDS, RANGES)


def test_ring_of_a_key_shows_its_place(run: Kvs) -> None:
    place = json.loads(run("ring", "zebra", "-o", "json").stdout)
    shard = "1" if place["partition"] < 2048 else "2"
    assert place == {
        "key": "zebra",
        "partition": place["partition"],
        "shard-id": shard,
        "replicas": [f"10.0.0.{shard}:80"],
    }
    assert re.search(rf"'zebra' +{place['partition']} +{shard} +10\.0\.0\.{shard}:80", run("ring", "zebra").stdout)


def test_ring_of_another_number_of_partitions_is_not_guessed_at(run: Kvs, store: FakeStore) -> None:
    store.fault = lambda _m, _p: answer(
        200,
        epoch=0,
        digest="",
        **{"repl-factor": 1, "partitions": 16, "shards": SHARDS, "ranges": [[0, 15, "1"]]},
    )
    assert run("ring", "zebra").exit_code == 2


def test_shards_shows_counts(run: Kvs) -> None:
    assert re.search(r"1 +5 +10\.0\.0\.1:80", run("shards").stdout)
    assert json.loads(run("shards", "-o", "json").stdout)["shards"][1] == {
        "shard-id": "2",
        "key-count": 4,
        "replicas": ["10.0.0.2:80"],
    }

"""`kvs status`, `ring` and `shards`: the tables for people."""

from __future__ import annotations

import re

import pytest

from ring.hashing import partition_of
from tests.kvs.command import Kvs
from tests.kvs.fake_store import NODE, STATUS, FakeStore, answer
from tests.kvs.reports import CRITICAL, PROBLEM


def test_status_table_shows_addresses_of_all_kinds(run: Kvs) -> None:
    shown = run("status").stdout
    assert "epoch 3 (00ff00ff00ff00ff), moving, no replication, as 10.0.0.1:80 sees it" in shown
    assert re.search(r"10\.0\.0\.1:80 +up +1 +12,345 +epoch 3", shown)
    assert re.search(r"\[fe80::1\]:80 +down, clock -3,600 s off +outside +- +-", shown)
    assert "\x1b" not in shown


def test_status_begins_with_what_is_wrong_and_what_to_do(run: Kvs, store: FakeStore) -> None:
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "state": "settled", "problems": [CRITICAL, PROBLEM]})
    lines = run("status").stdout.splitlines()
    assert lines[:6] == [
        "CRITICAL keys-without-owner: 4 keys have no live owner",
        "  to do: start 10.0.0.2:80",
        "",
        "WARNING node-down: 10.0.0.2:80 is down (for 5 min)",
        "  to do: start it",
        "",
    ]
    assert "settled, not well," in lines[6]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_status_tells_how_long_it_lasts(run: Kvs, store: FakeStore, seconds: float, told: str) -> None:
    problem = {**PROBLEM, "for-seconds": seconds}
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "problems": [problem]})
    assert run("status").stdout.startswith(f"WARNING node-down: 10.0.0.2:80 is down (for {told})")


@pytest.mark.parametrize("settled_epoch", [3, 2, None])
def test_status_head_is_settled_only_if_all_members_are(run: Kvs, store: FakeStore, settled_epoch: int | None) -> None:
    """The node that was asked has nothing left to do, but a restarted one is still being filled."""
    late = {**NODE, "address": "10.0.0.2:80", "settled-epoch": settled_epoch}
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "state": "settled", "nodes": [NODE, late]})
    said = "settled," if settled_epoch == 3 else "moving (not settled by 10.0.0.2:80),"
    assert f"epoch 3 (00ff00ff00ff00ff), {said}" in run("status").stdout


@pytest.mark.parametrize(("state", "settled"), [("alive", False), ("dead", True), ("suspect", True)])
def test_status_head_is_not_settled_while_a_removed_node_that_is_there_is_not(
    run: Kvs, store: FakeStore, state: str, settled: bool
) -> None:
    removed = {**NODE, "address": "10.0.0.2:80", "state": state, "member": False, "settled-epoch": 2}
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "state": "settled", "nodes": [NODE, removed]})
    said = "settled," if settled else "moving (not settled by 10.0.0.2:80),"
    assert f"epoch 3 (00ff00ff00ff00ff), {said}" in run("status").stdout


def shown_with_clocks(run: Kvs, store: FakeStore, *offsets_ms: int | None) -> list[str]:
    """What the table says of each node's state; the first is the one that answers."""
    nodes = [
        {**NODE, "address": f"10.0.0.{n}:80", "clock-offset-ms": offset_ms} for n, offset_ms in enumerate(offsets_ms, 1)
    ]
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "nodes": nodes})
    return re.findall(r"^10\.\S+ +(.*?)  +", run("status").stdout, re.MULTILINE)


def test_status_table_marks_clocks_that_are_off_most_others_and_no_other(run: Kvs, store: FakeStore) -> None:
    """The node that answers may be the one that is off."""
    off = "up, clock +90 s off"
    assert shown_with_clocks(run, store, None, -90_000, -90_010, -89_990) == [off, "up", "up", "up"]
    assert shown_with_clocks(run, store, None, 90_000, 10, -10) == ["up", off, "up", "up"]
    assert shown_with_clocks(run, store, None, 90_000) == ["up", off], "half and half: as the one that answers sees it"
    assert shown_with_clocks(run, store, None, 59_000, 10) == ["up", "up", "up"]


@pytest.mark.parametrize(
    ("code", "mark"),
    [
        ("disk-hangs", "up, disk hangs"),
        ("disk-full", "up, disk full"),
        ("disk-low", "up, disk nearly full"),
        ("clock-ahead", "up, clock refused"),
        ("view-not-stored", "up, view not stored"),
        ("node-slow", "up"),
    ],
)
def test_status_table_marks_nodes_that_take_nothing(run: Kvs, store: FakeStore, code: str, mark: str) -> None:
    problem = {**CRITICAL, "code": code, "nodes": ["10.0.0.2:80"]}
    nodes = [NODE, {**NODE, "address": "10.0.0.2:80"}]
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "nodes": nodes, "problems": [problem]})
    assert re.findall(r"^10\.\S+ +(.*?)  +", run("status").stdout, re.MULTILINE) == ["up", mark]


def test_status_table_orders_addresses_by_their_numbers(run: Kvs, store: FakeStore) -> None:
    hosts = ["[fe80::1]", "10.0.0.11", "10.0.0.6", "node-10", "node-9"]
    nodes = [{**NODE, "address": f"{host}:80"} for host in hosts]
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "nodes": nodes})
    shown = run("status").stdout
    ordered = ["10.0.0.6", "10.0.0.11", "[fe80::1]", "node-9", "node-10"]
    assert [host for line in shown.splitlines() for host in hosts if line.startswith(f"{host}:80")] == ordered


def test_ring_table_shows_shares(run: Kvs) -> None:
    assert re.search(r"2 +2,048 +50\.0% +1 +10\.0\.0\.2:80 +rack2", run("ring").stdout)


@pytest.mark.parametrize("command", ["ring", "status"])
def test_crowded_shards_are_told_before_the_table(run: Kvs, command: str) -> None:
    head, _, _ = run(command).stdout.partition("10.0.0.1:80  ")
    assert "shard 2: copies share rack2, rack9, and need not; ask for the same nodes again\n" in head


def test_ring_table_of_a_key_shows_its_place(run: Kvs) -> None:
    partition = partition_of(b"zebra")
    shard = "1" if partition < 2048 else "2"
    assert re.search(rf"'zebra' +{partition} +{shard} +10\.0\.0\.{shard}:80", run("ring", "zebra").stdout)


def test_shards_table_shows_counts(run: Kvs) -> None:
    assert re.search(r"1 +5 +10\.0\.0\.1:80", run("shards").stdout)


def test_status_tells_which_keys_wait_for_copies(run: Kvs, store: FakeStore) -> None:
    assert "kept by earlier owners" not in run("status").stdout
    nodes = [{**STATUS["nodes"][0], "keys-waiting-for-copies": 1200}]  # type: ignore[index]
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "nodes": nodes, "keys-waiting-for-copies": 1200})
    line = "1,200 keys kept by earlier owners until enough of the present ones have a copy: 10.0.0.1:80 1,200"
    assert line in run("status").stdout

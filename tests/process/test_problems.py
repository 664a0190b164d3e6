"""A store that is broken in one way after the other, and what `kvs status` makes of it: the words, and how it exits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gossip.view import Address
from tests.cluster import ROOT, Client, Processes, eventually, fresh_addresses
from tests.commands import Done, run
from tests.node.tokens import write_secret
from tests.process.relayed import RelayedNodes

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

KEYS = 40
MANY, LONG = 1500, "x" * 4000
"""Keys that take longer to move than a signal takes."""


async def kvs(node: Address, *arguments: str) -> Done:
    command = [sys.executable, "-m", "kvs.cli", "-e", node, *arguments]
    return await run(*command, environment=dict(os.environ), directory=ROOT)


async def status_by(node: Address, *options: str) -> Done:
    return await kvs(node, "status", *options)


async def problems_of(http: Client, node: Address) -> dict[str, dict[str, Any]]:
    told = (await http.ask(node, "GET", "/kvs/status")).json["problems"]
    return {problem["code"]: problem for problem in told}


async def becomes(http: Client, node: Address, *codes: str) -> dict[str, dict[str, Any]]:
    """Wait until just these are told: for a moment, others may be."""

    seen: dict[str, dict[str, Any]] = {}

    async def is_told() -> bool:
        nonlocal seen
        seen = await problems_of(http, node)
        return seen.keys() == set(codes)

    await eventually(is_told, f"{codes} at {node}")
    return seen


async def test_process_node_with_the_only_copies_dead_is_critical_and_over_when_it_is_back(
    processes: Processes, http: Client
) -> None:
    a, b, *_ = nodes = fresh_addresses(4)
    await processes.start_all(nodes)
    for number in range(KEYS):
        await http.put(a, f"k{number}", number)
    lost = await http.key_count(b)

    async def is_heard() -> bool:
        nodes = (await http.ask(a, "GET", "/kvs/status")).json["nodes"]
        return any(node["address"] == b and node["key-count"] == lost for node in nodes)

    await eventually(is_heard, "gossip of how many keys it has")
    await becomes(http, a)
    done = await status_by(a)
    assert (done.status, done.errors) == (0, []) and done.out.startswith("epoch 0")
    await processes[b].kill()
    problems = await becomes(http, a, "keys-without-owner", "node-down")
    assert problems["keys-without-owner"]["nodes"] == [b] == problems["node-down"]["nodes"]

    async def is_counted() -> bool:
        return bool((await problems_of(http, a))["keys-without-owner"]["keys"] == lost)

    await eventually(is_counted, "the keys that it had")
    done = await status_by(a)
    assert done.status == 4
    assert done.out.startswith(
        f"CRITICAL keys-without-owner: 25% of the key space (shard 2) has no live owner: {b} is the only owner of "
        f"these keys ({lost} when it was last heard, perhaps more by now)"
    )
    assert done.out.count(f"start {b} again, with its disk") == 1, "what is to be done, told once"
    assert json.loads((await status_by(a, "-o", "json")).out)["problems"][0]["code"] == "keys-without-owner"

    async def is_logged() -> bool:
        return all(f"{b} is down: it has answered nobody" in processes[node].log.read_text() for node in nodes[2:])

    await eventually(is_logged, "a line on every survivor")
    await processes[b].start()
    await becomes(http, a)

    async def is_back() -> bool:
        return all(f"{b} is back, after" in processes[node].log.read_text() for node in nodes[2:])

    await eventually(is_back, "a line that it is back")
    assert (await status_by(a)).status == 0


async def test_process_one_of_two_copies_dead_is_a_warning(processes: Processes, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes, REPL_FACTOR="2")
    assert (await http.put(a, "k", 1)).status == 201
    await processes[b].kill()
    problems = await becomes(http, a, "node-down", "fewer-copies", "conditions-undecided")
    assert {problem["severity"] for problem in problems.values()} == {"warning"}
    assert (await status_by(a)).status == 1


async def test_process_both_sides_of_a_cut_name_the_other_one(processes: Processes, http: Client) -> None:
    cut = RelayedNodes(processes)
    await cut.start()
    await cut.in_touch(http)
    await asyncio.gather(*(becomes(http, node) for node in cut.listen))
    await cut.close()
    for node, other in zip(cut.listen, reversed(cut.addresses), strict=True):
        problems = await becomes(http, node, "node-down", "fewer-copies", "conditions-undecided")
        assert problems["node-down"]["nodes"] == [other]
        assert "mend the network" in problems["node-down"]["do"]


async def test_process_view_change_that_waits_says_for_whom(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await processes.start_all([a, b])
    await processes.start(c, [a, b])
    await processes.in_touch(nodes)
    for first in range(0, MANY, 50):
        await asyncio.gather(*(http.put(a, f"k{number}", LONG) for number in range(first, first + 50)))
    assert (await http.change_view(a, nodes, "?wait=false")).status == 202
    await processes[c].kill()
    problems = await becomes(http, a, "change-waits", "keys-without-owner", "node-down")
    waits = problems["change-waits"]
    assert waits["nodes"] == [c] and waits["what"].startswith(f"the change to epoch 1 waits for {c}, which cannot be")
    assert waits["do"].startswith("as for node-down; ") and waits["do"].endswith("kvs view-change --undo")
    assert f"start {c} again, with its disk" in problems["node-down"]["do"] and waits["keys"] > 0
    assert (await status_by(b)).status == 4
    await processes[c].start()
    await becomes(http, a)


async def test_process_environments_that_differ_are_told(processes: Processes, http: Client) -> None:
    a, b = nodes = fresh_addresses(2)
    await asyncio.gather(processes.start(a, nodes), processes.start(b, nodes, ROUND_TRIP_MS="300"))
    await processes.in_touch(nodes)
    problems = await becomes(http, a, "environment-differs")
    assert problems["environment-differs"]["what"].startswith(f"ROUND_TRIP_MS is 50 on {a}; 300 on {b}")


async def test_process_node_of_another_cluster_at_an_address_of_the_view_is_told(
    processes: Processes, http: Client
) -> None:
    a, b = nodes = fresh_addresses(2)
    await asyncio.gather(processes.start(a, nodes), processes.start(b, nodes, CLUSTER="other"))
    problems = await becomes(http, a, "foreign-node", "keys-without-owner")
    assert problems["foreign-node"]["nodes"] == [b]


async def test_process_node_that_is_turned_away_is_told_with_the_reason(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    """One of them has no secret: each side says what it lacks."""
    a, b = nodes = fresh_addresses(2)
    file = write_secret(tmp_path / "secret", "the-secret-of-all-the-nodes-of-this-one-cluster")
    await asyncio.gather(processes.start(a, nodes, CLUSTER_SECRET_FILE=str(file)), processes.start(b, nodes))
    ways = ((a, b, "it has no CLUSTER_SECRET_FILE", ()), (b, a, "this node has none", ["conditions-undecided"]))
    for node, other, lacks, undecided in ways:
        problems = await becomes(http, node, "turned-away", "keys-without-owner", *undecided)
        assert problems["turned-away"]["nodes"] == [other] and lacks in problems["turned-away"]["what"]
        assert problems["keys-without-owner"]["do"].startswith("as for turned-away")
    assert (await status_by(a)).status == 4
    await processes[b].kill()
    await processes.start(b, nodes, CLUSTER_SECRET_FILE=str(file))
    await becomes(http, a)


async def test_process_doctor_and_top_ask_every_node(processes: Processes, http: Client) -> None:
    a, b, c = nodes = fresh_addresses(3)
    await asyncio.gather(
        *(
            processes.start(node, nodes, REPL_FACTOR="3", ROUND_TRIP_MS="500", ZONE="rack-2" if node == c else "rack-1")
            for node in nodes
        )
    )
    await processes.in_touch(nodes)
    assert (await http.put(a, "k", 1)).status == 201
    await asyncio.gather(*(becomes(http, node) for node in nodes))
    found = json.loads((await kvs(a, "doctor", "-o", "json")).out)["findings"]
    of_the_store = {finding["code"] for finding in found} - {"disk-low"}  # Which is for this machine to know.
    assert of_the_store == {"zone-differs"}, "the first view goes by hosts"
    await processes[b].kill()
    await asyncio.gather(*(becomes(http, node, "node-down", "fewer-copies", "conditions-undecided") for node in (a, c)))
    done = await kvs(a, "doctor", "-o", "json")
    doctor = json.loads(done.out)
    codes = {finding["code"]: finding for finding in doctor["findings"]}
    assert done.status == 1 and codes.keys() - {"disk-low"} == {
        "node-down",
        "fewer-copies",
        "conditions-undecided",
        "zone-differs",
    }
    assert codes["node-down"]["seen-by"] == [a, c] and [node["address"] for node in doctor["nodes"]] == [a, c]
    assert list(doctor["silent"]) == [b]
    done = await kvs(a, "top", "--count", "2", "--interval", "0.1", "-o", "json")
    assert [json.loads(line)["problems"] for line in done.out.splitlines()] == [3, 3] and done.status == 0

"""The cluster's secret on real nodes: who is let in, who is not, and how it is exchanged."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from gossip.view import Address
from tests.cluster import Client, Processes, eventually, fresh_addresses, run_to_its_end
from tests.node.tokens import write_secret

pytestmark = pytest.mark.process

ONE, OTHER = "one-secret" * 4, "another-secret" * 3
ALL_OR_NONE = "all nodes of a cluster have the same, or none has one"


def lines_about(processes: Processes, node: Address, peer: Address) -> list[str]:
    """What `node` says of `peer` being turned away."""
    lines = processes[node].log.read_text().splitlines()
    return [line.partition("handshake: ")[2] for line in lines if "handshake: " in line and peer in line]


async def test_secret_of_three_nodes_keeps_a_fourth_out(processes: Processes, http: Client, tmp_path: Path) -> None:
    """One that has none, and one that has another: neither gets a view, a key, or a place in a view, and whom it
    dials says so once."""
    *nodes, without, wrong = fresh_addresses(5)
    file, other = write_secret(tmp_path / "secret", ONE), write_secret(tmp_path / "other", OTHER)
    await processes.start_all(nodes, CLUSTER_SECRET_FILE=str(file), REPL_FACTOR="2")
    for number in range(30):
        assert (await http.put(nodes[number % 3], f"k{number}", number)).status == 201
    await processes.start(without, [*nodes, without], REPL_FACTOR="2")
    await processes.start(wrong, [*nodes, wrong], REPL_FACTOR="2", CLUSTER_SECRET_FILE=str(other))
    for stranger in (without, wrong):
        refused = await http.change_view(nodes[0], [*nodes, stranger])
        assert (refused.status, refused.json["unreachable"]) == (503, [stranger])
        asked = await http.get(stranger, "k1")
        assert asked.status in (404, 503), "it knows of no key"

    async def all_have_said_so() -> bool:
        return all(lines_about(processes, node, stranger) for node in nodes for stranger in (without, wrong))

    await eventually(all_have_said_so, "a line on each node about each of them")
    await asyncio.sleep(1)  # In which they dial each other some ten times more.
    for node in nodes:
        assert lines_about(processes, node, without) == [
            f"{without} is turned away: it has no CLUSTER_SECRET_FILE, and this node has one: {ALL_OR_NONE}"
        ]
        assert lines_about(processes, node, wrong) == [
            f"{wrong} is turned away: it does not prove that it knows the secret in CLUSTER_SECRET_FILE"
        ]
        assert lines_about(processes, without, node) == [
            f"{node} is turned away: it has a CLUSTER_SECRET_FILE, and this node has none: {ALL_OR_NONE}"
        ]
        assert (await http.view_of(node))[2] == frozenset(nodes)
        assert (await http.get(node, "k1")).json["value"] == 1
    for process in (*nodes, without, wrong):
        log = processes[process].log.read_text()
        assert ONE not in log and OTHER not in log


async def test_secret_is_exchanged_while_clients_are_served(processes: Processes, http: Client, tmp_path: Path) -> None:
    """Each node is killed in between, so that all its links are made anew."""
    nodes, file = fresh_addresses(3), write_secret(tmp_path / "secret", ONE)
    await processes.start_all(nodes, CLUSTER_SECRET_FILE=str(file), REPL_FACTOR="2")
    for times, text in enumerate((f"{ONE}\n{OTHER}", f"{OTHER}\n{ONE}", OTHER), 1):
        write_secret(file, f"# of the store\n{text}\n")
        for node in nodes:
            line = f"CLUSTER_SECRET_FILE {file}: read again"

            async def has_read_again(node: Address = node, times: int = times, line: str = line) -> bool:
                return processes[node].log.read_text().count(line) == times

            processes[node].signal(signal.SIGHUP)
            await eventually(has_read_again, "the file being read")
    for node in nodes:
        await processes[node].kill()
        await processes[node].start()
        await processes.in_touch(nodes)
        for other in nodes:
            assert (await http.put(other, "k", node)).status in (200, 201)
            assert (await http.get(other, "k")).json["value"] == node
    assert not any(lines_about(processes, node, peer) for node in nodes for peer in nodes)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hunter2\n", ", line 1: a secret is a line of 32 or more random characters without spaces"),
        ("", ": it has no secret: a line of 32 or more random characters without spaces"),
    ],
)
async def test_secret_bad_file_ends_the_start_with_2_and_one_line(tmp_path: Path, text: str, line: str) -> None:
    file, (node,) = write_secret(tmp_path / "secret", text), fresh_addresses(1)
    ended = await run_to_its_end(
        {"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "data"), "CLUSTER_SECRET_FILE": str(file)}
    )
    assert (ended.status, ended.errors) == (2, [f"CLUSTER_SECRET_FILE {file}{line}"])

"""TLS on real nodes: with tokens and a secret besides, read again on SIGHUP while clients ask; on some nodes only."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

import kvs
from gossip.view import Address, host_of
from node.net.peer_certificates import ALL_OR_NONE
from tests.cluster import (
    PATIENCE_S,
    ROOT,
    Client,
    Processes,
    clean_environment,
    client,
    eventually,
    fresh_addresses,
    run_to_its_end,
)
from tests.commands import run
from tests.locks import Way
from tests.node.certs import believing, issue, variables
from tests.node.tokens import ADMIN, WRITE, bearing, tokens_file, write_secret

pytestmark = pytest.mark.process

SECRET = "the-secret-of-all-the-nodes-of-this-one-cluster"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def http(ca: trustme.CA) -> AsyncIterator[Client]:
    """By TLS, and with a token."""
    async with client(way=Way(believing(ca), bearing(ADMIN))) as asking:
        yield asking


def environment_of(node: Address, directory: Path, ca: trustme.CA) -> dict[str, str]:
    return {"REPL_FACTOR": "2"} | variables(issue(directory / f"tls-{node}", ca, host_of(node)))


async def start_all(processes: Processes, nodes: list[Address], directory: Path, ca: trustme.CA) -> None:
    """With everything on."""
    told = {
        "TOKENS_FILE": str(tokens_file(directory)),
        "CLUSTER_SECRET_FILE": str(write_secret(directory / "secret", SECRET)),
    }
    await asyncio.gather(
        *(processes.start(node, nodes, **told, **environment_of(node, directory, ca)) for node in nodes)
    )
    await processes.in_touch(nodes)


def log_of(processes: Processes, node: Address) -> str:
    return processes[node].log.read_text()


async def has_logged(processes: Processes, node: Address, line: str) -> None:
    async def is_there() -> bool:
        return line in log_of(processes, node)

    await eventually(is_there, f"{node} logging {line!r}")


async def command(node: Address, *arguments: str, **told: str) -> tuple[int, list[str], list[str]]:
    environment = clean_environment({"KVS_ENDPOINTS": f"https://{node}"} | told)
    done = await run(sys.executable, "-m", "kvs.cli", *arguments, environment=environment, directory=ROOT)
    return done.status, done.out.splitlines(), done.errors


async def test_tls_with_tokens_and_a_secret_serves_through_owners_and_others_while_certificates_change(
    processes: Processes, http: Client, tmp_path: Path, ca: trustme.CA
) -> None:
    """Three nodes, two copies. No request fails, whichever node is asked, and connections stay."""
    nodes = fresh_addresses(3)
    await start_all(processes, nodes, tmp_path, ca)
    is_over, written, authority = asyncio.Event(), 0, tmp_path / "ca.pem"

    async def work(node: Address) -> None:
        nonlocal written
        while not is_over.is_set():
            written += 1
            mine = written
            assert (await http.put(node, f"k{mine}", mine)).status == 201
            for other in nodes:
                assert (await http.get(other, f"k{mine}")).json["value"] == mine

    async with asyncio.TaskGroup() as tasks:
        for node in nodes:
            tasks.create_task(work(node))
        for node in nodes:
            environment_of(node, tmp_path, ca)
            processes[node].signal(signal.SIGHUP)
            await has_logged(processes, node, "cert.pem: read again; it is valid until 3000-01-01")
            before = written

            async def went_on(before: int = before) -> bool:
                return written > before + 10

            await eventually(went_on, "clients being answered")
        is_over.set()
    ca.cert_pem.write_to_path(authority)
    async with kvs.AsyncClient(f"https://{nodes[0]}", token=WRITE, ca=authority, timeout_s=PATIENCE_S) as store:
        found = [entry.key async for entry in store.scan("k")]
        assert len(found) == written
    changed = await http.change_view(nodes[2], nodes[:2], repl_factor=2)
    assert (changed.status, changed.json["shards"][0]["key-count"]) == (200, written)
    told = {"KVS_CACERT": str(authority), "KVS_TOKEN": WRITE}
    assert await command(nodes[0], "get", "k1", **told) == (0, ["1"], [])
    assert (await command(nodes[0], "health", **told))[0] == 0
    assert (await command(nodes[0], "health", KVS_ENDPOINTS="", **processes[nodes[0]].environment))[0] == 0
    status, _, (line,) = await command(nodes[0], "get", "k1", KVS_TOKEN=WRITE)
    assert status == 3 and "its certificate is not accepted: " in line
    status, _, (line,) = await command(nodes[0], "get", "k1", KVS_ENDPOINTS=nodes[0], KVS_TOKEN=WRITE)
    assert (status, line) == (2, f"Error: This node speaks HTTPS: ask https://{nodes[0]}")
    assert not any("turned away" in log_of(processes, node) for node in nodes)


async def test_tls_bad_file_on_hangup_leaves_the_old_ones_and_a_line(
    processes: Processes, http: Client, tmp_path: Path, ca: trustme.CA
) -> None:
    (node,) = fresh_addresses(1)
    await start_all(processes, [node], tmp_path, ca)
    files = issue(tmp_path / f"tls-{node}", trustme.CA(), host_of(node), believed=ca)
    processes[node].signal(signal.SIGHUP)
    await has_logged(processes, node, f"TLS_CERT {files.cert}: no other node would accept it: ")
    (line,) = [line for line in log_of(processes, node).splitlines() if "TLS_CERT" in line]
    assert line.endswith("; what was read before stays in force")
    async with client(way=Way(believing(ca), bearing(ADMIN))) as anew:
        assert (await anew.put(node, "k", 1)).status == 201


async def test_tls_on_some_nodes_only_is_refused_by_both_with_a_line(
    processes: Processes, tmp_path: Path, ca: trustme.CA
) -> None:
    """Nor does one whose certificate is for another host, or of another CA, get a link."""
    nodes = [secure, clear, other, stranger] = fresh_addresses(4)
    await processes.start(secure, nodes, **environment_of(secure, tmp_path, ca))
    await processes.start(clear, nodes, REPL_FACTOR="2")
    strange = trustme.CA()
    await processes.start(
        stranger, nodes, REPL_FACTOR="2", **variables(issue(tmp_path / "strange", strange, host_of(stranger)))
    )
    lines = {
        (secure, f"{clear} is turned away: it does not speak TLS, and this node does: {ALL_OR_NONE}"),
        (clear, f"{secure} is turned away: it speaks TLS, and this node does not: {ALL_OR_NONE}"),
        (secure, f"{stranger} is turned away: its certificate is not accepted: "),
        (stranger, f"{secure} is turned away: its certificate is not accepted: "),
    }
    for node, line in lines:
        await has_logged(processes, node, line)
    for node, line in lines:
        assert log_of(processes, node).count(line) == 1
    async with client(way=Way(believing(ca))) as asking:
        shown = (await asking.ask(secure, "GET", "/kvs/view-change")).json["nodes"]
    assert [each["address"] for each in shown if each["keys"] is not None] == [secure]
    assert other in nodes


async def test_tls_bad_files_end_the_start_with_2_and_a_line_each(tmp_path: Path, ca: trustme.CA) -> None:
    (node,) = fresh_addresses(1)
    files = issue(tmp_path / "tls", ca, "node9.example")
    told = {"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "data")}
    ended = await run_to_its_end(told | variables(files))
    (line,) = ended.errors
    assert ended.status == 2
    assert line.startswith(f"TLS_CERT {files.cert}: no other node would accept it: IP address mismatch")
    assert not (tmp_path / "data").exists()

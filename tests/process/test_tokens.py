"""Tokens on real nodes: files that are refused at the start, and read again on SIGHUP while clients ask."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

import kvs
from gossip.view import Address
from tests.cluster import (
    PATIENCE_S,
    ROOT,
    Client,
    Processes,
    clean_environment,
    eventually,
    fresh_addresses,
    run_to_its_end,
)
from tests.commands import run
from tests.node.tokens import ADMIN, READ, UNKNOWN, WRITE, bearing, hash_of, lines_for, tokens_file, write_secret

pytestmark = pytest.mark.process

BAD_LINE = "a line is a role (read, write or admin), a space, and the SHA-256 of a token as 64 hexadecimal digits"


@pytest.mark.parametrize(
    ("text", "mode", "line"),
    [
        (f"read {hash_of(READ)}\nadmin hunter2\n", 0o600, f", line 2: {BAD_LINE}"),
        ("# nothing yet\n", 0o600, f": it has no tokens, so nobody could do anything: {BAD_LINE}"),
        (lines_for(read=READ), 0o644, ": others may read or change it: chmod 640, or 600; it is 644"),
        (None, 0o600, ": no such file or directory: it must be a file that this node may read"),
    ],
)
async def test_tokens_bad_file_ends_the_start_with_2_and_one_line(
    tmp_path: Path, text: str | None, mode: int, line: str
) -> None:
    file, (node,) = tmp_path / "tokens", fresh_addresses(1)
    if text is not None:
        write_secret(file, text).chmod(mode)
    ended = await run_to_its_end(
        {"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "data"), "TOKENS_FILE": str(file)}
    )
    assert (ended.status, ended.errors) == (2, [f"TOKENS_FILE {file}{line}"])
    assert not (tmp_path / "data").exists()


async def start_all(processes: Processes, http: Client, nodes: list[Address], file: Path) -> None:
    await asyncio.gather(*(processes.start(node, nodes, TOKENS_FILE=str(file)) for node in nodes))

    async def is_one() -> bool:
        asked = [await http.ask(node, "GET", "/kvs/view-change", headers=bearing(READ)) for node in nodes]
        return all(shown["keys"] is not None for reply in asked for shown in reply.json["nodes"])

    await eventually(is_one, "nodes reaching each other")


def log_of(processes: Processes, node: Address) -> str:
    return processes[node].log.read_text()


async def command(node: Address, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    told = {"KVS_ENDPOINTS": node} | environment
    done = await run(sys.executable, "-m", "kvs.cli", *arguments, environment=told, directory=ROOT)
    return done.status, done.errors


async def test_tokens_of_a_cluster_are_exchanged_while_clients_ask(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    """Through whatever node, on connections that are kept. No request fails whose token is in both files."""
    nodes, file = fresh_addresses(3), tokens_file(tmp_path)
    await start_all(processes, http, nodes, file)
    is_over, asked = asyncio.Event(), 0

    async def work(node: Address) -> None:
        nonlocal asked
        async with kvs.AsyncClient(node, token=WRITE, timeout_s=PATIENCE_S) as client:
            while not is_over.is_set():
                await client.put(f"{node}-{asked}", asked)
                asked += 1
                for other in nodes:
                    assert (await http.ask(other, "GET", f"/kvs/keys/{node}", headers=bearing(WRITE))).status == 404

    async def read_again(node: Address, times: int) -> None:
        async def has_said_so() -> bool:
            return log_of(processes, node).count(f"TOKENS_FILE {file}: read again") == times

        processes[node].signal(signal.SIGHUP)
        await eventually(has_said_so, "the file being read")

    async with asyncio.TaskGroup() as tasks:
        for node in nodes:
            tasks.create_task(work(node))
        for times in range(1, 4):
            roles = {"read": READ, "write": WRITE, "admin": ADMIN if times % 2 == 0 else UNKNOWN}
            write_secret(file, lines_for(**roles))
            before = asked
            for node in nodes:
                await read_again(node, times)

            async def went_on(before: int = before) -> bool:
                return asked > before + 10

            await eventually(went_on, "clients being answered")
        is_over.set()
    for node in nodes:
        refused, taken = [
            await http.ask(node, "PUT", "/kvs/view-change?dry-run=true", b'{"view":"a:1"}', bearing(token))
            for token in (ADMIN, UNKNOWN)
        ]
        assert (refused.status, taken.status in (401, 403)) == (401, False)


async def test_tokens_bad_file_on_hangup_leaves_the_old_ones_and_a_line(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    (node,), file = fresh_addresses(1), tokens_file(tmp_path)
    await start_all(processes, http, [node], file)
    write_secret(file, f"admin {UNKNOWN}\n")
    processes[node].signal(signal.SIGHUP)
    line = f"TOKENS_FILE {file}, line 1: {BAD_LINE}; what was read before stays in force"

    async def has_said_so() -> bool:
        return log_of(processes, node).count(line) == 1

    await eventually(has_said_so, "the line in the log")
    statuses = [
        (await http.ask(node, "GET", "/kvs/key-count", headers=bearing(token))).status for token in (READ, UNKNOWN)
    ]
    assert statuses == [200, 401]
    written = log_of(processes, node)
    assert not any(secret in written for token in (READ, WRITE, ADMIN, UNKNOWN) for secret in (token, hash_of(token)))


HUNG_UP = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
os.kill(os.getpid(), signal.SIGHUP)
os.execv(sys.executable, [sys.executable, "-m", "node"])
"""


async def test_tokens_hangup_before_the_node_serves_is_kept_for_it(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    (node,), file = fresh_addresses(1), tokens_file(tmp_path)
    processes.program = ("-c", HUNG_UP)
    await start_all(processes, http, [node], file)

    async def has_read_again() -> bool:
        return f"TOKENS_FILE {file}: read again" in log_of(processes, node)

    await eventually(has_read_again, "the file being read again")


async def test_tokens_hangup_ends_a_node_that_reads_no_files_as_ever(processes: Processes) -> None:
    (node,) = fresh_addresses(1)
    process = await processes.start(node, [node])
    process.signal(signal.SIGHUP)
    assert await process.ended() == -signal.SIGHUP


async def test_tokens_of_the_command(processes: Processes, http: Client, tmp_path: Path) -> None:
    (node,) = fresh_addresses(1)
    made = await run(sys.executable, "-m", "kvs.cli", "tokens", "new", "write", directory=ROOT)
    token, line = made.out.splitlines()
    file = write_secret(tmp_path / "tokens", lines_for(read=READ) + line)
    await start_all(processes, http, [node], file)
    assert await command(node, "put", "k", "1") == (2, ["Error: Token is missing"])
    assert await command(node, "put", "k", "1", KVS_TOKEN=READ) == (
        2,
        ["Error: Token is for read, and this takes write"],
    )
    assert await command(node, "put", "k", "1", KVS_TOKEN=token) == (0, ["Added"])
    own = write_secret(tmp_path / "own", f"{token}\n")
    assert await command(node, "--token-file", str(own), "put", "k", "2") == (0, ["Updated"])
    assert await command(node, "view-change", "--add", "127.0.0.1:1", "--force", KVS_TOKEN=token) == (
        2,
        ["Error: Token is for write, and this takes admin"],
    )


async def test_tokens_are_not_needed_to_ask_a_node_for_its_health(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    """Nor is what has become of the files of a node that serves: it is healthy by what it has read."""
    (node,), file = fresh_addresses(1), tokens_file(tmp_path)
    await start_all(processes, http, [node], file)
    environment = clean_environment({"ADDRESS": node, "VIEW": node, "TOKENS_FILE": str(file)})
    for variable in ("KVS_ENDPOINTS", "KVS_TOKEN", "KVS_TOKEN_FILE"):
        environment.pop(variable, None)

    async def is_healthy() -> bool:
        asked = await run(sys.executable, "-m", "kvs.cli", "health", environment=environment, directory=ROOT)
        return asked.status == 0

    await eventually(is_healthy, "a node that is healthy")
    file.write_text("spoilt since")
    assert await is_healthy()

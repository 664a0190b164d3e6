"""How a process starts, refuses to start, and ends: statuses and lines on stderr, as an operator sees them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gossip.view import Address, host_of, port_of
from tests.cluster import NODE, ROOT, Client, Processes, clean_environment, eventually, fresh_addresses, run_to_its_end
from tests.commands import run
from tests.node.api.raw_http import ask_raw

pytestmark = pytest.mark.process


@pytest.fixture
def processes(processes: Processes) -> Processes:
    """No forks: all that a process does from its first moment on is looked at here."""
    processes.program = NODE
    return processes


@pytest.mark.parametrize(
    ("variable", "text", "lines"),
    [
        ("ADDRESS", "", [r"ADDRESS: missing"]),
        ("VIEW", "", [r"VIEW: missing"]),
        ("ADDRESS", "10.0.0.1", [r"ADDRESS: .*'10\.0\.0\.1'"]),
        ("VIEW", "127.0.0.2:1,x,127.0.0.2:1", [r"VIEW: .*'x'", r"VIEW: duplicate .*'127\.0\.0\.2:1'"]),
        ("REPL_FACTOR", "none", [r"REPL_FACTOR: .*'none'"]),
        ("BIND", "here", [r"BIND: .*'here'"]),
        ("LOG_LEVEL", "loud", [r"LOG_LEVEL: 'loud' is none of debug, info, warning, error"]),
        ("LOG_FORMAT", "xml", [r"LOG_FORMAT: 'xml' is none of text, json"]),
        ("CLUSTER", "two words", [r"CLUSTER: 'two words' is not a name: .*"]),
    ],
)
async def test_start_bad_variable_2_and_a_line_each(variable: str, text: str, lines: list[str], tmp_path: Path) -> None:
    node = fresh_addresses(1)[0]
    environment = {"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "data")}
    ended = await run_to_its_end(environment | {variable: text})
    assert ended.status == 2
    assert len(ended.errors) == len(lines)
    assert all(re.fullmatch(line + ".*", error) for line, error in zip(lines, ended.errors, strict=True))
    assert not (tmp_path / "data").exists()


def two_names() -> tuple[dict[str, str], str]:
    """An environment in which a node has them, and what is said of it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {"ADDRESS": f"localhost:{port}", "VIEW": f"localhost:{port},127.0.0.1:{port}", "BIND": "127.0.0.1"}
    return environment, f"VIEW: '127.0.0.1:{port}' is this node, whose ADDRESS is 'localhost:{port}': give it one name"


async def test_start_two_names_for_this_node_2_and_a_line(tmp_path: Path) -> None:
    environment, line = two_names()
    ended = await run_to_its_end(environment | {"DATA_DIR": str(tmp_path / "data")})
    assert (ended.status, ended.errors) == (2, [line])
    assert not (tmp_path / "data").exists()


async def test_start_two_names_that_no_resolver_tells_2_once_it_has_reached_itself(tmp_path: Path) -> None:
    environment, line = two_names()
    blind = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport node.own_names\nnode.own_names.LOOKUPS_MAX = 1\n"
    (tmp_path / "sitecustomize.py").write_text(blind)
    ended = await run_to_its_end(environment | {"DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(tmp_path)})
    assert (ended.status, ended.errors[-1]) == (2, line)


async def test_start_no_variable_at_all_names_both() -> None:
    ended = await run_to_its_end({})
    assert (ended.status, [line.partition(":")[0] for line in ended.errors]) == (2, ["ADDRESS", "VIEW"])


async def refused(node: Address, data_dir: Path) -> str:
    """Start a node that cannot; its one line."""
    ended = await run_to_its_end({"ADDRESS": node, "VIEW": node, "DATA_DIR": str(data_dir)})
    assert (ended.status, len(ended.errors)) == (1, 1), ended.errors
    return ended.errors[0]


async def test_start_port_in_use_1(tmp_path: Path) -> None:
    node = fresh_addresses(1)[0]
    server = await asyncio.start_server(lambda *_: None, host_of(node), port_of(node))
    async with server:
        assert node in await refused(node, tmp_path)


async def test_start_two_of_one_address_at_once_one_serves(processes: Processes, http: Client, tmp_path: Path) -> None:
    node = fresh_addresses(1)[0]
    first = processes.make(node, [node])
    await first.spawn()
    second = asyncio.create_task(run_to_its_end({"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "other")}))
    first_ended = asyncio.create_task(first.ended())
    try:
        await asyncio.wait([first_ended, second], return_when=asyncio.FIRST_COMPLETED)
        if second.done():
            assert (second.result().status, len(second.result().errors)) == (1, 1), second.result().errors
        else:
            assert (first_ended.result(), len(first.log.read_text().splitlines())) == (1, 1)
        await eventually(lambda: http.get(node, "k"), "the other one serves")
    finally:
        for task in (first_ended, second):
            task.cancel()
        await asyncio.wait([first_ended, second])


async def test_start_locked_directory_1(processes: Processes) -> None:
    node, other = fresh_addresses(2)
    process = await processes.start(node, [node])
    assert str(process.data_dir) in await refused(other, process.data_dir)


@pytest.mark.parametrize("below", ["file", "file/data", "/proc/none/data"])
async def test_start_unwritable_directory_1(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / below) in await refused(fresh_addresses(1)[0], tmp_path / below)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
async def test_start_forbidden_directory_1(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert str(tmp_path) in await refused(fresh_addresses(1)[0], tmp_path / "data")


async def test_start_directory_of_another_cluster_1(processes: Processes, http: Client) -> None:
    """A name that was forgotten, or mistyped, would keep a node with old copies apart from all that could tell it."""
    node = fresh_addresses(1)[0]
    process = await processes.start(node, [node], CLUSTER="ours")
    assert (await http.put(node, "k", 1)).status == 201
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert "of the cluster 'ours', while CLUSTER is 'kvs'" in await refused(node, process.data_dir)
    await process.start()
    assert (await http.get(node, "k")).status == 200


async def test_start_damaged_store_1(processes: Processes, http: Client) -> None:
    node = fresh_addresses(1)[0]
    process = await processes.start(node, [node])
    assert (await http.put(node, "k", 1)).status == 201
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    store = process.data_dir / "store.lmdb"
    with store.open("rb") as file:
        used = file.read(64 * 1024)
    for damage in (store.stat().st_size - 1, 16 * 1024, 5000, 100, 0):
        os.truncate(store, damage)
        assert str(process.data_dir) in await refused(node, process.data_dir)
    for content in (b"\0" * len(used), b"garbage" * 10_000):
        store.write_bytes(content)
        assert str(process.data_dir) in await refused(node, process.data_dir)


async def test_start_alone_listens_and_is_ready_soon(processes: Processes, http: Client) -> None:
    """Within 1 s on an idle machine; this one may be busy."""
    node = fresh_addresses(1)[0]
    began = time.monotonic()
    await processes.start(node, [node])
    assert (await http.put(node, "k", 1)).status == 201
    assert time.monotonic() - began < 6


async def test_end_sigterm_answers_what_is_in_flight(processes: Processes, http: Client) -> None:
    """Requests that wait for the owner of their keys, which is paused: the node answers them, then ends."""
    asked, owner = fresh_addresses(2)
    await processes.start_all([asked, owner])
    keys = [f"key{number}" for number in range(40)]
    forwarded = [key for key in keys if "address" in (await http.put(asked, key, 1)).json]
    processes[owner].signal(signal.SIGSTOP)
    connections = [await asyncio.open_connection(host_of(asked), port_of(asked)) for _ in forwarded]
    for key, (_, writer) in zip(forwarded, connections, strict=True):
        writer.write(f"GET /kvs/keys/{key} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await ask_raw(asked, b"GET /kvs/key-count HTTP/1.1\r\nHost: x\r\n\r\n")  # It has read what came before.

    began = time.monotonic()
    processes[asked].signal(signal.SIGTERM)
    await eventually(refuses(asked), "no more connections are taken")
    for reader, writer in connections:
        async with asyncio.timeout(5):
            assert (await reader.readline()).split()[1] == b"503"
        writer.close()
    assert await processes[asked].ended() == 0
    assert time.monotonic() - began < 5


BLOCKS = """
import pathlib, time
pathlib.Path(__file__).with_name("begun").touch()
time.sleep(600)
"""


async def test_end_sigterm_while_it_is_still_loaded_0(processes: Processes, tmp_path: Path) -> None:
    node = fresh_addresses(1)[0]
    (tmp_path / "msgspec.py").write_text(BLOCKS)
    process = processes.make(node, [node], PYTHONPATH=str(tmp_path))
    await process.spawn()

    async def has_begun() -> bool:
        return (tmp_path / "begun").exists()

    await eventually(has_begun, "the first import that takes long")
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert process.log.read_text() == ""


async def test_end_arguments_are_refused_in_one_line(tmp_path: Path) -> None:
    """A node is told by its environment; whoever asks for help must not get a node."""
    node = fresh_addresses(1)[0]
    environment = clean_environment({"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "data")})
    ended = await run(sys.executable, "-m", "node", "--help", environment=environment, directory=ROOT)
    assert (ended.status, len(ended.errors)) == (2, 1) and "takes no arguments" in ended.errors[0]
    assert not (tmp_path / "data").exists()


BLOCKED = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.executable, [sys.executable, "-m", "node"])
"""


async def test_end_sigterm_kept_from_before_it_was_loaded_0(tmp_path: Path) -> None:
    node = fresh_addresses(1)[0]
    environment = clean_environment({"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path / "data")})
    ended = await run(sys.executable, "-c", BLOCKED, environment=environment, directory=ROOT)
    assert (ended.status, ended.errors) == (0, [])
    assert not (tmp_path / "data").exists()


async def test_end_nobody_reads_stderr_and_it_serves_and_ends_all_the_same(http: Client, tmp_path: Path) -> None:
    """A terminal that is halted, a log driver that is stuck: not a line fits into the pipe."""
    node = fresh_addresses(1)[0]
    environment = clean_environment({"ADDRESS": node, "VIEW": node, "DATA_DIR": str(tmp_path)})
    unread, stderr = os.pipe()
    os.set_blocking(stderr, False)
    with suppress(BlockingIOError):
        while True:
            os.write(stderr, b"x" * 65536)
    with suppress(BlockingIOError):
        while True:
            os.write(stderr, b"x")
    os.set_blocking(stderr, True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node", cwd=ROOT, env=environment, stderr=stderr
    )
    try:
        assert (await eventually(lambda: http.put(node, "k", 1), "it serves")).status == 201
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(unread)
        os.close(stderr)


BROKEN = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from node.node import Node

async def run(self):
    raise RuntimeError("a mistake of the program")

Node.run = run
"""


async def test_end_a_part_that_fails_ends_the_whole_1_with_a_traceback(processes: Processes, tmp_path: Path) -> None:
    node = fresh_addresses(1)[0]
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    process = processes.make(node, [node], PYTHONPATH=str(tmp_path))
    await process.spawn()
    assert await process.ended() == 1
    lines = process.log.read_text().splitlines()
    assert lines[-1] == "RuntimeError: a mistake of the program"
    assert sum(line.startswith("Traceback") for line in lines) == 1


def refuses(node: Address) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        try:
            _, writer = await asyncio.open_connection(host_of(node), port_of(node))
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    return condition


async def test_end_sigterm_with_a_request_that_never_ends_0(processes: Processes) -> None:
    nodes = fresh_addresses(2)
    await processes.start_all(nodes)
    _, writer = await asyncio.open_connection(host_of(nodes[0]), port_of(nodes[0]))
    writer.write(b"PUT /kvs/keys/k HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")
    await writer.drain()
    began = time.monotonic()
    for node in nodes:
        processes[node].signal(signal.SIGTERM)
    assert [await processes[node].ended() for node in nodes] == [0, 0]
    assert time.monotonic() - began < 5
    writer.close()
    for node in nodes:
        assert "Traceback" not in processes[node].log.read_text()

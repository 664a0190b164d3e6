"""Who is compared: each a process on this machine with its data on the disk that is measured, empty when it starts and
filled by the load.

All answer a write only when it is on the disk: the node always does, etcd too, Redis with `appendfsync always`. What
would only hold them up stays off: Redis rewrites no log and takes no snapshots meanwhile, etcd logs errors alone.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.peers.dialects import Name
from bench.peers.loads import write_once
from bench.servers import KEY_COUNT, Process, Server, free_addresses, node_env, running, status_of, wait_until
from gossip.view import host_of, parse_nodes, port_of
from ring.placement import first_placement

PROGRAMS = {"redis-server": "redis-server", "redis-benchmark": "redis-tools", "etcd": "etcd-server", "wrk": "wrk"}
"""What has to be installed, and which of Debian's packages brings it."""
SETTLED_S = 30.0
PING_S = 2.0


class Contender(NamedTuple):
    name: str
    process: Process
    dialect: Name


def missing_programs() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


def versions() -> dict[str, str]:
    """Of the programs that the store is compared with and asked by."""
    found = {}
    for name, command in (("Redis", "redis-server --version"), ("etcd", "etcd --version"), ("wrk", "wrk -v")):
        done = subprocess.run(command.split(), capture_output=True, check=False, text=True)
        version = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
        found[name] = version[0] if version else "of no known version"
    return found


@contextmanager
def alone(directory: Path, keys: Sequence[str], value: str) -> Iterator[list[Contender]]:
    """A node that is all of its store, Redis, etcd, and the smallest answerer."""
    with ExitStack() as stack:
        (node,) = stack.enter_context(_nodes(directory, free_addresses(1), {}))
        found = [
            Contender("node", node, "node"),
            Contender("Redis", stack.enter_context(_redis(directory)), "redis"),
            Contender("etcd", stack.enter_context(_etcd(directory)), "etcd"),
        ]
        for each in found:
            write_once(each.process.address, each.dialect, keys, value)
        yield [*found, Contender("answerer", stack.enter_context(_answerer(keys[0], value)), "node")]


@contextmanager
def sharing(
    directory: Path, keys_of: Callable[[str, str], list[str]], value: str
) -> Iterator[tuple[list[Contender], list[str]]]:
    """Two nodes of one store with one copy, the owner and the other one, which forwards; and the keys to ask for.
    `keys_of`: those that a node owns in a view."""
    addresses = free_addresses(2)
    with _nodes(directory, addresses, {}) as (owner, other):
        keys = keys_of(owner.address, ",".join(addresses))
        write_once(other.address, "node", keys, value)
        yield [Contender("owner", owner, "node"), Contender("forwarder", other, "node")], keys


@contextmanager
def copies(directory: Path, keys: Sequence[str], value: str) -> Iterator[list[Contender]]:
    """A node that is all of its store, and one of two that have the same, the first owner of all keys."""
    with ExitStack() as stack:
        (single,) = stack.enter_context(_nodes(directory, free_addresses(1), {}))
        pair = stack.enter_context(_nodes(directory, free_addresses(2), {"REPL_FACTOR": "2"}))
        ((first, _),) = first_placement(parse_nodes(",".join(each.address for each in pair)), 2).shards
        found = [
            Contender("one copy", single, "node"),
            Contender("two copies", next(each for each in pair if each.address == first), "node"),
        ]
        for each in found:
            write_once(each.process.address, each.dialect, keys, value)
        yield found


@contextmanager
def _nodes(directory: Path, addresses: Sequence[str], env: dict[str, str]) -> Iterator[list[Server]]:
    """A store that has settled."""
    with ExitStack() as stack:
        nodes = []
        for address in addresses:
            home = {**node_env(",".join(addresses), directory / address), **env}
            nodes.append(stack.enter_context(running(Server("node", address, home))))
        for node in nodes:
            node.serving_after(KEY_COUNT)
        wait_until(lambda: all(status_of(node.address)["state"] == "settled" for node in nodes), SETTLED_S)
        yield nodes


@contextmanager
def _redis(directory: Path) -> Iterator[Process]:
    home, (address,) = _home(directory, "redis"), free_addresses(1)
    command = ["redis-server", "--bind", host_of(address), "--port", str(port_of(address)), "--dir", str(home)]
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    command += ["--save", "", "--auto-aof-rewrite-percentage", "0"]

    def answers() -> bool:
        with socket.create_connection((host_of(address), port_of(address)), PING_S) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")

    with running(Process(address, command, {})) as process:
        process.serving_once(answers, "PING")
        yield process


@contextmanager
def _etcd(directory: Path) -> Iterator[Process]:
    home, (address, peers) = _home(directory, "etcd"), free_addresses(2)
    command = ["etcd", "--name", "one", "--data-dir", str(home), "--log-level", "error"]
    command += ["--listen-client-urls", f"http://{address}", "--advertise-client-urls", f"http://{address}"]
    command += ["--listen-peer-urls", f"http://{peers}", "--initial-advertise-peer-urls", f"http://{peers}"]
    command += ["--initial-cluster", f"one=http://{peers}"]
    with running(Process(address, command, {})) as process:
        process.serving_after("/health")
        yield process


@contextmanager
def _answerer(key: str, value: str) -> Iterator[Process]:
    (address,) = free_addresses(1)
    with running(Server("bench.peers.answerer", address, {"VALUE": value})) as process:
        process.serving_after(f"/kvs/keys/{key}")
        yield process


def _home(directory: Path, name: str) -> Path:
    home = directory / name
    home.mkdir(mode=0o700)
    return home

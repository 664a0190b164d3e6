"""`make up`: a cluster of nodes on the loopback addresses of this machine, in the foreground, until Ctrl-C.

Owns the node processes it starts: whatever ends it, short of SIGKILL, stops them first and waits, or they
would hold their ports and locks against the next `make up`. Each node is started as a user would start it,
through its environment, and keeps its data where a start by hand finds it again. Must never import node,
gossip or ring: it has to show the node's own message when they do not work.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORT = 13800
NODES_MAX = 20
LISTEN_TIMEOUT_S = 30.0  # twenty interpreters starting at once on a small machine, with some data to open
POLL_S = 0.05
STOP_TIMEOUT_S = 8.0  # a node promises 5
LINE_BYTES_MAX = 1 << 20


class Failure(Exception):
    """What ends this program, as one line for the user."""


@dataclass(frozen=True)
class Node:
    address: str
    process: asyncio.subprocess.Process
    output: asyncio.Task[None]

    async def listens(self) -> None:
        """Returns once the node takes connections. Raises Failure if it ends before, or takes too long."""
        host, port = self.address.split(":")
        try:
            async with asyncio.timeout(LISTEN_TIMEOUT_S):
                while self.process.returncode is None:
                    try:
                        _, writer = await asyncio.open_connection(host, int(port))
                    except OSError:
                        await asyncio.sleep(POLL_S)
                    else:
                        writer.close()
                        return
        except TimeoutError:
            raise Failure(f"{self.address} does not listen after {LISTEN_TIMEOUT_S:.0f} s") from None
        await asyncio.shield(self.output)  # its own message comes first
        raise Failure(f"{self.address} did not start (exit status {self.process.returncode})")

    async def ends(self, by_hand: str) -> None:
        """Returns when the node has ended by itself, or was killed by someone; says how to start it again."""
        await asyncio.shield(self.output)  # Ctrl-C ends this wait, not the output
        status = await self.process.wait()
        print(f"{self.address} ended with status {status}; to start it again: {by_hand}", flush=True)

    async def stop(self) -> None:
        """Returns when the process is gone: by SIGTERM if it can, else by SIGKILL."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.process.wait()
        except (TimeoutError, asyncio.CancelledError):  # it hangs, or the user's second Ctrl-C
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()
        await self.output


def node_addresses(env: Mapping[str, str]) -> list[str]:
    """The addresses to start, from NODES. Raises Failure."""
    text = env.get("NODES") or "4"
    if not text.isdecimal() or not 1 <= int(text) <= NODES_MAX:
        raise Failure(f"NODES={text} is not a number from 1 to {NODES_MAX}")
    return [f"127.0.0.{2 + index}:{PORT}" for index in range(int(text))]


def check_free(address: str) -> None:
    """Raises Failure if a node could not listen there."""
    host, port = address.split(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise Failure(f"{address} is in use: is a cluster running already?") from None
            if fault.errno == errno.EADDRNOTAVAIL:
                alias = f"sudo ifconfig lo0 alias {host} up"
                raise Failure(f"{host} is not an address of this machine; on macOS: {alias}") from None
            raise Failure(f"{address} cannot be used: {fault.strerror}") from None


def variables(address: str, addresses: list[str], env: Mapping[str, str]) -> dict[str, str]:
    """What a node needs in its environment, and is told by that of this program."""
    shared = {name: env[name] for name in ("REPL_FACTOR", "CLUSTER") if env.get(name)}
    return {"ADDRESS": address, "VIEW": ",".join(addresses)} | shared


async def start(address: str, own: dict[str, str], width: int) -> Node:
    """Starts one node; its lines appear on stdout after its address."""
    inherited = {k: v for k, v in os.environ.items() if k not in {"REPL_FACTOR", "CLUSTER", "DATA_DIR", "BIND"}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "node"),
        cwd=ROOT,
        env=inherited | own | {"PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LINE_BYTES_MAX,
        process_group=0,  # else Ctrl-C would reach the nodes directly, and twice
    )

    async def relay() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            print(f"{address:<{width}} | {line.decode(errors='replace').rstrip()}", flush=True)

    return Node(address, process, asyncio.create_task(relay()))


def next_steps(addresses: list[str]) -> str:
    first, last = addresses[0], addresses[-1]
    return f"""
{len(addresses)} node(s) up, data in ./data; Ctrl-C stops them, make up goes on. Try, in another terminal:

  curl -X PUT -d '{{"value": "world"}}' http://{first}/kvs/keys/hello
  curl http://{last}/kvs/keys/hello
  .venv/bin/kvs status
  .venv/bin/kvs ring hello
"""


async def run(addresses: list[str], env: Mapping[str, str]) -> None:
    """Runs the nodes until a signal comes. Raises Failure if a node does not start, and when none is left."""
    main_task = asyncio.current_task()
    assert main_task is not None
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, main_task.cancel)
    environments = {address: variables(address, addresses, env) for address in addresses}
    width = max(map(len, addresses))
    nodes: list[Node] = []
    try:
        # The first one alone, so that a fault they all share is told once.
        for several in (addresses[:1], addresses[1:]):
            for address in several:
                nodes.append(await start(address, environments[address], width))
            for node in nodes:
                await node.listens()
        print(next_steps(addresses), flush=True)
        by_hand = {
            address: " ".join(f"{name}={value}" for name, value in own.items()) + " .venv/bin/python -m node"
            for address, own in environments.items()
        }
        await asyncio.gather(*(node.ends(by_hand[node.address]) for node in nodes))
    except asyncio.CancelledError:
        return  # Ctrl-C is the ordinary end
    finally:
        await asyncio.gather(*(node.stop() for node in nodes), return_exceptions=True)
    raise Failure("no node is left")


def main() -> int:
    try:
        addresses = node_addresses(os.environ)
        for address in addresses:
            check_free(address)
        asyncio.run(run(addresses, os.environ))
    except Failure as failure:
        print(f"make up: {failure}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:  # a second Ctrl-C: the nodes were killed
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The same move in a Redis Cluster, with the tool that it brings for that: a third node takes a third of all slots.

Redis keeps nothing on disk here, which only helps it.
"""

from __future__ import annotations

import binascii
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

SLOTS = 16_384
PATIENCE_S = 600.0
POLL_S = 0.05


def is_installed() -> bool:
    return shutil.which("redis-server") is not None and shutil.which("redis-cli") is not None


def seconds_to_move_a_third(ports: Sequence[int], keys: Sequence[str], value: str) -> tuple[float, int]:
    """Of two nodes that share `keys`, a third gets its part: how long that took, and how many keys were moved. `ports`:
    three, below 55536, as Redis uses those 10,000 above too. Raises RuntimeError if keys are missing afterwards."""
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(_node(port))
        one, two, three = ports
        half = SLOTS // 2
        for port, first, last in ((one, 0, half - 1), (two, half, SLOTS - 1)):
            _ask(port, "cluster", "addslotsrange", str(first), str(last))
        for port in (two, three):
            _ask(one, "cluster", "meet", "127.0.0.1", str(port))
        _wait_until_known(ports)
        _fill(one, [key for key in keys if _slot(key) < half], value)
        _fill(two, [key for key in keys if _slot(key) >= half], value)
        began = time.perf_counter()
        _move(one, _ask(three, "cluster", "myid"), SLOTS // 3)
        seconds = time.perf_counter() - began
        counts = [int(_ask(port, "dbsize")) for port in ports]
        if sum(counts) != len(keys):
            raise RuntimeError(f"Redis has {sum(counts)} of {len(keys)} keys")
        return seconds, counts[2]


@contextmanager
def _node(port: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as directory:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes"]
        command += ["--save", "", "--appendonly", "no", "--dir", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no Redis serves on port {port}")
                time.sleep(POLL_S)
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    return subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, check=False).returncode == 0


def _ask(port: int, *words: str) -> str:
    done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def _wait_until_known(ports: Sequence[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        infos = [_ask(port, "cluster", "info") for port in ports]
        if all("cluster_state:ok" in info and f"cluster_known_nodes:{len(ports)}" in info for info in infos):
            return
        time.sleep(POLL_S)
    raise RuntimeError("the nodes of Redis do not find each other")


def _fill(port: int, keys: Sequence[str], value: str) -> None:
    commands = b"".join(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key.encode(), len(value), value.encode())
        for key in keys
    )
    subprocess.run(["redis-cli", "-p", str(port), "--pipe"], input=commands, stdout=subprocess.DEVNULL, check=True)


def _move(port: int, to: str, slots: int) -> None:
    command = ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{port}", "--cluster-from", "all", "--cluster-to", to]
    command += ["--cluster-slots", str(slots), "--cluster-yes", "--cluster-pipeline", "100"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE_S)


def _slot(key: str) -> int:
    return binascii.crc_hqx(key.encode(), 0) % SLOTS

"""Server processes: nodes and the bare application, each on a free port, stopped when their block ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from node.storage.lmdb_engine import open_engine
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of

ROOT = Path(__file__).resolve().parent.parent
KEY_COUNT = "/kvs/key-count"
"""A node answers a GET of this as soon as it serves."""
START_S = 30.0
STOP_S = 10.0
POLL_S = 0.002
FILL_BATCH = 10_000
"""Keys in one job of `fill`."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Process:
    """One process that serves at `address`. `serving_after` waits until it answers."""

    def __init__(self, address: str, command: Sequence[str], env: Mapping[str, str], cwd: Path = ROOT) -> None:
        self.address = address
        self._name = command[0]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={"PATH": os.environ.get("PATH", ""), **env},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def age_s(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._started_at

    @property
    def pid(self) -> int:
        return self._process.pid

    def serving_after(self, path: str) -> float:
        """Wait until a GET of `path` is answered with 200; the seconds since the start of the process."""
        url = f"http://{self.address}{path}"

        def is_answered() -> bool:
            with urllib.request.urlopen(url, timeout=2):
                return True

        return self.serving_once(is_answered, path)

    def serving_once(self, is_answered: Callable[[], bool], asked: str) -> float:
        """Wait until that is so, and does not end in an OSError; the seconds since the start of the process."""
        while True:
            with contextlib.suppress(OSError):
                if is_answered():
                    return self.age_s
            if self._process.poll() is not None or self.age_s > START_S:
                self._log.seek(0)
                raise RuntimeError(
                    f"{self._name} at {self.address} does not serve {asked}: {self._log.read().decode()}"
                )
            time.sleep(POLL_S)

    def cpu_s(self) -> float:
        """Processor time used so far, in user and kernel mode, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def written_bytes(self) -> int:
        """What it has had the kernel write to disks so far: whole pages, each as often as it was changed and synced."""
        match = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{self.pid}/io").read_text(), re.MULTILINE)
        assert match is not None
        return int(match[1])

    def anonymous_bytes(self) -> int:
        """Memory of the process's own: without the pages of the store's file, which the kernel may take back."""
        match = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


P = TypeVar("P", bound=Process)


class Server(Process):
    """One process of `module`, with the code of the checkout at `root`."""

    def __init__(self, module: str, address: str, env: Mapping[str, str], root: Path = ROOT) -> None:
        # `-m` looks into the working directory first, even where another checkout is installed.
        super().__init__(address, [sys.executable, "-m", module], {"ADDRESS": address, **env}, root)
        self._name = module


@contextmanager
def server(
    module: str, address: str, env: Mapping[str, str], ready: str | None = None, root: Path = ROOT
) -> Iterator[Server]:
    """A running server; one that already answers a GET of `ready`, where that is given."""
    with running(Server(module, address, env, root)) as process:
        if ready is not None:
            process.serving_after(ready)
        yield process


@contextmanager
def running(process: P) -> Iterator[P]:
    """Stop it when the block ends."""
    try:
        yield process
    finally:
        process.stop()


def status_of(address: str) -> dict[str, Any]:
    """What the node says of itself."""
    with urllib.request.urlopen(f"http://{address}/kvs/status", timeout=2) as response:
        answer: dict[str, Any] = msgspec.json.decode(response.read())
    return answer


def wait_until(is_so: Callable[[], bool], patience_s: float) -> None:
    """Wait until that is so; while a node that is asked cannot be reached, it is not."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if is_so():
                return
        time.sleep(POLL_S)
    raise RuntimeError(f"not within {patience_s:.0f} s")


def node_env(view: str, data_dir: Path) -> dict[str, str]:
    return {"VIEW": view, "DATA_DIR": str(data_dir)}


def free_addresses(count: int) -> list[str]:
    """Addresses on which nobody listens now, all on 127.0.0.1."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in sockets]


def fill(data_dir: Path, keys: list[str], value: str) -> None:
    """Put `value` under each of `keys` into the data directory of a node that is not running."""
    encoded = [key.encode() for key in keys]
    placed = sorted((partition_of(key), key) for key in encoded)

    async def put_all() -> None:
        store = Store(open_engine(data_dir, asyncio.get_running_loop(), jobs_s_max=1.0))
        try:
            for start in range(0, len(placed), FILL_BATCH):
                chunk = placed[start : start + FILL_BATCH]

                def job(batch: Transaction, chunk: list[tuple[int, bytes]] = chunk) -> None:
                    for partition, key in chunk:
                        batch.put(partition, key, Record(make_version(1, 1), value.encode(), False).encode(), None)

                await store.submit(job)
        finally:
            store.close()

    uvloop.run(put_all())


def fdatasync_s(directory: Path, times: int = 200) -> float:
    """The median time in which the disk under `directory` makes one page durable."""
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        file.truncate(times * 4096)
        os.fsync(file.fileno())
        for page in range(times):
            os.pwrite(file.fileno(), b"\1" * 4096, page * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2]

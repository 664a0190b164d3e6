"""A small file system of its own for the data of one node, which another program can fill."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gossip.view import Address, host_of
from tests.cluster import NodeProcess, Processes
from tests.commands import run

DISK_BYTES = 16 * 1024 * 1024


class SmallDisk:
    """A file system of its own under the data directory of one node, which another program can fill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path / "of another program"

    def fill(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            for size in (1024 * 1024, 64 * 1024, 4096):
                try:
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    continue

    def relieve(self) -> None:
        self._file.unlink()


@asynccontextmanager
async def mounted(path: Path) -> AsyncIterator[SmallDisk]:
    """One that is gone with the block. Skips the test where this user may mount none."""
    path.mkdir()
    done = await run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path))
    if done.status:
        pytest.skip("a file system can be mounted by root alone")
    yield SmallDisk(path)
    await run("umount", "--lazy", str(path))


def on(disk: SmallDisk, processes: Processes, node: Address, view: list[Address], **environment: str) -> NodeProcess:
    return processes.make(node, view, **environment, DATA_DIR=str(disk.path / host_of(node)))

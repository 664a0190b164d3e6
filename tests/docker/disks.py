"""Disks of containers that can be filled: small file systems of their own, where the machine lets us mount them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.commands import run
from tests.docker.containers import Spot

BYTES = 64 * 1024 * 1024
STEP_BYTES = 512 * 1024
OWNER = 10001
"""Of /data, in the image."""


class SmallDisks:
    """One for each container, a directory of its name in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._mounted: list[Path] = []

    async def mount(self, spots: Iterable[Spot]) -> bool:
        """Whether they can be filled; if not, since that is not permitted, they are mere directories."""
        options = f"size={BYTES},uid={OWNER},mode=750"
        disks = [self.directory / spot.name for spot in spots]
        for disk in disks:
            disk.mkdir(parents=True)
            if (await run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk))).status == 0:
                self._mounted.append(disk)
            else:
                disk.chmod(0o777)
        return self._mounted == disks

    async def unmount(self) -> None:
        """Once no container uses them any more."""
        for disk in self._mounted:
            await run("umount", str(disk))
        self._mounted.clear()

    def fill(self, spot: Spot) -> None:
        with self._filler(spot).open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65536))

    @asynccontextmanager
    async def filling_up(self, spot: Spot) -> AsyncIterator[None]:
        """Meanwhile a disk loses some of its room each second, and keeps half of it."""

        async def fill() -> None:
            with self._filler(spot).open("wb", buffering=0) as file:
                while file.tell() < BYTES // 2:
                    file.write(bytes(STEP_BYTES))
                    await asyncio.sleep(1.0)

        filling = asyncio.create_task(fill())
        try:
            yield
        finally:
            filling.cancel()
            await asyncio.wait([filling])

    def make_room(self, spot: Spot) -> None:
        self._filler(spot).unlink()

    def empty(self, spot: Spot) -> None:
        for entry in (self.directory / spot.name).iterdir():
            entry.unlink()

    def _filler(self, spot: Spot) -> Path:
        return self.directory / spot.name / "filler"

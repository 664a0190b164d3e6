"""Memory that is free, and still the process's, is given back to the system.

A connection by TLS takes a quarter of a MiB when it begins, in pieces of many sizes. Once a crowd of them has gone, all
that is free, but the C library keeps it, and the next crowd gets other pieces: so those who come and go by the thousand
make a process ever larger, up to some 0.3 MiB for each that was there at once, and a container with a limit is killed
for memory that nobody uses.

To give it back takes a tenth of a millisecond for each MiB, in which the process does nothing else: so it is done where
there is much of it, and seldom.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024
LOOK_EVERY_S = 10.0
WORTH_BYTES = 64 * MIB
"""By so much the process has to have grown since it had least."""

log = logging.getLogger(__name__)


class SpareMemory:
    """`taken` tells how many bytes the process has, `give_back` gives back what it does not use."""

    def __init__(self, taken: Callable[[], int], give_back: Callable[[], None]) -> None:
        self._taken = taken
        self._give_back = give_back
        self._least = taken()

    def look(self) -> None:
        taken = self._taken()
        if taken > self._least + WORTH_BYTES:
            self._give_back()
            self._least = self._taken()
            log.debug("memory: %d MiB, now %d MiB", taken // MIB, self._least // MIB)
        else:
            self._least = min(self._least, taken)


async def give_back_now_and_then() -> None:
    """Until cancelled; returns at once where the system tells nothing, or the C library knows no such thing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None or not bytes_taken():
        return
    spare = SpareMemory(bytes_taken, lambda: trim(0))
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        spare.look()


def bytes_taken() -> int:
    """Of this process, without what the system caches of files; 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
    return 0

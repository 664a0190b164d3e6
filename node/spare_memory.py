"""Memory that is free, and still the process's, is given back to the system.

A connection by TLS takes a quarter of a MiB when it begins, in pieces of many sizes. Once a crowd of them has gone, all
that is free, but the C library keeps it, and the next crowd gets other pieces: so those who come and go by the thousand
make a process ever larger, up to some 0.3 MiB for each that was there at once, and a container with a limit is killed
for memory that nobody uses.

To give it back takes a tenth of a millisecond for each MiB, in which the process does nothing else: so it is done where
there is much of it, and seldom. How much there is, is what the process has beyond what it uses: what it has alone would
not tell, since that is as much when a crowd is there, and nothing is to be given back, as when it has gone.
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
"""So much more than at the least has to be unused."""

log = logging.getLogger(__name__)


class SpareMemory:
    """`unused` tells how many bytes the process has beyond those that it uses, as far as the C library knows of them;
    `give_back` gives these back."""

    def __init__(self, unused: Callable[[], int], give_back: Callable[[], None]) -> None:
        self._unused = unused
        self._give_back = give_back
        self._least = unused()
        """Since something was last given back: the rest is none of the C library's."""

    def look(self) -> None:
        unused = self._unused()
        if unused > self._least + WORTH_BYTES:
            self._give_back()
            self._least = self._unused()
            log.debug("memory: %d MiB unused, now %d MiB", unused // MIB, self._least // MIB)
        else:
            self._least = min(self._least, unused)


async def give_back_now_and_then() -> None:
    """Until cancelled; returns at once where the system tells nothing, or the C library knows no such thing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None or not bytes_taken() or not bytes_used():
        return
    spare = SpareMemory(bytes_unused, lambda: trim(0))
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        spare.look()


def bytes_unused() -> int:
    return bytes_taken() - bytes_used()


class _MallocInfo(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    )


def bytes_used() -> int:
    """Of what the C library has given to this process; 0 where it does not tell."""
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return 0
    tell.restype = _MallocInfo
    info = tell()
    return int(info.uordblks + info.hblkhd)


def bytes_taken() -> int:
    """Of this process, without what the system caches of files; 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
    return 0

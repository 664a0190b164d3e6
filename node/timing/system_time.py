"""Where a node that runs has its time from: the clocks of its machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path


class SystemTime:
    """A `node.timing.clock.Time`."""

    monotonic: Callable[[], float] = staticmethod(
        partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
    )

    wall = staticmethod(time.time)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def boot_id(self) -> str:
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""

"""Whether others are at work on this machine: what is measured then is them too."""

from __future__ import annotations

import os
import time
from pathlib import Path

LOOK_S = 2.0
BUSY_MAX = 0.2
"""Processors. A machine at rest takes a few hundredths."""
IDLE_FIELDS = (3, 4)
"""Of a processor's times in /proc/stat: idle, and waiting for a disk."""
FIELDS = 8
"""Those after these are counted in others already."""


def processors_taken() -> float:
    """By all that runs now, and by other guests of the same host."""
    before = Path("/proc/stat").read_text()
    time.sleep(LOOK_S)
    return (os.cpu_count() or 1) * busy_share(before, Path("/proc/stat").read_text())


def busy_share(before: str, after: str) -> float:
    """Of the time between two readings of /proc/stat, over all processors."""
    first, last = _times(before), _times(after)
    spent = [late - early for early, late in zip(first, last, strict=True)]
    return 1 - sum(spent[field] for field in IDLE_FIELDS) / max(1, sum(spent))


def _times(stat: str) -> list[int]:
    return [int(ticks) for ticks in stat.splitlines()[0].split()[1 : 1 + FIELDS]]

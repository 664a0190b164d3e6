"""As the `sitecustomize` of a node's interpreter: its wall clock is off by as many seconds as a file says, from the
moment when that says so. Its other clock, which only measures how much time has passed, is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

CONTROL = Path("/tmp/clock is off by")


def _off_s() -> float:
    try:
        return float(CONTROL.read_text() or 0)
    except FileNotFoundError:
        return 0.0


def _make_sick(right_s: Callable[[], float], right_ns: Callable[[], int]) -> None:
    time.time = lambda: right_s() + _off_s()
    time.time_ns = lambda: right_ns() + int(_off_s() * 1e9)


_make_sick(time.time, time.time_ns)

"""The faults that a run finds in one target: each is told once, by an input that is as short as it could be made."""

from __future__ import annotations

import hashlib
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tests.fuzz.target import Target

SHORTEN_S = 20.0
HANGS_S = 20.0
"""An input that takes more of the processor is a fault; on a machine that has little time for it, it may last."""
FRAMES_TOLD = 6


class Hangs(Exception):
    """It takes too long."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Hangs, and again should that be caught, where the block takes more of the processor's time. For the main
    thread."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Hangs(f"it takes more than {seconds:g} s of the processor")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Fault(NamedTuple):
    place: tuple[str, str, int]
    """Which error, and where: as much as tells it from others."""
    data: bytes


class Faults:
    """`directory`: where the inputs are kept; None: nowhere. `hangs_s`: see `limited`."""

    def __init__(self, target: Target, directory: Path | None, hangs_s: float = HANGS_S) -> None:
        self._target = target
        self._hangs_s = hangs_s
        self._directory = directory
        self.found: list[Fault] = []

    def look(self, data: bytes) -> None:
        """Tell of the fault that this input shows, if it shows one that was not told of yet."""
        error = self._error_of(data)
        if error is None or (place := _place_of(error)) in (fault.place for fault in self.found):
            return
        short = self._shortened(data, place)
        self.found.append(Fault(place, short))
        self._tell(short, self._error_of(short) or error)

    def _error_of(self, data: bytes) -> Exception | None:
        try:
            with limited(self._hangs_s):
                self._target.check(data)
        except Exception as error:
            return error
        return None

    def _shortened(self, data: bytes, place: tuple[str, str, int]) -> bytes:
        """Without each part that can be left out, the large ones first."""
        until, size = time.monotonic() + SHORTEN_S, max(1, len(data) // 2)
        while size and time.monotonic() < until:
            start = 0
            while start < len(data) and time.monotonic() < until:
                less = data[:start] + data[start + size :]
                error = self._error_of(less)
                if error is not None and _place_of(error) == place:
                    data = less
                else:
                    start += size
            size //= 2
        return data

    def _tell(self, data: bytes, error: Exception) -> None:
        name = self._target.name
        print(f"\nfault in {name}:")
        print("".join(traceback.format_exception(error, limit=-FRAMES_TOLD)).rstrip())
        print(f"found by: {data!r}")
        print(f"To make it a test, put these bytes among the seeds of the target {name!r}, see tests/fuzz/all.py.")
        if self._directory is not None:
            path = self._directory / hashlib.sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            print(f"They are kept in {path}: make fuzz ONLY={name} AGAIN={path}", flush=True)


def _place_of(error: BaseException) -> tuple[str, str, int]:
    if isinstance(error, Hangs):
        return Hangs.__name__, "", 0  # Wherever it was by then.
    last = traceback.extract_tb(error.__traceback__)[-1]
    return type(error).__name__, last.filename, last.lineno or 0

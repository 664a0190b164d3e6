"""The limit for a durable write: how long the disk takes to make one page durable, one after the other."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from bench.peers.histogram import Histogram
from bench.peers.loads import Sample

PAGE = 4096
PAGES = 1024
"""Written in turn; all of the file is there beforehand, so that no write makes it longer."""


def fdatasync(directory: Path, duration_s: float) -> Sample:
    """Each time is that of one pwrite and its fdatasync."""
    taken_ns, page = list[int](), b"\1" * PAGE
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(PAGE * PAGES))
        file.flush()
        os.fsync(file.fileno())
        began_ns = now_ns = time.perf_counter_ns()
        while now_ns < began_ns + duration_s * 1e9:
            os.pwrite(file.fileno(), page, PAGE * (len(taken_ns) % PAGES))
            os.fdatasync(file.fileno())
            now_ns, before_ns = time.perf_counter_ns(), now_ns
            taken_ns.append(now_ns - before_ns)
    return Sample(len(taken_ns) * 1e9 / (now_ns - began_ns), Histogram(taken_ns))

"""An engine on a data directory with a small map, for what tests do to both."""

from __future__ import annotations

import asyncio
from pathlib import Path

from node.storage.lmdb_engine import open_engine
from node.storage.transaction import Engine
from tests.node.samples import JOBS_S_MAX
from tests.node.storage.engine_contract import PlainBatch

MAP_BYTES = 2**20


def open_in(path: Path) -> Engine:
    """Raises BadDataDir."""
    return open_engine(path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES)(PlainBatch, lambda _batch: None)

"""Engines and stores on a data directory, with a map that is small at first."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gossip.view import ViewId
from node.storage.lmdb_engine import open_engine
from node.storage.store import Store
from node.storage.transaction import Engine
from tests.node.samples import JOBS_S_MAX
from tests.node.storage.engine_contract import PlainBatch

MAP_BYTES = 2**20
UNFENCED = ViewId(-1, 0)
"""What is in force on an empty disk."""


def open_store(path: Path) -> Store:
    """To be closed. Raises BadDataDir."""
    return Store(open_engine(path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES))


def open_in(path: Path) -> Engine:
    """Raises BadDataDir."""
    return open_engine(path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES)(PlainBatch, lambda _batch: None)

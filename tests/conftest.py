"""What tests of whole nodes are given. Which of the two kinds of node, `tests.cluster` explains."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from tests.cluster import Client, Cluster, Processes, client
from tests.locks import Locks, way_in

# How long an example takes says more of what else the machine does; what hangs is ended all the same.
hypothesis.settings.register_profile("kvs", deadline=None)
hypothesis.settings.load_profile("kvs")


def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are cores: what the tests of processes do most is wait."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """What was imported and collected stays, and need not be looked through whenever garbage is collected: half a
    million objects, a fifth of a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def locks() -> Locks | None:
    """Of the nodes that a test is given: none, unless a directory of tests says otherwise."""
    return None


@pytest.fixture
async def http(locks: Locks | None) -> AsyncIterator[Client]:
    async with client(way=way_in(locks)) as asking:
        yield asking


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    nodes = Cluster(tmp_path)
    yield nodes
    await nodes.close()


@pytest.fixture
async def processes(tmp_path: Path, http: Client, locks: Locks | None) -> AsyncIterator[Processes]:
    nodes = Processes(tmp_path, http, locks)
    yield nodes
    await nodes.close()

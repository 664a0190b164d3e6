"""Containers for each test: none of an earlier one is there, and none is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import Client
from tests.docker.containers import Containers, clear_away, unusable
from tests.locks import Locks, is_asked


@pytest.fixture
def locks(tmp_path: Path) -> Locks | None:
    return Locks(tmp_path) if is_asked() else None


@pytest.fixture
async def bare_engine() -> AsyncIterator[None]:
    """A docker daemon with the image, and with nothing of what the tests make."""
    if fault := await unusable():
        pytest.fail(fault)
    yield
    await clear_away()


@pytest.fixture
async def containers(bare_engine: None, http: Client, locks: Locks | None) -> AsyncIterator[Containers]:
    started = Containers(http, locks)
    await started.open()
    yield started
    await started.tell(lines=100)  # pytest shows it where a test failed.

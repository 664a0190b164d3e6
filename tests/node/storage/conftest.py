"""A store for tests of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from node.storage.store import Store
from tests.node.storage.opening import open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    with closing(open_store(tmp_path)) as store:
        yield store

"""What all tests of links run on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node.net.links import Links


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Links]:
    links = Links(tmp_path)
    await links.open()
    yield links
    await links.close()

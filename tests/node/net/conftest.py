"""What all tests of links run on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node.net.links import Links, Secret
from tests.node.net.strangers import BOTH


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Links]:
    links = Links(tmp_path)
    await links.open()
    yield links
    await links.close()


@pytest.fixture
def secrets() -> tuple[Secret, Secret]:
    """Of the nodes of `links`."""
    return BOTH


@pytest.fixture
async def links(
    tmp_path: Path, secrets: tuple[Secret, Secret], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Links]:
    """Of two nodes that prove to each other what they know; what is said of that is kept."""
    caplog.set_level(logging.INFO, "node.net.handshake")
    links = Links(tmp_path, secrets=secrets, proof_s=0.2)
    await links.open()
    yield links
    await links.close()

"""Containers for each test: none of an earlier one is there, and none is left."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cluster import Client
from tests.commands import run
from tests.docker.containers import IMAGE, Containers, clear_away, taken


@pytest.fixture
async def bare_engine() -> AsyncIterator[None]:
    """A docker daemon with the image, and with nothing of what the tests make."""
    if (await run("docker", "image", "inspect", IMAGE)).status != 0:
        pytest.fail(f"no docker daemon answers, or it has no image {IMAGE}: `make image`")
    await clear_away()
    if others := await taken():
        pytest.fail(f"docker has {', '.join(others)} already, and not from these tests: remove them first")
    yield
    await clear_away()


@pytest.fixture
async def containers(bare_engine: None, http: Client) -> AsyncIterator[Containers]:
    started = Containers(http)
    await started.open()
    yield started
    await started.close()

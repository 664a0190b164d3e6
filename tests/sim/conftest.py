"""Tests in this folder that await anything do so on virtual time."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.sim.loop import VirtualLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], VirtualLoop]]:
    return {"virtual": lambda: VirtualLoop(random.Random(item.name))}


@pytest.fixture(autouse=True)
def buried() -> Iterator[None]:
    """What a test leaves behind half done is finalized here, not in the middle of something else."""
    yield
    gc.collect()

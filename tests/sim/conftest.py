"""Tests in this folder that await anything do so on virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from tests.sim.loop import VirtualLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], VirtualLoop]]:
    return {"virtual": lambda: VirtualLoop(random.Random(item.name))}

"""Tests in this folder that await anything do so on virtual time."""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.sim.apart import Apart, starting_apart
from tests.sim.loop import VirtualLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], VirtualLoop]]:
    return {"virtual": lambda: VirtualLoop(random.Random(item.name))}


@pytest.fixture(scope="module", autouse=True)
def settled() -> None:
    """What earlier tests have left for good is not looked through at the end of each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def buried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test leaves behind half done, as killed processes do, is finalized at its end, not in the middle of
    something else; what its coroutines say to that is of no interest."""
    gc.disable()
    yield
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()
    gc.enable()


@pytest.fixture(scope="session")
def apart() -> Iterator[Apart]:
    with starting_apart() as apart:
        yield apart

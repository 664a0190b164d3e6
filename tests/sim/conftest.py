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
    bury()
    gc.freeze()


@pytest.fixture(autouse=True)
def buried(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a test leaves behind is finalized at its end, not in the middle of something else, nor of another test.
    Errors that were logged hold on to all that was under way, and pytest to them for longer than that."""
    gc.disable()
    yield
    caplog.get_records("call").clear()
    bury()
    gc.enable()


def bury() -> None:
    """Finalize what is left behind half done, as by killed processes; what its coroutines say to that is of no
    interest."""
    with pytest.MonkeyPatch.context() as quiet, warnings.catch_warnings():
        quiet.setattr("sys.unraisablehook", lambda _: None)
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()


@pytest.fixture(scope="session")
def apart() -> Iterator[Apart]:
    with starting_apart() as apart:
        yield apart

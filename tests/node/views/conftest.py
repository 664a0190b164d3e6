"""What decides about views, on a disk of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from node.config import Config
from tests.node.storage.opening import open_store
from tests.node.views.bench import A, B, Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with closing(open_store(tmp_path)) as store:
        bench = Bench(store, Config.for_test(A, (A, B), tmp_path))
        await bench.views.start()
        bench.views.note_asked_around()
        yield bench

"""The engine on LMDB when its disk hangs, or its committer fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lmdb
import pytest

from node.errors import StorageFault, Unclosed
from node.storage.committer import Committer, Done, Work
from node.storage.lmdb_engine import LmdbEngine, open_engine
from node.storage.transaction import Engine
from tests.node.samples import JOBS_S_MAX
from tests.node.storage.engine_contract import PlainBatch, put
from tests.node.storage.opening import MAP_BYTES, open_in

# The disk hangs


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is not set, commits hang."""
    goes_on, do = threading.Event(), Committer._do

    def hang(committer: Committer, work: Work) -> Done:
        goes_on.wait()
        return do(committer, work)

    monkeypatch.setattr(Committer, "_do", hang)
    yield goes_on
    goes_on.set()


def hangs_soon(path: Path) -> Engine:
    factory = open_engine(path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES, commit_s=0.05)
    return factory(PlainBatch, lambda _batch: None)


async def test_engine_disk_that_hangs_refuses_what_queues_behind_its_commit(
    tmp_path: Path, hanging: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.storage.stall")
    with closing(hangs_soon(tmp_path)) as engine:
        under_way = asyncio.ensure_future(engine.submit(put(b"a", b"1")))
        await asyncio.sleep(0)
        for key in (b"b", b"c"):
            with pytest.raises(StorageFault, match="the disk hangs"):
                await engine.submit(put(key, b"1"))
        assert not under_way.done() and engine.get(b"a") is None
        hanging.set()
        await under_way
        await engine.submit(put(b"d", b"1"))
        assert [engine.get(key) for key in (b"a", b"b", b"c", b"d")] == [b"1", None, None, b"1"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_engine_disk_that_hangs_is_not_waited_for_at_the_end(tmp_path: Path, hanging: threading.Event) -> None:
    engine = hangs_soon(tmp_path)
    future = engine.submit(put(b"a", b"1"))
    await asyncio.sleep(0)
    with pytest.raises(Unclosed):
        engine.close()
    hanging.set()
    await asyncio.wait_for(asyncio.ensure_future(future), 20.0)


# The committer's thread


async def test_engine_any_exception_in_the_committer_fails_the_batch_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def __init__(self, transaction: lmdb.Transaction[bytes]) -> None:
            self.put, self.abort = transaction.put, transaction.abort

        def commit(self) -> None:
            raise MemoryError("none is left")

    class Environment:
        def begin(self, write: bool = False) -> lmdb.Transaction[bytes] | Failing:
            return Failing(environment.begin(write=True)) if write else environment.begin()

    with closing(open_in(tmp_path)) as engine:
        assert isinstance(engine, LmdbEngine)
        environment = engine._environment
        with monkeypatch.context() as patch:
            patch.setattr(engine, "_environment", Environment())
            with pytest.raises(StorageFault, match="none is left"):
                await asyncio.wait_for(asyncio.ensure_future(engine.submit(put(b"k", b"1"))), 20.0)
        assert "the store takes no writes: none is left" in caplog.text
        await engine.submit(put(b"k", b"2"))
        assert engine.get(b"k") == b"2"

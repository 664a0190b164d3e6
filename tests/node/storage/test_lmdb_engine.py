"""The engine on LMDB: the contract, then what only a disk can do to it."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import lmdb
import pytest

from node.errors import CommitFailed, StorageFault
from node.storage.data_dir import DataDir
from node.storage.lmdb_engine import LmdbEngine, open_engine
from node.storage.transaction import EngineTransaction, Transaction
from tests.node.samples import JOBS_S_MAX
from tests.node.storage.engine_contract import DiskOf, EngineContract, PlainBatch, Storage, put
from tests.node.storage.opening import MAP_BYTES, open_in

RESERVE_BYTES = 256 * 1024


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return lambda: open_engine(
        tmp_path / "data", asyncio.get_running_loop(), JOBS_S_MAX, 8 * MAP_BYTES, reserve_bytes=RESERVE_BYTES
    )


@pytest.fixture
def disk_of(file_size_limit: Callable[[int | None], None]) -> DiskOf:
    return LimitedFiles(file_size_limit)


class LimitedFiles:
    """A limit to the length of this process's files is to a store what a full disk is: what has its blocks set aside
    below it can be written, and nothing else can."""

    def __init__(self, limit: Callable[[int | None], None]) -> None:
        self.fill = lambda: limit(2 * RESERVE_BYTES)
        self.exhaust = lambda: limit(8192)
        self.relieve = lambda: limit(None)


class TestLmdbEngine(EngineContract):
    pass


# The map


async def test_engine_full_map_grows_and_the_whole_batch_runs_again(tmp_path: Path) -> None:
    runs = 0

    def count(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1

    factory = open_engine(tmp_path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES, clock=lambda: 0.0)
    with closing(factory(PlainBatch, lambda _batch: None)) as engine:  # one batch: its time never ends
        jobs = [engine.submit(count)]
        for n in range(50):
            jobs += [engine.submit(put(b"%d" % n, b"v" * 100_000)), engine.submit(put(b"last", b"%d" % n))]
        await asyncio.gather(*jobs)
        assert runs > 1
        assert engine.get(b"last") == b"49"  # in the order of submission
        assert all(engine.get(b"%d" % n) == b"v" * 100_000 for n in range(50))
        assert (tmp_path / "store.lmdb").stat().st_size == 8 * MAP_BYTES
    with closing(open_in(tmp_path)) as engine:
        assert engine.get(b"49") == b"v" * 100_000


async def test_engine_map_full_at_the_commit_grows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LMDB asks for the pages of its list of free pages only then."""
    with closing(open_in(tmp_path)) as engine:
        assert isinstance(engine, LmdbEngine)
        monkeypatch.setattr(engine, "_environment", CommitFails(engine._environment, lmdb.MapFullError("full")))
        await engine.submit(put(b"k", b"v"))
        assert engine.get(b"k") == b"v"
        assert (tmp_path / "store.lmdb").stat().st_size == 2 * MAP_BYTES


class CommitFails:
    """In place of the environment of an engine: writing is as always, up to the commit, which ends so."""

    def __init__(self, environment: lmdb.Environment, fault: Exception) -> None:
        self._begin, self.close = environment.begin, environment.close
        self._fault = fault

    def begin(self, write: bool = False) -> lmdb.Transaction[bytes] | FailingTransaction:
        return FailingTransaction(self._begin(write=True), self._fault) if write else self._begin()


class FailingTransaction:
    def __init__(self, transaction: lmdb.Transaction[bytes], fault: Exception) -> None:
        self.put, self.abort = transaction.put, transaction.abort
        self._fault = fault

    def commit(self) -> None:
        self.abort()
        raise self._fault


# The disk refuses


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int | None], None]]:
    """Limits up to where the files of this process can be written; None: not at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if limit is None else limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def full_disk(file_size_limit: Callable[[int | None], None]) -> Callable[[bool], None]:
    """Switches on and off that no file of this process may be written beyond its first pages."""
    return lambda full: file_size_limit(8192 if full else None)


async def test_engine_full_disk_fails_writes_keeps_reads_and_recovers(
    tmp_path: Path, full_disk: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.storage.lmdb_engine")
    with closing(open_in(tmp_path)) as engine:
        await engine.submit(put(b"k", b"old"))
        full_disk(True)
        for _ in range(3):
            jobs = [engine.submit(put(b"k", b"new")) for _ in range(5)]
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
            for outcome in outcomes:
                assert isinstance(outcome, StorageFault) and isinstance(outcome.__cause__, lmdb.Error)
            assert engine.get(b"k") == b"old"
        full_disk(False)
        await asyncio.gather(*[engine.submit(put(b"k%d" % n, b"new")) for n in range(100)])
        assert (engine.get(b"k"), engine.get(b"k99")) == (b"old", b"new")
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.parametrize(
    ("fault", "told_as"),
    [
        (lmdb.Error("mdb_txn_commit: Input/output error"), CommitFailed),
        (lmdb.DiskError("mdb_txn_commit: No space left on device"), StorageFault),
    ],
    ids=["fails", "has no room"],
)
async def test_engine_tells_whether_what_was_refused_may_be_found_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: lmdb.Error, told_as: type[StorageFault]
) -> None:
    with closing(open_in(tmp_path)) as engine:
        assert isinstance(engine, LmdbEngine)
        monkeypatch.setattr(engine, "_environment", CommitFails(engine._environment, fault))
        outcomes = await asyncio.gather(*[engine.submit(put(b"k", b"v")) for _ in range(3)], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [told_as] * 3


async def test_engine_map_that_cannot_grow_fails_the_batch_and_recovers(
    tmp_path: Path, full_disk: Callable[[bool], None]
) -> None:
    with closing(open_in(tmp_path)) as engine:
        full_disk(True)
        with pytest.raises(StorageFault) as caught:
            await engine.submit(put(b"k", b"v" * 2 * MAP_BYTES))
        assert isinstance(caught.value.__cause__, OSError) and type(caught.value) is StorageFault
        full_disk(False)
        await engine.submit(put(b"k", b"v" * 2 * MAP_BYTES))
        assert engine.get(b"k") == b"v" * 2 * MAP_BYTES


async def test_engine_that_lmdb_declares_broken_is_opened_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a meta page that could not be written: every transaction is refused until then."""

    class Broken:
        def begin(self, write: bool = False) -> lmdb.Transaction[bytes]:
            raise lmdb.PanicError("broken")

        def close(self) -> None:
            environment.close()

    with closing(open_in(tmp_path)) as engine:
        assert isinstance(engine, LmdbEngine)
        await engine.submit(put(b"k", b"old"))
        environment = engine._environment
        monkeypatch.setattr(engine, "_environment", Broken())
        with pytest.raises(StorageFault):
            await engine.submit(put(b"k", b"lost"))
        assert engine.get(b"k") == b"old"
        await engine.submit(put(b"k", b"new"))
        assert engine.get(b"k") == b"new"


async def test_engine_batch_that_cannot_be_finished_fails_and_the_next_one_goes_on(tmp_path: Path) -> None:
    bad = True

    class BadBatch(PlainBatch):
        def finish(self) -> None:
            if bad:
                raise ArithmeticError("bug")

    factory = open_engine(tmp_path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES)
    with closing(factory(BadBatch, lambda _batch: None)) as engine:
        with pytest.raises(StorageFault, match="bug"):
            await engine.submit(put(b"k", b"v"))
        bad = False
        await engine.submit(put(b"k", b"v"))


async def test_engine_queue_is_halved_with_those_just_committed(tmp_path: Path) -> None:
    """So that the disk works for some while the loop works for the others."""
    sizes: list[int] = []
    late: list[asyncio.Future[None]] = []

    class CountingBatch(PlainBatch):
        def __init__(self, transaction: EngineTransaction) -> None:
            super().__init__(transaction)
            sizes.append(0)

    def count(transaction: Transaction) -> None:
        sizes[-1] += 1

    def bring_more(transaction: Transaction) -> None:
        count(transaction)
        late.extend(asyncio.ensure_future(engine.submit(count)) for _ in range(8))

    factory = open_engine(tmp_path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES, clock=lambda: 0.0)
    with closing(factory(CountingBatch, lambda _batch: None)) as engine:
        await asyncio.gather(engine.submit(count), engine.submit(bring_more))
        await asyncio.gather(*late)
    assert sizes == [2, 5, 3]


# The end


async def test_engine_closed_refuses_writes_and_reads(tmp_path: Path) -> None:
    engine = open_in(tmp_path)
    engine.close()
    with pytest.raises(StorageFault, match="closed"):
        await engine.submit(put(b"k", b"v"))
    with pytest.raises(StorageFault):
        engine.get(b"k")
    with pytest.raises(StorageFault):
        engine.scan(b"a", b"z", 1)
    with pytest.raises(StorageFault):
        engine.first_keys([(b"a", b"z")], 1)


def test_engine_closes_after_its_loop_and_commits_what_was_queued(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    engine = open_engine(tmp_path, loop, JOBS_S_MAX, MAP_BYTES)(PlainBatch, lambda _batch: None)
    future = engine.submit(put(b"k", b"v"))
    loop.close()
    engine.close()
    assert asyncio.isfuture(future) and not future.done()
    with DataDir(tmp_path).open() as environment, environment.begin() as reader:
        assert reader.get(b"k") == b"v"


WRITER = """
import asyncio, sys
from pathlib import Path
from node.storage.lmdb_engine import open_engine
from tests.node.samples import JOBS_S_MAX
from tests.node.storage.engine_contract import PlainBatch, put

async def write():
    loop = asyncio.get_running_loop()
    engine = open_engine(Path(sys.argv[1]), loop, JOBS_S_MAX, 2**16)(PlainBatch, lambda batch: None)
    first = int(sys.argv[2])
    for n in range(first, 10**9, 20):
        await asyncio.gather(*[engine.submit(put(b"%09d" % m, b"v" * (m % 3000))) for m in range(n, n + 20)])
        print(n + 20, flush=True)

asyncio.run(write())
"""


async def test_engine_killed_at_any_moment_keeps_every_acknowledged_write(tmp_path: Path) -> None:
    """The map starts tiny, so that some of the moments fall into its growth."""
    acknowledged = 0
    for kill_after in (1, 3, 7, 12, 20):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(kill_after):
            acknowledged = int(await process.stdout.readline())
        process.kill()
        acknowledged = max([acknowledged, *map(int, (await process.stdout.read()).split())])
        await process.wait()
        with closing(open_in(tmp_path)) as engine:
            items = dict(engine.scan(b"0", b"a", 2**30))
            assert all(items[b"%09d" % n] == b"v" * (n % 3000) for n in range(acknowledged))
            assert len(items) % 20 == 0

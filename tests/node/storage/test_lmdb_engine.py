"""The engine on LMDB, and its data directory: the contract, then what only a disk can do to it."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb
import pytest

from node.errors import BadDataDir, StorageFault
from node.storage.data_dir import DataDir
from node.storage.lmdb_engine import LmdbEngine, open_engine
from node.storage.transaction import Engine, EngineTransaction, Transaction
from tests.node.fakes import JOBS_S_MAX
from tests.node.storage.engine_contract import EngineContract, PlainBatch, Storage, put

MAP_BYTES = 2**20
NOBODY = 65534


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return lambda: open_engine(tmp_path / "data", asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES)


class TestLmdbEngine(EngineContract):
    pass


def open_in(path: Path) -> Engine:
    return open_engine(path, asyncio.get_running_loop(), JOBS_S_MAX, MAP_BYTES)(PlainBatch, lambda _batch: None)


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

    class Full:
        def __init__(self, transaction: lmdb.Transaction[bytes]) -> None:
            self.put, self.abort = transaction.put, transaction.abort

        def commit(self) -> None:
            self.abort()
            raise lmdb.MapFullError("full")

    class Environment:
        def begin(self, write: bool = False) -> lmdb.Transaction[bytes] | Full:
            return Full(environment.begin(write=True)) if write else environment.begin()

        def close(self) -> None:
            environment.close()

    with closing(open_in(tmp_path)) as engine:
        assert isinstance(engine, LmdbEngine)
        environment = engine._environment
        monkeypatch.setattr(engine, "_environment", Environment())
        await engine.submit(put(b"k", b"v"))
        assert engine.get(b"k") == b"v"
        assert (tmp_path / "store.lmdb").stat().st_size == 2 * MAP_BYTES


def test_data_dir_file_is_as_long_as_any_map_of_it(tmp_path: Path) -> None:
    with closing(DataDir(tmp_path, MAP_BYTES)) as directory:
        for _ in range(3):
            with directory.open() as environment:
                length = (tmp_path / "store.lmdb").stat().st_size
                assert environment.info()["map_size"] == length
                with environment.begin(write=True) as transaction:
                    transaction.put(b"k", b"v")
                assert (tmp_path / "store.lmdb").stat().st_size == length
            assert max(map_bytes_of_metas(tmp_path / "store.lmdb")) == length
            directory.grow()


def map_bytes_of_metas(file: Path) -> list[int]:
    """Read at the place where mdb.c keeps mm_mapsize: 16 bytes of page header, magic, version, address."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    content = file.read_bytes()[: 2 * page_bytes]
    return [struct.unpack_from("=Q", content, start + 32)[0] for start in (0, page_bytes)]


# The directory


async def test_engine_missing_directory_is_made(tmp_path: Path) -> None:
    with closing(open_in(tmp_path / "a" / "b")):
        assert sorted(os.listdir(tmp_path / "a" / "b")) == ["lock", "store.lmdb"]


async def test_engine_draft_of_a_crashed_creation_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "store.new").write_bytes(b"half")
    with closing(open_in(tmp_path)) as engine:
        await engine.submit(put(b"k", b"v"))
    assert not (tmp_path / "store.new").exists()


async def test_engine_directory_in_use_is_refused_until_it_is_closed(tmp_path: Path) -> None:
    with closing(open_in(tmp_path)):
        with pytest.raises(BadDataDir) as caught:
            open_in(tmp_path)
        assert caught.value.faults == (f"DATA_DIR {tmp_path}: in use by another node",)
    open_in(tmp_path).close()


async def test_engine_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadDataDir, match="File exists"):
        open_in(tmp_path / "file")
    with pytest.raises(BadDataDir, match="Not a directory"):
        open_in(tmp_path / "file" / "below")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Nothing is unwritable to root, so root is nobody for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


async def test_engine_unwritable_directory_is_refused() -> None:
    """Not in `tmp_path`, into which nobody but its owner may look."""
    with TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        with unprivileged(), pytest.raises(BadDataDir, match="Permission denied"):
            open_in(Path(name))


async def test_engine_directory_where_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(BadDataDir):
        open_in(Path("/proc/nothing"))


def truncate(bytes_left: int) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, bytes_left)


def overwrite(start: int, content: bytes) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        with file.open("r+b") as stream:
            stream.seek(start)
            stream.write(content)

    return damage


def make_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (truncate(0), "truncated, 0 bytes"),
        (truncate(100), "truncated, 100 bytes"),
        (truncate(5_000), "truncated"),
        (truncate(MAP_BYTES - 1), f"truncated, {MAP_BYTES - 1} of {MAP_BYTES} bytes"),
        (truncate(MAP_BYTES // 2), "truncated"),
        (overwrite(0, b"garbage " * 100), "not a store"),
        (overwrite(4096, b"garbage " * 100), "not a store"),
        (overwrite(0, bytes(MAP_BYTES)), "not a store"),
        (overwrite(8192, b"\xff" * (MAP_BYTES - 8192)), "MDB_"),
        (overwrite(8192, bytes(MAP_BYTES - 8192)), "MDB_"),
        (make_a_directory, "not a file"),
    ],
)
async def test_engine_damaged_store_is_refused_and_left_alone(
    tmp_path: Path, damage: Callable[[Path], None], what: str
) -> None:
    with closing(open_in(tmp_path)) as engine:
        await asyncio.gather(*[engine.submit(put(b"%d" % n, b"v" * 1_000)) for n in range(100)])
    file = tmp_path / "store.lmdb"
    damage(file)
    content = file.read_bytes() if file.is_file() else None
    for _ in range(2):  # the refusal has let go of the lock
        with pytest.raises(BadDataDir, match=what) as caught:
            open_in(tmp_path)
        assert len(caught.value.faults) == 1 and "store.lmdb is damaged" in str(caught.value)
    assert content is None or file.read_bytes() == content


# The disk refuses


@pytest.fixture
def full_disk() -> Iterator[Callable[[bool], None]]:
    """Switches on and off that no file of this process may be written beyond its first pages."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda full: resource.setrlimit(resource.RLIMIT_FSIZE, (8192 if full else soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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


async def test_engine_map_that_cannot_grow_fails_the_batch_and_recovers(
    tmp_path: Path, full_disk: Callable[[bool], None]
) -> None:
    with closing(open_in(tmp_path)) as engine:
        full_disk(True)
        with pytest.raises(StorageFault) as caught:
            await engine.submit(put(b"k", b"v" * 2 * MAP_BYTES))
        assert isinstance(caught.value.__cause__, OSError)
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
from tests.node.fakes import JOBS_S_MAX
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

"""The data directory: made, locked, grown, and refused if there is anything wrong with it."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from node.errors import BadDataDir
from node.storage.data_dir import DataDir
from tests.node.storage.engine_contract import put
from tests.node.storage.opening import MAP_BYTES, open_in

NOBODY = 65534


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


async def test_data_dir_missing_is_made(tmp_path: Path) -> None:
    with closing(open_in(tmp_path / "a" / "b")):
        assert sorted(os.listdir(tmp_path / "a" / "b")) == ["lock", "store.lmdb"]


async def test_data_dir_draft_of_a_crashed_creation_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "store.new").write_bytes(b"half")
    with closing(open_in(tmp_path)) as engine:
        await engine.submit(put(b"k", b"v"))
    assert not (tmp_path / "store.new").exists()


async def test_data_dir_in_use_is_refused_until_it_is_closed(tmp_path: Path) -> None:
    with closing(open_in(tmp_path)):
        with pytest.raises(BadDataDir) as caught:
            open_in(tmp_path)
        assert caught.value.faults == (
            f"DATA_DIR {tmp_path}: in use by another node: stop that one, or name another directory",
        )
    open_in(tmp_path).close()


async def test_data_dir_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
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


async def test_data_dir_unwritable_is_refused() -> None:
    """Not in `tmp_path`, into which nobody but its owner may look."""
    with TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        with unprivileged(), pytest.raises(BadDataDir, match=r"Permission denied: user \d+ must own it"):
            open_in(Path(name))


async def test_data_dir_where_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(BadDataDir):
        open_in(Path("/proc/nothing"))


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP], ids=["EINVAL", "ENOTSUP"])
@pytest.mark.parametrize("durable_first", [False, True], ids=["a new store", "a store that is there"])
async def test_data_dir_whose_names_cannot_be_made_durable_is_refused_at_every_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, durable_first: bool
) -> None:
    """As on some network file systems: the first start ended badly there, and the second one served."""
    fsync = os.fsync

    def of_files_alone(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    if durable_first:
        open_in(tmp_path / "data").close()
    monkeypatch.setattr(os, "fsync", of_files_alone)
    for _ in range(2):
        with pytest.raises(BadDataDir, match="cannot make a directory durable; keep it on a local one"):
            open_in(tmp_path / "data")
    assert (tmp_path / "data" / "store.lmdb").exists() == durable_first


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
async def test_data_dir_damaged_store_is_refused_and_left_alone(
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


def test_data_dir_allocates_what_the_file_system_has_and_no_more(tmp_path: Path) -> None:
    with closing(DataDir(tmp_path, MAP_BYTES)) as directory:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAP_BYTES // 2, hard))
        try:
            assert directory.allocate(0, MAP_BYTES) == MAP_BYTES // 2
            assert directory.allocate(MAP_BYTES // 2, MAP_BYTES) == MAP_BYTES // 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert directory.allocate(0, MAP_BYTES) == MAP_BYTES
        assert directory.file_system_bytes() > MAP_BYTES

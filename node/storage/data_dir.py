"""The data directory of a node: its lock, its store file, and what may be wrong with them.

LMDB maps the store file, and a process that touches a page beyond the end of the file dies of SIGBUS without a word.
LMDB writes pages wherever the map has room and never sets the file's length, so it cannot tell that a file is short.
Therefore the file is durably made as long as the map before there is such a map (it is sparse: what was never written
takes no space), and LMDB never shrinks it. Hence the invariant: no meta page knows of a map that is larger than the
file. A file that breaks it was truncated, and is refused before it is mapped. Some of it, beyond the last page, has its
blocks set aside, see `reserve`.

A new store is made under another name, and renamed when it is whole and on stable storage. So no crash of this program
leaves a short or empty store file: such a file is damaged, and never taken for a new store. Where a directory cannot be
made durable, as on some network file systems, a whole store could be gone after a crash, and so no store is kept there,
be there one already or not.

Only this module, `migrating`, `lmdb_engine` and `committer` import lmdb.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lmdb

from node.errors import BadDataDir

STORE = "store.lmdb"
MAP_BYTES_FIRST = 2**30
"""Room for some four million small records; costs address space only. It doubles when full."""

META_PAGES = 2
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
"""LMDB makes its pages as large as those of the system."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS)
"""What a file system says that can make files durable at most."""
ALLOCATED_AT_ONCE = 64 * 1024
"""So much more or less of a nearly full disk is found out about."""

_FORMAT = 0
"""That of LMDB 0.9, which any tool can read; LMDB 1.0 writes another one."""
_META = struct.Struct("=10xH4x" + "II8xQ" + "I44x48x" + "QQ")
"""Flags of the page; magic, version, (address), map bytes; page bytes, (the rest of the tree of free pages,
the main tree); last page, transaction: `MDB_page` and `MDB_meta` of mdb.c on a 64-bit machine."""
_META_PAGE, _MAGIC, _VERSION = 0x08, 0xBEEFC0DE, 1


class _Meta(NamedTuple):
    """What a meta page says. There are two, written in turn; that of the later transaction counts."""

    flags: int
    magic: int
    version: int
    map_bytes: int
    page_bytes: int
    last_page: int
    transaction: int

    @property
    def sound(self) -> bool:
        return (
            bool(self.flags & _META_PAGE)
            and (self.magic, self.version) == (_MAGIC, _VERSION)
            and self.page_bytes in (2**n for n in range(8, 17))
            and (self.last_page + 1) * self.page_bytes <= self.map_bytes
        )


def has_store(path: Path) -> bool:
    """Whether there is one in this directory, sound or not."""
    return os.path.lexists(path / STORE)


class DataDir:
    """Locked for this process until `close`. Its store file has been checked and found sound."""

    def __init__(self, path: Path, map_bytes_first: int = MAP_BYTES_FIRST) -> None:
        """Raises BadDataDir."""
        self._path = path
        self._file = path / STORE
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._take_lock()
                self._demand_durable_names(self._path)
                if not os.path.lexists(self._file):
                    self._demand_durable_names(self._path.absolute().parent)
                    self._create(map_bytes_first)
                self._check()
                self._store = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
            except BaseException:
                os.close(self._lock)
                raise
        except PermissionError as error:
            raise BadDataDir(f"DATA_DIR {path}: {error.strerror}: user {os.geteuid()} must own it") from error
        except OSError as error:
            raise BadDataDir(f"DATA_DIR {path}: {error.strerror}") from error

    def open(self) -> lmdb.Environment:
        """The store, mapped to the length of its file. Raises lmdb.Error, OSError."""
        map_size = self._file.stat().st_size
        return lmdb.open(
            str(self._file), map_size=map_size, subdir=False, lock=False, create=False, lib_version=_FORMAT
        )

    def grow(self) -> None:
        """Double the room that the next `open` maps. Raises OSError."""
        _set_length(self._file, 2 * self._file.stat().st_size)

    def allocate(self, start: int, stop: int) -> int:
        """Have the file system set blocks aside for this part of the store file, which nobody else can use then.
        Returns up to where it did: less than `stop` if it has no more room, or this process may not write beyond."""
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)  # Of a sparse file, blocks are set aside beyond it too.
        if limit != resource.RLIM_INFINITY:
            stop = max(start, min(stop, limit))
        for at in range(start, stop, ALLOCATED_AT_ONCE):
            try:
                os.posix_fallocate(self._store, at, min(ALLOCATED_AT_ONCE, stop - at))
            except OSError as error:
                if error.errno in _NO_ROOM:
                    return at
                break  # It sets nothing aside for anybody: then nothing can be kept.
        return stop

    def file_system_bytes(self) -> int:
        """How much it holds altogether."""
        status = os.statvfs(self._path)
        return status.f_frsize * status.f_blocks

    def free_bytes(self) -> int:
        """How much of it this process may still use. Raises OSError."""
        status = os.statvfs(self._path)
        return status.f_frsize * status.f_bavail

    def close(self) -> None:
        os.close(self._store)
        os.close(self._lock)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadDataDir(
                f"DATA_DIR {self._path}: in use by another node: stop that one, or name another directory"
            ) from None

    def _demand_durable_names(self, directory: Path) -> None:
        try:
            _sync(directory)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
            raise BadDataDir(
                f"DATA_DIR {self._path}: its file system cannot make a directory durable; keep it on a local one"
            ) from None

    def _create(self, map_bytes: int) -> None:
        draft = self._path / "store.new"
        draft.unlink(missing_ok=True)
        try:
            lmdb.open(str(draft), map_size=map_bytes, subdir=False, lock=False, lib_version=_FORMAT).close()
        except lmdb.Error as error:
            raise BadDataDir(f"DATA_DIR {self._path}: {error}") from error
        _set_length(draft, map_bytes)
        draft.rename(self._file)
        _sync(self._path)

    def _check(self) -> None:
        """Before the store file is mapped: raises BadDataDir if it is not a store, or not a whole one."""
        if not self._file.is_file():
            raise self._damage("not a file")
        length = self._file.stat().st_size
        with self._file.open("rb") as file:
            first = self._read_meta(file, length)
            file.seek(first.page_bytes)
            newer = max(first, self._read_meta(file, length), key=lambda meta: meta.transaction)
        if length < newer.map_bytes:
            raise self._damage(f"truncated, {length} of {newer.map_bytes} bytes are left")
        try:
            with self.open() as environment, environment.begin() as reader, reader.cursor() as cursor:
                cursor.first()
                cursor.last()
        except lmdb.Error as error:
            raise self._damage(str(error)) from error

    def _read_meta(self, file: BinaryIO, length: int) -> _Meta:
        page = file.read(_META.size)
        if len(page) < _META.size:
            raise self._damage(f"truncated, {length} bytes are left")
        meta = _Meta(*_META.unpack(page))
        if not meta.sound:
            raise self._damage("not a store of this program")
        return meta

    def _damage(self, what: str) -> BadDataDir:
        return BadDataDir(f"DATA_DIR {self._path}: {self._file.name} is damaged: {what}")


def end_of_pages(environment: lmdb.Environment) -> tuple[int, int]:
    """Where in the file the pages of the store end, as last committed, and where its map does."""
    info = environment.info()
    return (info["last_pgno"] + 1) * PAGE_BYTES, info["map_size"]


def bytes_in_use(environment: lmdb.Environment) -> int:
    """The meta pages and all pages that hold items; the others are free, but for the few that list them."""
    stat = environment.stat()
    return PAGE_BYTES * (META_PAGES + stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])


def _set_length(path: Path, length: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, length)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

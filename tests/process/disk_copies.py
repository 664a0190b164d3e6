"""Copies of data directories. Almost all of a store's file is a hole: a copy that fills it is a gigabyte of zeros."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def copy_directory(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=_copy_with_holes)


def _copy_with_holes(source: str, target: str) -> None:
    with open(source, "rb") as old, open(target, "wb") as new:
        new.truncate(os.fstat(old.fileno()).st_size)
        end = 0
        while (start := _next_data(old.fileno(), end)) is not None:
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            new.seek(start)
            new.write(os.pread(old.fileno(), end - start, start))
    shutil.copystat(source, target)


def _next_data(file: int, place: int) -> int | None:
    """Where the next data begins; None: there is none."""
    try:
        return os.lseek(file, place, os.SEEK_DATA)
    except OSError as fault:
        if fault.errno != errno.ENXIO:
            raise
        return None

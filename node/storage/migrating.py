"""Brings a store file into the form of this release before anything else is done with it.

What is to be refused is found out by reading alone. A migration is one transaction of LMDB, which is there whole or not
at all, whenever the process or its machine dies: its meta page is written last. Where the map has no room for it, the
file is made longer first, as ever (see `data_dir`), and a longer file is as good for the release before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lmdb

from node.errors import BadDataDir, UnknownForm
from node.storage.data_dir import DataDir
from node.storage.forms import migrate, must_migrate

log = logging.getLogger(__name__)


class LmdbItems:
    """See `from_3_0.Items`."""

    def __init__(self, transaction: lmdb.Transaction[bytes]) -> None:
        self._transaction = transaction
        self.put = transaction.put
        self.delete = transaction.delete

    def get(self, place: bytes) -> bytes | None:
        return self._transaction.get(place)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._transaction.cursor() as cursor:
            for place, value in cursor if cursor.set_range(start) else ():
                if place >= stop:
                    return
                yield place, value


def bring_up_to_date(directory: DataDir, path: Path) -> None:
    """Raises BadDataDir, which is UnknownForm if this release knows no way from the form of the store: then nothing was
    touched. `path`: of the directory, for people."""
    try:
        if not _is_old(directory):
            return
        while not _has_room_for(directory):
            directory.grow()
    except UnknownForm as fault:
        raise UnknownForm(f"DATA_DIR {path}: {fault}") from fault
    except (lmdb.Error, OSError) as error:
        what = "brought into the form of this release, and is as it was"
        raise BadDataDir(f"DATA_DIR {path}: its store cannot be {what}: {error}") from error
    log.info("DATA_DIR %s: brought from an earlier form into that of this release: no earlier one opens it now", path)


def _is_old(directory: DataDir) -> bool:
    with closing(directory.open()) as environment, environment.begin() as reader:
        return must_migrate(LmdbItems(reader))


def _has_room_for(directory: DataDir) -> bool:
    """Whether the map had room for the migration, which then is made."""
    with closing(directory.open()) as environment:
        try:
            with environment.begin(write=True) as writer:
                migrate(LmdbItems(writer))
        except lmdb.MapFullError:
            return False
    return True

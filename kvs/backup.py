"""Backups: an export in a file, which is there as a whole or not at all, and looked at as a whole before it is used."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from kvs.client import AsyncClient
from kvs.export_lines import expiring_in
from kvs.exporting import OnWaiting
from kvs.load_input import LINE_BYTES_MAX, BadInput
from kvs.manifest import Sum, manifest_in

PACKED = ".gz"
PACKING = 3
"""Of 9 levels: the higher ones take several times longer, for a few percent."""
READ_BYTES = 1024 * 1024


async def export(
    client: AsyncClient,
    prefix: str,
    write: Callable[[bytes], object],
    on_progress: Callable[[Sum], None],
    on_waiting: OnWaiting = lambda _: None,
) -> Sum:
    """All entries, as lines, and their manifest. Returns what was written. Raises KvsError, and what `write` raises."""
    began, told = datetime.now(UTC).isoformat(timespec="seconds"), Sum()
    async with aclosing(client.export_blocks(prefix, on_waiting)) as blocks:
        async for block in blocks:
            told.add(block, block.count(b"\n"), expiring_in(block))
            write(block)
            on_progress(told)
    write(told.line(began))
    return told


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may read, and that has its name, and is on disk, once the block has ended well. Raises
    OSError."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            if path.suffix == PACKED:
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=PACKING) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def check(file: BinaryIO, name: str) -> int:
    """The number of entries of a backup, which is then read from its begin again. Raises BadInput if it is not what was
    exported, as a whole."""
    found, held = Sum(), b""
    try:
        packed = cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")) if name.endswith(PACKED) else file
        while data := packed.read(READ_BYTES):
            held += data
            # The last line is held back: it may be the manifest.
            end = held.rfind(b"\n", 0, -1) + 1
            lines, held = held[:end], held[end:]
            if len(held) > LINE_BYTES_MAX:
                raise BadInput("it is no backup: it is not made of lines")
            found.add(lines, lines.count(b"\n"), expiring_in(lines))
        file.seek(0)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot be read: {error}") from None
    manifest = manifest_in(held)
    if manifest is None or not held.endswith(b"\n"):
        raise BadInput("there is no manifest at its end: it is cut short, or no backup")
    fault = found.fault(manifest)
    if fault is not None:
        raise BadInput(fault)
    return found.entries

"""Loads many entries into the store: reads them from a file or a pipe, writes them, and counts what became of each.

Owns the two forms of input, how much is under way at a time, and when to give up. All entries of one key go through the
same worker, in their order: if they were written side by side, a key that occurs twice could end with either value.
JSON lines are never held in memory as a whole, so a pipe may bring more than fits; one JSON object has to fit.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import msgspec

from kvs.errors import BadRequest, OutcomeUnknown, Unreachable
from kvs.operating import Operator
from kvs.values import Json
from ring.hashing import partition_of

WORKERS = 64
"""Writes under way at a time: enough to fill the store's group commits, too few to flood a node."""
QUEUE_MAX = 16
"""Entries that may wait for one worker, so that a slow write does not stop the reading at once."""
RETRY_DELAYS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""A node that restarts is back within their sum; every retry asks all endpoints."""
UNDELIVERED_MAX = 100
"""After so many entries that no node took, the store is down, and each further entry would only cost its retries."""
FAILURES_NAMED_MAX = 10
CHUNK_BYTES = 64 * 1024
LINE_BYTES_MAX = 8 * 1024 * 1024
"""A value has at most 1 MiB; escaped to ASCII, it may take six times that."""
ENTRIES_PER_REPORT = 100


class BadInput(ValueError):
    """The input is neither one JSON object nor JSON lines; the message says where."""


class Entry(NamedTuple):
    key: str
    value: bytes


class BadLine(NamedTuple):
    number: int


class _Line(msgspec.Struct, frozen=True):
    key: str
    value: msgspec.Raw


class Failure(msgspec.Struct, frozen=True):
    entry: str
    """The key, quoted, or the number of a line that has none."""
    error: str


@dataclass
class Tally:
    """What became of the entries so far."""

    stored: int = 0
    refused: int = 0
    """By the store, or because they are malformed: trying again would not help."""
    undelivered: int = 0
    failures: list[Failure] = field(default_factory=list)
    """The first few."""

    @property
    def failed(self) -> int:
        return self.refused + self.undelivered

    @property
    def gave_up(self) -> bool:
        """Whether the rest of the input was left untried."""
        return self.undelivered >= UNDELIVERED_MAX

    def note(self, entry: str, error: str) -> None:
        if len(self.failures) < FAILURES_NAMED_MAX:
            self.failures.append(Failure(entry, error))


class Source:
    """The entries of an input. `done` of `size` have been read, where the size is known; the unit, bytes or entries,
    depends on the form."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._read1: Callable[[int], bytes] = getattr(file, "read1", file.read)  # Do not wait for a full chunk.
        self._fd = _descriptor_to_wait_for(file)
        self._suffix = os.path.splitext(name)[1].lower()
        self._head = b""
        self._members: dict[str, msgspec.Raw] | None = None
        self.size: int | None = None
        self.done = 0

    async def open(self) -> None:
        """Find out which form it has: by the suffix or, if that does not tell, by whether the first line is an entry.
        Raises BadInput."""
        if self._suffix not in (".json", ".jsonl"):
            self._head = await self._read_until(b"\n")
            lines = not self._head or isinstance(_parse(self._head.partition(b"\n")[0], 1), Entry)
        else:
            lines = self._suffix == ".jsonl"
        if lines:
            self.size = _size_of(self._file)
            return
        whole = self._head + await self._read_until(None)
        try:
            self._members = msgspec.json.decode(whole, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"neither one JSON object nor JSON lines of key and value: {error}") from None
        self.size = len(self._members)

    async def entries(self) -> AsyncIterator[Entry | BadLine]:
        """To be called once, after `open`."""
        if self._members is None:
            async for number, line in self._lines():
                self.done += len(line) + 1
                if line.strip():
                    yield _parse(line, number)
        else:
            for key, value in self._members.items():
                self.done += 1
                yield Entry(key, bytes(value))

    async def _lines(self) -> AsyncIterator[tuple[int, bytes]]:
        numbers = itertools.count(1)
        *lines, tail = self._head.split(b"\n")
        while True:
            for line in lines:
                yield next(numbers), line
            if len(tail) > LINE_BYTES_MAX:
                tail = b"\0"  # Makes this line a bad one, whatever follows.
            chunk = await self._read()
            if not chunk:
                break
            *lines, tail = (tail + chunk).split(b"\n")
        yield next(numbers), tail

    async def _read_until(self, end: bytes | None) -> bytes:
        """Everything up to the end of the input, or of the chunk that contains `end`."""
        chunks: list[bytes] = []
        while chunk := await self._read():
            chunks.append(chunk)
            if end is not None and end in chunk:
                break
        return b"".join(chunks)

    async def _read(self) -> bytes:
        """What is there, up to a chunk; empty at the end. Waits for a pipe without holding up the writes under way."""
        if self._fd is not None:
            await _readable(self._fd)
        return self._read1(CHUNK_BYTES)


async def load(client: Operator, source: Source, on_progress: Callable[[Tally], None]) -> Tally:
    """Write every entry of an open source. An entry that fails raises nothing: the tally says what became of it."""
    tally = Tally()
    queues: list[asyncio.Queue[Entry | None]] = [asyncio.Queue(QUEUE_MAX) for _ in range(WORKERS)]
    async with asyncio.TaskGroup() as workers:
        for queue in queues:
            workers.create_task(_work(client, queue, tally))
        read = 0
        async for entry in source.entries():
            if isinstance(entry, BadLine):
                tally.refused += 1
                tally.note(f"line {entry.number}", 'not {"key": "...", "value": ...}')
            else:
                await queues[partition_of(entry.key.encode()) % WORKERS].put(entry)
            read += 1
            if read % ENTRIES_PER_REPORT == 0:
                on_progress(tally)
            if tally.gave_up:
                break
        for queue in queues:
            await queue.put(None)
    on_progress(tally)
    return tally


async def _work(client: Operator, queue: asyncio.Queue[Entry | None], tally: Tally) -> None:
    while entry := await queue.get():
        if tally.gave_up:
            continue
        try:
            await _put(client, entry)
        except BadRequest as fault:
            tally.refused += 1
            tally.note(repr(entry.key), str(fault))
        except (Unreachable, OutcomeUnknown) as fault:
            tally.undelivered += 1
            tally.note(repr(entry.key), str(fault))
        else:
            tally.stored += 1


async def _put(client: Operator, entry: Entry) -> None:
    for delay_s in RETRY_DELAYS_S:
        try:
            await client.put(entry.key, Json(entry.value))
            return
        except (Unreachable, OutcomeUnknown):
            await asyncio.sleep(delay_s)
    await client.put(entry.key, Json(entry.value))


def _parse(line: bytes, number: int) -> Entry | BadLine:
    try:
        entry = msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return BadLine(number)
    return Entry(entry.key, bytes(entry.value))


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except OSError:
        return  # A device that never blocks, such as /dev/null, cannot be waited for.
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


def _descriptor_to_wait_for(file: BinaryIO) -> int | None:
    """None for what is always ready: a regular file, or no file at all."""
    try:
        fd = file.fileno()
        return None if stat.S_ISREG(os.fstat(fd).st_mode) else fd
    except OSError:
        return None


def _size_of(file: BinaryIO) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None

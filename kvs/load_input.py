"""What `kvs load` reads: entries from a file or a pipe, in two forms, made into operations some thousands at a time.

JSON lines are never held in memory as a whole, so a pipe may bring more than fits; one JSON object has to fit. An
export ends with a manifest, against which everything before it is checked.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import os
import stat
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, cast

import msgspec

from kvs.manifest import Sum, manifest_in
from kvs.operations import Slot, put_line
from kvs.values import LINE_BREAKS_TO_SPACES

CHUNK_BYTES = 64 * 1024
LINE_BYTES_MAX = 8 * 1024 * 1024
"""A value has at most 1 MiB; escaped to ASCII, it may take six times that."""
MEMBERS_AT_ONCE = 256
NO_ENTRY = 'not {"key": "...", "value": ...}'
TTL_MIN_S = 0.001
TWO_TIMES = 'either "ttl" or "expires", not both'


class BadInput(ValueError):
    """The input is neither one JSON object nor JSON lines; the message says where."""


class BadLine(NamedTuple):
    number: int
    fault: str


@dataclass
class Block:
    """A part of the input."""

    puts: list[Slot] = field(default_factory=list)
    """Their numbers are those of the lines, or of the members of the one object, from 1 on."""
    bad: list[BadLine] = field(default_factory=list)
    expired: int = 0
    """So many entries had expired, and are left out."""


class Dated(Slot, gc=False):
    """A put of what expires at a given time."""

    expires: float = 0.0
    """In seconds since 1970."""

    def date(self, now: float) -> None:
        """To be sent now: it may have waited, and what expires meanwhile does so at once."""
        self.line = b'%b,"ttl":%b}\n' % (self.line[:-2], _encode(max(round(self.expires - now, 3), TTL_MIN_S)))


class _Line(msgspec.Struct, frozen=True, gc=False):
    key: str
    value: msgspec.Raw
    ttl: float | None = None
    """In seconds from now."""
    expires: float | None = None
    """In seconds since 1970."""


_decoder = msgspec.json.Decoder(_Line)
_encode = msgspec.json.Encoder().encode


class Source:
    """The entries of an input. `done` of `size` have been read, where the size is known; the unit, bytes, lines or
    entries, depends on the form."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        *,
        after: int = 0,
        lines: int | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`after`: so many lines, or members of the object, are passed over. `lines`: how many there are, where that is
        known. `now`: in seconds since 1970."""
        self._file, self._suffix = _unpacked(file, name)
        self._read1: Callable[[int], bytes] = getattr(self._file, "read1", self._file.read)  # No wait for a full chunk.
        self._fd = _descriptor_to_wait_for(file)
        self._bytes_in_all = _size_of(file) if self._file is file else None
        self._after = after
        self._lines_in_all = lines
        self._now = now
        self._head = b""
        self._members: dict[str, msgspec.Raw] | None = None
        self._sum = Sum()
        self.size: int | None = None
        self.done = 0
        self.numbers = 0
        """Of lines, or members, so far."""
        self.fault: str | None = None
        """Why it is not what was exported."""

    @property
    def unit(self) -> str:
        return "line" if self._members is None else "entry"

    async def open(self) -> None:
        """Find out which form it has: by the suffix or, if that does not tell, by whether the first line is an entry.
        Raises BadInput."""
        if self._suffix not in (".json", ".jsonl"):
            self._head = await self._read_until(b"\n")
            first = self._head.partition(b"\n")[0]
            lines = not self._head or _entry_in(first) is not None or manifest_in(first) is not None
        else:
            lines = self._suffix == ".jsonl"
        if lines:
            self.size = self._lines_in_all or self._bytes_in_all
            return
        whole = self._head + await self._read_until(None)
        try:
            self._members = msgspec.json.decode(whole, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            wanted = "neither one JSON object nor JSON lines of key and value"
            if self._suffix == ".json":
                wanted = "not one JSON object, as .json says; JSON lines are .jsonl"
            raise BadInput(f"{wanted}: {error}") from None
        self.size = len(self._members)

    async def blocks(self) -> AsyncIterator[Block]:
        """To be called once, after `open`. Raises BadInput."""
        if self._members is None:
            async for lines in self._lines():
                block = self._block(lines)
                self.done = self.numbers if self._lines_in_all else self.done + len(lines)
                yield block
            return
        members = itertools.islice(self._members.items(), self._after, None)
        self.numbers = self.done = min(self._after, len(self._members))
        while some := list(itertools.islice(members, MEMBERS_AT_ONCE)):
            block = Block()
            for key, value in some:
                self.numbers += 1
                self._put(_Line(key, value), block)
            self.done = self.numbers
            yield block

    def date(self, slots: Iterable[Slot]) -> None:
        """They are sent now, each once."""
        now = self._now()
        for slot in slots:
            if isinstance(slot, Dated):
                slot.date(now)

    async def has_more(self, within_s: float) -> bool:
        """Whether more comes through the pipe in that time, be it the end; of what is no pipe, there is always more to
        read. What is under way goes on meanwhile."""
        if self._fd is None or self._members is not None:
            await asyncio.sleep(0)
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(max(within_s, 0)):
                await _readable(self._fd)
                return True
        return False

    def _block(self, lines: bytes) -> Block:
        """Of whole lines, the last of which may lack its line break."""
        block, count = Block(), lines.count(b"\n") + (not lines.endswith(b"\n"))
        entries = _entries_in(lines) if self.numbers >= self._after else ()
        if len(entries) == count:
            self._sum.add(lines, count, sum(entry.expires is not None for entry in entries))
            for entry in entries:
                self.numbers += 1
                self._put(entry, block)
        else:
            for line in io.BytesIO(lines):
                self.numbers += 1
                self._take(line, block)
        return block

    def _take(self, line: bytes, block: Block) -> None:
        """One line of which it is not known what it is, or whether it is wanted."""
        entry = _entry_in(line)
        if entry is None and (manifest := manifest_in(line)) is not None:
            self.fault = self.fault or self._sum.fault(manifest)
            self._sum = Sum()
            return
        self._sum.add(line, entry is not None, entry is not None and entry.expires is not None)
        if self.numbers <= self._after or not line.strip():
            return
        if entry is None:
            block.bad.append(BadLine(self.numbers, NO_ENTRY))
        else:
            self._put(entry, block)

    def _put(self, entry: _Line, block: Block) -> None:
        ttl = entry.ttl
        if entry.expires is not None:
            if ttl is not None:
                block.bad.append(BadLine(self.numbers, TWO_TIMES))
                return
            if entry.expires <= self._now():
                block.expired += 1
                return
        value = bytes(entry.value)
        if b"\n" in value:
            value = value.translate(LINE_BREAKS_TO_SPACES)
        line = put_line(_encode(entry.key), value, ttl)
        key = entry.key.encode()
        if entry.expires is None:
            block.puts.append(Slot(key, line, "PUT", False, self.numbers))
        else:
            block.puts.append(Dated(key, line, "PUT", False, self.numbers, expires=entry.expires))

    async def _lines(self) -> AsyncIterator[bytes]:
        """What has come, cut after a line break."""
        data = self._head
        while True:
            end = data.rfind(b"\n") + 1
            if end:
                yield data[:end]
            tail = data[end:]
            if len(tail) > LINE_BYTES_MAX:
                tail = b"\0"  # Makes this line a bad one, whatever follows.
            chunk = await self._read()
            if not chunk:
                break
            data = tail + chunk
        if tail:
            yield tail

    async def _read_until(self, end: bytes | None) -> bytes:
        """Everything up to the end of the input, or of the chunk that contains `end`."""
        chunks: list[bytes] = []
        while chunk := await self._read():
            chunks.append(chunk)
            if end is not None and end in chunk:
                break
        return b"".join(chunks)

    async def _read(self) -> bytes:
        """What is there, up to a chunk; empty at the end. Waits for a pipe without holding up the writes under way.
        Raises BadInput."""
        if self._fd is not None:
            await _readable(self._fd)
        try:
            return self._read1(CHUNK_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(f"cannot be read: {error}") from None


def _unpacked(file: BinaryIO, name: str) -> tuple[BinaryIO, str]:
    """And its suffix."""
    stem, suffix = os.path.splitext(name.lower())
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")), os.path.splitext(stem)[1]
    return file, suffix


def _entries_in(lines: bytes) -> Sequence[_Line]:
    """None of them, if not all are entries."""
    try:
        return _decoder.decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def _entry_in(line: bytes) -> _Line | None:
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


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

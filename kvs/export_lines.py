"""What the store tells of all its keys, as it comes: blocks of lines, and after each a cursor, from where another one
goes on. Pure.

A block is looked at as bytes: a line is parsed only by whoever wants its entry. What follows the last cursor of an
export that broke is thrown away, for it comes again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from kvs.http import Malformed
from kvs.repeating import Failed
from kvs.responses import ErrorBody
from kvs.values import Exported

_CURSOR = b'\n{"cursor":"'
_EXPIRING = re.compile(rb',"expires":[0-9.]+\}\n')
"""The end of a line whose entry expires. Within a value, the quotes would be escaped, or another bracket follow."""
BLOCK_BYTES_MAX = 64 * 1024 * 1024
"""More without a cursor is no export of a store."""


class _Cursor(msgspec.Struct, frozen=True):
    cursor: str


class _Last(msgspec.Struct, frozen=True):
    end: bool = False
    error: str | None = None
    unreachable: tuple[str, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    key: str
    value: msgspec.Raw
    expires: float | None = None


_cursors = msgspec.json.Decoder(_Cursor)
_lasts = msgspec.json.Decoder(_Last)
_lines = msgspec.json.Decoder(_Line)


class ExportReader:
    """Takes one answer apart."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        """After the last block that came."""
        self._data = b"\n"
        """What followed that, after a line break."""
        self._searched = 0
        """No cursor begins before this byte."""

    def feed(self, data: bytes) -> list[bytes]:
        """The blocks that are whole now. Raises Malformed."""
        self._data += data
        blocks = list[bytes]()
        while (begin := self._data.find(_CURSOR, self._searched)) >= 0:
            self._searched = begin
            end = self._data.find(b"\n", begin + 1)
            if end < 0:
                return blocks
            try:
                self.cursor = _cursors.decode(self._data[begin + 1 : end]).cursor
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise Malformed from None
            if begin > 0:
                blocks.append(self._data[1 : begin + 1])
            self._data, self._searched = self._data[end:], 0
        self._searched = max(0, len(self._data) - len(_CURSOR))
        if len(self._data) > BLOCK_BYTES_MAX:
            raise Malformed
        return blocks

    def end(self) -> bytes:
        """The last block, which may be empty: no more will come. Raises Failed if there should."""
        lines = self._data[1:].splitlines(keepends=True)
        try:
            last = _lasts.decode(lines.pop() if lines else b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            last = _Last()
        if last.error is not None:
            raise Failed(ErrorBody(last.error, last.unreachable).line, sent=True)
        if not last.end:
            raise Failed("its export is cut short", sent=True)
        return b"".join(lines)


def expiring_in(block: bytes) -> int:
    """How many of its entries expire."""
    return len(_EXPIRING.findall(block)) if b'"expires":' in block else 0


def entries_in(block: bytes) -> Iterator[Exported]:
    """Raises Malformed."""
    try:
        lines = _lines.decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed from None
    return (Exported(line.key, bytes(line.value), line.expires) for line in lines)

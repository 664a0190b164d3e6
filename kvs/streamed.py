"""An answer that is taken apart while it comes: its head, then its body in whatever parts arrive.

Pure. The body has a length or comes in chunks; of what it says, nothing is kept here, so it may be of any size.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kvs.http import BODY_BYTES_MAX, HEAD_BYTES_MAX, Malformed, Reply, body_bytes, head_in

LINE_BYTES_MAX = 4096
"""Of the size of a chunk, or of a trailer."""
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(;.*)?", re.DOTALL)


class StreamedReply:
    def __init__(self) -> None:
        self.head: Reply | None = None
        """Its status and headers, without a body; None: they have not come."""
        self.is_whole = False
        self._data = bytearray()
        self._left = 0
        """Bytes of the body, or of the chunk, that are to come."""
        self._step: Callable[[], bytes | None] = self._read_head

    def feed(self, data: bytes) -> bytes:
        """What of the body has come with `data`. Raises Malformed."""
        if self.is_whole:
            raise Malformed
        self._data += data
        parts = []
        while (part := self._step()) is not None:
            parts.append(part)
        if self.is_whole and self._data:
            raise Malformed
        return b"".join(parts)

    # Each step returns what it has read of the body, or None if it needs more to come.

    def _read_head(self) -> bytes | None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > HEAD_BYTES_MAX or not b"HTTP/1.".startswith(self._data[:7]):
                raise Malformed
            return None
        head = head_in(self._data, end)
        del self._data[: end + 4]
        if (head.header("transfer-encoding") or "").lower() == "chunked":
            self._step = self._read_size
        else:
            self._left = body_bytes(head)
            self._step = self._read_body if self._left else self._end
        self.head = head
        return b""

    def _read_body(self) -> bytes | None:
        part = self._read_some()
        if not self._left:
            self._step = self._end
        return part

    def _read_size(self) -> bytes | None:
        line = self._read_line()
        if line is None:
            return None
        size = _SIZE.fullmatch(line)
        if size is None or int(size[1], 16) > BODY_BYTES_MAX:
            raise Malformed
        self._left = int(size[1], 16)
        self._step = self._read_chunk if self._left else self._read_trailer
        return b""

    def _read_chunk(self) -> bytes | None:
        part = self._read_some()
        if not self._left:
            self._step = self._read_chunk_end
        return part

    def _read_chunk_end(self) -> bytes | None:
        line = self._read_line()
        if line is None:
            return None
        if line:
            raise Malformed
        self._step = self._read_size
        return b""

    def _read_trailer(self) -> bytes | None:
        line = self._read_line()
        if line is None:
            return None
        if not line:
            self._step = self._end
        return b""

    def _end(self) -> None:
        self.is_whole = True

    def _read_some(self) -> bytes | None:
        if not self._data:
            return None
        part = bytes(self._data[: self._left])
        del self._data[: self._left]
        self._left -= len(part)
        return part

    def _read_line(self) -> bytes | None:
        end = self._data.find(b"\r\n")
        if end < 0:
            if len(self._data) > LINE_BYTES_MAX:
                raise Malformed
            return None
        line = bytes(self._data[:end])
        del self._data[: end + 2]
        return line

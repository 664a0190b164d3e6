"""An answer that streams: its body in chunks or of a length, cut anywhere; and what is none."""

from __future__ import annotations

import pytest

from kvs.http import Malformed
from kvs.streamed import StreamedReply

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: x\r\n\r\n"
CHUNKED = HEAD + b"4\r\nnull\r\nA;x=y\r\n0123\r\n6789\r\n0\r\nTrailer: 1\r\n\r\n"
SIZED = b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nnull"


@pytest.mark.parametrize(
    ("answer", "status", "body"), [(CHUNKED, 200, b"null0123\r\n6789"), (SIZED, 503, b"null")], ids=["chunked", "sized"]
)
def test_streamed_answer_is_read_wherever_it_is_cut(answer: bytes, status: int, body: bytes) -> None:
    for size in range(1, len(answer) + 1):
        reply = StreamedReply()
        parts = [reply.feed(answer[begin : begin + size]) for begin in range(0, len(answer), size)]
        assert b"".join(parts) == body
        assert reply.is_whole and reply.head is not None and reply.head.status == status
        with pytest.raises(Malformed):
            reply.feed(b"x")


def test_streamed_answer_without_a_body_is_whole_after_its_head() -> None:
    reply = StreamedReply()
    assert reply.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == b""
    assert reply.is_whole


def test_streamed_answer_gives_what_has_come_of_a_chunk_before_the_rest() -> None:
    reply = StreamedReply()
    assert reply.feed(HEAD + b"ff\r\nabc") == b"abc"
    assert reply.head is not None and reply.head.header("etag") == "x"
    assert reply.feed(b"def") == b"def"
    assert not reply.is_whole


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        HEAD + b"x\r\n",
        HEAD + b"-1\r\n",
        HEAD + b"fffffff\r\n",
        HEAD + b"1\r\nabc\r\n",
        HEAD + b"0\r\n\r\nx",
        HEAD + b"1" * 5000,
        b"HTTP/1.1" + b"x" * 70_000,
    ],
)
def test_streamed_answer_that_is_none_of_a_store_is_refused(answer: bytes) -> None:
    with pytest.raises(Malformed):
        StreamedReply().feed(answer)

"""HTTP as the client writes and reads it: what is no answer of a store is refused, however it arrives."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvs import http
from kvs.http import Malformed, Missing, Reply, reply_in, request

WHOLE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: "aB"\r\ncontent-length: 4\r\n\r\nnull'


def test_http_request_without_and_with_a_body() -> None:
    assert request("a:1", "GET", "/k", {}, None) == (
        b"GET /k HTTP/1.1\r\nHost: a:1\r\nContent-Type: application/json\r\n\r\n"
    )
    assert request("a:1", "PUT", "/k", {"If-Match": '"7"'}, b"{}") == (
        b"PUT /k HTTP/1.1\r\nHost: a:1\r\nContent-Type: application/json\r\n"
        b'If-Match: "7"\r\nContent-Length: 2\r\n\r\n{}'
    )


def test_http_reply_whole() -> None:
    reply = reply_in(WHOLE)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.is_last) == (200, b"null", False)
    assert reply.header("etag") == '"aB"', "names in whatever case, values as they are"
    assert reply.header("content-length") == "4"
    assert reply.header("length") is None


@given(st.integers(0, len(WHOLE) - 1))
def test_http_reply_of_which_a_part_has_come_is_missing_the_rest(bytes_here: int) -> None:
    missing = reply_in(WHOLE[:bytes_here])
    assert isinstance(missing, Missing)
    assert bytes_here < missing.bytes_needed <= len(WHOLE)


@pytest.mark.parametrize("value", ["close", "Close"])
def test_http_reply_after_which_the_connection_ends(value: str) -> None:
    reply = reply_in(f"HTTP/1.1 503 No\r\nConnection: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    assert isinstance(reply, Reply) and reply.is_last


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"SSH-2.0-OpenSSH_9", None),
        (b"<html>", None),
        (b"HTTP/2 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None),
        (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (http.BODY_BYTES_MAX + 1), 200),
        (WHOLE + b"x", 200),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * http.HEAD_BYTES_MAX, None),
    ],
)
def test_http_reply_that_is_not_that_of_a_store(data: bytes, status: int | None) -> None:
    with pytest.raises(Malformed) as fault:
        reply_in(data)
    assert (f"of status {status}" in str(fault.value)) == (status is not None)


@given(st.binary(max_size=60).map(lambda data: b"HTTP/1." + data) | st.binary(max_size=60))
def test_http_reply_garbage_gives_one_exception_and_no_other(data: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(reply_in(data), Reply | Missing)

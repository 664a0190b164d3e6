"""What each contender is asked, and which bytes are a whole answer, a failure, or not whole yet."""

from __future__ import annotations

import pytest

from bench.peers.dialects import Name, dialect

ADDRESS = "127.0.0.1:13800"
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

REQUESTS: list[tuple[Name, bytes, bytes]] = [
    (
        "node",
        b"GET /kvs/keys/k HTTP/1.1\r\nHost: 127.0.0.1:13800\r\n\r\n",
        b"PUT /kvs/keys/k HTTP/1.1\r\nHost: 127.0.0.1:13800\r\n"
        b'Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"value":"v"}',
    ),
    (
        "etcd",
        b"POST /v3/kv/range HTTP/1.1\r\nHost: 127.0.0.1:13800\r\n"
        b'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"key":"aw=="}',
        b"POST /v3/kv/put HTTP/1.1\r\nHost: 127.0.0.1:13800\r\n"
        b'Content-Type: application/json\r\nContent-Length: 29\r\n\r\n{"key":"aw==","value":"dg=="}',
    ),
    ("redis", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"),
]
ANSWERS: list[tuple[Name, bytes, bool]] = [
    ("node", HTTP_OK, True),
    ("node", HTTP_OK.replace(b"200 OK", b"201 Created"), True),
    ("node", HTTP_OK.replace(b"200 OK", b"404 Not Found"), False),
    ("node", HTTP_OK.replace(b"200 OK", b"503 Service Unavailable"), False),
    ("etcd", HTTP_OK, True),
    ("redis", b"+OK\r\n", True),
    ("redis", b"$3\r\nabc\r\n", True),
    ("redis", b"$4\r\n\r\n\r\n\r\n", True),
    ("redis", b"$-1\r\n", False),
    ("redis", b"-MISCONF Errors writing to the AOF file\r\n", False),
]


@pytest.mark.parametrize(("name", "get", "put"), REQUESTS)
def test_requests_are_whole_and_in_the_contender_s_language(name: Name, get: bytes, put: bytes) -> None:
    spoken = dialect(name, ADDRESS)
    assert spoken.get("k") == get
    assert spoken.put("k", "v") == put


@pytest.mark.parametrize(("name", "answer", "is_success"), ANSWERS)
def test_answers_are_judged_once_they_are_whole(name: Name, answer: bytes, is_success: bool) -> None:
    spoken = dialect(name, ADDRESS)
    assert spoken.judge(answer) is is_success
    assert {spoken.judge(answer[:length]) for length in range(1, len(answer))} == {None}


def test_http_answer_that_does_not_say_how_long_it_is_is_refused() -> None:
    with pytest.raises(ValueError, match="how long"):
        dialect("etcd", ADDRESS).judge(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

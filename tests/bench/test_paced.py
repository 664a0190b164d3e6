"""A client with a pace of its own asks until it is over, and tells how long it has waited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bench.paced import Job, ask, share


@contextmanager
def answering(status: int, asked: list[str], is_over: threading.Event) -> Iterator[str]:
    """The address of a server that has it over with the third request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) == 3:
                is_over.set()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_asks_for_one_key_after_the_other_until_it_is_over() -> None:
    asked, is_over = list[str](), threading.Event()
    with answering(200, asked, is_over) as address:
        felt = ask(Job(address, ["a", "b"], 1000), is_over)
    assert asked == ["/kvs/keys/a", "/kvs/keys/b", "/kvs/keys/a"] and felt.count == 3
    assert 0 < felt.p50_ms <= felt.p99_ms


def test_an_answer_without_a_value_ends_it() -> None:
    with answering(404, [], threading.Event()) as address, pytest.raises(RuntimeError, match="/kvs/keys/a: 404"):
        ask(Job(address, ["a"], 1000), threading.Event())


def test_share_is_what_so_many_do_not_exceed() -> None:
    latencies = [float(number) for number in range(200, 0, -1)]
    assert (share(latencies, 0.5), share(latencies, 0.99), share([7.0], 0.99)) == (101.0, 199.0, 7.0)

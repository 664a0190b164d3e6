"""Which requests get a line, how often, and which id they have."""

from __future__ import annotations

import json
import logging
import re

import pytest

from node.api.request_log import EVERY_S, HEADER, RequestLog, id_of
from node.logs import JsonFormatter
from tests.cluster import Client
from tests.node.api.short_way import PLAIN, Server, read_answer
from tests.node.api.two_nodes import TwoNodes

MADE = re.compile(r"[0-9a-f]{16}")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("given", ["x", "7f3a-9c", "!~" * 32])
def test_request_id_is_that_which_the_client_gave(given: str) -> None:
    assert id_of({HEADER: given}) == given


@pytest.mark.parametrize("given", ["", " ", "a b", "é", "x" * 65, "a\tb"])
def test_request_id_that_makes_no_sense_is_replaced(given: str) -> None:
    made = id_of({HEADER: given})
    assert made is not None and MADE.fullmatch(made)


def test_request_id_is_none_where_none_was_given() -> None:
    assert id_of({}) is None


@pytest.mark.parametrize(
    ("slow_s", "status", "took_s", "is_worth_it"),
    [(1, 200, 0.9, 0), (1, 200, 1.0, 1), (1, 404, 0, 0), (1, 500, 0, 1), (1, 503, 0, 1), (0, 200, 9, 0)],
)
def test_request_is_worth_a_line_if_it_is_slow_or_failed(
    slow_s: float, status: int, took_s: float, is_worth_it: int
) -> None:
    assert RequestLog(Clock(), slow_s).is_worth_it(status, took_s) == bool(is_worth_it)


def note(requests: RequestLog, status: int, detail: str = "", id_: str | None = "abc") -> str:
    return requests.note("GET", "/kvs/keys/k", status, 1.234, {"Kvs-Detail": detail} if detail else {}, id_)


def test_request_log_has_a_line_of_each_kind_now_and_then_with_how_many_there_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    requests = RequestLog(clock, 1.0)
    for _ in range(3):
        assert note(requests, 503, "b:1 cannot be reached") == "abc"
    note(requests, 200)
    clock.now += EVERY_S
    note(requests, 503)
    note(requests, 503)
    assert caplog.messages == [
        "GET /kvs/keys/k: 503 after 1.23 s (b:1 cannot be reached), request abc",
        "GET /kvs/keys/k: 200 after 1.23 s, request abc",
        "GET /kvs/keys/k: 503 after 1.23 s, request abc; and 2 like it before",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_request_log_at_the_level_of_debugging_has_a_line_for_each(caplog: pytest.LogCaptureFixture) -> None:
    requests = RequestLog(Clock(), 1.0)
    with caplog.at_level(logging.DEBUG, "node.api.request_log"):
        for _ in range(3):
            note(requests, 503)
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]


def test_request_log_has_fields_for_programs(caplog: pytest.LogCaptureFixture) -> None:
    made = note(RequestLog(Clock(), 1.0), 503, id_=None)
    line = json.loads(JsonFormatter().format(caplog.records[0]))
    fields = {name: line[name] for name in ("request-id", "method", "path", "status", "seconds")}
    assert fields == {"request-id": made, "method": "GET", "path": "/kvs/keys/k", "status": 503, "seconds": 1.234}
    assert MADE.fullmatch(made)


@pytest.mark.asyncio(loop_scope="module")
async def test_request_id_of_a_client_is_in_its_answer_whatever_that_is(two: TwoNodes) -> None:
    http: Client = two.http
    for method, path, status in (("GET", "/kvs/keys/nothing", 404), ("GET", "/kvs/status", 200), ("GET", "/no", 404)):
        reply = await http.ask(two.nodes[0], method, path, headers={HEADER: "mine-7"})
        assert (reply.status, reply.headers[HEADER]) == (status, "mine-7")
        assert HEADER not in (await http.ask(two.nodes[0], method, path)).headers
    reply = await http.ask(two.nodes[0], "GET", "/kvs/status", headers={HEADER: "x" * 65})
    assert MADE.fullmatch(reply.headers[HEADER])


async def test_request_with_an_id_takes_the_long_way(server: Server) -> None:
    assert await server.ask(PLAIN) == ["here GET a 0"]
    assert await server.ask(PLAIN.replace(b"\r\n\r\n", b"\r\nx-request-id: 7\r\n\r\n")) == ["aiohttp GET a 0"]


async def test_request_that_fails_on_the_short_way_is_logged_and_its_answer_has_an_id(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await server.connect()
    writer.write(PLAIN.replace(b"/a ", b"/broken "))
    head, _ = await read_answer(reader)
    writer.close()
    (id_,) = re.findall(rb"X-Request-Id: ([0-9a-f]{16})\r\n", head)
    assert head.startswith(b"HTTP/1.1 500 ")
    assert f"GET /kvs/keys/broken: 500 after 0.00 s, request {id_.decode()}" in caplog.messages

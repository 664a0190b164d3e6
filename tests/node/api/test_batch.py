"""Batches over HTTP: each line is answered as a request would be. How lines stream: `test_batch_streams`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gossip.view import Address
from node.api.batch import CHUNK_LINES_MAX
from node.api.batch_lines import BATCH
from tests.node.api.streams import line, stream
from tests.node.api.two_nodes import TwoNodes

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def batch_of(two: TwoNodes, node: Address, *lines: bytes) -> list[Any]:
    reply = await two.http.ask(node, "POST", BATCH, b"".join(lines))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-ndjson")
    return [json.loads(text) for text in reply.body.splitlines()]


OPERATIONS: list[tuple[str, dict[str, Any], bytes | None]] = [
    ("put new", {"op": "put", "value": 1.0}, None),
    ("put over", {"op": "put", "value": [1]}, b"0"),
    ("get", {"op": "get"}, b'{"a": 1.50}'),
    ("get nothing", {"op": "get"}, None),
    ("delete", {"op": "delete"}, b"0"),
    ("delete nothing", {"op": "delete"}, None),
    ("put if new", {"op": "put", "value": 1, "if-none-match": "*"}, None),
    ("put if new, over", {"op": "put", "value": 1, "if-none-match": "*"}, b"0"),
    ("delete if there", {"op": "delete", "if-match": "*"}, b"0"),
    ("get unless the same", {"op": "get", "if-none-match": "*"}, b"0"),
    ("no value", {"op": "put"}, None),
    ("no ttl", {"op": "put", "value": 1, "ttl": -1}, None),
    ("no condition", {"op": "put", "value": 1, "if-match": "x"}, None),
]


@pytest.mark.parametrize("through", ["owner", "other"])
@pytest.mark.parametrize(("fields", "held"), [case[1:] for case in OPERATIONS], ids=[case[0] for case in OPERATIONS])
async def test_line_is_answered_as_a_request_would_be(
    two: TwoNodes, fields: dict[str, Any], held: bytes | None, through: str
) -> None:
    node = two.owner("k") if through == "owner" else two.other(two.owner("k"))
    method = {"put": "PUT", "get": "GET", "delete": "DELETE"}[fields["op"]]
    headers = {name: str(fields[name]) for name in fields if name.startswith("if-")}
    body = {name: fields[name] for name in ("value", "ttl") if name in fields}
    await two.prepare("k", held)
    reply = await two.http.ask(node, method, "/kvs/keys/k", json.dumps(body).encode() if body else None, headers)
    await two.prepare("k", held)
    (answer,) = await batch_of(two, node, line(key="k", **fields))
    assert answer.pop("key") == "k" and answer.pop("status") == reply.status
    assert ("etag" in answer) == ("ETag" in reply.headers)
    answer.pop("etag", None)
    assert json.dumps(answer) == (json.dumps(reply.json) if reply.body else "{}")


async def test_batch_keeps_the_order_of_each_key_over_many_chunks(two: TwoNodes) -> None:
    lines, expected = list[bytes](), list[Any]()
    for number in range(3 * CHUNK_LINES_MAX):
        key = f"o{number % 7}"
        lines += [line(op="put", key=key, value=number), line(op="get", key=key)]
        expected += [None, number]
    answers = await batch_of(two, two.nodes[0], *lines)
    assert [answer.get("value") for answer in answers] == expected
    assert [answer["key"] for answer in answers] == [f"o{number // 2 % 7}" for number in range(len(lines))]


async def test_batch_of_values_with_digits_and_line_breaks_keeps_their_digits(two: TwoNodes) -> None:
    await two.http.ask(two.nodes[0], "PUT", "/kvs/keys/k", b'{"value":{\n"a":\r\n1.00}}')
    reply = await two.http.ask(two.nodes[0], "POST", BATCH, line(op="get", key="k"))
    assert reply.body.count(b"\n") == 1 and b'{ "a":  1.00}' in reply.body


async def test_batch_is_answered_line_by_line_as_it_comes(two: TwoNodes) -> None:
    async with stream(two.nodes[0]) as client:
        for number in range(5):
            client.send(line(op="put", key="d", value=number))
            assert (await client.answer())["status"] in (200, 201)
        client.send(b'{"op":"get",')
        client.send(b'"key":"d"}\n\n  \n{"op":"get","key":"none"}')
        assert (await client.answer())["value"] == 4
        client.end()
        assert [answer["status"] for answer in await client.answers()] == [404]


async def test_batch_of_nothing_is_answered_with_nothing(two: TwoNodes) -> None:
    assert await batch_of(two, two.nodes[0]) == []
    assert await batch_of(two, two.nodes[0], b"\n\n \r\n") == []


async def test_batch_goes_on_after_lines_that_are_wrong(two: TwoNodes) -> None:
    huge = b'{"op":"put","key":"h","value":"%b"}\n' % (b"x" * (2 * 1024 * 1024))
    lines = [line(op="put", key="g", value=1), b"nonsense\n", huge, line(op="jump", key="g"), line(op="get", key="g")]
    answers = await batch_of(two, two.nodes[0], *lines)
    assert [answer["status"] for answer in answers][1:] == [400, 413, 400, 200]
    assert answers[-1]["value"] == 1


async def test_batch_that_is_compressed_is_refused(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "POST", BATCH, b"x", {"Content-Encoding": "gzip"})
    assert (reply.status, reply.json["error"]) == (415, "Content-Encoding is not supported")


async def test_batch_whose_body_is_garbled_ends_after_what_was_whole(two: TwoNodes) -> None:
    async with stream(two.nodes[0]) as client:
        client.send(line(op="put", key="k", value=1))
        assert (await client.answer())["key"] == "k"
        client.writer.write(b"no chunk\r\n")
        (last,) = await client.answers()
        assert (last["status"], last["error"]) == (400, "Malformed body")


async def test_batch_that_is_cut_off_has_done_what_it_has_answered(two: TwoNodes) -> None:
    await two.prepare("cut1", None)
    async with stream(two.nodes[0]) as client:
        client.send(line(op="put", key="cut1", value=1) + b'{"op":"put","key":"cut2"')
        assert (await client.answer())["key"] == "cut1"
    assert (await two.http.get(two.nodes[1], "cut1")).json["value"] == 1
    assert (await two.http.get(two.nodes[1], "cut2")).status == 404

"""What is wrong with a request, for people: in a header, so that bodies stay as they are."""

from __future__ import annotations

import pytest

from node.api.hints import HEADER, HINT_CHARS_MAX, headers_of
from tests.node.api.two_nodes import TwoNodes, fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUOTES = (
    "; names and texts stand in double quotes, which a shell takes away unless the whole stands in single ones: "
    """-d '{"value": 1}'"""
)
KEYS_ARE_STRINGS = "JSON is malformed: object keys must be strings (byte %d)"
HINTS: list[tuple[bytes, str]] = [
    (b"{value:1}", KEYS_ARE_STRINGS % 1 + QUOTES),
    (b" { value : hello }", KEYS_ARE_STRINGS % 3 + QUOTES),
    (b"{'value':1}", KEYS_ARE_STRINGS % 1 + QUOTES),
    (b"'{value:1}'", "JSON is malformed: invalid character (byte 0)" + QUOTES),
    (b'{"value":hello}', "JSON is malformed: invalid character (byte 9)"),
    (b'{"value":1,}', "JSON is malformed: trailing comma in object (byte 11)"),
    (b'{"value":1', "JSON is malformed: it ends too early (byte 10)"),
    (b'{"value":"\\uD800"}', "half a surrogate pair"),
    (b'{"value":"\xff"}', "no UTF-8 (byte 10)"),
    (b'{"value":' + b"[" * 3000, "nested too deep"),
    (b"[1]", "a body is a JSON object: Expected `object`, got `array`"),
    (b"null", "a body is a JSON object: Expected `object`, got `null`"),
]


@pytest.mark.parametrize(("body", "hint"), HINTS, ids=[repr(body[:20]) for body, _ in HINTS])
@pytest.mark.parametrize("path", ["/kvs/keys/apple", "/kvs/view-change"])
async def test_hint_of_malformed_json_is_a_header_and_the_body_is_as_ever(
    two: TwoNodes, path: str, body: bytes, hint: str
) -> None:
    reply = await two.http.ask(two.nodes[0], "PUT", path, body)
    assert (reply.status, reply.headers[HEADER]) == (400, hint)
    assert reply.body == fault("Malformed JSON", "PUT")


@pytest.mark.parametrize("body", [b'{"value":1}', b"{}", b""])
async def test_hint_where_there_is_nothing_to_say_is_no_header(two: TwoNodes, body: bytes) -> None:
    assert HEADER not in (await two.http.ask(two.nodes[0], "PUT", "/kvs/keys/apple", body)).headers


async def test_hint_is_what_a_header_can_carry() -> None:
    assert headers_of("a\r\nSet-Cookie: \u00e9\x7f") == {HEADER: "a??Set-Cookie: ??"}
    assert len(headers_of("x" * 10_000)[HEADER]) == HINT_CHARS_MAX

"""Golden bodies: the answers of the contract, byte for byte, the same through owner and forwarder."""

from __future__ import annotations

import gzip
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

from gossip.view import Address
from tests.cluster import Cluster, client, fresh_addresses
from tests.node.api.raw_http import ask_raw
from tests.node.api.two_nodes import A_VALUE, TwoNodes, fault, with_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
LONGEST = "𝄞" * 50
"""50 characters of 4 bytes each."""

ADDED = b'{"message":"Added successfully","replaced":false}'
UPDATED = b'{"message":"Updated successfully","replaced":true}'
DELETED = b'{"doesExist":true,"message":"Deleted successfully"}'


def found(value: bytes) -> bytes:
    return b'{"doesExist":true,"message":"Retrieved successfully","value":%b}' % value


def missing(method: bytes) -> bytes:
    return b'{"doesExist":false,"error":"Key does not exist","message":"Error in %b"}' % method


class Tells(Enum):
    """When an answer through another node than the owner names the owner."""

    ALWAYS = "always"
    WITH_CONTEXT = "with context"
    NEVER = "never"


class Case(NamedTuple):
    name: str
    request: str
    body: bytes | None
    status: int
    answer: bytes
    held: bytes | None = None
    """The value that the key has before."""
    tells: Tells = Tells.ALWAYS


NO_VALUE = fault("Value is missing", "PUT")
BAD_KEY = Tells.WITH_CONTEXT

CASES = [
    Case("put_new", "PUT apple", A_VALUE, 201, ADDED),
    Case("put_existing", "PUT apple", A_VALUE, 200, UPDATED, held=b"0"),
    Case("put_null", "PUT apple", b'{"value":null}', 201, ADDED),
    Case("put_over_null", "PUT apple", A_VALUE, 200, UPDATED, held=b"null"),
    Case("put_unknown_field", "PUT apple", b'{"x":[],"value":1}', 201, ADDED),
    Case("put_1_character", "PUT a", A_VALUE, 201, ADDED),
    Case("put_50_characters", "PUT " + "a" * 50, A_VALUE, 201, ADDED),
    Case("put_50_wide_characters", "PUT " + quote(LONGEST), A_VALUE, 201, ADDED),
    Case("put_51_characters", "PUT " + "a" * 51, A_VALUE, 400, fault("Key is too long", "PUT"), tells=BAD_KEY),
    Case("put_51_wide", "PUT " + quote(LONGEST + "a"), A_VALUE, 400, fault("Key is too long", "PUT"), tells=BAD_KEY),
    Case("put_empty_key", "PUT ", A_VALUE, 400, fault("Malformed key", "PUT"), tells=BAD_KEY),
    Case("put_undecodable_key", "PUT %ff", A_VALUE, 400, fault("Malformed key", "PUT"), tells=BAD_KEY),
    Case("put_cut_key", "PUT %F0%9D%84", A_VALUE, 400, fault("Malformed key", "PUT"), tells=BAD_KEY),
    Case("put_surrogate_key", "PUT %ED%A0%80", A_VALUE, 400, fault("Malformed key", "PUT"), tells=BAD_KEY),
    Case("put_no_value", "PUT apple", b"{}", 400, NO_VALUE, tells=BAD_KEY),
    Case("put_no_value_long_key", "PUT " + "a" * 51, b"{}", 400, NO_VALUE, tells=BAD_KEY),
    Case("put_no_value_bad_key", "PUT %ff", b'{"Value":1}', 400, NO_VALUE, tells=BAD_KEY),
    Case("get_found", "GET apple", None, 200, found(b'{"a": [1.50]}'), held=b'{"a": [1.50]}'),
    Case("get_null", "GET apple", None, 200, found(b"null"), held=b"null"),
    Case("get_missing", "GET apple", None, 404, missing(b"GET")),
    Case("get_51_characters", "GET " + "a" * 51, None, 404, missing(b"GET"), tells=Tells.NEVER),
    Case("get_empty_key", "GET ", None, 400, fault("Malformed key", "GET"), tells=BAD_KEY),
    Case("get_undecodable_key", "GET %C3%28", None, 400, fault("Malformed key", "GET"), tells=BAD_KEY),
    Case("delete_found", "DELETE apple", None, 200, DELETED, held=b"0"),
    Case("delete_null", "DELETE apple", None, 200, DELETED, held=b"null"),
    Case("delete_missing", "DELETE apple", None, 404, missing(b"DELETE")),
    Case("delete_51_characters", "DELETE " + "a" * 51, None, 404, missing(b"DELETE"), tells=Tells.NEVER),
    Case("delete_undecodable_key", "DELETE %ff", None, 400, fault("Malformed key", "DELETE"), tells=BAD_KEY),
]

CONTEXTS = [None, b"{}", b"null", b'""', b'"{}"']
"""What a request may carry as its empty context; None: it carries none."""


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: "bare" if context is None else context.decode())
@pytest.mark.parametrize("forwarded", [False, True], ids=["owner", "forwarder"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_api_data_golden_body(two: TwoNodes, case: Case, forwarded: bool, context: bytes | None) -> None:
    method, key = case.request.split(" ")
    if case.tells is not BAD_KEY:
        await two.prepare(key, case.held)
    owner = two.owner(key)
    asked = two.other(owner) if forwarded else owner

    reply = await two.http.ask(asked, method, f"/kvs/keys/{key}", with_context(case.body, context))

    expected = case.answer[:-1]
    if forwarded and (case.tells is Tells.ALWAYS or (case.tells is Tells.WITH_CONTEXT and context is not None)):
        expected += b',"address":"%b"' % owner.encode()
    if context is not None:
        expected += b',"causal-context":{}'
    assert (reply.status, reply.body) == (case.status, expected + b"}")
    assert reply.headers["Content-Type"] == "application/json"
    assert "Retry-After" not in reply.headers


@pytest.mark.parametrize("forwarded", [False, True], ids=["owner", "forwarder"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "context", [b"[]", b"0", b"1", b"false", b"true", b'"x"', b'"null"', b'{"a":1}', b'" "', b"[{}]"]
)
async def test_api_context_not_ours_malformed(two: TwoNodes, context: bytes, method: str, forwarded: bool) -> None:
    await two.prepare("apple", b"0")
    asked = two.other(two.owner("apple")) if forwarded else two.owner("apple")
    reply = await two.http.ask(asked, method, "/kvs/keys/apple", with_context(A_VALUE, context))
    assert (reply.status, reply.body) == (400, fault("Malformed causal context", method))
    assert (await two.http.get(asked, "apple")).json["value"] == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b"1", b"null", b'"value"', b" ", b"{", b'{"value":1', b'{"value":1}}', b"value=1", b"\xef\xbb\xbf{}"),
        *(b'{"value":"\xff"}', b'{"\xff":1}', b'{"value":01}', b'{"value":1.}', b'{"value":NaN}', b'{"value":tru}'),
        *(
            b'{"value":"\n"}',
            b'{"value":[1,]}',
            b"{'value':1}",
            b'{"x":' + b"[" * 100_000,
            b'{"value":' + b'{"a":' * 100_000,
        ),
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_api_body_no_json_object_malformed(two: TwoNodes, body: bytes, method: str) -> None:
    for asked in two.nodes:
        reply = await two.http.ask(asked, method, "/kvs/keys/apple", body)
        assert (reply.status, reply.body) == (400, fault("Malformed JSON", method))
        assert reply.headers["Content-Type"] == "application/json"


async def put_encoded(node: Address, encoding: bytes, data: bytes) -> tuple[int, dict[str, str], bytes]:
    head = b"PUT /kvs/keys/packed HTTP/1.1\r\nHost: x\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    return await ask_raw(node, head % (encoding, len(data)) + data)


@pytest.mark.parametrize(
    "data",
    [A_VALUE, gzip.compress(A_VALUE), gzip.compress(b"[" * 10_000_000)],
    ids=["not packed", "packed", "of some kilobytes that would unpack to ten megabytes"],
)
async def test_api_packed_body_not_supported(two: TwoNodes, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for asked in two.nodes:
        status, headers, body = await put_encoded(asked, b"gzip", data)
        refused = fault("Content-Encoding is not supported", "PUT")
        assert (status, headers["content-type"], body) == (415, "application/json", refused)
    assert "Traceback" not in caplog.text


async def test_api_body_that_says_it_is_not_packed_is_taken(two: TwoNodes) -> None:
    status, _, body = await put_encoded(two.nodes[0], b"identity", A_VALUE)
    assert (status, body) == (201, ADDED)


async def test_api_body_absent_or_empty_same(two: TwoNodes) -> None:
    for asked in two.nodes:
        for body in (None, b""):
            assert (await two.http.ask(asked, "PUT", "/kvs/keys/apple", body)).body == NO_VALUE


VALUES = {
    "null": b"null",
    "false": b"false",
    "zero": b"0",
    "minus_zero": b"-0",
    "empty_text": b'""',
    "trailing_zero": b"1.50",
    "exponents": b"[1E5,1e+5,1e5,0.1e-7]",
    "beyond_double": b"1e999",
    "beyond_64_bits": b"123456789012345678901234567890",
    "negative_beyond_64_bits": b"-18446744073709551616.000000000000000001",
    "nested": b'{"a":[{"b":{}},[],null],"c":"d"}',
    "blanks": b'{ "a" : [ 1 ,\t2 ] }',
    "double_key": b'{"a":1,"a":2}',
    "order": b'{"z":1,"a":2}',
    "unicode": '"𝄞 ä \u2028"'.encode(),
    "escapes": b'"\\ud834\\udd1e \\u00e4 \\/ \\n \\u0000"',
    "deep": b"[" * 500 + b"]" * 500,
    "like_a_context": b'{"causal-context":{"a":1},"value":2}',
    "mebibyte": b'"' + b"x" * (MIB - 2) + b'"',
}


@pytest.mark.parametrize("name", VALUES)
async def test_api_value_returned_as_sent(two: TwoNodes, name: str) -> None:
    value = VALUES[name]
    for writer in two.nodes:
        await two.prepare("apple", None)
        reply = await two.http.ask(writer, "PUT", "/kvs/keys/apple", b'{"value":%b}' % value)
        assert reply.status == 201
        for reader in two.nodes:
            body = (await two.http.get(reader, "apple")).body
            address = b"" if reader == two.owner("apple") else b',"address":"%b"' % two.owner("apple").encode()
            assert body == found(value)[:-1] + address + b"}"


@pytest.mark.parametrize("size", [MIB + 1, MIB + 64 * 1024, 10 * MIB])
async def test_api_value_beyond_1_mib_refused(two: TwoNodes, size: int) -> None:
    await two.prepare("apple", b"0")
    for asked in two.nodes:
        value = b'"' + b"x" * (size - 2) + b'"'
        reply = await two.http.ask(asked, "PUT", "/kvs/keys/apple", b'{"value":%b}' % value)
        assert (reply.status, reply.body) == (413, fault("Value is too large", "PUT"))
        assert reply.headers["Content-Type"] == "application/json"
        assert (await two.http.get(asked, "apple")).json["value"] == 0


KEYS = {
    "a/b": ["a%2Fb", "a%2fb"],
    "a%2Fb": ["a%252Fb"],
    "a%252Fb": ["a%25252Fb"],
    "%": ["%25"],
    "%25": ["%2525"],
    "%ff": ["%25ff"],
    "..": ["%2E%2E", ".."],
    ".": ["%2E", "."],
    "../a": ["..%2Fa"],
    "a b": ["a%20b"],
    "a+b": ["a+b", "a%2Bb"],
    "a%20b": ["a%2520b"],
    "a?b": ["a%3Fb"],
    "a#b": ["a%23b"],
    "a": ["a", "%61", "a?x=1"],
    "A": ["A"],
    " ": ["%20"],
    "\0": ["%00"],
    "a\0": ["a%00"],
    "é": ["%C3%A9"],
    "e\u0301": ["e%CC%81"],
    "𝄞": ["%F0%9D%84%9E"],
    "\ufeff": ["%EF%BB%BF"],
    "a;b=c": ["a;b=c", "a%3Bb%3Dc"],
    "view-change": ["view-change"],
}
"""Keys, and the ways to write them in a path."""


async def test_api_keys_never_alias(two: TwoNodes) -> None:
    for key, paths in KEYS.items():
        await two.prepare(paths[0], None)
        for path in paths:
            assert (await two.http.put(two.nodes[0], path, key)).status == (201 if path == paths[0] else 200), key
    for key, paths in KEYS.items():
        for path in paths:
            for node in two.nodes:
                assert (await two.http.get(node, path)).json["value"] == key
    for paths in KEYS.values():
        assert (await two.http.ask(two.nodes[1], "DELETE", f"/kvs/keys/{paths[0]}")).status == 200


async def test_api_key_in_whole_url_same(two: TwoNodes) -> None:
    node = two.owner("apple")
    await two.prepare("apple", b"7")
    _, _, body = await ask_raw(node, f"GET http://{node}/kvs/keys/apple HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert body == found(b"7")


@pytest.mark.parametrize("context", [None, b"{}"], ids=["bare", "{}"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_api_owner_down_503_with_retry_after(tmp_path: Path, method: str, context: bytes | None) -> None:
    nodes = fresh_addresses(2)
    cluster = Cluster(tmp_path)
    async with client() as http:
        try:
            await cluster.start_all(nodes)
            owner = TwoNodes(http, cluster, nodes).owner("apple")
            other = TwoNodes(http, cluster, nodes).other(owner)
            await cluster.stop(owner)
            body = with_context(A_VALUE if method == "PUT" else None, context)
            reply = await http.ask(other, method, "/kvs/keys/apple", body)
            assert (reply.status, reply.body) == (503, fault("Unable to satisfy request", method))
            assert int(reply.headers["Retry-After"]) > 0
            assert reply.headers["Kvs-Detail"].startswith(f"{owner} ")
            shard = (await http.ask(other, "GET", f"/kvs/shards/{nodes.index(owner) + 1}")).json
            assert (shard["key-count"], shard["replicas"]) == (0, [owner])
        finally:
            await cluster.close()

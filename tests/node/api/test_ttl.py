"""Keys that expire, as clients ask for them and see them: through owner and forwarder, on either way in."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from gossip.view import Address
from node.api.ttl import BAD_TTL, TTL_S_MAX, seconds, ttl_ms_of
from node.errors import RequestFault
from tests.cluster import eventually
from tests.node.api.two_nodes import TwoNodes, fault, with_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/kvs/keys/apple"
WAYS = pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["short way", "aiohttp"])
THROUGH = pytest.mark.parametrize("forwarded", [False, True], ids=["owner", "forwarder"])


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        (b"30", 30_000),
        (b"0.5", 500),
        (b"1e2", 100_000),
        (b"0.0000001", 1),
        (b"1.0015", 1002),
        (b"315360000", 315_360_000_000),
        (b"3.1536E8", 315_360_000_000),
    ],
)
async def test_ttl_is_taken_in_milliseconds(text: bytes, expected_ms: int) -> None:
    assert ttl_ms_of(msgspec.Raw(text)) == expected_ms


REFUSED = [
    *(b"0", b"0.0", b"-0", b"-1", b"-1e-9", b"315360000.001", b"315360001", b"1e99", b"1e999", b"9" * 40),
    *(b'"30"', b'"30s"', b'""', b"null", b"true", b"false", b"[]", b"[30]", b"{}"),
]


@pytest.mark.parametrize("text", REFUSED)
async def test_ttl_that_is_no_number_of_seconds_in_its_bounds_is_refused(text: bytes) -> None:
    with pytest.raises(RequestFault, match="Malformed ttl: not a number of seconds above 0, up to 315360000"):
        ttl_ms_of(msgspec.Raw(text))


@pytest.mark.parametrize(
    ("left_ms", "text"), [(30_000, b"30"), (29_987, b"29.987"), (1, b"0.001"), (1000 * TTL_S_MAX, b"315360000")]
)
async def test_ttl_is_told_in_seconds(left_ms: int, text: bytes) -> None:
    assert seconds(left_ms) == text and json.loads(text) == left_ms / 1000


def asked(two: TwoNodes, forwarded: bool) -> Address:
    owner = two.owner("apple")
    return two.other(owner) if forwarded else owner


@WAYS
@THROUGH
async def test_key_expires_for_all_requests_alike(two: TwoNodes, way: dict[str, str], forwarded: bool) -> None:
    await two.prepare("apple", None)
    node, owner = asked(two, forwarded), two.owner("apple")
    counted = await two.http.key_count(owner)
    put = await two.http.ask(node, "PUT", PATH, b'{"value":[1.50],"ttl":0.8}', headers=way)
    assert (put.status, put.json["replaced"]) == (201, False)
    found = await two.http.ask(node, "GET", PATH, headers=way)
    left_s = found.json["ttl"]
    assert 0 < left_s <= 0.8 and found.headers["ETag"] == put.headers["ETag"]
    address = b',"address":"%b"' % owner.encode() if forwarded else b""
    text = seconds(round(1000 * left_s))
    told = b'{"doesExist":true,"message":"Retrieved successfully","value":[1.50],"ttl":%b%b}'
    assert found.body == told % (text, address)
    assert await two.http.key_count(owner) == counted + 1
    again = await two.http.ask(node, "PUT", PATH, b'{"value":2,"ttl":0.8}', headers=way)
    assert (again.status, again.json["replaced"]) == (200, True)

    async def is_gone() -> bool:
        return (await two.http.ask(node, "GET", PATH, headers=way)).status == 404

    await eventually(is_gone, "the key is gone")
    missing = await two.http.ask(node, "GET", PATH, headers=way)
    assert missing.body.startswith(b'{"doesExist":false,"error":"Key does not exist"') and "ETag" not in missing.headers
    assert (await two.http.ask(node, "HEAD", PATH, headers=way)).status == 404
    assert (await two.http.ask(node, "DELETE", PATH, headers=way)).status == 404
    listed = (await two.http.ask(node, "GET", "/kvs/keys?prefix=apple")).json["keys"]
    assert listed == []
    counts = [await two.http.key_count(owner)]
    await asyncio.sleep(0.7)
    assert await two.http.key_count(owner) == counted, counts
    put = await two.http.ask(node, "PUT", PATH, b'{"value":3}', headers=way)
    assert (put.status, put.json["replaced"]) == (201, False)


@THROUGH
async def test_later_put_without_a_ttl_makes_it_stay_and_is_answered_as_ever(two: TwoNodes, forwarded: bool) -> None:
    await two.prepare("apple", None)
    node = asked(two, forwarded)
    assert (await two.http.ask(node, "PUT", PATH, b'{"value":1,"ttl":0.3}')).status == 201
    assert (await two.http.ask(node, "PUT", PATH, b'{"value":2}')).status == 200
    await asyncio.sleep(0.5)
    found = await two.http.ask(two.owner("apple"), "GET", PATH)
    assert found.body == b'{"doesExist":true,"message":"Retrieved successfully","value":2}'


@THROUGH
async def test_ttl_is_told_with_a_context_too(two: TwoNodes, forwarded: bool) -> None:
    await two.prepare("apple", None)
    node, owner = asked(two, forwarded), two.owner("apple")
    assert (await two.http.ask(node, "PUT", PATH, with_context(b'{"value":1,"ttl":100}', b"{}"))).status == 201
    found = await two.http.ask(node, "GET", PATH, b'{"causal-context":{}}')
    names = ["doesExist", "message", "value", "ttl", *(["address"] if forwarded else []), "causal-context"]
    assert list(found.json) == names and 99 < found.json["ttl"] <= 100
    assert found.json.get("address", owner) == owner


@THROUGH
@pytest.mark.parametrize("ttl", REFUSED)
async def test_bad_ttl_is_a_400_that_changes_nothing(two: TwoNodes, ttl: bytes, forwarded: bool) -> None:
    await two.prepare("apple", b"0")
    node = asked(two, forwarded)
    reply = await two.http.ask(node, "PUT", PATH, b'{"value":1,"ttl":%b}' % ttl)
    assert (reply.status, reply.body) == (400, fault(BAD_TTL, "PUT"))
    assert (await two.http.get(node, "apple")).json["value"] == 0


async def test_ttl_that_is_not_even_json_is_malformed(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "PUT", PATH, b'{"value":1,"ttl":NaN}')
    assert (reply.status, reply.body) == (400, fault("Malformed JSON", "PUT"))


async def test_missing_value_and_bad_key_are_told_before_a_bad_ttl(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "PUT", PATH, b'{"ttl":0}')
    assert reply.json["error"] == "Value is missing"
    reply = await two.http.ask(two.nodes[0], "PUT", PATH + "x" * 50, b'{"value":1,"ttl":0}')
    assert reply.json["error"] == "Key is too long"


async def test_ttl_of_other_methods_is_passed_over_as_their_values_are(two: TwoNodes) -> None:
    await two.prepare("apple", b"0")
    assert (await two.http.ask(two.nodes[0], "GET", PATH, b'{"ttl":"x"}')).status == 200
    assert (await two.http.ask(two.nodes[0], "DELETE", PATH, b'{"ttl":-1}')).status == 200


async def test_listed_entries_tell_their_ttl(two: TwoNodes) -> None:
    await two.prepare("apple", None)
    await two.prepare("banana", b"2")
    assert (await two.http.ask(two.nodes[0], "PUT", PATH, b'{"value":1,"ttl":100}')).status == 201
    for node in two.nodes:
        page = (await two.http.ask(node, "GET", "/kvs/keys?values=true")).json
        expiring, staying = (next(e for e in page["entries"] if e["key"] == key) for key in ("apple", "banana"))
        assert list(expiring) == ["key", "value", "etag", "ttl"] and 90 < expiring["ttl"] <= 100
        assert list(staying) == ["key", "value", "etag"]
        assert "apple" in (await two.http.ask(node, "GET", "/kvs/keys")).json["keys"]

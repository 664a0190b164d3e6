"""PUT and DELETE on a condition, as clients see them: both ways in, through whatever node, with and without context."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gossip.view import Address
from tests.cluster import Reply
from tests.node.api.two_nodes import A_VALUE, TwoNodes, fault, with_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/kvs/keys/apple"
BY_AIOHTTP = {"TE": "trailers"}
"""A header that the short way in does not take."""
WAYS = pytest.mark.parametrize("way", [{}, BY_AIOHTTP], ids=["short way", "aiohttp"])
THROUGH = pytest.mark.parametrize("forwarded", [False, True], ids=["owner", "forwarder"])
CONTEXT = pytest.mark.parametrize("context", [None, b"{}"], ids=["bare", "with a context"])
METHODS = pytest.mark.parametrize("method", ["PUT", "DELETE"])
LONG = "/kvs/keys/" + "a" * 51
LONGEST = "/kvs/keys/" + "a" * 50


class Asker:
    """Sends requests of one kind."""

    def __init__(self, two: TwoNodes, way: Mapping[str, str], forwarded: bool, context: bytes | None) -> None:
        self._two = two
        self._way = way
        self._context = context
        self._owner = two.owner("apple")
        self._node = two.other(self._owner) if forwarded else self._owner

    async def ask(self, method: str, path: str = PATH, **conditions: str) -> Reply:
        headers = {name.replace("_", "-"): text for name, text in conditions.items()}
        body = with_context(A_VALUE if method == "PUT" else None, self._context)
        return await self._two.http.ask(self._node, method, path, body, headers={**headers, **self._way})

    def body(self, fields: bytes) -> bytes:
        """Of an answer with these fields; without its context."""
        address = b'"address":"%b"' % self._owner.encode() if self._node != self._owner else b""
        return b"{" + b",".join(filter(None, [fields, address]))

    def is_refused(self, reply: Reply, method: str, tag: str | None) -> bool:
        """As it must be when the key has the version of that tag; None: no value."""
        start = self.body(b'"error":"Precondition failed","message":"Error in %b"' % method.encode())
        rest = reply.body.removeprefix(start)
        has_context = "causal-context" in reply.json
        assert rest == b"}" if self._context is None else rest.startswith(b',"causal-context":{'), reply.body
        assert has_context is (self._context is not None)
        return (reply.status, reply.headers.get("ETag")) == (412, tag) and rest != reply.body


@pytest.fixture
def asker(two: TwoNodes, way: dict[str, str], forwarded: bool, context: bytes | None) -> Asker:
    return Asker(two, way, forwarded, context)


async def held(two: TwoNodes) -> Any:
    """The value and the tag, the same through both nodes."""
    first, second = [await two.http.get(node, "apple") for node in two.nodes]
    assert (first.status, first.headers.get("ETag")) == (second.status, second.headers.get("ETag"))
    return (first.json["value"] if first.status == 200 else None), first.headers.get("ETag")


async def tag_of(two: TwoNodes) -> str:
    tag = (await held(two))[1]
    assert isinstance(tag, str)
    return tag


@WAYS
@THROUGH
@CONTEXT
async def test_put_replaces_the_version_that_was_seen_once(two: TwoNodes, asker: Asker) -> None:
    await two.prepare("apple", b"0")
    seen = await tag_of(two)
    written = await asker.ask("PUT", If_Match=seen)
    assert written.status == 200 and written.headers["ETag"] != seen
    assert await held(two) == (1, written.headers["ETag"])
    assert asker.is_refused(await asker.ask("PUT", If_Match=seen), "PUT", written.headers["ETag"])
    assert await held(two) == (1, written.headers["ETag"])


@WAYS
@THROUGH
@CONTEXT
async def test_delete_of_the_version_that_was_seen(two: TwoNodes, asker: Asker) -> None:
    await two.prepare("apple", b"0")
    seen = await tag_of(two)
    assert (await asker.ask("PUT")).status == 200
    now = await tag_of(two)
    assert asker.is_refused(await asker.ask("DELETE", If_Match=seen), "DELETE", now)
    assert await held(two) == (1, now)
    deleted = await asker.ask("DELETE", If_Match=now)
    assert deleted.status == 200 and "ETag" not in deleted.headers
    assert await held(two) == (None, None)
    assert asker.is_refused(await asker.ask("DELETE", If_Match=now), "DELETE", None)


@WAYS
@THROUGH
@CONTEXT
async def test_put_of_what_must_not_exist_is_made_once(two: TwoNodes, asker: Asker) -> None:
    await two.prepare("apple", None)
    added = await asker.ask("PUT", If_None_Match="*")
    assert added.status == 201 and added.body.startswith(asker.body(b'"message":"Added successfully","replaced":false'))
    assert (await two.http.put(two.nodes[0], "apple", 2)).status == 200
    now = await tag_of(two)
    assert asker.is_refused(await asker.ask("PUT", If_None_Match="*"), "PUT", now)
    assert await held(two) == (2, now), "the second one does not overwrite"


@WAYS
@THROUGH
@CONTEXT
async def test_put_and_delete_of_what_must_exist(two: TwoNodes, asker: Asker) -> None:
    await two.prepare("apple", None)
    for method in ("PUT", "DELETE"):
        assert asker.is_refused(await asker.ask(method, If_Match="*"), method, None)
    assert await held(two) == (None, None)
    await two.prepare("apple", b"0")
    assert (await asker.ask("PUT", If_Match="*")).status == 200
    assert (await asker.ask("DELETE", If_Match="*")).status == 200
    assert await held(two) == (None, None)


@WAYS
@THROUGH
@CONTEXT
async def test_delete_of_what_must_not_exist_finds_nothing_or_is_refused(two: TwoNodes, asker: Asker) -> None:
    await two.prepare("apple", None)
    missing = await asker.ask("DELETE", If_None_Match="*")
    expected = asker.body(b'"doesExist":false,"error":"Key does not exist","message":"Error in DELETE"')
    assert missing.status == 404 and missing.body.startswith(expected) and "ETag" not in missing.headers
    await two.prepare("apple", b"0")
    now = await tag_of(two)
    assert asker.is_refused(await asker.ask("DELETE", If_None_Match="*"), "DELETE", now)
    assert await held(two) == (0, now)


@WAYS
@THROUGH
@METHODS
async def test_lists_of_versions(two: TwoNodes, way: dict[str, str], forwarded: bool, method: str) -> None:
    asker = Asker(two, way, forwarded, None)
    await two.prepare("apple", b"0")
    now = await tag_of(two)
    other = '"00000000000000070000000000000001"'
    for refused in (
        {"If_Match": f'{other}, "not-ours"'},
        {"If_Match": f"W/{now}"},
        {"If_None_Match": f"{other},{now}"},
    ):
        assert asker.is_refused(await asker.ask(method, **refused), method, now)
    assert asker.is_refused(await asker.ask(method, If_Match=now, If_None_Match=now), method, now)
    assert await held(two) == (0, now)
    assert (await asker.ask(method, If_Match=f"{other}, {now}", If_None_Match=other)).status == 200
    assert (await held(two))[0] == (1 if method == "PUT" else None)


@WAYS
@THROUGH
@METHODS
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("text", ["", "apple", '"a', "*, *"])
async def test_malformed_condition_is_named_and_changes_nothing(
    two: TwoNodes, way: dict[str, str], forwarded: bool, method: str, header: str, text: str
) -> None:
    await two.prepare("apple", b"0")
    before = await held(two)
    reply = await Asker(two, way, forwarded, None).ask(method, **{header: text})
    told = f"Malformed {header}: neither * nor ETags in double quotes, with commas between them"
    assert (reply.status, reply.body) == (400, fault(told, method))
    assert await held(two) == before


@WAYS
async def test_condition_of_a_key_that_is_too_long(two: TwoNodes, way: dict[str, str]) -> None:
    """It can have no value; what is wrong with the request comes first."""
    for condition in ({"If_Match": "*"}, {"If_None_Match": "*"}):
        asker = Asker(two, way, False, None)
        put = await asker.ask("PUT", LONG, **condition)
        assert (put.status, json.loads(put.body)["error"]) == (400, "Key is too long")
        assert (await asker.ask("DELETE", LONG, **condition)).status == 404
    for node in two.nodes:
        await two.http.ask(node, "DELETE", LONGEST, headers=way)
        statuses = [
            (await two.http.ask(node, "PUT", LONGEST, A_VALUE, headers={"If-None-Match": "*", **way})).status
            for _ in range(2)
        ]
        assert statuses == [201, 412]


@pytest.mark.parametrize("condition", ["If-Match", "If-None-Match"])
async def test_condition_of_many_at_once_is_met_by_one(two: TwoNodes, condition: str) -> None:
    """Through both nodes."""
    await two.prepare("apple", b"0" if condition == "If-Match" else None)
    text = await tag_of(two) if condition == "If-Match" else "*"

    async def put(node: Address, number: int) -> Reply:
        return await two.http.ask(node, "PUT", PATH, b'{"value":%d}' % number, headers={condition: text})

    replies = await asyncio.gather(*(put(two.nodes[number % 2], number) for number in range(20)))
    (won,) = [number for number, reply in enumerate(replies) if reply.status in (200, 201)]
    assert {reply.status for number, reply in enumerate(replies) if number != won} == {412}
    assert await held(two) == (won, replies[won].headers["ETag"])

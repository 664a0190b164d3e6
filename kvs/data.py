"""Requests for single keys: how they are written, and what their answers say.

Everything that reads and writes keys is made of `Data.call`: a client as it is, and a session that adds its context.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias, overload
from urllib.parse import quote

import msgspec

from kvs.answers import body_in, no_result
from kvs.errors import BadRequest, ConditionFailed
from kvs.http import NO_HEADERS, Malformed, Reply
from kvs.repeating import Effect, Failed
from kvs.responses import ErrorBody
from kvs.values import Copies, Found, Stored, encoded, text_of

UNSATISFIED = "Unable to satisfy request"
"""The error of a 400 where it cannot be shown that an answer would respect the causal context."""
MUST_NOT_EXIST = {"If-None-Match": "*"}

Method: TypeAlias = Literal["GET", "PUT", "DELETE"]

_VERSION = re.compile(r'"[\x21\x23-\x7e]*"')


class DataBody(msgspec.Struct, frozen=True, rename="kebab"):
    """What any answer about a key may say."""

    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    ttl: float | None = None
    replaced: bool | None = None
    does_exist: bool | None = msgspec.field(default=None, name="doesExist")
    error: str | None = None
    address: str | None = None
    """The node that served, if that is not the one that was asked."""
    causal_context: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


NO_BODY = DataBody()


class Told(msgspec.Struct, frozen=True):
    """An answer about a key: of status 200 or 201, 304 if it is as it was, 404 if it does not exist, 412 if a condition
    does not hold."""

    status: int
    body: DataBody
    version: str | None
    copies: Copies | None = None


class Ask(msgspec.Struct, frozen=True):
    """What to ask about a key."""

    method: Method
    key: str
    value: bytes | None = None
    """A JSON text; None: there is none."""
    conditions: Mapping[str, str] = NO_HEADERS
    ttl: float | None = None
    """In how many seconds the value expires; None: it stays."""
    wait: float | None = None
    """Of a GET: for how many seconds to wait for something that is news."""

    @property
    def effect(self) -> Effect:
        if self.method == "GET":
            return Effect.NONE
        return Effect.SAME if self.method == "PUT" and not self.conditions else Effect.ONCE


class Data(ABC):
    """Reads and writes keys."""

    @abstractmethod
    async def call(self, ask: Ask) -> Told:
        """Raises KvsError."""

    async def get(self, key: str) -> Found | None:
        """The key's value and version; None if there is no such key. Raises KvsError."""
        return found_in(await self.call(Ask("GET", key)))

    async def put(self, key: str, value: object, *, ttl: float | None = None) -> Stored:
        """Store a value under the key, whatever was there. `value`: anything that is JSON, or `Json`. `ttl`: in how
        many seconds it is gone, more than 0 and up to ten years; None: it stays. If a node gives no answer, it is sent
        again, and may overwrite what somebody else wrote in between: to rule that out, there is `put_if`. Raises
        KvsError: OutcomeUnknown if it may have happened all the same."""
        return _stored(await self.call(Ask("PUT", key, encoded(value), ttl=ttl)))

    @overload
    async def put_if(self, key: str, value: object, *, version: str, ttl: float | None = None) -> Stored: ...

    @overload
    async def put_if(
        self, key: str, value: object, *, must_not_exist: Literal[True], ttl: float | None = None
    ) -> Stored: ...

    async def put_if(
        self,
        key: str,
        value: object,
        *,
        version: str | None = None,
        must_not_exist: bool = False,
        ttl: float | None = None,
    ) -> Stored:
        """Store a value if the key has that version, or if there is no such key. Of any number of clients that do this
        at the same time, one wins. It is never sent twice. Raises KvsError: ConditionFailed, with the present version;
        OutcomeUnknown if it may have happened all the same."""
        return await self.put_on(key, value, version, must_not_exist, ttl)

    async def put_on(
        self, key: str, value: object, version: str | None, must_not_exist: bool, ttl: float | None
    ) -> Stored:
        """What `put_if` does, for those who pass its arguments on."""
        if (version is None) != must_not_exist:
            raise BadRequest("put_if takes one condition: a version, or must_not_exist")
        conditions = MUST_NOT_EXIST if version is None else if_match(version)
        told = await self.call(Ask("PUT", key, encoded(value), conditions, ttl))
        if told.status == 412:
            raise ConditionFailed(key, told.version)
        return _stored(told)

    async def delete(self, key: str, *, if_version: str | None = None) -> bool:
        """Delete the key, if it has that version; whether there was one. It is never sent twice. Raises KvsError:
        ConditionFailed, with the present version; OutcomeUnknown if it may have happened all the same."""
        told = await self.call(Ask("DELETE", key, None, NO_HEADERS if if_version is None else if_match(if_version)))
        if told.status == 412:
            raise ConditionFailed(key, told.version)
        return told.status == 200


def found_in(told: Told) -> Found | None:
    """What an answer to a GET says; None if there is no such key."""
    if told.status == 404:
        return None
    assert told.version is not None and not isinstance(told.body.value, msgspec.UnsetType)
    return Found(bytes(told.body.value), told.version, told.body.ttl)


def if_match(version: str) -> Mapping[str, str]:
    """Raises BadRequest for what no store has told, and what could not be sent."""
    return {"If-Match": checked_version(version)}


def checked_version(version: str) -> str:
    """Raises BadRequest for what no store has told, and what could not be sent."""
    if not _VERSION.fullmatch(text_of(version, "a version")):
        raise BadRequest(f"{version!r} is no version that a store has told")
    return version


def path_of(key: str) -> str:
    """Raises BadRequest."""
    return f"/kvs/keys/{quote(key_bytes(key), safe='')}"


def key_bytes(key: str) -> bytes:
    """The key in UTF-8. Raises BadRequest."""
    try:
        encoded_key = text_of(key, "a key").encode()
    except UnicodeEncodeError:
        raise BadRequest("the key has half of a surrogate pair, which no UTF-8 can hold") from None
    if not key:
        raise BadRequest("a key has at least one character")
    return encoded_key


def told_of(method: Method, reply: Reply) -> Told:
    """Raises Failed, Malformed, or BadRequest."""
    if method == "GET" and reply.status == 304:
        return Told(304, NO_BODY, reply.header("etag"))
    body, version = body_in(reply, DataBody), reply.header("etag")
    if reply.status >= 500 and reply.status != 501 and body.error is not None:
        raise no_result(reply, body_in(reply, ErrorBody))
    check(method, reply.status, body, version)
    return Told(reply.status, body, version, copies_in(reply.header("kvs-copies")))


def check(method: Method, status: int, body: DataBody, version: str | None) -> None:
    """That an answer is one of those that a call has a result for. Raises Failed, Malformed, or BadRequest."""
    if status in (200, 201):
        if not _is_whole(method, body, version):
            raise Malformed(status)
    elif status == 404 and body.does_exist is False:
        return
    elif body.error is None:
        raise Malformed(status)
    elif status == 412:
        return
    elif status == 400 and body.error == UNSATISFIED:
        raise Failed("it cannot show that its answer respects what the session has seen", sent=False)
    elif status < 500 or status == 501:
        raise BadRequest(body.error, status)
    else:
        raise Failed(body.error, sent=True)


def _is_whole(method: Method, body: DataBody, version: str | None) -> bool:
    """Whether it is the answer of a store: any service may answer with 200 and some JSON."""
    match method:
        case "GET":
            return version is not None and not isinstance(body.value, msgspec.UnsetType)
        case "PUT":
            return version is not None and body.replaced is not None
    return body.does_exist is True


def _stored(told: Told) -> Stored:
    assert told.body.replaced is not None and told.version is not None
    return Stored(told.body.replaced, told.version, told.copies)


def copies_in(header: str | None) -> Copies | None:
    acknowledged, _, owners = (header or "").partition("/")
    if not (acknowledged.isdecimal() and owners.isdecimal()):
        return None
    return Copies(int(acknowledged), int(owners))

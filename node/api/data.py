"""The HTTP interface for data: parse, call, render. It decides nothing.

Bodies are put together from the texts of the interface, so that a value travels as the bytes in which it was sent:
numbers keep their digits. A key is taken from the raw path and decoded once. Decoded twice, as routers do it,
two keys could become one.

A request may carry a causal context. Then, and only then, each of its answers except 503 carries one too, unless this
store did not make the context.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from gossip.view import Address
from node.api import hints
from node.api.conditions import NO_CONDITIONS, Given, condition_of, etag_of
from node.api.ttl import seconds, ttl_ms_of
from node.config import VALUE_BYTES_MAX, Config
from node.errors import (
    InternalFault,
    NotFound,
    Reason,
    RequestFault,
    StorageFault,
    TooLarge,
    Unavailable,
    UnknownEncoding,
)
from node.net.messages import NothingDeleted, ReadResult, ReadResultExpiring, Unmet, Unsatisfied, Wrote
from node.operations.router import Outcome, Router
from node.values.condition import Condition
from node.values.context import EMPTY, BadContext, Context, to_json
from node.values.version import Version

KEY_CHARACTERS_MAX = 50
BODY_BYTES_MAX = VALUE_BYTES_MAX + 64 * 1024
"""A value, and room for a context and some blanks."""
KEYS = "/kvs/keys/"
NO_HEADERS: Mapping[str, str] = {}
COPIES_HEADER = "Kvs-Copies"
"""Of a write that was acknowledged by fewer owners than its key has: by how many, of how many."""
JSON_HEADERS = {"Content-Type": "application/json"}
NOT_MODIFIED = 304
"""The answer that has no body, nor says anything of one."""

ADDED = b'"message":"Added successfully","replaced":false'
UPDATED = b'"message":"Updated successfully","replaced":true'
RETRIEVED = b'"doesExist":true,"message":"Retrieved successfully","value":'
DELETED = b'"doesExist":true,"message":"Deleted successfully"'
REFUSED = b'"error":"Precondition failed","message":"Error in %b"'
MISSING = b'"doesExist":false,"error":"Key does not exist","message":"Error in %b"'
UNSATISFIED = b'"error":"Unable to satisfy request","message":"Error in %b"'


class DataBody(msgspec.Struct, frozen=True, rename="kebab"):
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    causal_context: Any = msgspec.UNSET
    ttl: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """Only a PUT has one; of others it is passed over, as a value is."""

    @property
    def has_context(self) -> bool:
        return self.causal_context is not msgspec.UNSET


NO_BODY = DataBody()

_log = logging.getLogger(__name__)
_data_bodies = msgspec.json.Decoder(DataBody)
_encode = msgspec.json.Encoder().encode


class MalformedContext(RequestFault):
    """The causal context is none that this store has made."""

    def __init__(self) -> None:
        super().__init__("Malformed causal context")


class KeyFault(Enum):
    """Why what stands in the path cannot be a key, as clients are told it."""

    MALFORMED = "Malformed key"
    TOO_LONG = "Key is too long"


class PathKey(msgspec.Struct, frozen=True, gc=False):
    """A key as it stands in the path."""

    raw: bytes
    fault: KeyFault | None

    @classmethod
    def from_path(cls, raw_path: str) -> PathKey:
        """Raises NotFound if the path is that of another resource."""
        encoded = raw_path.partition(KEYS)[2].partition("?")[0]  # Proxies send whole URLs.
        if "/" in encoded:
            raise NotFound("Not found")
        return cls.from_encoded(encoded.encode(errors="surrogateescape"))

    @classmethod
    def from_encoded(cls, encoded: bytes) -> PathKey:
        """`encoded`: what stands between `KEYS` and the end of the path, as it was sent."""
        raw = unquote_to_bytes(encoded) if b"%" in encoded else encoded
        try:
            characters = len(raw) if raw.isascii() else len(raw.decode())
        except UnicodeDecodeError:
            return cls(raw, KeyFault.MALFORMED)
        if characters > KEY_CHARACTERS_MAX:
            return cls(raw, KeyFault.TOO_LONG)
        return cls(raw, None if characters else KeyFault.MALFORMED)


class HttpAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer, whether aiohttp or `fastpath` carries it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = NO_HEADERS
    """In addition to those that every answer has."""
    version: Version | None = None
    """What its ETag tells, if it has one."""
    forwarded: bool | None = None
    """Whether another node than this has answered, as an owner; None: no owner has."""
    reason: Reason | None = None
    """Of a 503."""

    def for_aiohttp(self) -> web.Response:
        headers = {**({} if self.status == NOT_MODIFIED else JSON_HEADERS), **self.headers}
        if self.version is not None:
            headers["ETag"] = etag_of(self.version).decode()
        response = web.Response(status=self.status, body=self.body, headers=headers)
        response[ANSWER] = self
        return response


ANSWER = web.ResponseKey("answer", HttpAnswer)
"""Where an answer that aiohttp carries has what it was made of."""


class DataApi:
    """What is answered to requests for `KEYS`."""

    def __init__(self, config: Config, router: Router) -> None:
        self._router = router
        self._address = config.address
        self._body_s = config.body_s

    async def handle(self, request: web.Request) -> web.Response:
        """The handler of aiohttp's routes."""
        key, data = PathKey.from_path(request.raw_path), await read_data(request, self._body_s)
        method = answered_as(request.method)
        sent = (request.headers.getall(name, ()) for name in ("If-Match", "If-None-Match"))
        given = Given(*(", ".join(texts) if texts else None for texts in sent))
        answer = self.answer_here(method, key, data, given) or await self.answer(method, key, data, given)
        return answer.for_aiohttp()

    def answer_here(self, method: str, key: PathKey, data: bytes, given: Given = NO_CONDITIONS) -> HttpAnswer | None:
        """The answer, if it takes neither waiting nor a look at the body; None if it is for `answer` to give. The hot
        path."""
        if method != "GET" or data or key.fault is not None:
            return None
        value = self._router.read_here(key.raw)
        return None if value is None else _found(given, value, None, None)

    async def answer(self, method: str, key: PathKey, data: bytes, given: Given = NO_CONDITIONS) -> HttpAnswer:
        """The answer to GET, PUT or DELETE with the body `data`. That to a fault carries a context too if the request
        did."""
        body = NO_BODY
        try:
            body = decode_body(data, _data_bodies, NO_BODY)
            if method == "GET":
                return await self._get(key, body, given)
            condition = condition_of(given)
            return await (self._put(key, body, condition) if method == "PUT" else self._delete(key, body, condition))
        except Unavailable as fault:
            return render_fault(method, fault)
        except RequestFault as fault:
            return render_fault(method, fault, **self._context_of(key, body, fault))

    async def _get(self, key: PathKey, body: DataBody, given: Given) -> HttpAnswer:
        if key.fault is KeyFault.TOO_LONG:
            return _reply(404, MISSING % b"GET", None, self._context(body))
        self._demand_valid(key)
        outcome = await self._router.read(key.raw, self._context(body))
        if isinstance(outcome.answer, Unsatisfied):
            return _reply(400, UNSATISFIED % b"GET", outcome.served_by, outcome.context)
        assert isinstance(outcome.answer, ReadResult)
        return _found(given, outcome.answer, outcome.served_by, outcome.context)

    async def _put(self, key: PathKey, body: DataBody, condition: Condition) -> HttpAnswer:
        if isinstance(body.value, msgspec.UnsetType):
            raise RequestFault("Value is missing")
        self._demand_valid(key)
        context = self._context(body)
        ttl_ms = None if isinstance(body.ttl, msgspec.UnsetType) else ttl_ms_of(body.ttl)
        value = bytes(body.value)
        if len(value) > VALUE_BYTES_MAX:
            raise TooLarge("Value is too large")
        outcome = await self._router.write(key.raw, value, context, condition, ttl_ms)
        if isinstance(outcome.answer, Unmet):
            return _refused("PUT", outcome)
        assert isinstance(outcome.answer, Wrote)
        if outcome.answer.replaced:
            return _wrote(200, UPDATED, outcome, outcome.answer, outcome.version)
        return _wrote(201, ADDED, outcome, outcome.answer, outcome.version)

    async def _delete(self, key: PathKey, body: DataBody, condition: Condition) -> HttpAnswer:
        if key.fault is KeyFault.TOO_LONG:
            return _reply(404, MISSING % b"DELETE", None, self._context(body))
        self._demand_valid(key)
        return _deleted(await self._router.write(key.raw, None, self._context(body), condition))

    def _demand_valid(self, key: PathKey) -> None:
        if key.fault is not None:
            raise RequestFault(key.fault.value)

    def _context(self, body: DataBody) -> Context | None:
        """What the request's context demands; None if it has none. Raises MalformedContext."""
        if not body.has_context:
            return None
        try:
            return self._router.take_context(body.causal_context)
        except BadContext:
            raise MalformedContext from None

    def _context_of(self, key: PathKey, body: DataBody, fault: RequestFault) -> dict[str, Any]:
        """What the answer to a fault carries besides, if the request has a context: a context, and for a key of another
        shard that is refused, an owner of it."""
        if not body.has_context or isinstance(fault, MalformedContext):
            return {}
        try:
            context = self._context(body)
        except MalformedContext:
            context = EMPTY  # It covers nothing, whatever else is wrong.
        owners = self._router.owners(key.raw)
        foreign = fault.status == 400 and self._address not in owners
        return ({"address": owners[0]} if foreign else {}) | {"causal-context": to_json(context or EMPTY)}


def answered_as(method: str) -> str:
    """Whose answer a request gets: HEAD has that of GET, of which aiohttp leaves out the body, but not its length."""
    return "GET" if method == "HEAD" else method


async def read_data(request: web.Request, limit_s: float) -> bytes:
    """The body, empty if there is none; it has `limit_s` to arrive. Raises RequestFault. A compressed body is refused:
    a megabyte may unpack to a gigabyte, and the whole loop would stand still meanwhile."""
    if not request.body_exists:
        return b""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnknownEncoding("Content-Encoding is not supported")
    try:
        async with asyncio.timeout(limit_s):
            return await request.read()
    except TimeoutError:
        raise RequestFault("The body did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge("Value is too large") from None
    except (web.RequestPayloadError, ConnectionError):
        raise RequestFault("Malformed body") from None


def decode_body(data: bytes, decoder: msgspec.json.Decoder[Any], absent: Any) -> Any:
    """The JSON object in `data`, `absent` if that is empty. Raises RequestFault."""
    if not data:
        return absent
    try:
        if not data.isascii():
            data.decode()
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestFault("Malformed JSON").with_hint(hints.of_malformed_json(data, error)) from None


def render_fault(method: str, fault: RequestFault, **more: Any) -> HttpAnswer:
    """The answer to a fault: its text, its details, and `more`; its hint as a header."""
    body = {"error": fault.error, "message": f"Error in {method}"} | fault.details | more
    return HttpAnswer(
        fault.status, _encode(body), {**fault.headers, **hints.headers_of(fault.hint)}, reason=fault.reason
    )


def render_error(method: str, path: str, error: Exception) -> HttpAnswer:
    """The answer to a request that ended in `error`: the caller's fault; or the disk's, or a mistake of ours, which are
    logged."""
    if isinstance(error, RequestFault):
        return render_fault(method, error)
    if isinstance(error, StorageFault):
        _log.error("%s %s: %s", method, path, error)
        return render_fault(method, Unavailable().because(Reason.DISK))
    _log.error("%s %s failed", method, path, exc_info=error)
    return render_fault(method, InternalFault("Internal error"))


def _found(given: Given, value: ReadResult, served_by: Address | None, context: Context | None) -> HttpAnswer:
    if given != NO_CONDITIONS:
        one_of, none_of = condition_of(given)
        if one_of is not None and not one_of.have(value.version):
            return _reply(412, REFUSED % b"GET", served_by, context, version=value.version)
        if none_of is not None and none_of.have(value.version):
            return HttpAnswer(NOT_MODIFIED, b"", NO_HEADERS, value.version, served_by is not None)
    if value.value is None:
        return _reply(404, MISSING % b"GET", served_by, context)
    fields = RETRIEVED + value.value
    if isinstance(value, ReadResultExpiring):
        fields += b',"ttl":' + seconds(value.left_ms)
    return _reply(200, fields, served_by, context, version=value.version)


def _deleted(outcome: Outcome) -> HttpAnswer:
    match outcome.answer:
        case Unmet():
            return _refused("DELETE", outcome)
        case Unsatisfied():
            return _reply(400, UNSATISFIED % b"DELETE", outcome.served_by, outcome.context)
        case NothingDeleted():
            return _reply(404, MISSING % b"DELETE", outcome.served_by, outcome.context)
    assert isinstance(outcome.answer, Wrote)
    return _wrote(200, DELETED, outcome, outcome.answer)


def _refused(method: str, outcome: Outcome) -> HttpAnswer:
    return _reply(412, REFUSED % method.encode(), outcome.served_by, outcome.context, version=outcome.version)


def _wrote(status: int, fields: bytes, outcome: Outcome, answer: Wrote, version: Version | None = None) -> HttpAnswer:
    headers = NO_HEADERS
    if answer.copies is not None:
        acknowledged, owners = answer.copies
        headers = {COPIES_HEADER: f"{acknowledged}/{owners}"}
    return _reply(status, fields, outcome.served_by, outcome.context, headers, version)


def _reply(
    status: int,
    fields: bytes,
    served_by: Address | None,
    context: Context | None,
    headers: Mapping[str, str] = NO_HEADERS,
    version: Version | None = None,
) -> HttpAnswer:
    if served_by is not None:
        fields += b',"address":' + _encode(served_by)
    if context is not None:
        fields += b',"causal-context":' + _encode(to_json(context))
    return HttpAnswer(status, b"{" + fields + b"}", headers, version, served_by is not None)

"""The HTTP interface for data: parse, call, and have `answers` render. It decides nothing.

A key is taken from the raw path and decoded once. Decoded twice, as routers do it, two keys could become one.

A request may carry a causal context. Then, and only then, each of its answers except 503 carries one too, unless this
store did not make the context.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web
from msgspec import UNSET

from node.api import hints
from node.api.admission import hold
from node.api.answers import HttpAnswer, deleted, found, missing, put, render_fault, told
from node.api.conditions import NO_CONDITIONS, Given, condition_of
from node.api.shapes.keys import DataBody, MaybeRaw
from node.api.shapes.words import KEY_CHARACTERS_MAX
from node.api.ttl import ttl_ms_of
from node.config import VALUE_BYTES_MAX, Config
from node.errors import NotFound, RequestFault, TooLarge, Unavailable, UnknownEncoding
from node.operations.put import Put
from node.operations.router import Router
from node.values.condition import Condition
from node.values.context import EMPTY, BadContext, Context, to_json

BODY_BYTES_MAX = VALUE_BYTES_MAX + 64 * 1024
"""A value, and room for a context and some blanks."""
KEYS = "/kvs/keys/"

NO_BODY = DataBody()

_data_bodies = msgspec.json.Decoder(DataBody)


class MalformedContext(RequestFault):
    """The causal context is none that this store has made."""

    def __init__(self) -> None:
        super().__init__("Malformed causal context")


class KeyFault(Enum):
    """Why what stands in the path cannot be a key, as clients are told it."""

    MALFORMED = "Malformed key"
    TOO_LONG = "Key is too long"


def fault_of_key(raw: bytes) -> KeyFault | None:
    """Why these bytes cannot be a key; None: they can."""
    try:
        characters = len(raw) if raw.isascii() else len(raw.decode())
    except UnicodeDecodeError:
        return KeyFault.MALFORMED
    if characters > KEY_CHARACTERS_MAX:
        return KeyFault.TOO_LONG
    return None if characters else KeyFault.MALFORMED


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
        return cls.of(unquote_to_bytes(encoded) if b"%" in encoded else encoded)

    @classmethod
    def of(cls, raw: bytes) -> PathKey:
        return cls(raw, fault_of_key(raw))

    @property
    def can_be_put(self) -> bool:
        """If not, it does not exist: that is no fault of who reads or deletes it."""
        return self.fault is not KeyFault.TOO_LONG

    def demand_valid(self) -> None:
        """Raises RequestFault."""
        demand_no(self.fault)


def demand_no(fault: KeyFault | None) -> None:
    """Raises RequestFault if there is one."""
    if fault is not None:
        raise RequestFault(fault.value)


def value_of(fault: KeyFault | None, value: MaybeRaw, ttl: MaybeRaw) -> tuple[bytes, int | None]:
    """What a PUT brings: the JSON text, and in how many milliseconds it expires, None: never. `fault`: of its key.
    Raises RequestFault."""
    if value is UNSET:
        raise RequestFault("Value is missing")
    demand_no(fault)
    ttl_ms = None if ttl is UNSET else ttl_ms_of(ttl)
    text = bytes(value)
    if len(text) > VALUE_BYTES_MAX:
        raise TooLarge("Value is too large")
    return text, ttl_ms


class DataApi:
    """What is answered to requests for `KEYS`."""

    def __init__(self, config: Config, router: Router) -> None:
        self._router = router
        self._address = config.address
        self._body_s = config.body_s

    async def handle(self, request: web.Request) -> web.Response:
        """The handler of aiohttp's routes."""
        method, key, data, given = await self.parse(request)
        answer = self.answer_here(method, key, data, given) or await self.answer(method, key, data, given)
        return answer.for_aiohttp()

    async def parse(self, request: web.Request) -> tuple[str, PathKey, bytes, Given]:
        """What a request asks for: method, key, body and conditions. Raises RequestFault."""
        key, data = PathKey.from_path(request.raw_path), await read_data(request, self._body_s)
        sent = (request.headers.getall(name, ()) for name in ("If-Match", "If-None-Match"))
        given = Given(*(", ".join(texts) if texts else None for texts in sent))
        return answered_as(request.method), key, data, given

    def answer_here(self, method: str, key: PathKey, data: bytes, given: Given = NO_CONDITIONS) -> HttpAnswer | None:
        """The answer, if it takes neither waiting nor a look at the body; None if it is for `answer` to give. The hot
        path."""
        if method != "GET" or data or key.fault is not None:
            return None
        value = self._router.read_here(key.raw)
        return None if value is None else told(given, value, None, None)

    def begin_put(self, method: str, key: PathKey, data: bytes, given: Given) -> Put | None:
        """Begin what was asked for, if it is a put that takes the short way; `await_copies` is to follow once it is
        `stored`. None: it is for `answer`. Raises RequestFault. The hot path."""
        if method != "PUT" or given != NO_CONDITIONS or not self._router.puts_here(key.raw):
            return None
        body = decode_body(data, _data_bodies, NO_BODY)
        if body.has_context:
            return None
        value, ttl_ms = value_of(key.fault, body.value, body.ttl)
        return None if ttl_ms is not None else self._router.put_here(key.raw, value)

    def await_copies(self, begun: Put) -> asyncio.Future[bool] | None:
        """What is to be done before `end_put`, once it is `stored`; None: nothing. The hot path."""
        return self._router.await_copies(begun)

    def end_put(self, begun: Put) -> HttpAnswer | None:
        """The answer; None: it is for `go_on` to give. Raises Unavailable. The hot path."""
        outcome = self._router.end_put(begun)
        return None if outcome is None else put(outcome)

    async def go_on(self, begun: Put) -> HttpAnswer:
        """Raises Unavailable."""
        return put(await self._router.go_on(begun))

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
        if not key.can_be_put:
            return missing("GET", None, self._context(body))
        key.demand_valid()
        return found(given, await self._router.read(key.raw, self._context(body)))

    async def _put(self, key: PathKey, body: DataBody, condition: Condition) -> HttpAnswer:
        value, ttl_ms = value_of(key.fault, body.value, body.ttl)
        return put(await self._router.write(key.raw, value, self._context(body), condition, ttl_ms))

    async def _delete(self, key: PathKey, body: DataBody, condition: Condition) -> HttpAnswer:
        if not key.can_be_put:
            return missing("DELETE", None, self._context(body))
        key.demand_valid()
        return deleted(await self._router.write(key.raw, None, self._context(body), condition))

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
    """The body, empty if there is none; it has `limit_s` to arrive, and counts as held until the request is answered.
    Raises RequestFault."""
    if not request.body_exists:
        return b""
    demand_uncompressed(request)
    body = bytearray()
    async with body_in(limit_s):
        while part := await request.content.readany():
            if len(body) + len(part) > BODY_BYTES_MAX:
                raise TooLarge("Value is too large")
            hold(request, len(part))
            body += part
    return bytes(body)


def demand_uncompressed(request: web.Request) -> None:
    """A compressed body is refused: a megabyte may unpack to a gigabyte, and the whole loop would stand still
    meanwhile. Raises RequestFault."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnknownEncoding("Content-Encoding is not supported")


@asynccontextmanager
async def body_in(limit_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Wait within this for what a client sends of a body, for so long. Raises RequestFault."""
    try:
        async with asyncio.timeout(limit_s) as limit:
            yield limit
    except TimeoutError:
        raise RequestFault("The body did not arrive in time") from None
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

"""The lines of a batch: how they are cut out of what arrives, what each of them asks for, and what it is answered.

A line says what a request for one key would say, and its answer is what that request would get: the same texts, after
the key and the status; and each header as a field. Here nothing waits.
"""

from __future__ import annotations

import re
from binascii import hexlify
from functools import lru_cache

import msgspec
from msgspec import UNSET

from gossip.view import Address
from node.api import hints
from node.api.answers import HttpAnswer, deleted, found, missing, put, render_error, render_fault
from node.api.conditions import NO_CONDITIONS, Given, condition_of, etag_as_json
from node.api.data import BODY_BYTES_MAX, PathKey, fault_of_key, value_of
from node.api.shapes.streams import BatchLine
from node.errors import Reason, RequestFault, TooLarge
from node.net.messages import Copies, Wrote
from node.operations.batching import Asked
from node.operations.router import Outcome
from node.values.condition import NO_CONDITION

BATCH = "/kvs/batch"
LINE_BYTES_MAX = BODY_BYTES_MAX
"""A longer line is passed over as it arrives, and nothing of it is kept."""

METHODS = {"put": "PUT", "get": "GET", "delete": "DELETE"}
"""As which request each operation is answered."""
METHOD = "POST"
"""As which a line is answered that names no operation."""

_encode = msgspec.json.Encoder().encode
_IN_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_COUNT = re.compile("[0-9]{1,9}")


class _Named(msgspec.Struct, frozen=True):
    """What is wanted to know of a line that is malformed."""

    key: str | None = None
    op: str | None = None


_sent = msgspec.json.Decoder(BatchLine)
_named = msgspec.json.Decoder(_Named)
_FIELDS = ", ".join(msgspec.json.decode(_encode(field.encode_name)) for field in msgspec.structs.fields(BatchLine)[:-1])


class Line(msgspec.Struct, frozen=True, gc=False):
    """What a line says."""

    key: bytes
    """As JSON; empty if it names none."""
    method: str
    asked: Asked | None = None
    """What it asks for; None: it has its answer already."""
    given: Given = NO_CONDITIONS
    answer: HttpAnswer | None = None


class Cutter:
    """Cuts what arrives into lines; blank ones are passed over."""

    def __init__(self) -> None:
        self._begun = bytearray()
        """Of the line that has no end yet."""
        self._is_too_long = False

    def cut(self, data: bytes) -> list[bytes]:
        """The lines that end in `data`, or as much of each as tells that it is too long."""
        first, newline, rest = data.partition(b"\n")
        self._begin(first)
        if not newline:
            return []
        lines = self.end()
        ended = rest.split(b"\n")
        self._begin(ended.pop())
        return lines + [line for line in ended if line and not line.isspace()]

    def end(self) -> list[bytes]:
        """The line that has begun ends here; none if it is blank."""
        line = bytes(self._begun)
        self._begun.clear()
        return [line] if line and not line.isspace() else []

    def _begin(self, part: bytes) -> None:
        self._begun += part[: LINE_BYTES_MAX + 1 - len(self._begun)]


def parse(text: bytes) -> Line:
    """What a line says that `Cutter` has cut."""
    if len(text) > LINE_BYTES_MAX:
        return refused(TooLarge("Line is too large"))
    try:
        if not text.isascii():
            text.decode()
        sent = _sent.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _malformed(text, error)
    key, method = _encode(sent.key), METHODS.get(sent.op, METHOD)
    try:
        return _parse(sent, key, method)
    except RequestFault as fault:
        return _refused(key, method, fault)


def _parse(sent: BatchLine, key: bytes, method: str) -> Line:
    """Raises RequestFault."""
    if sent.causal_context is not UNSET:
        raise RequestFault("A batch takes no causal-context: send a request for the key alone")
    raw, given, condition = sent.key.encode(), NO_CONDITIONS, NO_CONDITION
    fault = fault_of_key(raw)
    if sent.if_match is not None or sent.if_none_match is not None:
        given = Given(sent.if_match, sent.if_none_match)
    if method == "PUT":
        value, ttl_ms = value_of(fault, sent.value, sent.ttl)
        if given is not NO_CONDITIONS:
            condition = condition_of(given)
        return Line(key, method, Asked(raw, False, value, condition, ttl_ms), given)
    if method == METHOD:
        raise RequestFault(f"Malformed op: none of {', '.join(METHODS)}")
    for name, field in (("value", sent.value), ("ttl", sent.ttl)):
        if field is not UNSET:
            raise RequestFault(f"Malformed line: a {sent.op} takes no {name}")
    of = PathKey(raw, fault)
    if not of.can_be_put:
        return Line(key, method, answer=missing(method))
    of.demand_valid()
    condition = condition_of(given)
    if method == "GET":
        return Line(key, method, Asked(raw, True), given)
    return Line(key, method, Asked(raw, False, None, condition), given)


def told(line: Line, came: Outcome | Exception | None) -> tuple[bytes, Reason | None]:
    """The line that answers to what has come of what it asked for (None: it has its answer already), and the reason of
    a 503. The hot path: what plain puts that came to the same have in common is not put together for each."""
    if isinstance(came, Outcome) and line.method == "PUT":
        wrote, version = came.answer, came.version
        if version is not None and isinstance(wrote, Wrote) and came.context is None:
            before, after = _around_version(wrote.replaced, wrote.copies, came.served_by)
            return b"".join((b'{"key":', line.key, before, hexlify(version), after)), None
    answer = line.answer
    if answer is None:
        assert came is not None
        answer = answer_to(line, came)
    return render(line.key, answer), answer.reason


@lru_cache(64)
def _around_version(replaced: bool, copies: Copies | None, served_by: Address | None) -> tuple[bytes, bytes]:
    """What stands before and after the version where a put is answered, from after the key on."""
    stand_in = bytes(16)
    text = render(b"", put(Outcome(Wrote(replaced, None, copies), served_by, None, stand_in)))
    before, _, after = text.partition(hexlify(stand_in))
    return b"," + before[1:], after


def answer_to(line: Line, came: Outcome | Exception) -> HttpAnswer:
    """By what has come of what it asked for."""
    if isinstance(came, Exception):
        return render_error(line.method, BATCH, came)
    match line.method:
        case "PUT":
            return put(came)
        case "GET":
            return found(line.given, came)
        case _:
            return deleted(came)


def render(key: bytes, answer: HttpAnswer) -> bytes:
    """The line of an answer. In a value that was sent by itself there may be line breaks, between what counts: each
    becomes a blank."""
    more = b"," + answer.body[1:-1].translate(_IN_ONE_LINE) if answer.body else b""
    if answer.version is not None:
        more += b',"etag":' + etag_as_json(answer.version)
    if answer.headers:
        for name, value in answer.headers.items():
            field = name.removeprefix("Kvs-").lower()
            more += b',"%b":%b' % (field.encode(), _encode(int(value) if _COUNT.fullmatch(value) else value))
    if key:
        return b'{"key":%b,"status":%d%b}\n' % (key, answer.status, more)
    return b'{"status":%d%b}\n' % (answer.status, more)


def _malformed(text: bytes, error: Exception) -> Line:
    """Of what the decoder has raised."""
    if isinstance(error, msgspec.ValidationError):
        fault = RequestFault(f"Malformed line: {error}; it takes {_FIELDS}")
    else:
        fault = RequestFault("Malformed JSON").with_hint(hints.of_malformed_json(text, error))
    try:
        named = _named.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _refused(b"", METHOD, fault)
    return _refused(b"" if named.key is None else _encode(named.key), METHODS.get(named.op or "", METHOD), fault)


def refused(fault: RequestFault) -> Line:
    """In place of a line that there is not."""
    return _refused(b"", METHOD, fault)


def _refused(key: bytes, method: str, fault: RequestFault) -> Line:
    return Line(key, method, answer=render_fault(method, fault))

"""The operations of a batch: how each is written as a line of the request, and what its line of the answer says.

Pure. An operation that the client refuses, or the store, has its error as its result: in a batch, nothing is raised for
one of many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from kvs.answers import NOT_HAPPENED
from kvs.data import DataBody, Method, check, copies_in, if_match, key_bytes
from kvs.errors import BadRequest, ConditionFailed, KvsError
from kvs.http import Malformed
from kvs.repeating import Failed
from kvs.responses import ErrorBody
from kvs.values import LINE_BREAKS_TO_SPACES, Found, Stored, encoded

READ_AHEAD = 256
"""So many operations are taken from an iterable at once."""


class Put(msgspec.Struct, frozen=True):
    """Store a value under the key. Its result is `Stored`."""

    key: str
    value: Any
    """Anything that is JSON, or `Json`."""
    ttl: float | None = None
    """In how many seconds it is gone, more than 0 and up to ten years; None: it stays."""
    if_version: str | None = None
    """Only if the key has this version."""
    must_not_exist: bool = False
    """Only if there is no such key."""


class Get(msgspec.Struct, frozen=True):
    """Look a key up. Its result is `Found`, or None if there is no such key."""

    key: str


class Delete(msgspec.Struct, frozen=True):
    """Delete a key. Its result is whether there was one."""

    key: str
    if_version: str | None = None
    """Only if the key has this version."""


Operation: TypeAlias = Put | Get | Delete
Result: TypeAlias = Stored | Found | bool | KvsError | None


class AnswerLine(DataBody, frozen=True, rename="kebab"):
    """What any line of an answer may say."""

    key: str | None = None
    status: int = 0
    etag: str | None = None
    copies: str | None = None
    retry_after: int | str = 0
    happened: str | None = None
    """Of a 503 to a write: `no` if it is certain that it has not."""
    unreachable: tuple[str, ...] = ()

    @property
    def ends_it(self) -> bool:
        """Whether it is no answer to an operation, but says why the node ends the batch before its end: nothing that
        follows was begun."""
        return self.key is None and self.status in (408, 503)


class Slot(msgspec.Struct, gc=False):
    """One operation on its way, and what became of it."""

    key: bytes
    line: bytes
    """Of the request, with its line break."""
    method: Method
    is_conditional: bool = False
    """Executed twice, it would have another outcome."""
    number: int = 0
    """For whoever made it."""
    outcome: AnswerLine | KvsError | None = None
    """None: it is not known yet."""


def slot_of(operation: Operation) -> Slot:
    """The operation on its way; at its end already, if it makes no sense. Raises BadRequest for what is none."""
    try:
        match operation:
            case Get():
                return Slot(*_begun("get", operation.key, b""), "GET")
            case Put():
                value = encoded(operation.value).translate(LINE_BREAKS_TO_SPACES)
                more = b"" if operation.ttl is None else b',"ttl":' + msgspec.json.encode(operation.ttl)
                more += _condition(operation.if_version, operation.must_not_exist)
                begun = _begun("put", operation.key, b',"value":%b%b' % (value, more))
                return Slot(*begun, "PUT", operation.if_version is not None or operation.must_not_exist)
            case Delete():
                begun = _begun("delete", operation.key, _condition(operation.if_version, False))
                return Slot(*begun, "DELETE", operation.if_version is not None)
    except BadRequest as fault:
        return Slot(b"", b"", "GET", outcome=fault)
    raise BadRequest(f"an operation is a Put, a Get or a Delete, not {operation!r}")


def slots_of(operations: Iterable[Operation]) -> Iterator[list[Slot]]:
    """Some at a time. Raises BadRequest for what is no operation, and what `operations` raises, after those before."""
    slots = list[Slot]()
    try:
        for operation in operations:
            slots.append(slot_of(operation))
            if len(slots) == READ_AHEAD:
                yield slots
                slots = []
    except Exception:
        yield slots
        raise
    yield slots


def put_line(key: bytes, value: bytes, ttl: float | None) -> bytes:
    """`key`: as JSON; `value`: a JSON text in one line."""
    if ttl is None:
        return b'{"op":"put","key":%b,"value":%b}\n' % (key, value)
    return b'{"op":"put","key":%b,"value":%b,"ttl":%b}\n' % (key, value, msgspec.json.encode(ttl))


def result_of(slot: Slot) -> Result:
    """What the call for one key would give, or raise. The slot has an outcome."""
    answer = slot.outcome
    if not isinstance(answer, AnswerLine):
        return answer
    if answer.status == 412:
        return ConditionFailed(slot.key.decode(), answer.etag)
    if slot.method == "DELETE":
        return answer.status == 200
    if answer.status == 404:
        return None
    assert answer.etag is not None
    if slot.method == "PUT":
        assert answer.replaced is not None
        return Stored(answer.replaced, answer.etag, copies_in(answer.copies))
    assert not isinstance(answer.value, msgspec.UnsetType)
    return Found(bytes(answer.value), answer.etag, answer.ttl)


def judged(slot: Slot, line: AnswerLine) -> AnswerLine | BadRequest:
    """What becomes of the operation by this line. Raises Failed if that is no result, Malformed if it is not the line
    of a store."""
    if line.replaced is not None and line.etag is not None and slot.method == "PUT" and line.status in (200, 201):
        return line  # Most are so.
    try:
        check(slot.method, line.status, line, line.etag)
    except BadRequest as fault:
        return fault
    except Failed as failure:
        after_s = float(line.retry_after) if isinstance(line.retry_after, int) else 0.0
        reason = ErrorBody(failure.reason, line.unreachable).line
        raise Failed(reason, sent=failure.sent and line.happened != NOT_HAPPENED, retry_after_s=after_s) from None
    return line


_lines = msgspec.json.Decoder(AnswerLine)


def answer_lines(data: bytes) -> list[AnswerLine]:
    """Whole lines of an answer. Raises Malformed."""
    try:
        return _lines.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed from None


def _begun(op: str, key: str, rest: bytes) -> tuple[bytes, bytes]:
    """The key in UTF-8, and the line. Raises BadRequest."""
    return key_bytes(key), b'{"op":"%b","key":%b%b}\n' % (op.encode(), msgspec.json.encode(key), rest)


def _condition(if_version: str | None, must_not_exist: bool) -> bytes:
    """Raises BadRequest."""
    if if_version is not None and must_not_exist:
        raise BadRequest("an operation takes one condition: if_version, or must_not_exist")
    if must_not_exist:
        return b',"if-none-match":"*"'
    return b"" if if_version is None else b',"if-match":' + msgspec.json.encode(if_match(if_version)["If-Match"])

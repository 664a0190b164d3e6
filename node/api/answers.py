"""What is answered to requests for keys: texts, statuses, and how they follow from what has come of an operation.

Bodies are put together from the texts of the interface, so that a value travels as the bytes in which it was sent:
numbers keep their digits. Whether an answer is carried by aiohttp, by `fastpath` or in a line of a batch makes no
difference here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from gossip.view import Address
from node.api import hints
from node.api.conditions import NO_CONDITIONS, Given, condition_of, etag_of
from node.api.shapes import keys
from node.api.ttl import seconds
from node.errors import InternalFault, Reason, RequestFault, StorageFault, Unavailable
from node.net.messages import NothingDeleted, ReadResult, ReadResultExpiring, Unmet, Unsatisfied, Wrote
from node.operations.router import Outcome
from node.values.context import Context, to_json
from node.values.version import Version

NO_HEADERS: Mapping[str, str] = {}
COPIES_HEADER = "Kvs-Copies"
"""Of a write that was acknowledged by fewer owners than its key has: by how many, of how many."""
HAPPENED_HEADER = "Kvs-Happened"
"""Of a write that was answered with a 503: `no` where it is certain that it has not happened, and will not."""
JSON_HEADERS = {"Content-Type": "application/json"}
NOT_MODIFIED = 304
"""The answer that has no body, nor says anything of one."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


def _fields(shape: msgspec.Struct) -> bytes:
    """Its text, without the braces: more may follow."""
    return _encode(shape)[1:-1]


ADDED = _fields(keys.Added("Added successfully", False))
UPDATED = _fields(keys.Updated("Updated successfully", True))
RETRIEVED = _fields(keys.Retrieved(True, "Retrieved successfully", msgspec.Raw(b"null"))).removesuffix(b"null")
DELETED = _fields(keys.Deleted(True, "Deleted successfully"))
REFUSED = _fields(keys.Refused("Precondition failed", "Error in %b"))
MISSING = _fields(keys.Missing(False, "Key does not exist", "Error in %b"))
UNSATISFIED = _fields(keys.Unsatisfied("Unable to satisfy request", "Error in %b"))


class HttpAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer, whether aiohttp, `fastpath` or a line of a batch carries it."""

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


def render_fault(method: str, fault: RequestFault, **more: Any) -> HttpAnswer:
    """The answer to a fault: its text, its details, and `more`; its hint as a header."""
    body = {"error": fault.error, "message": f"Error in {method}"} | fault.details | more
    headers = {**fault.headers, **hints.headers_of(fault.hint)}
    if isinstance(fault, Unavailable) and fault.has_not_happened:
        headers[HAPPENED_HEADER] = "no"
    return HttpAnswer(fault.status, _encode(body), headers, reason=fault.reason)


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


def found(given: Given, outcome: Outcome) -> HttpAnswer:
    """To a read; `given`: its conditions."""
    value, served_by, context = outcome.answer, outcome.served_by, outcome.context
    if isinstance(value, Unsatisfied):
        return _reply(400, UNSATISFIED % b"GET", served_by, context)
    assert isinstance(value, ReadResult)
    return told(given, value, served_by, context)


def told(given: Given, value: ReadResult, served_by: Address | None, context: Context | None) -> HttpAnswer:
    """What was found. The hot path."""
    if given != NO_CONDITIONS:
        one_of, none_of = condition_of(given)
        if one_of is not None and not one_of.have(value.version):
            return _reply(412, REFUSED % b"GET", served_by, context, version=value.version)
        if none_of is not None and none_of.have(value.version):
            return HttpAnswer(NOT_MODIFIED, b"", NO_HEADERS, value.version, served_by is not None)
    if value.value is None:
        return missing("GET", served_by, context)
    fields = RETRIEVED + value.value
    if isinstance(value, ReadResultExpiring):
        fields += b',"ttl":' + seconds(value.left_ms)
    return _reply(200, fields, served_by, context, version=value.version)


def missing(method: str, served_by: Address | None = None, context: Context | None = None) -> HttpAnswer:
    """To who reads or deletes what is not there."""
    return _reply(404, MISSING % method.encode(), served_by, context)


def put(outcome: Outcome) -> HttpAnswer:
    if isinstance(outcome.answer, Unmet):
        return _refused("PUT", outcome)
    assert isinstance(outcome.answer, Wrote)
    if outcome.answer.replaced:
        return _wrote(200, UPDATED, outcome, outcome.answer, outcome.version)
    return _wrote(201, ADDED, outcome, outcome.answer, outcome.version)


def deleted(outcome: Outcome) -> HttpAnswer:
    match outcome.answer:
        case Unmet():
            return _refused("DELETE", outcome)
        case Unsatisfied():
            return _reply(400, UNSATISFIED % b"DELETE", outcome.served_by, outcome.context)
        case NothingDeleted():
            return missing("DELETE", outcome.served_by, outcome.context)
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

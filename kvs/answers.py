"""What an answer says: its body, typed, or that it is no result. Pure."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from kvs.errors import BadRequest, NotAllowed
from kvs.http import Malformed, Reply
from kvs.repeating import Failed
from kvs.responses import ErrorBody

T = TypeVar("T")

NOT_ALLOWED = (401, 403)
"""What a store answers to who may not ask for this."""
NOT_HAPPENED = "no"
"""What it says of a write that it answers with a 503, if it is certain that it has not happened, and will not."""


def body_in(reply: Reply, kind: type[T]) -> T:
    """The JSON body of an answer. Raises Malformed."""
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed(reply.status) from None


def no_result(reply: Reply, refusal: ErrorBody) -> Failed:
    """A node that could not answer: another one may. It may say that a write has not happened there, and will not, and
    in more words than a body has for them, who is in the way."""
    after, happened = reply.header("retry-after") or "", reply.header("kvs-happened")
    detail = "" if refusal.in_the_way else reply.header("kvs-detail") or ""
    reason = f"{refusal.line}: {detail}" if detail else refusal.line
    return Failed(reason, sent=happened != NOT_HAPPENED, retry_after_s=float(after) if after.isdecimal() else 0.0)


def refused(status: int, reason: str) -> BadRequest:
    """An answer that would be the same from any node."""
    return NotAllowed(reason, status) if status in NOT_ALLOWED else BadRequest(reason, status)

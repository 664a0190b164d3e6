"""What an answer says: its body, typed, or that it is no result. Pure."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from kvs.http import Malformed, Reply
from kvs.repeating import Failed
from kvs.responses import ErrorBody

T = TypeVar("T")


def body_in(reply: Reply, kind: type[T]) -> T:
    """The JSON body of an answer. Raises Malformed."""
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed(reply.status) from None


def no_result(reply: Reply, refusal: ErrorBody) -> Failed:
    """A node that could not answer: another one may."""
    after = reply.header("retry-after") or ""
    return Failed(refusal.line, sent=True, retry_after_s=float(after) if after.isdecimal() else 0.0)

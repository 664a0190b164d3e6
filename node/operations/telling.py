"""What is told of a record: its value, unless it is a deletion by now, and for how long there will be one."""

from __future__ import annotations

from node.net.messages import ReadResult, ReadResultExpiring
from node.values.context import Context
from node.values.record import Record


def told(record: Record | None, context: Context | None, now_ms: int) -> ReadResult:
    """The answer to a read of a key with this record; `context`: what the client depends on then."""
    if record is None or not record.is_live(now_ms):
        return ReadResult(None, context)
    left_ms = record.left_ms(now_ms)
    if left_ms is None:
        return ReadResult(record.value, context, record.version)
    return ReadResultExpiring(record.value, context, record.version, left_ms)

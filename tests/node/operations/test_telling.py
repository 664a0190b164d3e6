"""What is told of a record, at which time."""

from __future__ import annotations

import pytest

from node.net.messages import ReadResult, ReadResultExpiring
from node.operations.telling import told
from node.values.context import Context
from node.values.record import Record
from node.values.version import make_version

V = make_version(3, 1)
CONTEXT = Context()


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        (None, ReadResult(None, CONTEXT)),
        (Record(V, None, True), ReadResult(None, CONTEXT)),
        (Record(V, b"1", True), ReadResult(b"1", CONTEXT, V)),
        (Record(V, b"1", True, b"", 101), ReadResultExpiring(b"1", CONTEXT, V, 1)),
        (Record(V, b"1", True, b"", 100), ReadResult(None, CONTEXT)),
        (Record(V, None, True, b"", 101), ReadResult(None, CONTEXT)),
    ],
    ids=["nothing", "a deletion", "what stays", "what has a moment left", "what has none left", "what was turned"],
)
def test_told_is_the_value_while_there_is_one(record: Record | None, answer: ReadResult) -> None:
    found = told(record, CONTEXT, 100)
    assert found == answer and type(found) is type(answer)

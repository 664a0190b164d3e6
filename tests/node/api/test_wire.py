"""An answer as bytes: the status, what every answer has, and the body."""

from __future__ import annotations

import re

from node.api.answers import HttpAnswer
from node.api.wire import as_sent
from node.values.version import make_version


def test_wire_answer_has_its_length_a_date_and_its_own_headers() -> None:
    head, _, body = as_sent(HttpAnswer(503, b"{}", {"Retry-After": "1"})).partition(b"\r\n\r\n")
    assert body == b"{}"
    status, *headers = head.split(b"\r\n")
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert headers[:3] == [b"Content-Type: application/json", b"Retry-After: 1", b"Content-Length: 2"]
    assert re.fullmatch(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers[3])


def test_wire_answer_that_nothing_has_changed_has_no_body_and_says_nothing_of_one() -> None:
    sent = as_sent(HttpAnswer(304, b"", version=make_version(1 << 20, 2)))
    assert sent.startswith(b"HTTP/1.1 304 Not Modified\r\nETag: ")
    assert b"Content-" not in sent and sent.endswith(b"\r\n\r\n")

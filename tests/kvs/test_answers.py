"""What an answer says, and for how long a node asks not to be asked again."""

from __future__ import annotations

import pytest

from kvs.answers import body_in, no_result, refused
from kvs.errors import BadRequest, KvsError, NotAllowed
from kvs.http import Malformed, Reply
from kvs.responses import ErrorBody


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"[]", b'{"error":1}', b"\xff", b"[" * 100_000])
def test_answer_that_is_not_of_its_type_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="of status 503"):
        body_in(Reply(503, b"", body), ErrorBody)


@pytest.mark.parametrize(
    ("head", "seconds"), [(b"", 0.0), (b"\r\nRetry-After: 7", 7.0), (b"\r\nRetry-After: Mon, 30 Nov", 0.0)]
)
def test_answer_that_is_no_result_tells_why_and_when_to_come_back(head: bytes, seconds: float) -> None:
    reply = Reply(503, head, b'{"error":"Unable","unreachable":["a:1"]}')
    failed = no_result(reply, body_in(reply, ErrorBody))
    assert (failed.reason, failed.sent, failed.retry_after_s) == ("Unable: a:1", True, seconds)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error":"Unable"}', "Unable: a:1 did not answer"),
        (b'{"error":"Unable","unreachable":["a:1"]}', "Unable: a:1"),
    ],
)
def test_answer_that_is_no_result_names_who_is_in_the_way_once(body: bytes, reason: str) -> None:
    """The bodies of plain requests have no field for it."""
    reply = Reply(503, b"\r\nKvs-Detail: a:1 did not answer", body)
    assert no_result(reply, body_in(reply, ErrorBody)).reason == reason


@pytest.mark.parametrize(
    ("head", "sent"), [(b"", True), (b"\r\nKvs-Happened: no", False), (b"\r\nKvs-Happened: yes", True)]
)
def test_answer_that_is_no_result_may_be_certain_that_nothing_has_happened(head: bytes, sent: bool) -> None:
    assert no_result(Reply(503, head, b""), ErrorBody("Unable")).sent is sent


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequest), (401, NotAllowed), (403, NotAllowed), (405, BadRequest)]
)
def test_answer_that_refuses_says_whether_another_token_would_help(status: int, kind: type[KvsError]) -> None:
    fault = refused(status, "why")
    assert (type(fault), str(fault), fault.status) == (kind, "why", status)

"""What is answered, by what has come of an operation. Each body in full: `test_data`."""

from __future__ import annotations

import logging

import msgspec
import pytest

from node.api.answers import HttpAnswer, deleted, found, put, render_error
from node.api.conditions import NO_CONDITIONS, Given, etag_of
from node.errors import RequestFault, StorageFault, Unavailable
from node.net.messages import (
    Answer,
    Copies,
    NothingDeleted,
    ReadResult,
    ReadResultExpiring,
    Unmet,
    Unsatisfied,
    Wrote,
)
from node.operations.router import Outcome
from node.values.version import Version, make_version

V5 = make_version(5 << 16, 3)
B = "b:1"
ETAG = etag_of(V5).decode()


def outcome(answer: Answer, version: Version | None = V5) -> Outcome:
    return Outcome(answer, B, None, version)


ANSWERS: list[tuple[str, HttpAnswer, int, object]] = [
    ("put", put(outcome(Wrote(False))), 201, V5),
    ("put over", put(outcome(Wrote(True))), 200, V5),
    ("put unmet", put(outcome(Unmet(V5))), 412, V5),
    ("delete", deleted(outcome(Wrote(True))), 200, None),
    ("delete nothing", deleted(outcome(NothingDeleted())), 404, None),
    ("delete unmet", deleted(outcome(Unmet(None), None)), 412, None),
    ("delete unsatisfied", deleted(outcome(Unsatisfied())), 400, None),
    ("get", found(NO_CONDITIONS, outcome(ReadResult(b"1", None, V5))), 200, V5),
    ("get what expires", found(NO_CONDITIONS, outcome(ReadResultExpiring(b"1", None, V5, 1500))), 200, V5),
    ("get nothing", found(NO_CONDITIONS, outcome(ReadResult(None))), 404, None),
    ("get unsatisfied", found(NO_CONDITIONS, outcome(Unsatisfied())), 400, None),
    ("get the same", found(Given(None, ETAG), outcome(ReadResult(b"1", None, V5))), 304, V5),
    ("get another", found(Given('"x"', None), outcome(ReadResult(b"1", None, V5))), 412, V5),
]


@pytest.mark.parametrize(("answer", "status", "version"), [case[1:] for case in ANSWERS], ids=[c[0] for c in ANSWERS])
def test_answer_has_status_and_version_and_tells_who_served_it(
    answer: HttpAnswer, status: int, version: Version | None
) -> None:
    assert (answer.status, answer.version) == (status, version)
    if status == 304:
        assert answer.body == b""
    else:
        assert msgspec.json.decode(answer.body)["address"] == B


def test_answer_tells_of_copies_that_were_left_out() -> None:
    answer = put(outcome(Wrote(False, None, Copies(1, 2))))
    assert answer.headers == {"Kvs-Copies": "1/2"}
    assert answer.for_aiohttp().headers["ETag"] == ETAG


FAULTS = [(RequestFault("wrong"), 400, False), (StorageFault("hangs"), 503, True), (KeyError("ours"), 500, True)]


@pytest.mark.parametrize(("error", "status", "is_logged"), FAULTS, ids=lambda case: type(case).__name__)
def test_answer_to_an_error_logs_what_is_not_the_callers(
    error: Exception, status: int, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert render_error("PUT", "/", error).status == status
    assert bool(caplog.records) == is_logged
    assert render_error("PUT", "/", Unavailable()).headers == {"Retry-After": "1"}


def test_answer_says_of_a_write_that_it_is_certain_not_to_have_happened() -> None:
    answer = render_error("PUT", "/", Unavailable().before_anything())
    assert answer.headers == {"Retry-After": "1", "Kvs-Happened": "no"}

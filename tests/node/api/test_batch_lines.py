"""How lines are cut, what they say, and how their answers read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.answers import HttpAnswer, put
from node.api.batch_lines import LINE_BYTES_MAX, Cutter, Line, answer_to, parse, refused, render
from node.api.batch_lines import told as answered
from node.api.conditions import Given, condition_of, etag_of
from node.config import VALUE_BYTES_MAX
from node.errors import RequestFault, Unavailable
from node.net.messages import Copies, ReadResult, Wrote
from node.operations.batching import Asked
from node.operations.router import Outcome
from node.values.version import make_version

V5 = make_version(5 << 16, 3)
ETAG = etag_of(V5).decode()
TOO_LONG = "k" * 51


def told(line: Line) -> dict[str, Any]:
    """The answer that a line has already."""
    assert line.asked is None and line.answer is not None
    answer = json.loads(render(line.key, line.answer))
    assert isinstance(answer, dict)
    return answer


# Cutting


def cut(pieces: Sequence[bytes]) -> list[bytes]:
    cutter = Cutter()
    return [line for piece in pieces for line in cutter.cut(piece)] + cutter.end()


@given(st.lists(st.sampled_from([b"a", b"bc", b"", b" ", b"\r"])), st.lists(st.integers(0, 40)))
def test_lines_are_the_same_however_they_arrive(lines: list[bytes], cuts: list[int]) -> None:
    body = b"\n".join(lines)
    at = [0, *sorted(min(place, len(body)) for place in cuts), len(body)]
    pieces = [body[start:stop] for start, stop in pairwise(at)]
    assert cut(pieces) == [line for line in lines if line.strip()]


def test_line_too_long_is_cut_short_and_the_next_one_is_whole() -> None:
    cutter, piece = Cutter(), b"x" * 100_000
    for _ in range(30):
        assert cutter.cut(piece) == []
        assert len(cutter._begun) <= LINE_BYTES_MAX + 1
    long, short = cutter.cut(b"x\nshort\n")
    assert len(long) == LINE_BYTES_MAX + 1 and short == b"short"
    assert told(parse(long)) == {"status": 413, "error": "Line is too large", "message": "Error in POST"}


def test_line_of_the_longest_value_and_key_is_none_too_long() -> None:
    value = '"' + "v" * (VALUE_BYTES_MAX - 2) + '"'
    line = json.dumps({"op": "put", "key": "\u044f" * 50}).encode()[:-1] + b', "value": ' + value.encode() + b"}"
    (whole,) = cut([line])
    asked = parse(whole).asked
    assert asked is not None and asked.value == value.encode()


# What a line says


SAID: list[tuple[str, Asked, str]] = [
    ('{"op":"put","key":"k","value": 1.50}', Asked(b"k", value=b"1.50"), "PUT"),
    ('{"value":null,"key":"k","op":"put"}\r', Asked(b"k", value=b"null"), "PUT"),
    ('{"op":"put","key":"k","value":1,"ttl":0.5}', Asked(b"k", value=b"1", ttl_ms=500), "PUT"),
    ('{"op":"get","key":"/%"}', Asked(b"/%", is_read=True), "GET"),
    ('{"op":"delete","key":"\u043a"}', Asked("\u043a".encode()), "DELETE"),
    (
        '{"op":"put","key":"k","value":1,"if-none-match":"*"}',
        Asked(b"k", value=b"1", condition=condition_of(Given(None, "*"))),
        "PUT",
    ),
    (
        json.dumps({"op": "delete", "key": "k", "if-match": ETAG}),
        Asked(b"k", condition=condition_of(Given(ETAG))),
        "DELETE",
    ),
]


@pytest.mark.parametrize(("text", "asked", "method"), SAID, ids=[case[0] for case in SAID])
def test_line_asks_for_what_a_request_would(text: str, asked: Asked, method: str) -> None:
    line = parse(text.encode())
    assert (line.asked, line.method, line.answer) == (asked, method, None)
    assert line.key.decode() == json.dumps(json.loads(text)["key"], ensure_ascii=False)


def test_line_with_a_condition_of_a_read_keeps_it_for_the_answer() -> None:
    line = parse(json.dumps({"op": "get", "key": "k", "if-none-match": ETAG}).encode())
    assert line.asked == Asked(b"k", is_read=True) and line.given == Given(None, ETAG)
    answer = answer_to(line, Outcome(ReadResult(b"1", None, V5), None))
    assert json.loads(render(line.key, answer)) == {"key": "k", "status": 304, "etag": ETAG}


FIELDS = "it takes op, key, value, ttl, if-match, if-none-match"
WRONG: list[tuple[str, dict[str, object]]] = [
    ('{"op":"put","key":"k"}', {"key": "k", "status": 400, "error": "Value is missing", "message": "Error in PUT"}),
    (
        '{"op":"put","key":"","value":1}',
        {"key": "", "status": 400, "error": "Malformed key", "message": "Error in PUT"},
    ),
    ('{"op":"get","key":""}', {"key": "", "status": 400, "error": "Malformed key", "message": "Error in GET"}),
    (
        f'{{"op":"put","key":"{TOO_LONG}","value":1}}',
        {"key": TOO_LONG, "status": 400, "error": "Key is too long", "message": "Error in PUT"},
    ),
    (
        f'{{"op":"get","key":"{TOO_LONG}"}}',
        {"key": TOO_LONG, "status": 404, "doesExist": False, "error": "Key does not exist", "message": "Error in GET"},
    ),
    (
        '{"op":"put","key":"k","value":1,"ttl":"x"}',
        {
            "key": "k",
            "status": 400,
            "error": "Malformed ttl: not a number of seconds above 0, up to 315360000",
            "message": "Error in PUT",
        },
    ),
    (
        '{"op":"drop","key":"k"}',
        {"key": "k", "status": 400, "error": "Malformed op: none of put, get, delete", "message": "Error in POST"},
    ),
    (
        '{"op":"get","key":"k","value":1}',
        {"key": "k", "status": 400, "error": "Malformed line: a get takes no value", "message": "Error in GET"},
    ),
    (
        '{"op":"delete","key":"k","ttl":1}',
        {"key": "k", "status": 400, "error": "Malformed line: a delete takes no ttl", "message": "Error in DELETE"},
    ),
    (
        '{"op":"put","key":"k","value":1,"wait":2}',
        {
            "key": "k",
            "status": 400,
            "error": f"Malformed line: Object contains unknown field `wait`; {FIELDS}",
            "message": "Error in PUT",
        },
    ),
    (
        '{"key":"k"}',
        {
            "key": "k",
            "status": 400,
            "error": f"Malformed line: Object missing required field `op`; {FIELDS}",
            "message": "Error in POST",
        },
    ),
    (
        '{"op":"get","key":1}',
        {
            "status": 400,
            "error": f"Malformed line: Expected `str`, got `int` - at `$.key`; {FIELDS}",
            "message": "Error in POST",
        },
    ),
    (
        '{"op":"get","key":"k","causal-context":{}}',
        {
            "key": "k",
            "status": 400,
            "error": "A batch takes no causal-context: send a request for the key alone",
            "message": "Error in GET",
        },
    ),
    (
        '{"op":"delete","key":"k","if-match":"x"}',
        {
            "key": "k",
            "status": 400,
            "error": "Malformed If-Match: neither * nor ETags in double quotes, with commas between them",
            "message": "Error in DELETE",
        },
    ),
]


@pytest.mark.parametrize(("text", "answer"), WRONG, ids=[case[0][:60] for case in WRONG])
def test_line_that_is_wrong_has_its_answer(text: str, answer: dict[str, object]) -> None:
    assert told(parse(text.encode())) == answer


NO_OBJECT = [
    *(b"nonsense", b'{"op":"put"', b"[" * 5000, b'"\\ud800"', b"1", b"{} {}"),
    *(b'{"op":"get","key":"\xff"}', b'{"op":"put","key":"k","value":"\xff"}'),
]


@pytest.mark.parametrize("text", NO_OBJECT)
def test_line_that_is_no_object_says_where(text: bytes) -> None:
    answer = told(parse(text))
    assert answer["status"] == 400
    assert answer["error"].startswith(("Malformed JSON", "Malformed line"))


def test_line_with_a_value_too_large_is_a_413_of_its_key() -> None:
    answer = told(parse(b'{"op":"put","key":"k","value":"%b"}' % (b"v" * VALUE_BYTES_MAX)))
    assert (answer["key"], answer["status"], answer["error"]) == ("k", 413, "Value is too large")


# How an answer reads


def test_answer_has_the_body_of_a_request_and_its_headers_as_fields() -> None:
    answer = put(Outcome(Wrote(False, None, Copies(1, 2)), "b:1", None, V5))
    assert render(b'"k"', answer) == (
        b'{"key":"k","status":201,"message":"Added successfully","replaced":false,"address":"b:1",'
        b'"etag":"\\"%b\\"","copies":"1/2"}\n' % ETAG.strip('"').encode()
    )


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("copies", [None, Copies(1, 2)])
@pytest.mark.parametrize("served_by", [None, "10.10.0.4:8080"])
def test_answer_to_a_put_is_the_same_as_if_it_were_put_together_alone(
    replaced: bool, copies: Copies | None, served_by: str | None
) -> None:
    line = parse(b'{"op":"put","key":"\\u00fc\\"","value":1}')
    for version in (V5, make_version(6 << 16, 0)):
        outcome = Outcome(Wrote(replaced, None, copies), served_by, None, version)
        assert answered(line, outcome) == (render(line.key, put(outcome)), None)


def test_answer_of_a_fault_tells_when_to_come_again_and_why() -> None:
    line = refused(Unavailable(unreachable=["b:1"]).with_hint("b:1 has not answered"))
    assert told(line) == {
        "status": 503,
        "error": "Unable to satisfy request",
        "message": "Error in POST",
        "unreachable": ["b:1"],
        "retry-after": 1,
        "detail": "b:1 has not answered",
    }
    asking = parse(b'{"op":"delete","key":"k"}')
    assert answer_to(asking, RequestFault("wrong")).body == b'{"error":"wrong","message":"Error in DELETE"}'


def test_answer_is_one_line_whatever_line_breaks_its_value_was_sent_with() -> None:
    value = b'{\n "a":\r\n [1.0,\n"\\n"]\n}'
    line = render(b'"k"', answer_to(parse(b'{"op":"get","key":"k"}'), Outcome(ReadResult(value, None, V5), None)))
    assert line.count(b"\n") == 1 and line.endswith(b"\n") and b"\r" not in line
    assert json.loads(line)["value"] == {"a": [1.0, "\n"]} and b"[1.0" in line


def test_answer_without_a_body_is_key_and_status() -> None:
    assert render(b'"k"', HttpAnswer(304, b"")) == b'{"key":"k","status":304}\n'

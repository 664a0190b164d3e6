"""The lines of a batch: how operations are written, and what is made of what is said of them."""

from __future__ import annotations

import pytest

from kvs.errors import BadRequest, ConditionFailed, KvsError
from kvs.http import Malformed
from kvs.operations import (
    READ_AHEAD,
    Delete,
    Get,
    Operation,
    Put,
    Result,
    answer_lines,
    judged,
    put_line,
    result_of,
    slot_of,
    slots_of,
)
from kvs.repeating import Failed
from kvs.values import Copies, Found, Json, Stored

PUT, GET, DELETE = Put("k", 1), Get("k"), Delete("k")


def judge(operation: Operation, line: bytes) -> Result:
    slot = slot_of(operation)
    slot.outcome = judged(slot, answer_lines(line)[0])
    return result_of(slot)


@pytest.mark.parametrize(
    ("operation", "line", "is_conditional"),
    [
        (Put("ü/\n", {"a": [1, "é"]}), '{"op":"put","key":"ü/\\n","value":{"a":[1,"é"]}}', False),
        (Put("k", Json("[1.50,\r\n2]"), ttl=0.5), '{"op":"put","key":"k","value":[1.50,  2],"ttl":0.5}', False),
        (Put("k", None, must_not_exist=True), '{"op":"put","key":"k","value":null,"if-none-match":"*"}', True),
        (Put("k", 1, if_version='"v"'), '{"op":"put","key":"k","value":1,"if-match":"\\"v\\""}', True),
        (Get("k"), '{"op":"get","key":"k"}', False),
        (Delete("k"), '{"op":"delete","key":"k"}', False),
        (Delete("k", '"v"'), '{"op":"delete","key":"k","if-match":"\\"v\\""}', True),
    ],
)
def test_operation_is_one_line(operation: Operation, line: str, is_conditional: bool) -> None:
    slot = slot_of(operation)
    assert (slot.key.decode(), slot.line.decode()) == (operation.key, line + "\n")
    assert (slot.is_conditional, slot.outcome) == (is_conditional, None)


def test_put_line_is_that_of_a_put() -> None:
    assert put_line(b'"k"', b"1", None) == slot_of(Put("k", 1)).line
    assert put_line(b'"k"', b"1", 2.5) == slot_of(Put("k", 1, ttl=2.5)).line


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Put("", 1), "at least one character"),
        (Put("\ud800", 1), "surrogate"),
        (Put(7, 1), "a key is a text"),  # type: ignore[arg-type]
        (Put("k", object()), "not JSON"),
        (Put("k", Json("1} {")), "not JSON"),
        (Put("k", 1, if_version='"v"', must_not_exist=True), "one condition"),
        (Delete("k", "v\n"), "no version"),
    ],
)
def test_operation_that_makes_no_sense_has_its_error_as_result(operation: Operation, error: str) -> None:
    outcome = slot_of(operation).outcome
    assert isinstance(outcome, BadRequest) and error in str(outcome)


@pytest.mark.parametrize("value", [object(), [], "put"])
def test_operation_that_is_none_is_refused_after_those_before_it(value: object) -> None:
    blocks = slots_of([PUT, GET, value])  # type: ignore[list-item]
    assert [slot.method for slot in next(blocks)] == ["PUT", "GET"]
    with pytest.raises(BadRequest, match="a Put, a Get or a Delete"):
        next(blocks)


def test_operations_are_read_some_at_a_time() -> None:
    taken = iter([PUT] * (READ_AHEAD + 1) + [GET])
    blocks = slots_of(taken)
    assert len(next(blocks)) == READ_AHEAD
    assert next(taken) == PUT, "no more was read than the block has"
    assert [slot.method for slot in next(blocks)] == ["GET"]


@pytest.mark.parametrize(
    ("operation", "line", "result"),
    [
        (PUT, b'{"status":201,"replaced":false,"etag":"\\"1\\"","copies":"1/2"}', Stored(False, '"1"', Copies(1, 2))),
        (PUT, b'{"status":200,"replaced":true,"etag":"\\"1\\"","address":"a:1"}', Stored(True, '"1"')),
        (GET, b'{"status":200,"doesExist":true,"value":1.50,"ttl":3,"etag":"\\"1\\""}', Found(b"1.50", '"1"', 3.0)),
        (GET, b'{"status":404,"doesExist":false,"error":"Key does not exist"}', None),
        (DELETE, b'{"status":200,"doesExist":true}', True),
        (DELETE, b'{"status":404,"doesExist":false,"error":"Key does not exist"}', False),
    ],
)
def test_answer_line_is_what_the_call_for_one_key_gives(operation: Operation, line: bytes, result: Result) -> None:
    assert judge(operation, line) == result


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"status":400,"error":"Key is too long"}', BadRequest("Key is too long")),
        (b'{"status":413,"error":"Value is too large"}', BadRequest("Value is too large")),
        (b'{"status":501,"error":"no"}', BadRequest("no")),
        (b'{"status":412,"error":"Precondition failed","etag":"\\"2\\""}', ConditionFailed("k", '"2"')),
        (b'{"status":412,"error":"Precondition failed"}', ConditionFailed("k", None)),
    ],
)
def test_answer_line_that_refuses_is_the_error_as_a_value(line: bytes, error: KvsError) -> None:
    result = judge(PUT, line)
    assert type(result) is type(error) and str(result) == str(error)


@pytest.mark.parametrize(("more", "sent"), [(b"", True), (b',"happened":"no"', False)])
def test_answer_line_may_be_certain_that_nothing_has_happened(more: bytes, sent: bool) -> None:
    with pytest.raises(Failed) as failed:
        judge(PUT, b'{"key":"k","status":503,"error":"Unable"%b}\n' % more)
    assert failed.value.sent is sent


def test_answer_line_of_a_node_that_could_not_is_no_result() -> None:
    with pytest.raises(Failed) as failed:
        judge(PUT, b'{"status":503,"error":"Unable","unreachable":["a:1","b:1"],"retry-after":2}')
    assert (failed.value.reason, failed.value.sent) == ("Unable: a:1, b:1", True)
    assert failed.value.retry_after_s == 2.0


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (PUT, b'{"status":201}'),
        (PUT, b'{"status":201,"replaced":false}'),
        (GET, b'{"status":200,"etag":"x"}'),
        (DELETE, b'{"status":200}'),
        (GET, b'{"status":404}'),
        (GET, b"{}"),
        (GET, b"[]"),
        (GET, b'{"status":"200"}'),
        (GET, b"\xff"),
    ],
)
def test_answer_line_that_is_none_of_a_store_is_malformed(operation: Operation, line: bytes) -> None:
    with pytest.raises(Malformed):
        judge(operation, line)

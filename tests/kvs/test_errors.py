"""The errors: one tree, of which what may have happened is no part of what has not; each one line."""

from __future__ import annotations

import pickle

import pytest

import kvs

ERRORS = [
    kvs.BadRequest("Key is too long", 400),
    kvs.NotAllowed("Token is missing", 401),
    kvs.ConditionFailed("k", '"7"'),
    kvs.ConditionFailed("k", None),
    kvs.Contended("k", 9),
    kvs.Locked("k", "web1, process 7"),
    kvs.LockLost("k", "it was not renewed in time"),
    kvs.Unreachable({"a:1": "connection refused"}),
    kvs.OutcomeUnknown({"a:1": "no answer within 2.5 s"}),
    kvs.Misuse("the client was closed"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_error_is_of_the_tree_says_one_line_and_passes_between_processes(error: kvs.KvsError) -> None:
    assert isinstance(error, kvs.KvsError)
    assert str(error) and "\n" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_error_tells_nodes_that_have_the_same_reason_together() -> None:
    reasons = {"a:1": "Unable: c:1 cannot be reached", "b:1": "silent", "d:1": "Unable: c:1 cannot be reached"}
    told = "no node gave a result: a:1, d:1 (Unable: c:1 cannot be reached), b:1 (silent)"
    assert str(kvs.Unreachable(reasons)) == told
    assert str(kvs.OutcomeUnknown(reasons)) == f"{told}; it may have happened all the same"


def test_error_of_what_may_have_happened_is_not_taken_for_one_of_what_has_not() -> None:
    assert not issubclass(kvs.OutcomeUnknown, kvs.Unreachable)
    assert not issubclass(kvs.Unreachable, kvs.OutcomeUnknown)
    assert str(kvs.OutcomeUnknown({"a:1": "silent"})).endswith("a:1 (silent); it may have happened all the same")

"""A load that fails is told with whom it asked and what was answered."""

from __future__ import annotations

import re

import pytest

from bench.peers import loads
from bench.peers.generator import Result
from bench.peers.loads import write_once

ADDRESS = "127.0.0.1:13800"


def a_result(answered: int, failed: int, failure: str = "") -> Result:
    return Result(answered, failed, failure, 100.0, [(1, answered)], 0.1, 0.0)


def test_writes_that_fail_are_told_with_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "_run", lambda _: a_result(2, 1, "HTTP/1.1 503 Service Unavailable\r\n"))
    told = "filling node at 127.0.0.1:13800: 1 of 2 answers were no success, such as 'HTTP/1.1 503 Service Unavailable"
    with pytest.raises(RuntimeError, match=re.escape(told)):
        write_once(ADDRESS, "node", ["a", "b"], "v")


def test_writes_that_are_missing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "_run", lambda _: a_result(1, 0))
    with pytest.raises(RuntimeError, match=r"1 of 2 writes in 60 s"):
        write_once(ADDRESS, "node", ["a", "b"], "v")


def test_load_of_nobody_who_listens_is_told_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match=r"asking redis at 127\.0\.0\.1:1: .*refused"):
        write_once("127.0.0.1:1", "redis", ["a"], "v")

"""How the command ends, whatever it was asked: exit statuses, one line on stderr, no traceback."""

from __future__ import annotations

import pytest

from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import STATUS, FakeStore, answer
from tests.kvs.reports import CRITICAL, PROBLEM


def test_refused_request_exits_2(run: Kvs) -> None:
    result = run("put", "k" * 51, "1")
    assert (result.exit_code, result.stderr) == (2, "Error: Key is too long\n")


@pytest.mark.parametrize(
    "arguments",
    [["get", "k"], ["put", "k", "1"], ["delete", "k"], ["keys"], ["status"], ["ring"], ["shards"], ["view-change"]],
)
def test_nobody_there_exits_3(run: Kvs, arguments: list[str]) -> None:
    result = run(*arguments, endpoints=NOWHERE)
    reason = "Error: no node could answer: 127.0.0.1:1 (connection refused)\n"
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", reason)


@pytest.mark.parametrize(("problems", "status"), [([], 0), ([PROBLEM], 1), ([CRITICAL], 4), ([CRITICAL, PROBLEM], 4)])
@pytest.mark.parametrize("output", ["text", "json"])
def test_status_exits_with_how_bad_it_is(
    run: Kvs, store: FakeStore, problems: list[object], status: int, output: str
) -> None:
    store.fault = lambda _m, _p: answer(200, **{**STATUS, "state": "settled", "problems": problems})
    assert run("status", "-o", output).exit_code == status


def test_endpoints_are_tried_in_turn(run: Kvs, store: FakeStore, endpoint: str) -> None:
    store.values[b"k"] = b"7"
    assert run("get", "k", endpoints=f"{NOWHERE},{endpoint}").stdout == "7\n"

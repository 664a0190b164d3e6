"""How the command ends, whatever it was asked: exit statuses, one line on stderr, no traceback."""

from __future__ import annotations

from pathlib import Path

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
    reason = "Error: no node gave a result: 127.0.0.1:1 (connection refused)\n"
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


@pytest.fixture
def token_file(store: FakeStore, tmp_path: Path) -> Path:
    """Has the token that the store wants."""
    store.token, store.values[b"k"] = "t1", b"7"
    path = tmp_path / "token"
    path.write_text("t1\n")
    return path


def test_token_of_a_file_or_of_the_environment_is_sent(
    run: Kvs, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--token-file", str(token_file), "get", "k").stdout == "7\n"
    monkeypatch.setenv("KVS_TOKEN_FILE", str(token_file))
    assert run("get", "k").stdout == "7\n"
    monkeypatch.setenv("KVS_TOKEN", "t0")
    assert run("get", "k").stdout == "7\n", "the file goes before the variable"
    monkeypatch.delenv("KVS_TOKEN_FILE")
    monkeypatch.setenv("KVS_TOKEN", "t1")
    assert run("get", "k").stdout == "7\n"


@pytest.mark.parametrize("arguments", [["get", "k"], ["keys"], ["status"], ["view-change", "--add", "a:1", "--force"]])
@pytest.mark.usefixtures("token_file")
def test_token_missing_or_unknown_exits_2_with_what_the_store_says(
    run: Kvs, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        result = run(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: Token is unknown\n")
        monkeypatch.setenv("KVS_TOKEN", "hunter2")


def test_token_that_cannot_be_had_exits_2_and_nobody_is_asked(
    run: Kvs, store: FakeStore, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("--token-file", f"{token_file}.no", "get", "k")
    assert (result.exit_code, result.stderr) == (2, f"Error: {token_file}.no: no such file or directory\n")
    monkeypatch.setenv("KVS_TOKEN", "two words")
    assert run("get", "k").exit_code == 2
    assert store.asked == []

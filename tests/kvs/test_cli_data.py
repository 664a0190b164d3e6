"""`kvs put`, `get` and `delete`: what is stored and deleted, and what is printed."""

from __future__ import annotations

import json

import pytest

from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore, answer


@pytest.mark.parametrize("key", ["a/b%20 ü..", "..", "-k", "[red]x"])
def test_data_commands_take_any_key(run: Kvs, store: FakeStore, key: str) -> None:
    assert run("put", "--", key, "1").stderr == "Added\n"
    assert run("put", "--", key, "2").stderr == "Updated\n"
    assert list(store.values) == [key.encode()]
    assert json.loads(run("get", "-o", "json", "--", key).stdout) == {"key": key, "value": 2}
    assert run("delete", "--", key).stderr == "Deleted\n"


def test_data_commands_json_shapes(run: Kvs) -> None:
    assert json.loads(run("put", "k", "1.0", "-o", "json").stdout) == {"key": "k", "replaced": False}
    assert run("get", "k", "-o", "json").stdout == '{"key":"k","value":1.0}\n'
    assert json.loads(run("delete", "k", "-o", "json").stdout) == {"key": "k", "deleted": True}


@pytest.mark.parametrize("command", ["get", "delete"])
def test_missing_key_exits_1(run: Kvs, command: str) -> None:
    result = run(command, "k", "-o", "json")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: Key does not exist\n")


@pytest.mark.parametrize("arguments", [["get", "k"], ["put", "k", "1"], ["delete", "k"]])
@pytest.mark.parametrize(
    ("headers", "fields", "reason"),
    [
        ({"Kvs-Detail": "c:1 cannot be reached"}, {}, "Unable to satisfy request: c:1 cannot be reached"),
        ({}, {"unreachable": ["c:1", "d:1"]}, "Unable to satisfy request: c:1, d:1"),
        ({}, {"full": ["c:1"]}, "Unable to satisfy request: c:1 (its disk is full)"),
        ({}, {}, "Unable to satisfy request"),
    ],
    ids=["its hint says who is in the way", "its body says who cannot be reached", "and whose disk is full", "neither"],
)
def test_data_commands_that_the_store_cannot_do_exit_3_with_the_reason_that_it_gives(
    run: Kvs,
    store: FakeStore,
    endpoint: str,
    arguments: list[str],
    headers: dict[str, str],
    fields: dict[str, object],
    reason: str,
) -> None:
    told = {**headers, "Kvs-Happened": "no"}
    store.fault = lambda _m, _p: answer(503, told, error="Unable to satisfy request", **fields)
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == f"Error: no node gave a result: {endpoint} ({reason})\n"

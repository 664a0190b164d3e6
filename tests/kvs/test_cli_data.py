"""`kvs put`, `get` and `delete`: what is stored and deleted, and what is printed."""

from __future__ import annotations

import json

import pytest

from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore


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

"""`kvs tokens`."""

from __future__ import annotations

import hashlib
import json

import pytest

from kvs.token import ROLES
from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore


@pytest.mark.parametrize("role", ROLES)
def test_tokens_new_prints_the_token_and_the_line_for_the_nodes(run: Kvs, store: FakeStore, role: str) -> None:
    result = run("tokens", "new", role)
    token, line = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert line == f"{role} {hashlib.sha256(token.encode()).hexdigest()}"
    assert store.asked == [], "no store is needed for it"


def test_tokens_new_as_json(run: Kvs) -> None:
    made = json.loads(run("tokens", "new", "read", "-o", "json").stdout)
    assert list(made) == ["role", "token", "line"]
    assert made["line"] == f"read {hashlib.sha256(made['token'].encode()).hexdigest()}"


@pytest.mark.parametrize("arguments", [(), ("new",), ("new", "root"), ("new", "read", "write")])
def test_tokens_misused_exits_2(run: Kvs, arguments: tuple[str, ...]) -> None:
    assert run("tokens", *arguments).exit_code == 2

"""A fake store, and the command that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from kvs.cli import kvs
from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore, served_by_thread


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def endpoint(store: FakeStore) -> Iterator[str]:
    with served_by_thread(store) as endpoint:
        yield endpoint


@pytest.fixture
def run(endpoint: str) -> Kvs:
    def invoke(*arguments: str, stdin: str | bytes = "", endpoints: str = endpoint) -> Result:
        result = CliRunner(env={"KVS_ENDPOINTS": endpoints}).invoke(kvs, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), "no traceback, ever"
        return result

    return invoke

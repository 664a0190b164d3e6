"""`kvs bench`: what it shows, and what it refuses."""

from __future__ import annotations

import json

import pytest

from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import FakeStore, answer


def test_bench_shows_a_table_or_one_document(run: Kvs, store: FakeStore) -> None:
    options = ("bench", "--seconds", "0.2", "--keys", "10", "--clients", "2")
    result = run(*options)
    assert result.exit_code == 0, result.stderr
    head, _, reads, writes = result.stdout.splitlines()
    assert head.split() == ["PER", "SECOND", "P50", "MS", "P99", "MS", "P99.9", "MS", "ERRORS"]
    assert (reads.split()[0], writes.split()[0]) == ("reads", "writes")
    told = json.loads(run(*options, "-o", "json", "--reads", "1").stdout)
    assert set(told) == {"seconds", "reads", "writes", "first-errors"}
    assert told["reads"]["per-second"] > 0 and told["writes"]["p50-ms"] is None
    assert store.values == {}


def test_bench_that_can_store_nothing_exits_3_and_says_why(run: Kvs, store: FakeStore) -> None:
    store.fault = lambda _m, path: answer(503, error="busy") if path.startswith("/kvs/keys/") else None
    result = run("bench", "--seconds", "0.1", "--keys", "5", "--clients", "2")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1 and "busy" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--seconds", "0"),
        ("--seconds", "-1"),
        ("--clients", "0"),
        ("--clients", "1000"),
        ("--value-size", "0"),
        ("--reads", "1.1"),
        ("--reads", "nan"),
        ("--reads", "half"),
        ("--keys", "0"),
    ],
)
def test_bench_of_nonsense_is_refused_in_one_line(run: Kvs, store: FakeStore, options: tuple[str, str]) -> None:
    result = run("bench", *options)
    assert (result.exit_code, store.asked) == (2, [])
    assert options[0] in result.stderr


def test_bench_with_nobody_there_exits_3(run: Kvs) -> None:
    assert run("bench", endpoints=NOWHERE).exit_code == 3

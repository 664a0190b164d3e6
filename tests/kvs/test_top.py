"""`kvs top`: one look after the other, for people and for programs."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import web

from kvs.rates import REQUESTS
from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import NODE, STATUS, FakeStore, answer
from tests.kvs.reports import PROBLEM


class Counting:
    """A node that has answered a hundred requests more at each look, or counts nothing."""

    def __init__(self, store: FakeStore, endpoint: str, counts: bool = True) -> None:
        self.looks = 0
        self._counts = counts
        self._nodes = [
            {**NODE, "address": endpoint},
            {**NODE, "address": NOWHERE},
            {**NODE, "address": "10.9.9.9:1", "member": False, "state": "dead"},
        ]
        store.fault = self._told

    def _told(self, _: str, path: str) -> web.Response | None:
        match path:
            case "/kvs/status":
                return answer(200, **{**STATUS, "nodes": self._nodes, "problems": [PROBLEM]})
            case "/metrics" if self._counts:
                self.looks += 1
                text = f'{REQUESTS}{{route="/kvs/keys/{{key}}"}} {100 * self.looks}\n'
                return web.Response(text=f'{text}{REQUESTS}{{route="/metrics"}} {10_000 * self.looks}\n')
        return answer(404, error="Not found")


def test_top_json_is_a_document_a_look_with_rates_from_the_second_on(run: Kvs, store: FakeStore, endpoint: str) -> None:
    Counting(store, endpoint)
    done = run("top", "--interval", "0.05", "--count", "2", "-o", "json")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (done.exit_code, done.stderr) == (0, "")
    assert first["ops-per-second"] is None and first["nodes"][0]["key-count"] == 12345
    assert second["ops-per-second"] == pytest.approx(second["nodes"][0]["ops-per-second"], abs=0.1)
    assert 100 < second["ops-per-second"] <= 2000
    assert (second["problems"], second["time"] > first["time"]) == (1, True)
    assert [(node["address"], node["state"]) for node in second["nodes"]] == [(endpoint, "alive"), (NOWHERE, "silent")]


def test_top_asks_each_node_with_the_token(
    run: Kvs, store: FakeStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counting(store, endpoint)
    store.token = "t1"
    monkeypatch.setenv("KVS_TOKEN", "t1")
    shown = json.loads(run("top", "--count", "1", "-o", "json").stdout)
    assert shown["nodes"][0]["state"] == "alive"


def test_top_table_is_for_people(run: Kvs, store: FakeStore, endpoint: str) -> None:
    Counting(store, endpoint)
    shown = run("top", "--interval", "0.05", "--count", "2").stdout
    assert "- requests/s; 1 problem, see kvs status" in shown
    assert re.search(rf"{re.escape(endpoint)} +up +12,345 +[\d,]+ +- +-", shown)
    assert re.search(rf"{NOWHERE} +silent +12,345 +- +- +-", shown)


def test_top_of_a_release_that_counts_nothing_shows_the_rest(run: Kvs, store: FakeStore, endpoint: str) -> None:
    Counting(store, endpoint, counts=False)
    shown = run("top", "--count", "1").stdout
    assert re.search(rf"{re.escape(endpoint)} +up +12,345 +- +- +-", shown)


def test_top_goes_on_where_nobody_answers_and_ends_with_why(run: Kvs) -> None:
    done = run("top", "--interval", "0.01", "--count", "2", endpoints=NOWHERE)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == "Error: no node gave a result: 127.0.0.1:1 (connection refused)\n" * 2


@pytest.mark.parametrize("arguments", [["--interval", "0"], ["--interval", "soon"], ["--count", "0"]])
def test_top_bad_usage_exits_2(run: Kvs, arguments: list[str]) -> None:
    assert run("top", *arguments).exit_code == 2

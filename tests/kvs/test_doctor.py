"""`kvs doctor`: whom it asks, and how it ends."""

from __future__ import annotations

import json

import msgspec
import pytest
from aiohttp import web

from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import NODE, STATUS, FakeStore, answer
from tests.kvs.reports import CRITICAL, PROBLEM, report


def serve(store: FakeStore, endpoint: str, *problems: object, members: tuple[str, ...] = ()) -> None:
    """The one node that answers is a member; so are `members`."""
    nodes = [{**NODE, "address": address} for address in (endpoint, *members)]
    own = msgspec.json.decode(msgspec.json.encode(report(endpoint, zone_in_view=None)))
    own["peers"] = []
    own["environment"]["view"] = ["10.0.0.1:80", "10.0.0.2:80"]

    def told(_: str, path: str) -> web.Response | None:
        match path:
            case "/kvs/status":
                return answer(200, **{**STATUS, "address": endpoint, "nodes": nodes, "problems": list(problems)})
            case "/kvs/node":
                return answer(200, **own)
        return None

    store.fault = told


@pytest.mark.parametrize(("problems", "status"), [([], 0), ([PROBLEM], 1), ([PROBLEM, CRITICAL], 4)])
def test_doctor_exits_with_how_bad_it_is(
    run: Kvs, store: FakeStore, endpoint: str, problems: list[object], status: int
) -> None:
    serve(store, endpoint, *problems)
    done = run("doctor", "-o", "json")
    shown = json.loads(done.stdout)
    assert done.exit_code == status
    assert [finding["code"] for finding in shown["findings"]] == [
        problem["code"]  # type: ignore[index]
        for problem in sorted(problems, key=lambda problem: problem is PROBLEM)
    ]
    assert [node["address"] for node in shown["nodes"]] == [endpoint] and shown["silent"] == {}


def test_doctor_names_members_that_do_not_answer(run: Kvs, store: FakeStore, endpoint: str) -> None:
    serve(store, endpoint, members=(NOWHERE,))
    shown = json.loads(run("doctor", "-o", "json").stdout)
    assert list(shown["silent"]) == [NOWHERE] and "connection refused" in shown["silent"][NOWHERE]
    assert f"{NOWHERE} (no answer)" in run("doctor").stdout


def test_doctor_goes_by_the_newest_view_that_any_node_has(run: Kvs, store: FakeStore, endpoint: str) -> None:
    """The endpoint may be cut off, and know nothing of it."""
    serve(store, endpoint)
    told, rings = store.fault, [3, 4]

    def newer(method: str, path: str) -> web.Response | None:
        if path == "/kvs/ring":
            shard = {"shard-id": "1", "replicas": [NOWHERE], "partitions": 4096, "zones": ["z"]}
            ring = {"digest": "00ff", "repl-factor": 2, "partitions": 4096, "shards": [shard], "ranges": []}
            return answer(200, epoch=rings.pop(0), **ring)
        if path == "/kvs/node":
            body = msgspec.json.encode(report(endpoint, zone_in_view=None, epoch=4))
            return web.Response(body=body, content_type="application/json")
        return told(method, path)

    store.fault = newer
    shown = run("doctor").stdout
    assert rings == [] and "1 of 2 nodes answered; epoch 4" in shown and f"{NOWHERE} (no answer)" in shown


def test_doctor_asks_each_node_with_the_token(
    run: Kvs, store: FakeStore, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(store, endpoint)
    store.token = "t1"
    monkeypatch.setenv("KVS_TOKEN", "t1")
    done = run("doctor", "-o", "json")
    assert (done.exit_code, json.loads(done.stdout)["silent"]) == (0, {})


def test_doctor_where_nobody_is_there_exits_3(run: Kvs) -> None:
    done = run("doctor", endpoints=NOWHERE)
    assert (done.exit_code, done.stdout) == (3, "")


def test_doctor_of_an_earlier_release_says_so(run: Kvs, store: FakeStore, endpoint: str) -> None:
    serve(store, endpoint)
    told = store.fault
    store.fault = lambda method, path: answer(404, error="Not found") if path == "/kvs/node" else told(method, path)
    done = run("doctor")
    assert done.exit_code == 3 and "of an earlier release; see kvs status" in done.stderr

"""`kvs view-change`: the view that it asks for, what it tells meanwhile, and refusals."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from tests.kvs.command import Kvs
from tests.kvs.fake_store import PLAN, FakeStore, answer, progress


def _views_asked_for(store: FakeStore) -> list[str]:
    asked = zip(store.asked, store.bodies, strict=True)
    return [json.loads(body)["view"] for (method, _), body in asked if method == "PUT"]


@pytest.mark.parametrize(
    ("options", "view"),
    [
        (["--add", "10.0.0.3:80"], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80"),
        (["--add", "10.0.0.3:80", "--add", "[::1]:80"], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80,[::1]:80"),
        (["--remove", "10.0.0.1:80"], "10.0.0.2:80"),
        (["--remove", "10.0.0.1:80", "--add", "c:1"], "10.0.0.2:80,c:1"),
        (["--to", "C:1,d:2"], "c:1,d:2"),
        (["--repl-factor", "2"], "10.0.0.1:80,10.0.0.2:80"),
        (["--add", "10.0.0.2:80"], "10.0.0.1:80,10.0.0.2:80"),
    ],
)
def test_view_change_asks_for_the_view(run: Kvs, store: FakeStore, options: list[str], view: str) -> None:
    result = run("view-change", *options)
    assert result.exit_code == 0
    assert re.search(r"10\.0\.0\.1:80 +5", result.stdout)
    assert _views_asked_for(store) == [view]


def test_view_change_json_plain_and_replicated(run: Kvs, store: FakeStore) -> None:
    plain = json.loads(run("view-change", "--to", "a:1", "-o", "json").stdout)
    assert plain["shards"][0] == {"address": "10.0.0.1:80", "key-count": 5}
    shards = [{"shard-id": "1", "key-count": 9, "replicas": ["a:1", "b:1"]}]
    store.fault = lambda _m, _p: answer(200, shards=shards)
    assert json.loads(run("view-change", "--to", "a:1", "-o", "json").stdout) == {"shards": shards}
    assert re.search(r"1 +9 +a:1, b:1", run("view-change", "--to", "a:1").stdout)


def test_view_change_dry_run_shows_what_would_move(run: Kvs, store: FakeStore) -> None:
    shown = run("view-change", "--add", "10.0.0.3:80", "--dry-run").stdout
    assert "1,365 partitions with 3 keys would move" in shown
    assert re.search(r"10\.0\.0\.1:80 +10\.0\.0\.3:80 +1,365 +3", shown)
    assert json.loads(run("view-change", "--to", "c:1", "--dry-run", "-o", "json").stdout) == PLAN
    assert {path for method, path in store.asked if method == "PUT"} == {"/kvs/view-change?dry-run=true"}


def test_view_change_no_wait_returns_the_epoch(run: Kvs) -> None:
    assert "Accepted as epoch 4" in run("view-change", "--to", "c:1", "--no-wait").stderr
    assert run("view-change", "--to", "c:1", "--no-wait", "-o", "json").stdout == '{"epoch":4}\n'


def test_view_change_without_options_shows_progress(run: Kvs, store: FakeStore) -> None:
    store.progress = [progress(12, 345), progress(12, 345)]
    assert re.search(r"10\.0\.0\.1:80 +12 +345", run("view-change").stdout)
    assert json.loads(run("view-change", "-o", "json").stdout) == progress(12, 345)
    assert run("view-change").stdout == "epoch 4: settled, coordinated by 10.0.0.1:80\n"


@pytest.mark.parametrize(
    ("status", "more", "code", "line"),
    [
        (409, {}, 2, "Error: no\n"),
        (400, {}, 2, "Error: no\n"),
        (503, {"unreachable": ["c:1", "d:1"]}, 3, "Error: no: c:1, d:1\n"),
    ],
)
def test_view_change_refusals(
    run: Kvs, store: FakeStore, status: int, more: dict[str, object], code: int, line: str
) -> None:
    store.fault = lambda _m, _p: answer(status, error="no", **more)
    result = run("view-change", "--to", "c:1")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", line)


def _on_a_terminal(endpoint: str, *arguments: str) -> str:
    """What the command writes to a terminal, escape sequences and all."""
    ours, theirs = pty.openpty()
    written = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 4096):
                written.extend(data)
        except OSError:
            return  # Linux says so once nobody has the other end.

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "KVS_ENDPOINTS": endpoint, "TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "kvs.cli", *arguments]
    subprocess.run(command, env=environment, stdout=theirs, stderr=theirs, check=True, timeout=30)
    os.close(theirs)
    reader.join(5)
    os.close(ours)
    return written.decode()


def test_view_change_on_a_terminal_draws_a_bar_and_colours(store: FakeStore, endpoint: str) -> None:
    store.progress = [progress(40, 1000), progress(10, 250), progress(None, None), progress(0, 0)]
    shown = _on_a_terminal(endpoint, "view-change", "--to", "c:1")
    assert "of 1,000 keys" in shown
    assert "\x1b[" in shown

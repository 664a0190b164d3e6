"""`kvs lock`: what becomes of the command, and with which status it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cluster import eventually
from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import FakeStore, answer

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 40.0
OTHER = b'{"id": "other", "holder": "somebody"}'


def test_lock_command_runs_while_the_lock_is_held(run: Kvs, store: FakeStore, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    assert run("lock", "job", "--ttl", "20s", "--", "sh", "-c", f"echo $0 > {seen}", "--flag").exit_code == 0
    assert seen.read_text() == "--flag\n", "its own options are its own"
    assert json.loads(store.bodies[[method for method, _ in store.asked].index("PUT")])["ttl"] == 20
    assert [method for method, _ in store.asked if method != "GET"] == ["PUT", "DELETE"]
    assert not store.values


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["./no-such-command"], 127),
        (["/"], 126),
    ],
)
def test_lock_command_passes_the_status_on_and_releases(
    run: Kvs, store: FakeStore, command: list[str], status: int
) -> None:
    result = run("lock", "job", "--", *command)
    assert result.exit_code == status
    assert len(result.stderr.splitlines()) == (status in (126, 127))
    assert not store.values


def test_lock_command_is_given_a_token_that_grows_if_it_is_asked_for(run: Kvs, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    for option in (["--token"], [], ["--token"]):
        assert run("lock", "job", *option, "--", "sh", "-c", f"echo ${{KVS_LOCK_TOKEN-none}} >> {seen}").exit_code == 0
    assert seen.read_text().split() == ["1", "none", "2"]


@pytest.mark.parametrize("waiting", [["--no-wait"], ["--wait", "0.2s"]])
def test_lock_command_is_not_run_while_somebody_else_has_the_lock(
    run: Kvs, store: FakeStore, tmp_path: Path, waiting: list[str]
) -> None:
    store._write(b"job", OTHER)
    result = run("lock", "job", *waiting, "--", "touch", str(tmp_path / "ran"))
    assert (result.exit_code, result.stderr) == (75, "Error: the lock 'job' is held by somebody\n")
    assert not list(tmp_path.iterdir()) and store.values == {b"job": OTHER}


def test_lock_command_that_lost_the_lock_says_so(run: Kvs, store: FakeStore) -> None:
    store.loses = lambda method, _path: store._write(b"job", OTHER) if method == "PUT" else None
    result = run("lock", "job", "--", "true")
    assert result.exit_code == 76 and "was lost" in result.stderr
    assert store.values == {b"job": OTHER}


@pytest.mark.parametrize("handler", ["lambda *_: exit(open('told', 'w').close())", "signal.SIG_IGN"])
def test_lock_command_is_ended_when_the_lock_is_lost_be_it_by_force(
    run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, handler: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kvs.lock_command.KILL_S", 2.0)
    store.now = time.monotonic
    is_ready = (tmp_path / "ready").exists
    store.fault = lambda method, _path: answer(503, error="no") if method == "PUT" and is_ready() else None
    script = f"import signal, time; signal.signal(signal.SIGTERM, {handler}); open('ready', 'w'); time.sleep(50)"
    result = run("lock", "job", "--ttl", "3s", "--", sys.executable, "-c", script)
    assert (result.exit_code, len(result.stderr.splitlines())) == (76, 1)
    assert (tmp_path / "told").exists() == (handler != "signal.SIG_IGN"), "it could end by itself first"
    assert not store.values


def test_lock_command_that_reaches_nobody_does_not_wait(run: Kvs) -> None:
    result = run("lock", "job", "--", "true", endpoints=NOWHERE)
    assert result.exit_code == 3 and "no node gave a result" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["job"],
        ["job", "--"],
        ["job", "--wait", "1s", "--no-wait", "--", "true"],
        ["job", "--ttl", "0.5s", "--", "true"],
        ["job", "--ttl", "soon", "--", "true"],
    ],
)
def test_lock_command_bad_usage_changes_nothing(run: Kvs, store: FakeStore, arguments: list[str]) -> None:
    assert run("lock", *arguments).exit_code == 2
    assert store.writes == 0


@asynccontextmanager
async def started(endpoint: str, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {"KVS_ENDPOINTS": endpoint, "PYTHONPATH": str(ROOT)}
    arguments = ("-m", "kvs.cli", "lock", "job", "--", *command)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stdout=-1, stderr=-1, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_lock_command_hands_signals_on_and_releases(
    endpoint: str, store: FakeStore, number: signal.Signals
) -> None:
    catch = f"import signal, time; signal.signal({number:d}, lambda *_: exit(9)); "
    script = catch + "print('ready', flush=True); time.sleep(60)"
    async with started(endpoint, sys.executable, "-c", script) as process, asyncio.timeout(PATIENCE_S):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        assert list(store.values) == [b"job"]
        process.send_signal(number)
        assert await process.wait() == 9
    assert not store.values


@pytest.mark.skipif(sys.platform != "linux", reason="nothing else ends a process when its parent is killed")
async def test_lock_command_is_not_left_alone_when_kvs_is_killed(endpoint: str, tmp_path: Path) -> None:
    told, ended = tmp_path / "told", tmp_path / "ended"
    script = f"trap 'touch {ended}; exit' TERM; touch {told}; while :; do sleep 0.05; done"

    async def runs() -> bool:
        return told.exists()

    async def has_ended() -> bool:
        return ended.exists()

    async with started(endpoint, "sh", "-c", script) as process:
        await eventually(runs, "the command runs")
        process.kill()
        await process.wait()
        await eventually(has_ended, "the command has been told")


async def test_lock_command_that_waits_says_for_whom(endpoint: str, store: FakeStore) -> None:
    store._write(b"job", OTHER)
    async with started(endpoint, "true") as process:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await process.stderr.readline()
        assert line == b"Waiting: the lock 'job' is held by somebody\n"
        del store.values[b"job"]
        rest = await process.stderr.read()
        assert (await process.wait(), rest) == (0, b""), "it is said once"

"""`kvs load`: the forms that it reads, what it does about entries that fail, and pipes."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import kvs.load
import kvs.load_input
from kvs.repeating import Patience
from tests.kvs.command import NOWHERE, ON_A_KEYBOARD, Kvs
from tests.kvs.fake_store import FakeStore, answer

ENTRIES = {"a/b%20 ü..": {"n": 1.50}, "b": None, "c": "x"}
OBJECT = json.dumps(ENTRIES)
LINES = "".join(json.dumps({"key": key, "value": value}) + "\n" for key, value in ENTRIES.items())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("-", OBJECT),
        ("-", json.dumps(ENTRIES, indent=1)),
        ("-", LINES),
        ("-", LINES.rstrip()),
        ("f.json", OBJECT),
        ("f.jsonl", "\n" + LINES),
        ("words", LINES),
        ("words", OBJECT),
    ],
)
def test_load_takes_an_object_or_lines(run: Kvs, store: FakeStore, tmp_path: Path, name: str, text: str) -> None:
    if name != "-":
        path = tmp_path / name
        path.write_text(text)
        name = str(path)
    result = run("load", name, stdin=text)
    assert result.exit_code == 0, result.stderr
    assert re.match(r"Stored 3 entries in \d+\.\d s \([\d,]+ keys/s\)\n\Z", result.stderr)
    assert {key.decode(): json.loads(value) for key, value in store.values.items()} == ENTRIES


def test_load_of_one_object_that_looks_like_a_line_goes_by_the_suffix(
    run: Kvs, store: FakeStore, tmp_path: Path
) -> None:
    path = tmp_path / "f.json"
    path.write_text('{"key": "k", "value": 1}')
    assert run("load", str(path)).exit_code == 0
    assert store.values == {b"key": b'"k"', b"value": b"1"}


def test_load_json_summary_names_failures_and_exits_1(run: Kvs) -> None:
    text = LINES + "nonsense\n" + json.dumps({"key": "k" * 51, "value": 1}) + "\n" + '{"key": "d"}\n'
    result = run("load", "-", "-o", "json", stdin=text)
    summary = json.loads(result.stdout)
    assert result.exit_code == 1
    assert set(summary) == {"stored", "failed", "gave-up", "seconds", "keys-per-second", "failures"}
    assert (summary["stored"], summary["failed"], summary["gave-up"]) == (3, 3, False)
    named = {failure["entry"]: failure["error"] for failure in summary["failures"]}
    assert named["line 4"] == named["line 6"] == 'not {"key": "...", "value": ...}'
    assert named[repr("k" * 51)] == "Key is too long"


def test_load_tries_again_what_no_node_took(run: Kvs, store: FakeStore) -> None:
    down = iter([True, True, False])
    store.fault = lambda method, _p: answer(503, error="no") if method == "PUT" and next(down) else None
    assert run("load", "-", stdin='{"k": 1}').exit_code == 0
    assert store.values == {b"k": b"1"}


def test_load_gives_up_on_a_store_that_takes_nothing(
    run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvs.load, "PATIENCE", Patience(None, 20.0, 1))
    monkeypatch.setattr(kvs.load, "UNDELIVERED_MAX", 20)
    store.fault = lambda method, _p: answer(503, error="full") if method == "PUT" else None
    result = run("load", "-", stdin=json.dumps({str(n): n for n in range(5000)}))
    assert result.exit_code == 3
    assert "Stored 0 entries" in result.stderr
    assert "(full)" in result.stderr
    assert "the rest was not tried" in result.stderr
    assert len(result.stderr.splitlines()) == 2 + kvs.load.FAILURES_NAMED_MAX + 1


def test_load_of_a_key_that_stands_twice_keeps_the_last(run: Kvs, store: FakeStore) -> None:
    lines = "".join(f'{{"key": "k{n % 7}", "value": {n}}}\n' for n in range(700))
    assert run("load", "-", stdin=lines).exit_code == 0
    assert store.values == {b"k%d" % (n % 7): b"%d" % n for n in range(693, 700)}


@pytest.mark.parametrize("text", ["[1]", "nonsense", '{"a": 1', '{"a": 1} {"b": 2}', "\xff"])
def test_load_of_neither_form_exits_2(run: Kvs, store: FakeStore, text: str) -> None:
    result = run("load", "-", stdin=text)
    assert (result.exit_code, store.values) == (2, {})
    assert "neither one JSON object nor JSON lines" in result.stderr


def test_load_of_lines_under_the_suffix_of_the_other_form_names_both(
    run: Kvs, store: FakeStore, tmp_path: Path
) -> None:
    file = tmp_path / "in.json"
    file.write_text('{"key": "a", "value": 1}\n{"key": "b", "value": 2}\n')
    result = run("load", str(file))
    assert (result.exit_code, store.values, len(result.stderr.splitlines())) == (2, {}, 1)
    assert "not one JSON object, as .json says; JSON lines are .jsonl" in result.stderr


def test_load_of_nothing_stores_nothing(run: Kvs) -> None:
    assert run("load", "-", stdin="").stderr.startswith("Stored 0 entries")


def test_load_line_too_long_is_one_bad_line(run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvs.load_input, "LINE_BYTES_MAX", 1000)
    monkeypatch.setattr(kvs.load_input, "CHUNK_BYTES", 100)
    long = json.dumps({"key": "long", "value": "x" * 3000})
    result = run("load", "-", stdin=f'{{"key": "a", "value": 1}}\n{long}\n{{"key": "b", "value": 2}}\n')
    assert result.exit_code == 1
    assert "line 2: not" in result.stderr
    assert store.values == {b"a": b"1", b"b": b"2"}


def test_load_with_nobody_there_does_not_wait(run: Kvs) -> None:
    assert run("load", "-", stdin=OBJECT, endpoints=NOWHERE).exit_code == 3


def test_load_leaves_out_what_has_expired_and_lets_the_rest_expire(run: Kvs, store: FakeStore) -> None:
    lines = '{"key":"a","value":1,"ttl":60}\n{"key":"b","value":1,"expires":1}\n{"key":"c","value":1}\n'
    result = run("load", "-", "-o", "json", stdin=lines)
    assert result.exit_code == 0
    assert (json.loads(result.stdout)["stored"], json.loads(result.stdout)["expired"]) == (2, 1)
    assert sorted(store.values) == [b"a", b"c"] and list(store.ttls) == [b"a"] and bytes(store.ttls[b"a"]) == b"60.0"
    assert "Left out, as their time has passed: 1" in run("load", "-", stdin=lines).stderr


def test_load_of_what_is_not_what_was_exported_exits_2(run: Kvs, store: FakeStore) -> None:
    store.values = {b"a": b"1", b"b": b"2"}
    exported = run("export").stdout
    assert run("load", "-", stdin=exported).exit_code == 0
    result = run("load", "-", stdin=exported.replace('"value":2', '"value":3'))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: -: it was changed since it was exported")


def test_load_goes_on_after_what_is_stored(run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command says by itself, when the store is down."""
    monkeypatch.setattr(kvs.load, "PATIENCE", Patience(None, 20.0, 1))
    lines = "".join(f'{{"key": "k{n:04}", "value": {n}}}\n' for n in range(5000))
    store.fault = lambda method, path: answer(503, error="full") if method == "PUT" and path > "/kvs/keys/k2" else None
    result = run("load", "-", stdin=lines)
    assert result.exit_code == 3
    told = re.search(
        r"^all up to line ([\d,]+) is stored; go on with: kvs load (.*) --after (\d+)$", result.stderr, re.M
    )
    assert told is not None and told[1] == f"{int(told[3]):,}" == "2,000"
    store.fault = lambda _m, _p: None
    store.values = {key: value for key, value in store.values.items() if key < b"k2000"}
    assert len(store.values) == 2000, "nothing is said to be stored that is not"
    assert run("load", "-", "--after", told[3], stdin=lines).exit_code == 0
    assert len(store.values) == 5000


def test_load_interrupted_says_how_to_go_on(store: FakeStore, endpoint: str) -> None:
    count, arrived = 0, threading.Event()

    def notice(method: str, _path: str) -> None:
        nonlocal count
        count += method == "PUT"
        if method == "PUT" and count in (1000, 2000):
            arrived.set()

    store.fault = notice
    command = [sys.executable, "-c", ON_A_KEYBOARD, "-e", endpoint, "load", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0) as process:
        assert isinstance(process.stdin, io.BufferedWriter) and isinstance(process.stderr, io.BufferedReader)
        for first in (0, 1000):
            arrived.clear()
            for n in range(first, first + 1000):
                process.stdin.write(b'{"key": "k%04d", "value": 1}\n' % n)
            process.stdin.flush()
            assert arrived.wait(20)
        # The first thousand are stored, or the second would not have been sent.
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read().decode()
        assert process.wait(20) == 130, errors
    told = re.fullmatch(
        r"Interrupted; all up to line [12],\d+ is stored; go on with: kvs load - --after (\d+)\n", errors
    )
    assert told is not None and 1000 <= int(told[1]) <= 2000, errors


def test_load_from_a_pipe_stores_what_has_come_before_the_rest(store: FakeStore, endpoint: str) -> None:
    arrived = threading.Event()

    def notice(method: str, _path: str) -> None:
        if method == "PUT":
            arrived.set()

    store.fault = notice
    command = [sys.executable, "-m", "kvs.cli", "-e", endpoint, "load", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert isinstance(process.stdin, io.BufferedWriter)
        process.stdin.write(b'{"key": "a", "value": 1}\n')
        process.stdin.flush()
        assert arrived.wait(20), "the first line was not stored before the pipe was closed"
        process.stdin.write(b'{"key": "b", "value": 2}')
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, store.values) == (0, {b"a": b"1", b"b": b"2"})
    assert errors.startswith(b"Stored 2 entries")

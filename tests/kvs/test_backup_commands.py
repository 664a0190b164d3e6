"""`kvs export`, `kvs backup` and `kvs restore`: all of it, or nothing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from kvs import exporting, load, telling
from kvs.manifest import Sum
from kvs.repeating import Patience
from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import FakeStore, answer

VALUES = {b"k%04d" % n: b'{"n": %d.50}' % n for n in range(1000)}
FUTURE = 9_999_999_999.0


@pytest.fixture
def full(store: FakeStore) -> FakeStore:
    store.values = dict(VALUES)
    store.expiries = {b"k0007": FUTURE, b"k0008": FUTURE}
    store.ttls = {key: msgspec.Raw(b"60") for key in store.expiries}
    return store


def test_export_is_lines_and_a_manifest(run: Kvs, full: FakeStore) -> None:
    full.export_breaks = [350]
    result = run("export")
    assert (result.exit_code, result.stderr) == (0, "")
    *lines, last = result.stdout.splitlines()
    entries = {entry["key"]: entry for entry in map(json.loads, lines)}
    assert {key.encode(): json.dumps(entry["value"]).encode() for key, entry in entries.items()} == {
        key: json.dumps(json.loads(value)).encode() for key, value in VALUES.items()
    }
    assert len(lines) == 1000 and entries["k0007"]["expires"] == FUTURE
    manifest = json.loads(last)["manifest"]
    assert (manifest["entries"], manifest["expiring"], manifest["format"]) == (1000, 2, 1)


def test_export_takes_a_prefix(run: Kvs, full: FakeStore) -> None:
    lines = run("export", "k000").stdout.splitlines()
    assert len(lines) == 11 and json.loads(lines[-1])["manifest"]["entries"] == 10


def test_export_is_quiet_if_its_reader_has_had_enough(full: FakeStore, endpoint: str) -> None:
    full.values = {b"k%06d" % n: b'"%b"' % (b"x" * 100) for n in range(20_000)}
    command = f"{sys.executable} -m kvs.cli -e {endpoint} export | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=30, check=True)
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_export_with_nobody_there_exits_3(run: Kvs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PATIENCE", Patience(None, 20.0, 1))
    result = run("export", endpoints=NOWHERE)
    assert (result.exit_code, result.stdout) == (3, "")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["export", "backup"])
def test_export_that_waits_says_for_what(
    run: Kvs, full: FakeStore, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(telling, "SILENT_S", 0.0)
    refusals = [answer(503, error="Unable", unreachable=["10.0.0.9:80"]) for _ in range(2)]
    full.fault = lambda _m, path: refusals.pop() if refusals and path.startswith("/kvs/export") else None
    result = run(command, *([str(tmp_path / "b")] if command == "backup" else []))
    said, *rest = result.stderr.splitlines()
    assert said == f"Waiting: no node gave a result: {endpoint} (Unable: 10.0.0.9:80)"
    assert result.exit_code == 0 and not any("Waiting" in line for line in rest), "it is said once"


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b"])
def test_backup_is_restored_as_it_was(run: Kvs, full: FakeStore, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    result = run("backup", str(file))
    assert result.exit_code == 0 and result.stderr.startswith(f"Wrote 1,000 entries to {file} in ")
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == [name]
    data = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
    assert data.count(b"\n") == 1001
    full.values, full.expiries = {b"k0001": b"0", b"other": b"1"}, {}
    restored = run("restore", str(file))
    assert restored.exit_code == 0 and restored.stderr.startswith("Stored 1,000 entries in ")
    assert full.values == VALUES | {b"other": b"1"}
    assert sorted(full.expiries) == [b"k0007", b"k0008"]


def test_backup_leaves_an_existing_file_alone_unless_forced(run: Kvs, full: FakeStore, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_text("mine")
    result = run("backup", str(file))
    assert (result.exit_code, file.read_text()) == (2, "mine")
    assert "exists" in result.stderr and full.asked == []
    assert json.loads(run("backup", str(file), "--force", "-o", "json").stdout)["entries"] == 1000
    assert file.read_text() != "mine"


def test_backup_that_fails_leaves_nothing_and_what_was_there(run: Kvs, full: FakeStore, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_text("mine")
    full.fault = lambda _m, path: answer(400, error="Malformed cursor") if "cursor" in path else None
    full.export_breaks = [500]
    assert run("backup", str(file), "--force").exit_code == 2
    assert (os.listdir(tmp_path), file.read_text()) == (["b"], "mine")


def test_backup_is_no_stream(run: Kvs, full: FakeStore) -> None:
    result = run("backup", "-")
    assert (result.exit_code, full.asked) == (2, []) and "kvs export" in result.stderr


def test_restore_goes_on_after_what_is_stored(
    run: Kvs, full: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "PATIENCE", Patience(None, 20.0, 1))
    file = tmp_path / "b.json"
    assert run("backup", str(file)).exit_code == 0
    full.values = {}
    full.fault = lambda method, path: answer(503, error="full") if method == "PUT" and path >= "/kvs/keys/k05" else None
    result = run("restore", str(file))
    assert result.exit_code == 3
    go_on = result.stderr.splitlines()[-1].partition("; go on with: kvs ")[2].split()
    assert go_on == ["restore", str(file), "--after", "500"]
    full.fault = lambda _m, _p: None
    assert run(*go_on).exit_code == 0
    assert full.values == VALUES


def test_backup_where_no_file_can_be_is_one_line(run: Kvs, full: FakeStore, tmp_path: Path) -> None:
    result = run("backup", str(tmp_path / "none" / "b"))
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path / 'none' / 'b'}: No such file or directory\n"


LINE = b'{"key":"a","value":1}\n'


def manifest(data: bytes) -> bytes:
    told = Sum()
    told.add(data, data.count(b"\n"), 0)
    return told.line("now")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "no manifest"),
        (LINE * 3, "no manifest"),
        ((LINE * 3 + manifest(LINE * 3))[:-1], "no manifest"),
        ((LINE * 3 + manifest(LINE * 3))[:-30], "no manifest"),
        (LINE * 3 + manifest(LINE * 3) + LINE, "no manifest"),
        (LINE * 2 + manifest(LINE * 3), "tells of 3 entries, and it has 2"),
        (LINE.replace(b"1", b"2") + manifest(LINE), "was changed since"),
        (LINE[:-1] + b" " + manifest(LINE), "no manifest"),
        (LINE + manifest(LINE).replace(b'"format":1', b'"format":2'), "format 2"),
        (b"x" * 9_000_000, "not made of lines"),
    ],
)
def test_restore_of_what_was_cut_or_changed_stores_nothing(
    run: Kvs, store: FakeStore, tmp_path: Path, data: bytes, fault: str
) -> None:
    file = tmp_path / "b"
    file.write_bytes(data)
    result = run("restore", str(file))
    assert (result.exit_code, store.values, len(result.stderr.splitlines())) == (2, {}, 1)
    assert fault in result.stderr


def test_restore_of_a_packed_file_that_is_cut_stores_nothing(run: Kvs, store: FakeStore, tmp_path: Path) -> None:
    file = tmp_path / "b.gz"
    whole = gzip.compress(LINE * 1000 + manifest(LINE * 1000))
    for data in (whole[:-3], whole[:-20], b"nonsense", whole[:40] + b"xx" + whole[42:]):
        file.write_bytes(data)
        result = run("restore", str(file))
        assert (result.exit_code, store.values, len(result.stderr.splitlines())) == (2, {}, 1)


def test_restore_exits_0_only_if_all_went_in(run: Kvs, store: FakeStore, tmp_path: Path) -> None:
    file = tmp_path / "b"
    data = LINE + b'{"key":"%b","value":1}\n' % (b"k" * 51)
    file.write_bytes(data + manifest(data))
    assert run("restore", str(file)).exit_code == 1
    assert store.values == {b"a": b"1"}


def test_restore_leaves_out_what_has_expired(run: Kvs, store: FakeStore, tmp_path: Path) -> None:
    file = tmp_path / "b"
    told, data = Sum(), b'{"key":"old","value":1,"expires":1000.000}\n' + LINE
    told.add(data, 2, 1)
    file.write_bytes(data + told.line("now"))
    result = run("restore", str(file))
    assert (result.exit_code, store.values) == (0, {b"a": b"1"})
    assert "Left out, as their time has passed: 1" in result.stderr


def test_restore_takes_no_pipe(endpoint: str) -> None:
    command = [sys.executable, "-m", "kvs.cli", "-e", endpoint, "restore", "-"]
    done = subprocess.run(command, input=LINE, capture_output=True, timeout=30, check=False)
    assert done.returncode == 2 and b"has to be a file" in done.stderr

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import node.bulk
import node.cli
from node.cli import kvs
from tests.node.fake_store import PLAN, RANGES, SHARDS, STATUS, FakeStore, answer, progress, served_by_thread

Kvs = Callable[..., Result]
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def endpoint(store: FakeStore) -> Iterator[str]:
    with served_by_thread(store) as endpoints:
        yield endpoints[0]


@pytest.fixture
def run(endpoint: str) -> Kvs:
    def invoke(*arguments: str, stdin: str | bytes = "", endpoints: str = endpoint) -> Result:
        result = CliRunner(env={"KVS_ENDPOINTS": endpoints}).invoke(kvs, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), "no traceback, ever"
        return result

    return invoke


# Data


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("42", b"42"),
        ("-1.50", b"-1.50"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("null", b"null"),
        ('{"b": 1, "a": [2.0]}', b'{"b": 1, "a": [2.0]}'),
        ('"42"', b'"42"'),
        ("forty-two", b'"forty-two"'),
        ("True", b'"True"'),
        ("", b'""'),
        ("ü", '"ü"'.encode()),
    ],
)
def test_put_value_is_json_or_a_string(run: Kvs, store: FakeStore, typed: str, stored: bytes) -> None:
    result = run("put", "k", typed)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Added\n")
    assert store.values == {b"k": stored}
    assert run("get", "k").stdout_bytes == stored + b"\n"


@pytest.mark.parametrize("typed", ['{"a": 1', "[1,]", '"open', "--typo", "-x", "[" * 5000])
def test_put_value_meant_to_be_json_is_refused(run: Kvs, store: FakeStore, typed: str) -> None:
    result = run("put", "k", typed)
    assert result.exit_code == 2
    assert "neither JSON nor a plain string" in result.stderr
    assert not store.asked


@pytest.mark.parametrize(("piped", "stored"), [(b"[1, 2]\n", b"[1, 2]"), (b"two\nlines\n", b'"two\\nlines"')])
def test_put_dash_reads_standard_input(run: Kvs, store: FakeStore, piped: bytes, stored: bytes) -> None:
    assert run("put", "k", "-", stdin=piped).exit_code == 0
    assert store.values == {b"k": stored}


def test_put_bytes_that_are_no_text_are_refused(run: Kvs, store: FakeStore) -> None:
    assert "not valid UTF-8" in run("put", "k", "-", stdin=b"\xff").stderr
    assert "not valid UTF-8" in run("put", "\udcff", "1").stderr
    assert not store.asked


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


def test_refused_request_exits_2(run: Kvs) -> None:
    result = run("put", "k" * 51, "1")
    assert (result.exit_code, result.stderr) == (2, "Error: Key is too long\n")


@pytest.mark.parametrize(
    "arguments",
    [["get", "k"], ["put", "k", "1"], ["delete", "k"], ["status"], ["ring"], ["shards"], ["view-change"]],
)
def test_nobody_there_exits_3(run: Kvs, arguments: list[str]) -> None:
    result = run(*arguments, endpoints=NOWHERE)
    reason = "Error: no node could answer: 127.0.0.1:1 (connection refused)\n"
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", reason)


def test_endpoints_are_tried_in_turn(run: Kvs, store: FakeStore, endpoint: str) -> None:
    store.values[b"k"] = b"7"
    assert run("get", "k", endpoints=f"{NOWHERE},{endpoint}").stdout == "7\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["get"],
        ["get", ""],
        ["get", "k", "-o", "yaml"],
        ["frobnicate"],
        ["-e", "localhost", "status"],
        ["-e", "a:1,a:1", "status"],
        ["load", "no-such-file"],
        ["view-change", "--dry-run"],
        ["view-change", "--no-wait"],
        ["view-change", "--dry-run", "--no-wait", "--add", "a:1"],
        ["view-change", "--to", "a:1", "--add", "b:1"],
        ["view-change", "--add", "a:1", "--remove", "a:1"],
        ["view-change", "--add", "a"],
        ["view-change", "--to", "a:1,,b:1"],
        ["view-change", "--repl-factor", "0"],
        ["view-change", "--remove", "10.0.0.1:80,10.0.0.2:80"],
    ],
)
def test_bad_usage_exits_2(run: Kvs, store: FakeStore, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not any(method == "PUT" for method, _ in store.asked)


# What the store looks like


def test_status_table_shows_addresses_of_all_kinds(run: Kvs) -> None:
    shown = run("status").stdout
    assert "epoch 3 (00ff00ff00ff00ff), moving, no replication, as 10.0.0.1:80 sees it" in shown
    assert re.search(r"10\.0\.0\.1:80 +alive +1 +12,345 +epoch 3", shown)
    assert re.search(r"\[fe80::1\]:80 +dead +outside +- +-", shown)
    assert "\x1b" not in shown


def test_status_json_is_what_the_store_says(run: Kvs) -> None:
    assert json.loads(run("status", "-o", "json").stdout) == STATUS


def test_ring_shows_shares(run: Kvs) -> None:
    assert re.search(r"2 +2,048 +50\.0% +1 +10\.0\.0\.2:80", run("ring").stdout)
    shown = json.loads(run("ring", "-o", "json").stdout)
    assert set(shown) == {"epoch", "digest", "repl-factor", "partitions", "shards", "ranges"}
    assert (shown["shards"], shown["ranges"]) == (SHARDS, RANGES)


def test_ring_of_a_key_shows_its_place(run: Kvs) -> None:
    place = json.loads(run("ring", "zebra", "-o", "json").stdout)
    shard = "1" if place["partition"] < 2048 else "2"
    assert place == {
        "key": "zebra",
        "partition": place["partition"],
        "shard-id": shard,
        "replicas": [f"10.0.0.{shard}:80"],
    }
    assert re.search(rf"'zebra' +{place['partition']} +{shard} +10\.0\.0\.{shard}:80", run("ring", "zebra").stdout)


def test_ring_of_another_number_of_partitions_is_not_guessed_at(run: Kvs, store: FakeStore) -> None:
    store.fault = lambda _m, _p: answer(
        200,
        epoch=0,
        digest="",
        **{"repl-factor": 1, "partitions": 16, "shards": SHARDS, "ranges": [[0, 15, "1"]]},
    )
    assert run("ring", "zebra").exit_code == 2


def test_shards_shows_counts(run: Kvs) -> None:
    assert re.search(r"1 +5 +10\.0\.0\.1:80", run("shards").stdout)
    assert json.loads(run("shards", "-o", "json").stdout)["shards"][1] == {
        "shard-id": "2",
        "key-count": 4,
        "replicas": ["10.0.0.2:80"],
    }


# View changes


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
            return  # Linux says so when nobody has the other end any more.

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "KVS_ENDPOINTS": endpoint, "TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "node.cli", *arguments]
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


# Load

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
    assert re.match(r"Stored 3 entries in \d+\.\d s \(\d+ keys/s\)\n\Z", result.stderr)
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


def test_load_tries_again_what_no_node_took(run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.bulk, "RETRY_DELAYS_S", (0.0, 0.0))
    down = iter([True, True, False])
    store.fault = lambda method, _p: answer(503, error="no") if method == "PUT" and next(down) else None
    assert run("load", "-", stdin='{"k": 1}').exit_code == 0
    assert store.values == {b"k": b"1"}


def test_load_gives_up_on_a_store_that_takes_nothing(
    run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.bulk, "RETRY_DELAYS_S", (0.0,))
    monkeypatch.setattr(node.bulk, "UNDELIVERED_MAX", 20)
    store.fault = lambda method, _p: answer(503, error="full") if method == "PUT" else None
    result = run("load", "-", stdin=json.dumps({str(n): n for n in range(5000)}))
    assert result.exit_code == 3
    assert "Stored 0 entries" in result.stderr
    assert "(full)" in result.stderr
    assert "the rest was not tried" in result.stderr
    assert len(result.stderr.splitlines()) == 2 + node.bulk.FAILURES_NAMED_MAX + 1


def test_load_of_a_key_that_stands_twice_keeps_the_last(run: Kvs, store: FakeStore) -> None:
    lines = "".join(f'{{"key": "k{n % 7}", "value": {n}}}\n' for n in range(700))
    assert run("load", "-", stdin=lines).exit_code == 0
    assert store.values == {b"k%d" % (n % 7): b"%d" % n for n in range(693, 700)}


@pytest.mark.parametrize("text", ["[1]", "nonsense", '{"a": 1', '{"a": 1} {"b": 2}', "\xff"])
def test_load_of_neither_form_exits_2(run: Kvs, store: FakeStore, text: str) -> None:
    result = run("load", "-", stdin=text)
    assert (result.exit_code, store.values) == (2, {})
    assert "neither one JSON object nor JSON lines" in result.stderr


def test_load_of_nothing_stores_nothing(run: Kvs) -> None:
    assert run("load", "-", stdin="").stderr.startswith("Stored 0 entries")


def test_load_line_too_long_is_one_bad_line(run: Kvs, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.bulk, "LINE_BYTES_MAX", 1000)
    monkeypatch.setattr(node.bulk, "CHUNK_BYTES", 100)
    long = json.dumps({"key": "long", "value": "x" * 3000})
    result = run("load", "-", stdin=f'{{"key": "a", "value": 1}}\n{long}\n{{"key": "b", "value": 2}}\n')
    assert result.exit_code == 1
    assert "line 2: not" in result.stderr
    assert store.values == {b"a": b"1", b"b": b"2"}


def test_load_with_nobody_there_does_not_wait(run: Kvs) -> None:
    assert run("load", "-", stdin=OBJECT, endpoints=NOWHERE).exit_code == 3


def test_load_from_a_pipe_stores_what_has_come_before_the_rest(store: FakeStore, endpoint: str) -> None:
    arrived = threading.Event()

    def notice(method: str, _path: str) -> None:
        if method == "PUT":
            arrived.set()

    store.fault = notice
    command = [sys.executable, "-m", "node.cli", "-e", endpoint, "load", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert isinstance(process.stdin, io.BufferedWriter)
        process.stdin.write(b'{"key": "a", "value": 1}\n')
        process.stdin.flush()
        assert arrived.wait(20), "the first line was not stored before the pipe was closed"
        process.stdin.write(b'{"key": "b", "value": 2}')
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, store.values) == (0, {b"a": b"1", b"b": b"2"})
    assert errors.startswith(b"Stored 2 entries")


# The process


def test_help_imports_neither_http_nor_tables() -> None:
    code = "import sys, node.cli; sys.exit(any(name in sys.modules for name in ('aiohttp', 'rich', 'asyncio')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0


def test_main_interrupted_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_of_main(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "Interrupted"


def test_main_own_fault_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_of_main(monkeypatch, ZeroDivisionError("oh")) == 70
    assert capsys.readouterr().err == "Error: this is a fault of kvs itself: ZeroDivisionError: oh\n"


def _exit_of_main(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> object:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(node.cli, "_run", fail)
    monkeypatch.setattr(sys, "argv", ["kvs", "status"])
    with pytest.raises(SystemExit) as exit:
        node.cli.main()
    return exit.value.code

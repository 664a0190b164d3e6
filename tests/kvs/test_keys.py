"""`kvs keys`: which keys are listed, how each is written, and how a listing ends, also before its end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from kvs.keys import as_word
from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore, answer, served_by_thread

PATIENCE_S = 20.0
HUNDRED = [f"k{n:02}" for n in range(100)]
UNREACHABLE = {"error": "Nodes cannot be asked", "unreachable": ["10.0.0.9:80"]}


def holds(store: FakeStore, *keys: str) -> None:
    store.values |= {key.encode(): b"%d" % n for n, key in enumerate(keys)}


def pages_asked(store: FakeStore) -> list[str]:
    return [path for _, path in store.asked if path.startswith("/kvs/keys?")]


def after_the_first(response: Callable[[], web.Response]) -> Callable[[str, str], web.Response | None]:
    """A store that gives a first page and then this."""
    return lambda _method, path: response() if "after=" in path else None


def unable() -> web.Response:
    return answer(503, **UNREACHABLE)


@pytest.fixture
def second() -> Iterator[tuple[FakeStore, str]]:
    """Another node of the same store, and where it listens."""
    store = FakeStore()
    with served_by_thread(store) as endpoint:
        yield store, endpoint


@pytest.mark.parametrize("page_keys", [1, 7, 99, 100, 10_000])
def test_keys_follows_pages_in_order(run: Kvs, store: FakeStore, page_keys: int) -> None:
    store.page_keys_max = page_keys
    holds(store, *reversed(HUNDRED))
    result = run("keys")
    assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (0, HUNDRED, "")
    assert len(pages_asked(store)) == -(-100 // page_keys)


def test_keys_keeps_the_order_of_utf8_bytes(run: Kvs, store: FakeStore) -> None:
    """In which U+FF5E comes before U+1F600, unlike in UTF-16; nor does a locale count."""
    store.page_keys_max = 1
    keys = ["B", "a", "é", "\uff5e", "😀"]
    holds(store, *reversed(keys))
    assert run("keys").stdout.splitlines() == keys


@pytest.mark.parametrize("prefix", ["", "a b", "%", "%2F", "a&limit=1", "+", "é", "/", "a/../b", "?#", "=", "-k", "\n"])
def test_keys_prefix_and_what_comes_after_arrive_as_they_are(run: Kvs, store: FakeStore, prefix: str) -> None:
    store.page_keys_max = 1
    keys = [f"{prefix}{end}" for end in "123"]
    holds(store, *keys, "zzz")
    result = run("keys", "-o", "json", "--", prefix)
    assert json.loads(result.stdout) == {"keys": [*keys, "zzz"] if prefix == "" else keys}


def test_keys_without_prefix_asks_for_none(run: Kvs, store: FakeStore) -> None:
    assert run("keys").exit_code == run("keys", "").exit_code == 0
    assert pages_asked(store) == ["/kvs/keys?limit=10000"] * 2


def test_keys_goes_on_after_a_page_without_keys(run: Kvs, store: FakeStore) -> None:
    holds(store, "k1", "k2")
    store.fault = lambda _method, path: None if "after=" in path else answer(200, keys=[], next="k1")
    assert run("keys").stdout == "k2\n"
    assert run("keys", "-o", "json").stdout == '{"keys":["k2"]}\n'


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        ("a/b%20 ü..", "a/b%20 ü.."),
        ("日本😀", "日本😀"),
        (r"back\n", r"back\n"),
        ('in"side', 'in"side'),
        ("a\nb", r'"a\nb"'),
        ("a\tb", r'"a\tb"'),
        ("é\x00", r'"é\u0000"'),
        ('"a"', r'"\"a\""'),
        ('\\\n"', r'"\\\n\""'),
        ("\x1b[2J", r'"\u001b[2J"'),
        ("\x7f\x9b1m", r'"\u007f\u009b1m"'),
        ("\u2028", r'"\u2028"'),
        ("a\u202eb", r'"a\u202eb"'),
        ("\U000e0001", r'"\udb40\udc01"'),
    ],
)
def test_keys_odd_key_is_printed_unambiguously(run: Kvs, store: FakeStore, key: str, printed: str) -> None:
    holds(store, key)
    assert run("keys").stdout_bytes == f"{printed}\n".encode()
    assert run("keys", "--values").stdout_bytes == f"{printed}\t0\n".encode()


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_keys_word_is_one_line_and_gives_the_key_back(key: str) -> None:
    word = as_word(key)
    assert word.isprintable()
    assert (json.loads(word) if word.startswith('"') else word) == key


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (b"123456789012345678901234567890", b"123456789012345678901234567890"),
        (b'{"b":1.50, "a":"\\n"}', b'{"b":1.50, "a":"\\n"}'),
        (b'[1,\r\n\n2, "\xc3\xbc"]', b'[1,   2, "\xc3\xbc"]'),
    ],
)
def test_keys_values_are_as_stored_in_one_line(run: Kvs, store: FakeStore, value: bytes, printed: bytes) -> None:
    store.values[b"k"] = value
    assert run("keys", "--values").stdout_bytes == b"k\t" + printed + b"\n"
    document = b'{"entries":[{"key":"k","value":' + value + b',"etag":"\\"7\\""}]}\n'
    assert run("keys", "--values", "-o", "json").stdout_bytes == document


@pytest.mark.parametrize(("limit", "limits_asked"), [(1, [1]), (30, [30]), (45, [45, 15]), (100, [100, 70, 40, 10])])
def test_keys_limit_asks_for_no_more_than_it_prints(
    run: Kvs, store: FakeStore, limit: int, limits_asked: list[int]
) -> None:
    store.page_keys_max = 30
    holds(store, *HUNDRED)
    assert run("keys", "--limit", str(limit)).stdout.splitlines() == HUNDRED[:limit]
    assert [int(path.rpartition("limit=")[2]) for path in pages_asked(store)] == limits_asked


@pytest.mark.parametrize("limit", ["100", "101", "25000"])
def test_keys_limit_beyond_the_end_ends_there(run: Kvs, store: FakeStore, limit: str) -> None:
    holds(store, *HUNDRED)
    assert run("keys", "--limit", limit).stdout.splitlines() == HUNDRED


def test_keys_json_is_one_document(run: Kvs, store: FakeStore) -> None:
    store.page_keys_max = 2
    keys = ["\n", '"', "a", "b", "é"]
    holds(store, *keys)
    assert run("keys", "-o", "json").stdout == '{"keys":["\\n","\\"","a","b","é"]}\n'
    entries = [{"key": key, "value": n, "etag": '"7"'} for n, key in enumerate(keys)]
    assert json.loads(run("keys", "--values", "-o", "json").stdout) == {"entries": entries}


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ([], ""),
        (["--values"], ""),
        (["-o", "json"], '{"keys":[]}\n'),
        (["--values", "-o", "json"], '{"entries":[]}\n'),
        (["nothing/"], ""),
    ],
)
def test_keys_of_which_there_are_none_exits_0(run: Kvs, options: list[str], printed: str) -> None:
    result = run("keys", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (0, printed, "")


@pytest.mark.parametrize(
    ("options", "printed"), [([], "k00\nk01\n"), (["-o", "json"], '{"keys":["k00","k01"')], ids=["text", "json"]
)
def test_keys_fault_in_the_middle_exits_3(
    run: Kvs, store: FakeStore, endpoint: str, options: list[str], printed: str
) -> None:
    store.page_keys_max = 2
    holds(store, *HUNDRED)
    store.fault = after_the_first(unable)
    result = run("keys", *options)
    reason = f"Error: no node gave a result: {endpoint} (Nodes cannot be asked: 10.0.0.9:80)\n"
    assert (result.exit_code, result.stdout, result.stderr) == (3, printed, reason)


def test_keys_refused_exits_2(run: Kvs, store: FakeStore) -> None:
    store.fault = lambda _method, _path: answer(400, error="Malformed prefix")
    result = run("keys", "k")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: Malformed prefix\n")


@pytest.mark.parametrize(
    "failure",
    [unable, lambda: answer(500, error="Internal server error"), lambda: web.Response(text='{"keys":["k')],
    ids=["503 with unreachable", "500", "broken answer"],
)
def test_keys_goes_on_at_another_endpoint(
    run: Kvs, store: FakeStore, endpoint: str, second: tuple[FakeStore, str], failure: Callable[[], web.Response]
) -> None:
    other, elsewhere = second
    for node in (store, other):
        node.page_keys_max = 40
        holds(node, *HUNDRED)
    store.fault = after_the_first(failure)
    result = run("keys", endpoints=f"{endpoint},{elsewhere}")
    assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (0, HUNDRED, "")
    assert len(pages_asked(store)) == 2, "an endpoint that failed is asked last from then on"
    assert pages_asked(other) == [f"/kvs/keys?after={key}&limit=10000" for key in ("k39", "k79")]


@pytest.mark.parametrize("options", [[], ["-o", "json"]], ids=["text", "json"])
def test_keys_prints_as_pages_come_and_ends_when_its_reader_has_gone(
    store: FakeStore, endpoint: str, options: list[str]
) -> None:
    gone = threading.Event()
    store.page_keys_max = 1
    holds(store, *HUNDRED)
    store.fault = lambda _method, path: None if "after=" not in path or gone.wait(PATIENCE_S) else unable()
    command = [sys.executable, "-m", "kvs.cli", "-e", endpoint, "keys", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read1() in (b"k00\n", b'{"keys":["k00"')  # type: ignore[attr-defined]
        process.stdout.close()
        gone.set()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == b""
    assert len(pages_asked(store)) <= 3, "what nobody reads is not asked for"

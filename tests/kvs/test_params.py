"""What is typed as a value or a key: JSON or a string, refused where it was meant to be something else."""

from __future__ import annotations

import msgspec
import pytest

from kvs.params import EndpointList
from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore


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


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("a:1", ("a:1",)),
        ("a", ("a:13800",)),
        ("http://a:1/", ("a:1",)),
        ("http://10.0.0.1, http://b:80", ("10.0.0.1:13800", "b:80")),
        ("[::1]", ("[::1]:13800",)),
        ("http://[::1]:80/,a", ("[::1]:80", "a:13800")),
    ],
)
def test_endpoint_may_be_written_as_in_a_browser_or_without_its_port(typed: str, asked: tuple[str, ...]) -> None:
    assert EndpointList().convert(typed, None, None) == asked


def test_endpoint_written_as_in_a_browser_is_asked(run: Kvs, store: FakeStore, endpoint: str) -> None:
    assert run("put", "k", "1", endpoints=f"http://{endpoint}/").exit_code == 0
    assert store.values == {b"k": b"1"}


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        *(("30", b"30"), ("0.5", b"0.5"), ("30s", b"30"), ("1.5m", b"90"), ("12h", b"43200"), ("7d", b"604800")),
        ("0.001s", b"0.001"),
    ],
)
def test_put_ttl_is_a_duration(run: Kvs, store: FakeStore, typed: str, sent: bytes) -> None:
    assert run("put", "k", "1", "--ttl", typed).exit_code == 0
    assert run("put", "stays", "-1").exit_code == 0
    assert store.values == {b"k": b"1", b"stays": b"-1"}
    assert {key: bytes(ttl) for key, ttl in store.ttls.items()} == {b"k": sent}


@pytest.mark.parametrize("typed", ["", "0", "0s", "-1", "1w", "m", "1e3", "1 s", "soon", "\u0663"])
def test_put_ttl_that_is_no_duration_is_refused(run: Kvs, store: FakeStore, typed: str) -> None:
    result = run("put", "k", "1", "--ttl", typed)
    assert result.exit_code == 2 and "duration" in result.stderr
    assert not store.asked


def test_ttl_is_shown_where_programs_read(run: Kvs, store: FakeStore) -> None:
    store.values, store.ttls = {b"k": b"1", b"stays": b"2"}, {b"k": msgspec.Raw(b"29.987")}
    assert run("get", "k", "-o", "json").stdout == '{"key":"k","value":1,"ttl":29.987}\n'
    assert run("get", "stays", "-o", "json").stdout == '{"key":"stays","value":2}\n'
    assert run("get", "k").stdout == "1\n"
    entries = '{"key":"k","value":1,"etag":"\\"7\\"","ttl":29.987},{"key":"stays","value":2,"etag":"\\"7\\""}'
    assert run("keys", "--values", "-o", "json").stdout == '{"entries":[' + entries + "]}\n"

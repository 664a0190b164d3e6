"""Addresses where the shell completes them: through the one door that its scripts use."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from kvs import completing
from kvs.cli import kvs
from tests.kvs.fake_store import FakeStore

FIRST, SECOND = "10.0.0.1:80", "[fe80::1]:80"
"""The nodes that the status of the fake store shows."""


def offered(*typed: str) -> list[str]:
    """`typed`: the words after `kvs`, the last of which is not whole."""
    *words, incomplete = typed
    return [item.value for item in ShellComplete(kvs, {}, "kvs", "_KVS_COMPLETE").get_completions(words, incomplete)]


@pytest.fixture
def store_asked(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KVS_ENDPOINTS", endpoint)
    return endpoint


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["view-change", "--add", ""], [FIRST, SECOND]),
        (["view-change", "--remove", "10."], [FIRST]),
        (["view-change", "--to", "[f"], [SECOND]),
        (["view-change", "--to", f"{FIRST},"], [f"{FIRST},{SECOND}"]),
        (["view-change", "--to", "h:1,10"], [f"h:1,{FIRST}"]),
        (["view-change", "--replace", "10"], [FIRST]),
        (["view-change", "--replace", FIRST, "["], [SECOND]),
        (["view-change", "--add", "elsewhere"], []),
        (["-e", "10"], [FIRST]),
    ],
)
@pytest.mark.usefixtures("store_asked")
def test_completion_of_addresses(typed: list[str], expected: list[str]) -> None:
    assert offered(*typed) == expected


def test_completion_asks_the_endpoints_that_were_typed(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVS_ENDPOINTS", "127.0.0.1:1")
    assert offered("-e", endpoint, "view-change", "--add", "10") == [FIRST]


def test_completion_offers_nothing_where_the_endpoints_are_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVS_ENDPOINTS", "127.0.0.1:99999")
    assert offered("view-change", "--add", "") == []


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "nobody answers"])
def test_completion_offers_nothing_and_says_nothing_where(
    listens: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(completing, "PATIENCE_S", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        if listens:
            mute.listen()
        monkeypatch.setenv("KVS_ENDPOINTS", f"127.0.0.1:{mute.getsockname()[1]}")
        assert offered("view-change", "--add", "") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("store_asked")
def test_completion_sends_the_token_that_the_command_would(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.token = "t1"
    (tmp_path / "t").write_text("t1")
    assert offered("--token-file", str(tmp_path / "t"), "view-change", "--add", "10") == [FIRST]
    assert offered("view-change", "--add", "10") == []
    monkeypatch.setenv("KVS_TOKEN", "t1")
    assert offered("view-change", "--add", "10") == [FIRST]

"""What is said of waiting, and when."""

from __future__ import annotations

import time

import pytest

from kvs.telling import SILENT_S, Telling


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, monotonic, as its one element."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_telling_is_silent_at_first_and_then_says_what_is_new(
    now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = Telling()
    waiting.tell(ValueError("a"))
    assert capsys.readouterr().err == ""
    now[0] += SILENT_S
    for why in ("a", "a", "b"):
        waiting.tell(ValueError(why))
    assert capsys.readouterr().err == "Waiting: a\nWaiting: b\n"


def test_telling_begins_anew_where_it_got_on(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    waiting = Telling()
    now[0] += SILENT_S
    waiting.tell(ValueError("a"))
    waiting.got_on()
    waiting.tell(ValueError("a"))
    assert capsys.readouterr().err == "Waiting: a\n"
    now[0] += SILENT_S
    waiting.tell(ValueError("a"))
    assert capsys.readouterr().err == "Waiting: a\n"

"""What is kept of a full run, and laid out in the page and the chart."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from bench.peers import __main__ as command
from bench.peers.histogram import Histogram
from bench.peers.loads import Sample
from bench.peers.report import Results, results
from bench.peers.rounds import DISK, FULL, Lane, Round, Scale, closed

ROUND: Round = {
    Lane("node", "GET", closed(32)): Sample(1_000.0, Histogram([2_000_000]), 50.0, 0.0, 0.5),
    Lane("Redis", "GET", closed(32)): Sample(2_000.0, Histogram([1_000_000]), 20.0, 0.0, 0.5),
    DISK: Sample(500.0, Histogram([2_000_000])),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results are kept, with a copy of the page."""
    shutil.copy(command.PAGE, tmp_path / "page.md")
    monkeypatch.setattr(command, "HERE", tmp_path)
    monkeypatch.setattr(command, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(command, "KEPT", tmp_path / "results.json")
    monkeypatch.setattr(command, "missing_programs", list[str])
    monkeypatch.setattr(command, "versions", lambda: {"Redis": "1.2.3"})
    monkeypatch.setattr(command, "processors_taken", lambda: 0.05)
    monkeypatch.setattr(command, "measure", lambda scale, *_: [ROUND] * scale.rounds)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, home: Path, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.peers", "--dir", str(home / "data"), *options])
    command.main()


def test_full_run_is_kept_and_laid_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, home)
    kept = msgspec.json.decode((home / "results.json").read_bytes(), type=Results)
    assert kept.rounds == FULL.rounds and kept.machine["Redis"] == "1.2.3"
    page = (home / "page.md").read_text()
    assert "| GET / Redis GET, 32 connections | 0.50 |" in page and "(../bench/peers/results.svg)" in page
    assert "No run" not in page and "</svg>" in (home / "results.svg").read_text()


@pytest.mark.parametrize("options", [["--quick"], ["--rounds", "4"]])
def test_less_than_a_full_run_is_shown_but_not_kept(
    options: list[str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, home, *options)
    shown = capsys.readouterr()
    assert "| GET / Redis GET, 32 connections | 0.50 |" in shown.out and "Not kept" in shown.err
    assert not (home / "results.json").exists() and not (home / "results.svg").exists()


def test_run_beside_others_is_not_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "processors_taken", lambda: 1.5)
    run(monkeypatch, home)
    assert "others took 1.50 processors" in capsys.readouterr().err
    assert not (home / "results.json").exists()


def test_redraw_lays_out_what_was_kept_and_measures_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(scale: Scale, directory: Path, tell: object) -> list[Round]:
        raise AssertionError("it measures")

    monkeypatch.setattr(command, "measure", measure)
    (home / "results.json").write_bytes(msgspec.json.encode(results({"processors": "2"}, [ROUND])))
    run(monkeypatch, home, "--redraw")
    assert "One round; processors 2." in (home / "page.md").read_text()


def test_redraw_of_nothing_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^bench\.peers: .*results\.json"):
        run(monkeypatch, home, "--redraw")

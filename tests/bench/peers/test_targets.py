"""Ratios are taken within a round; their median and range are told, and whether the load was the limit."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.peers.histogram import NS_PER_MS, Histogram
from bench.peers.loads import Sample
from bench.peers.report import in_page, markdown, results
from bench.peers.rounds import DISK, HALF, Lane, Round, at_rate, closed
from bench.peers.targets import TARGETS, Told, told

NODE, REDIS, ANSWERER = (Lane(name, "GET", closed(32)) for name in ("node", "Redis", "answerer"))
HALF_OF_IT = Lane("node", "PUT", HALF)
PAGE = "# Speed\n\n<!-- figures of make bench-peers: begin -->\nold\n<!-- figures: end -->\n\nAfter.\n"


def a_sample(per_second: float, busy: float = 0.5, taken_ms: int = 1) -> Sample:
    return Sample(per_second, Histogram([taken_ms * NS_PER_MS] * 10), 50.0, 4096.0, busy)


def said(beginning: str, rounds: list[Round]) -> Told | None:
    return told(next(target for target in TARGETS if target.name.startswith(beginning)), rounds)


def test_ratio_is_the_median_of_those_within_the_rounds() -> None:
    rounds: list[Round] = [
        {NODE: a_sample(1_000), REDIS: a_sample(2_000)},
        {NODE: a_sample(9_000), REDIS: a_sample(10_000)},
        {NODE: a_sample(100), REDIS: a_sample(400)},
    ]
    assert said("GET / Redis GET", rounds) == (0.5, 0.25, 0.9, False)


def test_round_without_one_of_the_lanes_does_not_count() -> None:
    rounds: list[Round] = [{NODE: a_sample(1_000), REDIS: a_sample(2_000)}, {NODE: a_sample(9_000)}]
    assert said("GET / Redis GET", rounds) == (0.5, 0.5, 0.5, False)
    assert said("GET / smallest", rounds) is None


def test_load_that_is_busy_on_either_side_is_told() -> None:
    rounds: list[Round] = [{NODE: a_sample(1_000), ANSWERER: a_sample(2_000, busy=0.95)}]
    assert said("GET / smallest", rounds) == (0.5, 0.5, 0.5, True)


def test_slowest_of_puts_is_told_in_multiples_of_the_disk_s() -> None:
    rounds: list[Round] = [{HALF_OF_IT: a_sample(1_000, taken_ms=8), DISK: a_sample(3_000, taken_ms=4)}]
    found = said("p99.9", rounds)
    assert found is not None and found.median == pytest.approx(2, rel=1 / 64)


def test_processor_time_is_told_as_it_is() -> None:
    assert said("CPU a durable PUT", [{Lane("node", "PUT", closed(32)): a_sample(1_000)}]) == (50, 50, 50, False)


def test_all_that_is_aimed_at_has_a_bound_or_stands_below_what_it_repeats() -> None:
    for before, target in pairwise(TARGETS):
        assert target.bound is not None or (target.over.name, target.over.what) == (before.over.name, before.over.what)


def test_markdown_has_verdicts_spreads_and_percentiles_of_all_rounds_together() -> None:
    fast, slow = at_rate(1_000), Lane("node", "PUT", at_rate(1_000))
    rounds: list[Round] = [
        {NODE: a_sample(1_000), REDIS: a_sample(2_000), slow: a_sample(1_000, taken_ms=1)},
        {NODE: a_sample(3_000), REDIS: a_sample(3_000), slow: a_sample(998, taken_ms=100)},
    ]
    text = markdown(results({"processors": "2"}, rounds))
    assert "Medians of 2 rounds" in text and "processors 2." in text
    assert "| GET / Redis GET, 32 connections | 0.75 | 0.50 to 1.00 | >= 1 | missed |" in text
    row = next(line for line in text.splitlines() if line.startswith(f"| node PUT | {fast}"))
    assert row.startswith("| node PUT | 1,000 a second | 999 | 998 to 1,000 | 1.0")
    assert "| 100." in row or "| 101." in row


def test_figures_replace_what_stands_between_the_marks_of_a_page() -> None:
    page = in_page(PAGE, "new")
    assert "old" not in page and page.startswith("# Speed\n") and page.endswith("\nAfter.\n")
    assert in_page(page, "new") == page
    with pytest.raises(ValueError, match="no place"):
        in_page("# Speed\n", "new")

"""A state that lasts is a line when it begins and one when it ends; of strangers there are few lines."""

from __future__ import annotations

import logging

import pytest

from node.state_log import LINE_EVERY_S, LINES_AT_ONCE, FewLines, StateLog


def test_state_log_says_once_that_it_begins_and_once_that_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    states = StateLog()
    with caplog.at_level(logging.INFO):
        states.end("a", "a is well")
        for _ in range(3):
            states.begin("a", "a is ill")
            states.begin("b", "b is ill")
        states.begin("a", "a is worse")
        states.end("a", "a is well")
        states.end("a", "a is well")
        states.end("b")
        states.begin("b", "b is ill")
    assert caplog.messages == ["a is ill", "b is ill", "a is worse", "a is well", "b is ill"]


def test_few_lines_are_some_at_once_and_then_one_now_and_then() -> None:
    now_s = 1000.0
    lines = FewLines(lambda: now_s)
    assert [lines.is_due() for _ in range(LINES_AT_ONCE + 3)] == [True] * LINES_AT_ONCE + [False] * 3
    now_s += 1.5 * LINE_EVERY_S
    assert [lines.is_due() for _ in range(3)] == [True, False, False]
    assert [lines.rest(), lines.rest()] == ["; and 5 like it before", ""]
    now_s += 0.5 * LINE_EVERY_S
    assert lines.is_due() and not lines.is_due()


def test_few_lines_save_up_no_more_than_they_begin_with() -> None:
    now_s = 0.0
    lines = FewLines(lambda: now_s)
    now_s += 1e6 * LINE_EVERY_S
    assert [lines.is_due() for _ in range(LINES_AT_ONCE + 1)] == [True] * LINES_AT_ONCE + [False]

"""A state that lasts is a line when it begins and one when it ends."""

from __future__ import annotations

import logging

import pytest

from node.state_log import StateLog


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

"""Deaths and returns are a line each, on every node."""

from __future__ import annotations

import logging

import pytest

from node.diagnosis.attendance import Attendance
from tests.node.fakes.clocks import HandTime

KNOWN = NODES = {"a:1", "b:1", "c:1"}


def test_attendance_logs_a_death_once_and_a_return_once(caplog: pytest.LogCaptureFixture) -> None:
    time = HandTime()
    attendance = Attendance(time)
    with caplog.at_level(logging.INFO):
        attendance.look([], KNOWN, NODES)
        attendance.look(["b:1"], KNOWN, NODES)
        time.now += 90
        attendance.look(["b:1"], KNOWN, NODES)
        assert (attendance.dead_s("b:1"), attendance.dead_s("c:1")) == (90.0, None)
        attendance.look(["c:1"], KNOWN, NODES)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "b:1 is down: it has answered nobody for some seconds"),
        ("WARNING", "c:1 is down: it has answered nobody for some seconds"),
        ("INFO", "b:1 is back, after 90 s"),
    ]
    assert attendance.dead_s("b:1") is None


def test_attendance_of_one_outside_the_view_is_no_warning_and_who_is_forgotten_is_not_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attendance = Attendance(HandTime())
    with caplog.at_level(logging.INFO):
        attendance.look(["d:1"], {*KNOWN, "d:1"}, NODES)
        attendance.look([], KNOWN, NODES)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "d:1, which is not in the view, is down")
    ]

"""Nobody waits for the log: what finds its queue full is dropped and counted, and its end has a limit."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from node.logs import QUEUE_MAX, LogWriter

LONG_S = 20.0
"""Nothing that is waited for here takes a tenth of this."""


class Pipe(io.StringIO):
    """Takes lines, unless nobody reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = threading.Event()
        self.is_read.set()
        self.is_tried = threading.Event()

    def write(self, text: str) -> int:
        self.is_tried.set()
        assert self.is_read.wait(LONG_S)
        return super().write(text)

    def lines(self) -> list[str]:
        """Without their times."""
        return [line.split(" ", 2)[2] for line in self.getvalue().splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.is_read.set()


@pytest.fixture
def log(pipe: Pipe) -> tuple[logging.Logger, LogWriter]:
    writer, log = LogWriter(pipe), logging.Logger("test")
    log.addHandler(writer.handler)
    return log, writer


def come_true(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_log_lines_are_written_in_order_each_once(pipe: Pipe, log: tuple[logging.Logger, LogWriter]) -> None:
    logger, writer = log
    for number in range(3):
        logger.info("line %d", number)
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it failed")
    assert writer.close(LONG_S)
    lines = pipe.getvalue().splitlines()
    assert [line.split(" ", 2)[2] for line in lines[:4]] == [
        *(f"INFO test: line {number}" for number in range(3)),
        "ERROR test: it failed",
    ]
    assert lines[4].startswith("Traceback") and lines[-1] == "ValueError: why" and lines.count(lines[-1]) == 1


@pytest.mark.parametrize("later", [False, True], ids=["nothing is logged afterwards", "more is logged afterwards"])
def test_log_drops_what_finds_no_room_and_tells_how_much_once(
    pipe: Pipe, log: tuple[logging.Logger, LogWriter], later: bool
) -> None:
    logger, writer = log
    pipe.is_read.clear()
    logger.info("first")
    assert pipe.is_tried.wait(LONG_S)
    for number in range(QUEUE_MAX + 7):
        logger.info("line %d", number)
    pipe.is_read.set()
    come_true(lambda: "missing" in pipe.getvalue())
    if later:
        logger.info("later")
    assert writer.close(LONG_S)
    told = "WARNING node.logs: lines of the log that stderr did not take, and that are missing here: 7"
    kept = [f"INFO test: line {number}" for number in range(QUEUE_MAX)]
    assert pipe.lines() == ["INFO test: first", *kept, told, *(["INFO test: later"] if later else [])]


def test_log_of_which_nothing_can_be_written_ends_in_time(pipe: Pipe, log: tuple[logging.Logger, LogWriter]) -> None:
    logger, writer = log
    pipe.is_read.clear()
    for number in range(2 * QUEUE_MAX):
        logger.info("line %d", number)
    assert not writer.close(0.01)


def test_log_as_json_is_an_object_a_line_with_its_fields(pipe: Pipe, log: tuple[logging.Logger, LogWriter]) -> None:
    logger, writer = log
    writer.write_as("json")
    logger.info("line %d:\nrest", 1, extra={"fields": {"request-id": "abc", "status": 503}})
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it failed")
    assert writer.close(LONG_S)
    first, second = (json.loads(line) for line in pipe.getvalue().splitlines())
    assert datetime.fromisoformat(first.pop("time")).utcoffset() == timedelta(0)
    assert first == {
        "level": "info",
        "logger": "test",
        "message": "line 1:\nrest",
        "request-id": "abc",
        "status": 503,
    }
    assert (second["level"], second["message"]) == ("error", "it failed")
    assert second["traceback"].splitlines()[-1] == "ValueError: why"


def test_log_says_what_was_so_when_it_was_said(pipe: Pipe, log: tuple[logging.Logger, LogWriter]) -> None:
    logger, writer = log
    what = ["early"]
    pipe.is_read.clear()
    logger.info("%s", what)
    logger.info("%s", what)
    what[0] = "late"
    pipe.is_read.set()
    assert writer.close(LONG_S)
    assert pipe.lines() == ["INFO test: ['early']"] * 2

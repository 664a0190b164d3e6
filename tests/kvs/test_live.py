"""What is shown again and again: in which form, through faults, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kvs.command import NOWHERE, ON_A_KEYBOARD, PATIENCE_S


@contextmanager
def watching(endpoint: str, *options: str, **streams: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", ON_A_KEYBOARD, "status", "--watch", *options]
    environment = {**os.environ, "KVS_ENDPOINTS": endpoint, "TERM": "xterm", "COLUMNS": "120"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    process = subprocess.Popen(command, env=environment, text=True, **pipes)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How it ends on Ctrl-C, and what it has said on stderr that nobody has read."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, errors


def test_live_json_is_a_document_a_line(endpoint: str) -> None:
    with watching(endpoint, "-o", "json") as process:
        assert process.stdout is not None
        first, second = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        assert first == second and first["nodes"]
        assert interrupted(process) == (0, "")


def test_live_table_in_a_pipe_comes_again(endpoint: str) -> None:
    with watching(endpoint) as process:
        assert process.stdout is not None
        heads = (line for line in process.stdout if line.startswith("NODE"))
        assert next(heads) == next(heads)
        assert interrupted(process) == (0, "")


def test_live_table_on_a_terminal_is_drawn_in_its_place(endpoint: str) -> None:
    ours, theirs = pty.openpty()
    with watching(endpoint, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        drawn = b""
        while drawn.count(b"NODE") < 2:
            assert select.select([ours], [], [], PATIENCE_S)[0], drawn
            drawn += os.read(ours, 4096)
        assert b"\x1b[1A" in drawn, "the cursor goes up again"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    os.close(ours)


@pytest.mark.parametrize("options", [[], ["-o", "json"]])
def test_live_goes_on_while_nobody_answers(options: list[str]) -> None:
    with watching(NOWHERE, *options) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("Error: no node gave a result") and process.stderr.readline() == first
        assert interrupted(process)[0] == 0


@pytest.mark.parametrize("options", [[], ["-o", "json"]])
def test_live_ends_when_its_reader_has_gone(endpoint: str, options: list[str]) -> None:
    with watching(endpoint, *options) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == ""
        process.stdout = None

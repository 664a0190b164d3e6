"""`kvs watch`: how what happens is printed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kvs.watch import Gap, HasExpired, WasDeleted, WasPut
from kvs.watch_command import _document, _line
from tests.kvs.command import ON_A_KEYBOARD, PATIENCE_S
from tests.kvs.scripted import Scripted, served
from tests.kvs.streams import DELETE, HEAD, PUT

GAP = b'event: gap\ndata: {"why":"a node died"}\n\n'


def test_events_are_lines_and_documents() -> None:
    put = WasPut("a b", b"[1,\n2]", '"7"', 1.5)
    assert _line(put) == b"put a b\t[1, 2]"
    assert _line(WasDeleted("two\nlines", '"8"')) == b'delete "two\\nlines"'
    assert _line(HasExpired("k", '"8"')) == b"expire k"
    document = _document(put)
    assert document.keys() == {"event", "key", "etag", "value", "ttl"} and document["event"] == "put"
    assert _document(WasDeleted("k", '"8"')) == {"event": "delete", "key": "k", "etag": '"8"'}
    assert _document(Gap("w")) == {"event": "gap", "why": "w"}


@asynccontextmanager
async def watching(*options: str) -> AsyncIterator[subprocess.Popen[str]]:
    async with served(Scripted((HEAD + PUT + GAP + DELETE,))) as node:
        command = [sys.executable, "-c", ON_A_KEYBOARD, "watch", *options]
        environment = {**os.environ, "KVS_ENDPOINTS": node}
        process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)


async def ended(process: subprocess.Popen[str], lines: int) -> tuple[list[str], str]:
    """What it has said after so many lines, and Ctrl-C."""
    assert process.stdout is not None
    found = [await asyncio.to_thread(process.stdout.readline) for _ in range(lines)]
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.to_thread(process.communicate, None, PATIENCE_S)
    assert process.returncode == 0
    return found, errors


async def test_command_prints_a_line_for_each_event_and_ends_quietly() -> None:
    async with watching() as process:
        found, errors = await ended(process, 2)
        assert found == ["put k\t[1, 2]\n", "delete k\n"]
        assert errors == "Something may have been missed: a node died\n"


async def test_command_prints_json_lines() -> None:
    async with watching("-o", "json") as process:
        found, errors = await ended(process, 3)
        assert [json.loads(line)["event"] for line in found] == ["put", "gap", "delete"] and errors == ""

"""Nodes as processes of their own, without the half second of processor time that Python takes to import one.

Most of what the tests of processes cost would be imports: they start some hundreds. So one process imports what a node
needs, and each node is a fork of it, which from there on does what `python -m node` does, in its own environment. How
Python starts a node is left to those tests that are about that.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["node.process", __name__])


class Forked:
    """A process, as asyncio has them, as far as the tests need that."""

    def __init__(self, environment: Mapping[str, str], directory: Path, log: Path) -> None:
        """Starts `python -m node`, with nothing but this environment; what it says goes to `log`."""
        self._process = _forks.Process(target=_become_a_node, args=(dict(environment), directory, log))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    async def wait(self) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            while self._process.exitcode is None:
                await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        return self._process.exitcode


def _become_a_node(environment: Mapping[str, str], directory: Path, log: Path) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.close(said)
    sys.argv = ["node"]
    runpy.run_module("node", run_name="__main__", alter_sys=True)

"""From the environment to a serving node, and from a signal to its end."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, cast

from node.api.descriptors import raise_limit
from node.api.server import serving
from node.config import Config
from node.environment import read_environment
from node.errors import StartupFault, Unclosed
from node.logs import LogWriter
from node.own_names import TwoNames, demand_one_name
from node.secret_files import Renewable
from node.spare_memory import give_back_now_and_then

GARBAGE_THRESHOLD = 10_000
"""Objects made, and not freed, before the collector looks for cycles. Requests leave none, but dozens of them at a time
have so many objects in use that with Python's own 700 there is a collection in each turn of the loop, which takes a
tenth of the time of a durable write."""
LAST_LINES_S = 0.5
"""How long the end of a node waits for its last lines to be written."""

log = logging.getLogger(__name__)


async def run(config: Config) -> None:
    """Run a node until SIGTERM or SIGINT; until it serves, these are for `__main__`. Raises StartupFault."""
    signalled, hung_up = asyncio.Event(), asyncio.Event()
    if config.reads_files:  # Whoever has changed one of them need not ask whether this node serves yet.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
    async with serving(config) as node:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, signalled.set)
        aside = [asyncio.create_task(_renew(node.files, hung_up)), asyncio.create_task(give_back_now_and_then())]
        gc.freeze()  # What is here now stays.
        stop = asyncio.create_task(signalled.wait())
        ends: list[asyncio.Future[Any]] = [node.life, stop, node.second_name]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in aside:
            task.cancel()
        if node.life.done():
            stop.cancel()
            await node.life
        if node.second_name.done() and not stop.done():
            stop.cancel()
            raise TwoNames(config.address, node.second_name.result())


async def _renew(files: tuple[Renewable, ...], hung_up: asyncio.Event) -> None:
    """Read the files again after each SIGHUP."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        for file in files:
            await file.renew()


def main() -> int:
    """The exit status. If stderr takes nothing, or the disk hangs, this ends the process itself: Python would wait."""
    raise_limit()
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])
    writer = LogWriter(sys.stderr)
    logging.getLogger().addHandler(writer.handler)
    logging.getLogger().setLevel(logging.INFO)
    is_closed = True
    try:
        status = _run_to_its_end(writer)
    except Unclosed as fault:
        is_closed, status = False, 0 if fault.__context__ is None else 1
        log.error("%s: this node ends without waiting for it", fault, exc_info=fault.__context__)
    if not writer.close(LAST_LINES_S) or not is_closed:
        os._exit(status)
    return status


def _run_to_its_end(writer: LogWriter) -> int:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            config = read_environment(os.environ)
            writer.write_as(config.log_format)
            logging.getLogger().setLevel(config.log_level.upper())
            demand_one_name(config)
            runner.run(run(config))
    except StartupFault as fault:
        for line in fault.faults:
            print(line, file=sys.stderr)
        return fault.status
    except Unclosed:
        raise
    except Exception:
        log.critical("this node ends: it would be half alive", exc_info=True)
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: it serves half as many requests again."""
    try:
        return cast(Callable[[], asyncio.AbstractEventLoop], importlib.import_module("uvloop").new_event_loop)
    except ImportError:
        return None

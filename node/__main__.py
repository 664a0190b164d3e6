"""`python -m node`: from the environment to a serving node, and from a signal to its end."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import cast

from node.config import Config
from node.errors import StartupFault
from node.serving import serving


async def run(config: Config) -> None:
    """Run a node until SIGTERM or SIGINT. Raises StartupFault."""
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    async with serving(config) as node:
        stop = asyncio.create_task(signalled.wait())
        await asyncio.wait([node.life, stop], return_when=asyncio.FIRST_COMPLETED)
        if node.life.done():
            stop.cancel()
            await node.life


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(Config.from_env(os.environ)))
    except StartupFault as fault:
        for line in fault.faults:
            print(line, file=sys.stderr)
        return fault.status
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: it serves half as many requests again."""
    try:
        return cast(Callable[[], asyncio.AbstractEventLoop], importlib.import_module("uvloop").new_event_loop)
    except ImportError:
        return None


if __name__ == "__main__":
    sys.exit(main())

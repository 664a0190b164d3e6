"""Nothing may fail beside what is looked at: what is logged with a traceback is a fault, too."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.sim.loop import VirtualLoop

T = TypeVar("T")


class _Caught(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])


@contextmanager
def quiet() -> Iterator[None]:
    """Raises what was logged with a traceback meanwhile; else nothing of the log is seen."""
    caught, root = _Caught(), logging.getLogger()
    handlers, root.handlers = root.handlers, [caught]
    try:
        yield
    finally:
        root.handlers = handlers
    if caught.errors:
        raise caught.errors[0]


class _InOrder(random.Random):
    """By which a loop runs what is ready in the order in which it became so: aiohttp relies on that, as it may."""

    def random(self) -> float:
        return 1.0 - 2.0**-53


def on_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    with quiet():
        return VirtualLoop(_InOrder()).run(_alone(work))


async def _alone(work: Coroutine[Any, Any, T]) -> T:
    """What it has begun ends with it."""
    try:
        return await work
    finally:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

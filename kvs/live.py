"""What is shown anew every second, until Ctrl-C: on a terminal in its place, else one after the other.

That no node answers is something to see, and no end: whoever watches wants to know when one does again. Only where it
is to end by itself, and nobody answers at the last, does it end as any other command does then.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import click
import msgspec

from kvs.ending import print_json, run
from kvs.params import Addresses

if TYPE_CHECKING:
    from kvs.errors import KvsError
    from kvs.operating import Operator

INTERVAL_S = 1.0

Show: TypeAlias = "Callable[[msgspec.Struct | KvsError], None]"


def keep_showing(
    endpoints: Addresses,
    ask: Callable[[Operator], Awaitable[msgspec.Struct]],
    output: str,
    interval_s: float = INTERVAL_S,
    count: int | None = None,
) -> None:
    """What `ask` gives, again and again, or `count` times. Returns on Ctrl-C, which is how one ends this."""
    import asyncio

    from kvs.errors import KvsError

    async def work(client: Operator) -> None:
        with _json() if output == "json" else _text() as show:
            for number in itertools.count(1):
                try:
                    show(await ask(client))
                except KvsError as fault:
                    if number == count:
                        raise
                    show(fault)
                if number == count:
                    return
                await asyncio.sleep(interval_s)

    try:
        run(endpoints, work)
    except KeyboardInterrupt:
        return


@contextmanager
def _json() -> Iterator[Show]:
    """One document a line; faults go to stderr."""

    def show(seen: msgspec.Struct | KvsError) -> None:
        if isinstance(seen, msgspec.Struct):
            print_json(seen)
        else:
            _complain(seen)

    yield show


def _complain(fault: KvsError) -> None:
    click.echo(f"Error: {fault}", err=True)


@contextmanager
def _text() -> Iterator[Show]:
    from rich.live import Live
    from rich.text import Text

    from kvs.render import console, shown

    screen = console()
    with Live(console=screen, auto_refresh=False, transient=not screen.is_terminal) as live:

        def show(seen: msgspec.Struct | KvsError) -> None:
            if screen.is_terminal:
                drawn = shown(seen) if isinstance(seen, msgspec.Struct) else Text(f"Error: {seen}", "red")
                live.update(drawn, refresh=True)
            elif isinstance(seen, msgspec.Struct):
                screen.print(shown(seen))
            else:
                _complain(seen)

        yield show

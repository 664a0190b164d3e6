"""`kvs lock`: a command that is run while a lock is held, and only then.

Owns what becomes of the command, and with which status this one ends:

- It gets the terminal and all streams, as if it had been called itself, and its exit status is passed on; 128 and the
  number of the signal if it was ended by one; 127 if there is no such command, 126 if it cannot be run.
- SIGINT and SIGTERM are handed on, and it is waited for all the same. But for what a terminal does, which sends Ctrl-C
  to the command by itself: twice would be taken for impatience.
- If the lock is lost, or may be, the command gets SIGTERM, and SIGKILL after a while. That is the command itself, not
  what it has started in turn. The status is then LOST, whatever the command's own: its work was perhaps not alone.

The lock's renewal lives in this process. If it is killed, the lock goes to others when its ttl has passed, and the
command, left alone, gets SIGTERM at once, where the system can see to that: Linux can.

Who waits for longer than a moment is told for whom, or for which node, and whenever that changes.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from kvs.ending import run
from kvs.params import DurationParam, KeyParam
from kvs.telling import Telling

if TYPE_CHECKING:
    from asyncio import Queue
    from asyncio.subprocess import Process

    from kvs.errors import KvsError
    from kvs.lock import AsyncLock
    from kvs.operating import Operator

TTL_S = 30.0
KILL_S = 5.0
"""After a SIGTERM for a lock that was lost."""
BY_SIGNAL = 128
"""And the number of the signal that has ended a command: its exit status, as shells have it."""
HANDED_ON = (signal.SIGINT, signal.SIGTERM)
TOKEN_VARIABLE = "KVS_LOCK_TOKEN"
PR_SET_PDEATHSIG = 1
"""Of Linux's `prctl`: which signal a process gets when its parent dies."""


class NotHad(click.ClickException):
    exit_code = 75


class Lost(click.ClickException):
    exit_code = 76


class CannotRun(click.ClickException):
    exit_code = 126


class NoSuchCommand(CannotRun):
    exit_code = 127


@click.command(
    epilog="""\b
Exit status: that of COMMAND, or
  2    bad usage, or the store refused the request
  3    no node gave a result
  75   somebody else had the lock all the time
  76   the lock was lost, or may have been, while COMMAND ran
  126  COMMAND cannot be run
  127  there is no such COMMAND"""
)
@click.argument("name", type=KeyParam())
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--ttl",
    type=DurationParam(),
    default=f"{TTL_S:g}s",
    show_default=True,
    help="When others get the lock if this process dies, or reaches no node.",
)
@click.option("--wait", type=DurationParam(), help="Wait for the lock for so long. Else for as long as it takes.")
@click.option("--no-wait", is_flag=True, help="Try once.")
@click.option(
    "--token",
    is_flag=True,
    help=f"Give COMMAND the fencing token, in {TOKEN_VARIABLE}: a number greater than that of any holder before.",
)
@click.pass_context
def lock(
    ctx: click.Context, name: str, command: tuple[str, ...], ttl: float, wait: float | None, no_wait: bool, token: bool
) -> None:
    """Run COMMAND while the lock NAME is held.

    NAME is a key of the store. Of all who do this, one runs its command at a time. The lock is renewed while the
    command runs, and released at its end. If the lock is lost, COMMAND is sent SIGTERM, and SIGKILL 5 seconds later;
    on Linux it is sent SIGTERM too if kvs itself is killed.

    \b
    Examples:
      kvs lock nightly -- ./backup.sh --full
      kvs lock nightly --no-wait -- ./backup.sh
      kvs lock nightly --ttl 10s --wait 5m -- ./backup.sh
      kvs lock nightly --token -- sh -c './publish --unless-newer-than $KVS_LOCK_TOKEN'
    """
    from kvs.errors import Contended, Locked, LockLost

    if wait is not None and no_wait:
        raise click.UsageError("--no-wait leaves nothing to --wait for.")

    async def work(client: Operator) -> int:
        await client.learn_ring()  # If nobody is there, say so, rather than wait for them.
        timeout = 0.0 if no_wait else wait
        async with client.lock(name, ttl, timeout=timeout, on_waiting=_teller()) as held:
            more = {TOKEN_VARIABLE: str(await held.token())} if token else {}
            return await _run(command, held, more)

    try:
        status = run(ctx.obj, work)
    except (Locked, Contended) as fault:
        raise NotHad(str(fault)) from None
    except LockLost as fault:
        raise Lost(str(fault)) from None
    ctx.exit(status)


def _teller() -> Callable[[KvsError], None]:
    from kvs.errors import Contended

    telling = Telling()

    def tell(why: KvsError) -> None:
        if not isinstance(why, Contended):  # It has just become free.
            telling.tell(why)

    return tell


async def _run(command: tuple[str, ...], held: AsyncLock, more: Mapping[str, str]) -> int:
    """Its exit status; `more`: of its environment. Raises CannotRun."""
    import asyncio

    with _signals_caught() as caught:
        try:
            process = await asyncio.create_subprocess_exec(
                *command, preexec_fn=_ends_with_its_parent(), env={**os.environ, **more}
            )
        except OSError as error:
            kind = NoSuchCommand if isinstance(error, FileNotFoundError) else CannotRun
            raise kind(f"{command[0]}: {error.strerror}") from None
        ending, lost = asyncio.ensure_future(process.wait()), asyncio.ensure_future(held.lost())
        handing_on = asyncio.ensure_future(_hand_on(caught, process))
        try:
            await asyncio.wait([ending, lost], return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                _send(process, signal.SIGTERM)
                await asyncio.wait([ending], timeout=KILL_S)
            if not ending.done():
                _send(process, signal.SIGKILL)
            status = await ending
        finally:
            lost.cancel()
            handing_on.cancel()
    return BY_SIGNAL - status if status < 0 else status


def _ends_with_its_parent() -> Callable[[], None] | None:
    """What a new process does before it becomes the command; None where no system sees to it."""
    import ctypes

    if sys.platform != "linux":
        return None
    prctl, me = ctypes.CDLL(None).prctl, os.getpid()

    def see_to_it() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != me:  # It has died in between.
            os.kill(os.getpid(), signal.SIGTERM)

    return see_to_it


@contextmanager
def _signals_caught() -> Iterator[Queue[signal.Signals]]:
    """From before the command runs, lest it be left alone."""
    import asyncio

    loop, caught = asyncio.get_running_loop(), asyncio.Queue[signal.Signals]()
    former = {number: signal.getsignal(number) for number in HANDED_ON}
    for number in HANDED_ON:
        loop.add_signal_handler(number, caught.put_nowait, number)
    try:
        yield caught
    finally:
        for number, handler in former.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _hand_on(caught: Queue[signal.Signals], process: Process) -> None:
    while True:
        number = await caught.get()
        if number is not signal.SIGINT or not _has_terminal():
            _send(process, number)


def _has_terminal() -> bool:
    """Whether it is to this process and to its command that a terminal sends Ctrl-C."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _send(process: Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return  # It has ended just now.

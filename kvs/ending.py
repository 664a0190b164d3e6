"""How the command asks the store, and how it ends: what it exits with, and which stream is written to.

The client and rich, and whatever imports them, take longer to import than everything else here takes to run. So they
are imported inside the functions that need them, and help and completion stay instant.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from kvs.params import Addresses

if TYPE_CHECKING:
    from kvs.operating import Operator, Refused
    from kvs.responses import Problem

T = TypeVar("T")

TOKEN, TOKEN_FILE = "KVS_TOKEN", "KVS_TOKEN_FILE"
"""Variables of the environment: a token, and where one is."""
CA_FILE = "KVS_CACERT"
"""Another: where the CAs are that are believed."""


class NotFound(click.ClickException):
    exit_code = 1


SOMETHING_WRONG, SOMETHING_CRITICAL = 1, 4
"""What looks at the store exit with that found something wrong; critical: clients are refused, and go on being."""


class Refusal(click.ClickException):
    exit_code = 2


class NoAnswer(click.ClickException):
    exit_code = 3


class Interrupted(click.ClickException):
    """By Ctrl-C, with something to say about what was begun."""

    exit_code = 130

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


def run(
    endpoints: Addresses,
    work: Callable[[Operator], Awaitable[T]],
    explain: Callable[[Refused], click.ClickException | None] = lambda _: None,
) -> T:
    """What `work` gives. Raises the exception with which the command ends if it is not given: that of `explain` for a
    refusal that it knows more about."""
    import asyncio

    from kvs.errors import BadRequest, OutcomeUnknown, Unreachable
    from kvs.operating import Operator, Refused

    async def ask() -> T:
        async with Operator(endpoints, token=_token(), ca=ca_file()) as client:
            return await work(client)

    try:
        return asyncio.run(ask())
    except (Unreachable, OutcomeUnknown) as fault:
        raise NoAnswer(str(fault)) from None
    except BadRequest as fault:
        raise Refusal(str(fault)) from None
    except Refused as fault:
        ending = explain(fault) or {404: NotFound, 503: NoAnswer}.get(fault.status, Refusal)(str(fault))
        raise ending from None


def status_of(problems: Iterable[Problem]) -> int:
    """What a command exits with that has found these."""
    found = list(problems)
    if any(problem.is_critical for problem in found):
        return SOMETHING_CRITICAL
    return SOMETHING_WRONG if found else 0


def _token() -> str | None:
    """Of whoever typed the command. Raises BadRequest."""
    from kvs.token import read_token

    command = click.get_current_context(silent=True)
    file: Path | None = None if command is None else command.find_root().params.get("token_file")
    return (os.environ.get(TOKEN) or None) if file is None else read_token(file)


def ca_file() -> Path | None:
    """Whom whoever typed the command believes; None: whom the system does."""
    command = click.get_current_context(silent=True)
    return None if command is None else command.find_root().params.get("cacert")


def show(answer: msgspec.Struct, output: str) -> None:
    """On stdout: a table for people, or JSON for programs."""
    if output == "json":
        print_json(answer)
    else:
        from kvs.render import console, shown

        console().print(shown(answer))


def print_json(answer: object) -> None:
    click.echo(msgspec.json.encode(answer))


def output_option(command: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or for programs.",
    )
    return option(command)

"""`kvs load`: stores what a file or a pipe brings, and says how far it got where it cannot go on."""

# ruff: noqa: PLC0415

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, BinaryIO

import click

from kvs.ending import Interrupted, NoAnswer, NotFound, Refusal, output_option, print_json, run
from kvs.params import Addresses

if TYPE_CHECKING:
    from kvs.load import Tally
    from kvs.load_input import Source
    from kvs.operating import Operator


after_option = click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="N", help="Pass over the first N lines."
)


@click.command()
@click.argument("file", type=click.File("rb"))
@after_option
@output_option
@click.pass_obj
def load(endpoints: Addresses, file: BinaryIO, after: int, output: str) -> None:
    """Store every entry of FILE (- for standard input).

    FILE is either one JSON object, {"key": value, ...}, or JSON lines, each {"key": "...", "value": ...}. The
    suffixes .json and .jsonl tell which; without one of them, the first line does. JSON lines may be of any
    length: they are not kept in memory. With .gz at the end of its name, FILE is unpacked.

    A line may also have "ttl", in seconds from now, or "expires", in seconds since 1970: an entry whose time has passed
    is left out. What `kvs export` has written is checked against the manifest at its end.

    An entry that no node takes is tried again for a while. To load a file twice does no harm, and a load that was
    interrupted tells how to go on.

    \b
    Examples:
      kvs load words.json
      kvs export | kvs -e 10.0.0.2 load -
      kvs load big.jsonl --after 612000
    """
    from kvs.load import Tally
    from kvs.load_input import Source

    name = name_of(file)
    store_all(endpoints, Source(file, name, after=after), name, Tally(through=after), output)


def store_all(endpoints: Addresses, source: Source, name: str, tally: Tally, output: str) -> None:
    """Load a source, and end the command with what became of it."""
    from kvs.load import load as load_all
    from kvs.load_input import BadInput
    from kvs.render import load_bar

    async def work(client: Operator) -> None:
        await client.learn_ring()  # If nobody is there, say so once, rather than after the retries of every entry.
        await source.open()
        await load_all(client, source, tally, report)

    began = time.monotonic()
    try:
        with load_bar(source) as report:
            run(endpoints, work)
    except BadInput as error:
        raise Refusal("; ".join((f"{name}: {error}", *_stored(source, tally)))) from None
    except KeyboardInterrupt:
        raise Interrupted("; ".join(("Interrupted", *_how_to_go_on(source, name, tally)))) from None
    _tell(tally, time.monotonic() - began, output)
    if tally.undelivered:
        if tally.through:
            click.echo("; ".join(_how_to_go_on(source, name, tally)), err=True)
        click.get_current_context().exit(NoAnswer.exit_code)
    if source.fault is not None:
        raise Refusal(f"{name}: {source.fault}")
    if tally.refused:
        click.get_current_context().exit(NotFound.exit_code)


def name_of(file: BinaryIO) -> str:
    """As it was typed."""
    name = str(getattr(file, "name", "-"))
    return "-" if name == "<stdin>" else name


def _stored(source: Source, tally: Tally) -> list[str]:
    return [f"all up to {source.unit} {tally.through:,} is stored"] if tally.through else []


def _how_to_go_on(source: Source, name: str, tally: Tally) -> list[str]:
    go_on = f"go on with: kvs {click.get_current_context().command.name} {shlex.quote(name)} --after {tally.through}"
    return [*_stored(source, tally), go_on] if tally.through else []


def _tell(tally: Tally, seconds: float, output: str) -> None:
    from kvs.render import summary

    if output == "json":
        counts = {"stored": tally.stored, "failed": tally.failed, "gave-up": tally.gave_up}
        expired = {"expired": tally.expired} if tally.expired else {}
        times = {"seconds": round(seconds, 3), "keys-per-second": round(tally.stored / seconds)}
        print_json({**counts, **expired, **times, "failures": tally.failures})
    else:
        click.echo(summary(tally, seconds), err=True)

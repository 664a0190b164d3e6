"""The `kvs` command: what is typed, what it exits with, and which stream is written to.

Values and tables go to stdout, so that they can be piped; messages and progress bars to stderr. With `-o json`, stdout
carries one JSON document and nothing else, of a shape that does not depend on the terminal. Every fault is one line,
never a traceback.

aiohttp and rich, and whatever imports them, take longer to import than everything else here takes to run. So they are
imported inside the commands that need them, and help and completion stay instant.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import click
import msgspec

from kvs.params import Addresses, AddressList, KeyParam, ValueParam

if TYPE_CHECKING:
    from kvs.client import Client
    from kvs.load import Tally

T = TypeVar("T")
INTERNAL, INTERRUPTED = 70, 130
DEFAULT_ENDPOINTS = ",".join(f"127.0.0.{host}:13800" for host in range(2, 6))
"""The nodes that `make up` starts."""


class NotFound(click.ClickException):
    exit_code = 1


class Refusal(click.ClickException):
    exit_code = 2


class NoAnswer(click.ClickException):
    exit_code = 3


def _output(command: Callable[..., None]) -> Callable[..., None]:
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or for programs.",
    )
    return option(command)


_nodes_option = partial(click.option, type=AddressList(), multiple=True, metavar="HOST:PORT")


@click.group(
    epilog="""\b
Exit status:
  0  done
  1  not found, or some entries of a load were refused
  2  bad usage, or the store refused the request
  3  no node could answer; a write may have happened all the same"""
)
@click.option(
    "-e",
    "--endpoints",
    type=AddressList(),
    envvar="KVS_ENDPOINTS",
    show_envvar=True,
    default=DEFAULT_ENDPOINTS,
    show_default="127.0.0.2:13800 to 127.0.0.5:13800",
    metavar="HOST:PORT,...",
    help="Nodes to ask, in turn, until one answers.",
)
@click.pass_context
def kvs(ctx: click.Context, endpoints: Addresses) -> None:
    """Read, write and run a sharded key-value store.

    Any node takes any request; it need not be the one that has the key.
    """
    ctx.obj = endpoints


@kvs.command()
@click.argument("key", type=KeyParam())
@_output
@click.pass_obj
def get(endpoints: Addresses, key: str, output: str) -> None:
    """Print the value of KEY, the JSON that was stored."""
    value = _run(endpoints, lambda client: client.get(key))
    if output == "json":
        _print_json({"key": key, "value": msgspec.Raw(value)})
    else:
        click.echo(value)


@kvs.command(context_settings={"ignore_unknown_options": True})
@click.argument("key", type=KeyParam())
@click.argument("value", type=ValueParam())
@_output
@click.pass_obj
def put(endpoints: Addresses, key: str, value: bytes, output: str) -> None:
    """Store VALUE under KEY.

    VALUE is JSON, kept digit by digit; what is not JSON is stored as a string. So 42 is a number, '"42"' and
    forty-two are strings. What begins with {, [, " or - looks meant to be JSON, and is refused if it is not.
    A lone - reads VALUE from standard input.

    \b
    Examples:
      kvs put answer 42
      kvs put user/7 '{"name": "Ada", "tags": []}'
      date | kvs put started -
    """
    replaced = _run(endpoints, lambda client: client.put(key, value))
    if output == "json":
        _print_json({"key": key, "replaced": replaced})
    else:
        click.echo("Updated" if replaced else "Added", err=True)


@kvs.command()
@click.argument("key", type=KeyParam())
@_output
@click.pass_obj
def delete(endpoints: Addresses, key: str, output: str) -> None:
    """Delete KEY."""
    _run(endpoints, lambda client: client.delete(key))
    if output == "json":
        _print_json({"key": key, "deleted": True})
    else:
        click.echo("Deleted", err=True)


@kvs.command()
@_output
@click.pass_obj
def status(endpoints: Addresses, output: str) -> None:
    """Show the nodes: who is alive, and who holds what."""
    _show(_run(endpoints, lambda client: client.status()), output)


@kvs.command()
@click.argument("key", type=KeyParam(), required=False)
@_output
@click.pass_obj
def ring(endpoints: Addresses, key: str | None, output: str) -> None:
    """Show who has which share; with KEY, where that lives."""
    from kvs.responses import Place
    from ring.hashing import PARTITIONS, partition_of

    answer = _run(endpoints, lambda client: client.ring())
    if key is None:
        _show(answer, output)
    elif answer.partitions == PARTITIONS:
        partition = partition_of(key.encode())
        shard = answer.shard_of(partition)
        _show(Place(key, partition, shard.shard_id, shard.replicas), output)
    else:
        raise Refusal(f"The store has {answer.partitions} partitions; this command knows of {PARTITIONS}")


@kvs.command()
@_output
@click.pass_obj
def shards(endpoints: Addresses, output: str) -> None:
    """Show the shards: their keys and their replicas."""
    _show(_run(endpoints, lambda client: client.shards()), output)


@kvs.command("view-change")
@_nodes_option("--add", help="Take this node in. May be repeated.")
@_nodes_option("--remove", help="Let this node go. May be repeated.")
@click.option("--to", type=AddressList(), metavar="HOST:PORT,...", help="Make these the nodes, whatever they were.")
@click.option("--repl-factor", type=click.IntRange(min=1), metavar="N", help="Copies of each key from now on.")
@click.option("--dry-run", is_flag=True, help="Only show what would move.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the change is accepted.")
@_output
@click.pass_obj
def view_change(
    endpoints: Addresses,
    add: tuple[Addresses, ...],
    remove: tuple[Addresses, ...],
    to: Addresses | None,
    repl_factor: int | None,
    dry_run: bool,
    no_wait: bool,
    output: str,
) -> None:
    """Change which nodes make up the store.

    Waits until every key is where the new view wants it. Without options: shows how far the present change
    is. Asking again for a change joins it, and so does no harm; if this command is interrupted, the change
    goes on.

    \b
    Examples:
      kvs view-change --add 127.0.0.6:13800 --dry-run
      kvs view-change --remove 127.0.0.3:13800 --add 127.0.0.6:13800
      kvs view-change --to 127.0.0.2:13800,127.0.0.3:13800 --repl-factor 2
    """
    added, removed = tuple(sum(add, ())), tuple(sum(remove, ()))
    if to and (added or removed):
        raise click.UsageError("--to names all nodes: it goes with neither --add nor --remove.")
    if dry_run and no_wait:
        raise click.UsageError("--dry-run changes nothing: there is nothing to --no-wait for.")
    if not (to or added or removed or repl_factor):
        if dry_run or no_wait:
            raise click.UsageError("Nothing to change: give --add, --remove, --to or --repl-factor.")
        _show(_run(endpoints, lambda client: client.progress()), output)
        return
    nodes = to or _changed_nodes(endpoints, added, removed)
    if dry_run:
        _show(_run(endpoints, lambda client: client.plan(nodes, repl_factor)), output)
    elif no_wait:
        accepted = _run(endpoints, lambda client: client.start_view_change(nodes, repl_factor))
        if output == "json":
            _print_json(accepted)
        else:
            click.echo(f"Accepted as epoch {accepted.epoch}; see `kvs view-change` for its progress", err=True)
    else:
        from kvs.render import change_bar

        with change_bar() as report:
            changed = _run(endpoints, lambda client: client.change_view(nodes, repl_factor, report))
        _show(changed, output)


@kvs.command()
@click.argument("file", type=click.File("rb"))
@_output
@click.pass_context
def load(ctx: click.Context, file: BinaryIO, output: str) -> None:
    """Store every entry of FILE (- for standard input).

    FILE is either one JSON object, {"key": value, ...}, or JSON lines, each {"key": "...", "value": ...}. The
    suffixes .json and .jsonl tell which; without one of them, the first line does. JSON lines may be of any
    length: they are not kept in memory. An entry that no node takes is tried again a few times. To load a
    file twice does no harm.
    """
    from kvs.load import BadInput, Source
    from kvs.load import load as load_all
    from kvs.render import load_bar, summary

    name = str(getattr(file, "name", "-"))
    source = Source(file, name)

    async def work(client: Client) -> Tally:
        await client.ring()  # If nobody is there, say so once, rather than after the retries of every entry.
        await source.open()
        return await load_all(client, source, report)

    began = time.monotonic()
    try:
        with load_bar(source) as report:
            tally = _run(ctx.obj, work)
    except BadInput as error:
        raise Refusal(f"{name}: {error}") from None
    seconds = time.monotonic() - began
    if output == "json":
        counts = {"stored": tally.stored, "failed": tally.failed, "gave-up": tally.gave_up}
        times = {"seconds": round(seconds, 3), "keys-per-second": round(tally.stored / seconds)}
        _print_json({**counts, **times, "failures": tally.failures})
    else:
        click.echo(summary(tally, seconds), err=True)
    ctx.exit(NoAnswer.exit_code if tally.undelivered else NotFound.exit_code if tally.refused else 0)


def _changed_nodes(endpoints: Addresses, added: Addresses, removed: Addresses) -> Addresses:
    """The nodes of the present view, with these added and removed. So that a command may be repeated, adding a node
    that is in the view, or removing one that is not, is no fault and only noted."""
    if both := set(added) & set(removed):
        raise click.UsageError(f"To be added and removed: {', '.join(sorted(both))}.")
    present = _run(endpoints, lambda client: client.ring()).nodes
    for address in (*(set(added) & set(present)), *(set(removed) - set(present))):
        click.echo(f"Note: {address} is {'already' if address in present else 'not'} in the view", err=True)
    nodes = tuple(node for node in dict.fromkeys((*present, *added)) if node not in removed)
    if not nodes:
        raise click.UsageError("No node would remain.")
    return nodes


def _run(endpoints: Addresses, work: Callable[[Client], Awaitable[T]]) -> T:
    import asyncio

    from kvs.client import Client, Refused, Unreachable

    async def run() -> T:
        async with Client(endpoints) as client:
            return await work(client)

    try:
        return asyncio.run(run())
    except Unreachable as fault:
        raise NoAnswer(str(fault)) from None
    except Refused as fault:
        raise {404: NotFound, 503: NoAnswer}.get(fault.status, Refusal)(str(fault)) from None


def _show(answer: msgspec.Struct, output: str) -> None:
    if output == "json":
        _print_json(answer)
    else:
        from kvs.render import console, shown

        console().print(shown(answer))


def _print_json(answer: object) -> None:
    click.echo(msgspec.json.encode(answer))


def main() -> None:
    try:
        sys.exit(kvs.main(prog_name="kvs", standalone_mode=False) or 0)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except click.Abort:
        click.echo("Interrupted", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        click.echo(f"Error: this is a fault of kvs itself: {type(error).__name__}: {error}", err=True)
        sys.exit(INTERNAL)


if __name__ == "__main__":
    main()

"""The `kvs` command: what is typed, what it exits with, and which stream is written to.

Values and tables go to stdout, so that they can be piped; messages and progress bars to stderr. With `-o json`, stdout
carries one JSON document and nothing else, of a shape that does not depend on the terminal. Every fault is one line,
never a traceback.

The client and rich, and whatever imports them, take longer to import than everything else here takes to run. So they
are imported inside the commands that need them, and help and completion stay instant.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
import msgspec

from kvs.ending import TOKEN_FILE, Interrupted, NoAnswer, NotFound, Refusal, output_option, print_json, run, show
from kvs.endpoints import PORT
from kvs.keys import keys
from kvs.live import keep_showing
from kvs.lock_command import lock
from kvs.params import Addresses, DurationParam, EndpointList, KeyParam, ValueParam
from kvs.tokens_command import tokens
from kvs.view_change import view_change

if TYPE_CHECKING:
    from kvs.load import Tally
    from kvs.operating import Operator

NAME = "kvs"
SHELLS = ("bash", "zsh", "fish")
WHOLE_ADDRESSES = 'COMP_WORDBREAKS="${COMP_WORDBREAKS//:}"'
"""Or bash takes an address for two words, one before the colon and one after it."""
INTERNAL = 70
NO_KEY = "Key does not exist"
"""As the store puts it."""
DEFAULT_ENDPOINTS = ",".join(f"127.0.0.{host}:{PORT}" for host in range(2, 6))
"""The nodes that `make up` starts."""


@click.group(
    epilog="""\b
Exit status:
  0  done
  1  not found, or some entries of a load were refused
  2  bad usage, or the store refused the request
  3  no node could answer; a write may have happened all the same
`kvs lock` passes on that of its command, and has some of its own."""
)
@click.option(
    "-e",
    "--endpoints",
    type=EndpointList(),
    envvar="KVS_ENDPOINTS",
    show_envvar=True,
    default=DEFAULT_ENDPOINTS,
    show_default="127.0.0.2:13800 to 127.0.0.5:13800",
    metavar="HOST:PORT,...",
    help=f"Nodes to ask, in turn, until one answers. Without a port: {PORT}.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar=TOKEN_FILE,
    show_envvar=True,
    metavar="FILE",
    help="Has the token for a store that wants one. Without it, KVS_TOKEN is the token.",
)
@click.version_option(package_name="kvs-sharded", message="%(prog)s %(version)s")
@click.pass_context
def kvs(ctx: click.Context, endpoints: Addresses, token_file: Path | None) -> None:
    """Read, write and run a sharded key-value store.

    Any node takes any request; it need not be the one that has the key.
    """
    ctx.obj = endpoints


@kvs.command()
@click.argument("key", type=KeyParam())
@output_option
@click.pass_obj
def get(endpoints: Addresses, key: str, output: str) -> None:
    """Print the value of KEY, the JSON that was stored.

    With -o json, also in how many seconds it expires, if it does.
    """
    found = run(endpoints, lambda client: client.get(key))
    if found is None:
        raise NotFound(NO_KEY)
    if output == "json":
        ttl = {} if found.ttl is None else {"ttl": found.ttl}
        print_json({"key": key, "value": msgspec.Raw(found.raw)} | ttl)
    else:
        click.echo(found.raw)


@kvs.command(context_settings={"ignore_unknown_options": True})
@click.argument("key", type=KeyParam())
@click.argument("value", type=ValueParam())
@click.option("--ttl", type=DurationParam(), help="Let it expire after so long: 30, 30s, 5m, 12h, 7d. Else it stays.")
@output_option
@click.pass_obj
def put(endpoints: Addresses, key: str, value: bytes, ttl: float | None, output: str) -> None:
    """Store VALUE under KEY.

    VALUE is JSON, kept digit by digit; what is not JSON is stored as a string. So 42 is a number, '"42"' and
    forty-two are strings. What begins with {, [, " or - looks meant to be JSON, and is refused if it is not.
    A lone - reads VALUE from standard input.

    \b
    Examples:
      kvs put answer 42
      kvs put user/7 '{"name": "Ada", "tags": []}'
      date | kvs put started -
      kvs put session/7 '"Ada"' --ttl 30m
    """
    from kvs.values import Json

    stored = run(endpoints, lambda client: client.put(key, Json(value), ttl=ttl))
    if output == "json":
        print_json({"key": key, "replaced": stored.replaced})
    else:
        click.echo("Updated" if stored.replaced else "Added", err=True)


@kvs.command()
@click.argument("key", type=KeyParam())
@output_option
@click.pass_obj
def delete(endpoints: Addresses, key: str, output: str) -> None:
    """Delete KEY."""
    if not run(endpoints, lambda client: client.delete(key)):
        raise NotFound(NO_KEY)
    if output == "json":
        print_json({"key": key, "deleted": True})
    else:
        click.echo("Deleted", err=True)


@kvs.command()
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@output_option
@click.pass_obj
def status(endpoints: Addresses, watch: bool, output: str) -> None:
    """Show the nodes: who is alive, and who holds what."""
    if watch:
        keep_showing(endpoints, lambda client: client.status(), output)
    else:
        show(run(endpoints, lambda client: client.status()), output)


@kvs.command()
@click.argument("key", type=KeyParam(), required=False)
@output_option
@click.pass_obj
def ring(endpoints: Addresses, key: str | None, output: str) -> None:
    """Show who has which share; with KEY, where that lives."""
    from kvs.responses import Place
    from ring.hashing import PARTITIONS, partition_of

    answer = run(endpoints, lambda client: client.ring())
    if key is None:
        show(answer, output)
    elif answer.partitions == PARTITIONS:
        partition = partition_of(key.encode())
        shard = answer.shard_of(partition)
        show(Place(key, partition, shard.shard_id, shard.replicas), output)
    else:
        raise Refusal(f"The store has {answer.partitions} partitions; this command knows of {PARTITIONS}")


@kvs.command()
@output_option
@click.pass_obj
def shards(endpoints: Addresses, output: str) -> None:
    """Show the shards: their keys and their replicas."""
    show(run(endpoints, lambda client: client.shards()), output)


kvs.add_command(keys)
kvs.add_command(lock)
kvs.add_command(tokens)
kvs.add_command(view_change)


@kvs.command()
@click.argument("file", type=click.File("rb"))
@output_option
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

    async def work(client: Operator) -> Tally:
        await client.learn_ring()  # If nobody is there, say so once, rather than after the retries of every entry.
        await source.open()
        return await load_all(client, source, report)

    began = time.monotonic()
    try:
        with load_bar(source) as report:
            tally = run(ctx.obj, work)
    except BadInput as error:
        raise Refusal(f"{name}: {error}") from None
    seconds = time.monotonic() - began
    if output == "json":
        counts = {"stored": tally.stored, "failed": tally.failed, "gave-up": tally.gave_up}
        times = {"seconds": round(seconds, 3), "keys-per-second": round(tally.stored / seconds)}
        print_json({**counts, **times, "failures": tally.failures})
    else:
        click.echo(summary(tally, seconds), err=True)
    ctx.exit(NoAnswer.exit_code if tally.undelivered else NotFound.exit_code if tally.refused else 0)


@kvs.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes SHELL complete the words of this command.

    \b
    Examples:
      kvs completion bash >> ~/.bashrc
      kvs completion fish > ~/.config/fish/completions/kvs.fish
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None
    if shell == "bash":
        click.echo(WHOLE_ADDRESSES)
    click.echo(complete(kvs, {}, NAME, f"_{NAME}_COMPLETE".upper()).source())


def main() -> None:
    try:
        sys.exit(kvs.main(prog_name=NAME, standalone_mode=False) or 0)
    except click.UsageError as fault:
        command = fault.ctx.command_path if fault.ctx else NAME
        click.echo(f"Error: {fault.format_message().rstrip('.')}. See {command} --help.", err=True)
        sys.exit(fault.exit_code)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted", err=True)
        sys.exit(Interrupted.exit_code)
    except Exception as error:
        click.echo(f"Error: this is a fault of kvs itself: {type(error).__name__}: {error}", err=True)
        sys.exit(INTERNAL)


if __name__ == "__main__":
    main()

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
from pathlib import Path

import click
import msgspec

from kvs.backup_commands import backup, export, restore
from kvs.bench_command import bench
from kvs.doctor import doctor
from kvs.ending import (
    CA_FILE,
    TOKEN_FILE,
    Interrupted,
    NotFound,
    Refusal,
    output_option,
    print_json,
    run,
    show,
    status_of,
)
from kvs.endpoints import PORT
from kvs.health_command import health
from kvs.keys import keys
from kvs.live import keep_showing
from kvs.load_command import load
from kvs.lock_command import lock
from kvs.params import Addresses, DurationParam, EndpointList, KeyParam, ValueParam
from kvs.tokens_command import tokens
from kvs.top import top
from kvs.view_change import view_change
from kvs.watch_command import watch

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
  1  not found, or some entries of a load were refused; or something is wrong with the store
  2  bad usage, or the store refused the request
  3  no node gave a result; a write may have happened all the same
  4  something critical is wrong with the store
`kvs lock` passes on that of its command, and has some of its own; `kvs health` has 0 and 1."""
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
    help=f"Nodes to ask, in turn, until one answers. Without a port: {PORT}. With https://: by TLS.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar=TOKEN_FILE,
    show_envvar=True,
    metavar="FILE",
    help="Has the token for a store that wants one. Without it, KVS_TOKEN is the token.",
)
@click.option(
    "--cacert",
    type=click.Path(path_type=Path),
    envvar=CA_FILE,
    show_envvar=True,
    metavar="FILE",
    help="Has the CAs that are believed, for endpoints with https://. Without it, those of the system are.",
)
@click.version_option(package_name="kvs-sharded", message="%(prog)s %(version)s")
@click.pass_context
def kvs(ctx: click.Context, endpoints: Addresses, token_file: Path | None, cacert: Path | None) -> None:
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
@click.pass_context
def status(ctx: click.Context, watch: bool, output: str) -> None:
    """Show what is wrong, and the nodes: who is alive, who holds what.

    \b
    Exit status:
      0  nothing is wrong
      1  something is less than was asked for, or may end badly
      3  no node gave a result
      4  something is critical: clients are refused
    """
    if watch:
        keep_showing(ctx.obj, lambda client: client.status(), output)
    else:
        seen = run(ctx.obj, lambda client: client.status())
        show(seen, output)
        ctx.exit(status_of(seen.problems))


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


for command in (keys, lock, view_change, load, export, backup, restore, bench, doctor, health, tokens, top, watch):
    kvs.add_command(command)


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

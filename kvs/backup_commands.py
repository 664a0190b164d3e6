"""`kvs export`, `kvs backup` and `kvs restore`: the whole store as a file, and back."""

# ruff: noqa: PLC0415

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from kvs.ending import Interrupted, Refusal, output_option, print_json, run
from kvs.load_command import after_option, name_of, store_all
from kvs.params import Addresses, PrefixParam
from kvs.telling import Telling

if TYPE_CHECKING:
    from kvs.manifest import Sum
    from kvs.operating import Operator


@click.command()
@click.argument("prefix", type=PrefixParam(), default="")
@click.pass_obj
def export(endpoints: Addresses, prefix: str) -> None:
    """Write keys and values as JSON lines.

    All that begin with PREFIX, or all, to standard output: one line for each, as `kvs load` takes it, in no order, and
    a manifest at the end: how many there are, and a checksum. It is not a snapshot: each key is told as it was at some
    moment of the export, and those that are there throughout are told exactly once.

    \b
    Examples:
      kvs export user/ > users.jsonl
      kvs export | kvs -e 10.0.0.2 load -
    """
    from kvs.backup import export as export_all

    telling = Telling()

    def write(lines: bytes) -> None:
        click.echo(lines, nl=False)

    try:
        run(endpoints, lambda client: export_all(client, prefix, write, lambda _: telling.got_on(), telling.tell))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # Whoever reads has had enough.
        raise Refusal(f"standard output: {error.strerror}") from None


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Put it in the place of a file of that name.")
@output_option
@click.pass_obj
def backup(endpoints: Addresses, file: Path, force: bool, output: str) -> None:
    """Write all keys and values to FILE.

    Packed, if its name ends in .gz. FILE is there once it is whole and on disk, and never in parts; only you may read
    it. It holds what `kvs export` writes, and `kvs restore` puts that back, into a store of any number of nodes.
    """
    from kvs.backup import export as export_all
    from kvs.backup import whole_file
    from kvs.render import backup_bar

    if str(file) == "-":
        raise Refusal("a backup is a file; `kvs export` writes to standard output")
    if file.exists() and not force:
        raise Refusal(f"{file} exists: name another file, or give --force")

    async def work(client: Operator) -> Sum:
        count = sum(shard.key_count for shard in (await client.shards()).shards)
        telling = Telling()
        with backup_bar(count) as report:

            def on_progress(told: Sum) -> None:
                telling.got_on()
                report(told)

            return await export_all(client, "", opened.write, on_progress, telling.tell)

    began = time.monotonic()
    try:
        with whole_file(file) as opened:
            told = run(endpoints, work)
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror or error}") from None
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted: {file} was not written") from None
    seconds = time.monotonic() - began
    if output == "json":
        print_json({"entries": told.entries, "expiring": told.expiring, "seconds": round(seconds, 3)})
    else:
        entries = "1 entry" if told.entries == 1 else f"{told.entries:,} entries"
        click.echo(f"Wrote {entries} to {file} in {seconds:.1f} s", err=True)


@click.command()
@click.argument("file", type=click.File("rb"))
@after_option
@output_option
@click.pass_obj
def restore(endpoints: Addresses, file: BinaryIO, after: int, output: str) -> None:
    """Store what `kvs backup` has written.

    Every entry of FILE, which may come from `kvs export` as well. It is read as a whole first: if it was cut short or
    changed, nothing is stored. Keys that exist are overwritten, others stay. Entries whose time has passed are left
    out. To restore a file twice does no harm, and if it is interrupted, it tells how to go on.
    """
    from kvs.backup import check
    from kvs.load import Tally
    from kvs.load_input import BadInput, Source

    name = name_of(file)
    if not file.seekable():
        raise Refusal(f"{name}: a backup is read twice, so it has to be a file; `kvs load` takes what a pipe brings")
    try:
        entries = check(file, name)
    except BadInput as error:
        raise Refusal(f"{name}: {error}") from None
    suffix = ".jsonl.gz" if name.endswith(".gz") else ".jsonl"
    store_all(endpoints, Source(file, suffix, after=after, lines=entries + 1), name, Tally(through=after), output)

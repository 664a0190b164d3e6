"""`kvs watch`: what happens to keys, a line each, as it happens."""

# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from kvs.ending import output_option, run
from kvs.keys import as_word
from kvs.params import Addresses, PrefixParam
from kvs.values import LINE_BREAKS_TO_SPACES

if TYPE_CHECKING:
    from kvs.operating import Operator
    from kvs.watch import Event


@click.command()
@click.argument("prefix", type=PrefixParam(), default="")
@output_option
@click.pass_obj
def watch(endpoints: Addresses, prefix: str, output: str) -> None:
    """Print what happens to the keys that begin with PREFIX, or to all, until Ctrl-C.

    A line for each event: put, delete or expire, the key, and after a tab its value; with -o json, a JSON document
    a line. Where something may have been missed (a node died, keys moved), that is said on standard error, or as
    an event of its own with -o json: list the keys then to know what there is.

    \b
    Examples:
      kvs watch user/
      kvs watch -o json | jq 'select(.event == "put")'
    """
    from kvs.watch import BEGIN, Gap

    async def work(client: Operator) -> None:
        async for event in client.watch(prefix):
            if output == "json":
                if event != Gap(BEGIN):
                    click.echo(msgspec.json.encode(_document(event)))
            elif isinstance(event, Gap):
                if event.why != BEGIN:
                    click.echo(f"Something may have been missed: {event.why}", err=True)
            else:
                click.echo(_line(event))

    try:
        run(endpoints, work)
    except KeyboardInterrupt:
        return


def _document(event: Event) -> dict[str, Any]:
    from kvs.watch import Gap, WasPut

    kind = type(event).__struct_config__.tag
    if isinstance(event, Gap):
        return {"event": kind, "why": event.why}
    told: dict[str, Any] = {"event": kind, "key": event.key, "etag": event.version}
    if isinstance(event, WasPut):
        told |= {"value": msgspec.Raw(event.raw)} | ({} if event.ttl is None else {"ttl": event.ttl})
    return told


def _line(event: Event) -> bytes:
    from kvs.watch import Gap, WasPut

    assert not isinstance(event, Gap)
    line = f"{type(event).__struct_config__.tag} {as_word(event.key)}".encode()
    return line + b"\t" + event.raw.translate(LINE_BREAKS_TO_SPACES) if isinstance(event, WasPut) else line

"""`kvs keys`: the keys of the store, in order, printed as they come in.

Owns how a key is written as one line that cannot be taken for another one, and can do a terminal no harm. Nothing is
kept but the page at hand, so a store of any size can be listed.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

import click
import msgspec

from kvs.ending import output_option, run
from kvs.params import Addresses, PrefixParam
from kvs.values import LINE_BREAKS_TO_SPACES

if TYPE_CHECKING:
    from kvs.operating import Operator
    from kvs.responses import EntriesPage, Entry, KeysPage

    Pages: TypeAlias = AsyncIterator[KeysPage | EntriesPage]


@click.command()
@click.argument("prefix", type=PrefixParam(), default="")
@click.option("--values", is_flag=True, help="Print the value of each key too, after a tab.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N keys.")
@output_option
@click.pass_obj
def keys(endpoints: Addresses, prefix: str, values: bool, limit: int | None, output: str) -> None:
    """Print the keys that begin with PREFIX, or all.

    One a line, in the order of their UTF-8 bytes, as they come in: a store of any size can be listed. A key is
    printed as it is. But one that begins with a double quote, or in which there is something that cannot be
    printed, such as a line break, is printed as JSON, in double quotes: "two\\nlines".

    \b
    Examples:
      kvs keys user/
      kvs keys --values --limit 10
      kvs keys --values -o json user/ | jq '.entries[].value'
    """
    from kvs.responses import EntriesPage, KeysPage

    async def work(client: Operator) -> None:
        pages: Pages = client.pages(EntriesPage, prefix, limit) if values else client.pages(KeysPage, prefix, limit)
        async for part in _document(pages, b"entries" if values else b"keys") if output == "json" else _text(pages):
            click.echo(part, nl=False)

    run(endpoints, work)


async def _document(pages: Pages, name: bytes) -> AsyncIterator[bytes]:
    """One JSON document, of which nothing comes before the first page is there."""
    before = b'{"%b":[' % name
    async for page in pages:
        if page.listed:
            yield before + msgspec.json.encode(page.listed)[1:-1]
            before = b","
    yield (b"" if before == b"," else before) + b"]}\n"


async def _text(pages: Pages) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(map(_line, page.listed))


def _line(listed: str | Entry) -> bytes:
    if isinstance(listed, str):
        return as_word(listed).encode() + b"\n"
    return b"%b\t%b\n" % (as_word(listed.key).encode(), bytes(listed.value).translate(LINE_BREAKS_TO_SPACES))


def as_word(key: str) -> str:
    """The key itself, or JSON where that would mislead, in which whatever cannot be printed is escaped."""
    if key.isprintable() and not key.startswith('"'):
        return key
    return '"' + "".join(json.dumps(each, ensure_ascii=not each.isprintable())[1:-1] for each in key) + '"'

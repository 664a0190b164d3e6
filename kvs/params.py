"""What may be typed where the `kvs` command wants addresses, a key, or a value.

Owns the liberty that is taken with values: one that is not JSON is a string, unless it looks as if it was meant to be
JSON. That is refused, so that a value with a forgotten bracket is not silently stored as a string. An endpoint may be
written as in a browser. What becomes part of a view may not: it names a node, to all others too.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TypeAlias

import click
import msgspec

from gossip.view import BadAddress, parse_address, parse_nodes
from kvs.endpoints import parse_endpoints

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Addresses: TypeAlias = tuple[str, ...]

UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)


def complete_addresses(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What the shell offers where an address, or several, may follow."""
    from kvs.completing import completions

    endpoints: Addresses | None = ctx.find_root().params["endpoints"]
    with ctx.scope(cleanup=False):  # The shell has not entered it, and the token is sought there.
        return [] if endpoints is None else completions(endpoints, incomplete)  # None: they are malformed.


class AddressList(click.ParamType[Addresses]):
    name = "addresses"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return complete_addresses(ctx, param, incomplete)

    def convert(self, value: str | Addresses, param: click.Parameter | None, ctx: click.Context | None) -> Addresses:
        try:
            return value if isinstance(value, tuple) else parse_nodes(value)
        except BadAddress as error:
            self.fail(str(error), param, ctx)


class EndpointList(AddressList):
    def convert(self, value: str | Addresses, param: click.Parameter | None, ctx: click.Context | None) -> Addresses:
        try:
            return value if isinstance(value, tuple) else parse_endpoints(value)
        except BadAddress as error:
            self.fail(str(error), param, ctx)


class AddressParam(click.ParamType[str]):
    name = "address"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return complete_addresses(ctx, param, incomplete)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return parse_address(value)
        except BadAddress as error:
            self.fail(str(error), param, ctx)


class PrefixParam(click.ParamType[str]):
    """What keys begin with; it may be empty."""

    name = "prefix"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("not valid UTF-8.", param, ctx)
        return value


class KeyParam(PrefixParam):
    name = "key"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("a key has at least one character.", param, ctx)
        return super().convert(value, param, ctx)


class DurationParam(click.ParamType[float]):
    """In seconds, or with a unit behind the number."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        typed = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if typed is None:
            self.fail(f"{value!r} is no duration above 0, such as 30, 0.5, 30s, 5m, 12h or 7d.", param, ctx)
        seconds = float(typed[1]) * UNITS_S[typed[2]]
        if not seconds:
            self.fail("a duration is above 0.", param, ctx)
        return int(seconds) if seconds.is_integer() else seconds


class ShareParam(click.ParamType[float]):
    """From nothing to all."""

    name = "share"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:  # Nor is what is not a number at all.
            self.fail(f"{value!r} is no share from 0 to 1, such as 0.95.", param, ctx)
        return share


class ValueParam(click.ParamType[bytes]):
    """A JSON text. `-` stands for the standard input."""

    name = "value"

    def convert(self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            data = sys.stdin.buffer.read().removesuffix(b"\n") if value == "-" else value.encode()
            text = data.decode()
        except UnicodeError:
            self.fail("not valid UTF-8.", param, ctx)
        try:
            msgspec.json.decode(data, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            if text.lstrip().startswith(("{", "[", '"', "-")):
                self.fail(f"neither JSON nor a plain string: {error}", param, ctx)
            return msgspec.json.encode(text)
        return data

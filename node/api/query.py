"""What stands in a URL behind the question mark."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Handler

from node.api.change_request import demand_known
from node.api.data import KEY_CHARACTERS_MAX
from node.errors import RequestFault


def options_of(query: str, known: Collection[str]) -> dict[str, str]:
    """`query`: as it was sent. Raises RequestFault unless each of its options is one of `known`, and stands there
    once."""
    given = _given(query)
    demand_known("option", dict(given), set(known))
    if len(dict(given)) < len(given):
        raise RequestFault("Malformed query: an option stands there twice")
    return dict(given)


def without_options(handler: Handler) -> Handler:
    """The same handler for requests without a query. Raises RequestFault for those with one: who misspells a path's
    option, or takes it for another path's, is to learn it."""

    async def checked(request: web.Request) -> web.StreamResponse:
        options_of(request.rel_url.raw_query_string, ())
        return await handler(request)

    return checked


def option_of(query: str, name: str) -> str | None:
    """One of them, whatever else there is; None if it is not there. Raises RequestFault if it stands there twice."""
    values = [value for given, value in _given(query) if given == name]
    if len(values) > 1:
        raise RequestFault(f"Malformed query: {name} stands there twice")
    return values[0] if values else None


def part_of_key(options: Mapping[str, str], name: str) -> bytes:
    """Empty if the option is not there. Raises RequestFault if it is longer than any key."""
    part = options.get(name, "")
    if len(part) > KEY_CHARACTERS_MAX:
        raise RequestFault(f"Malformed {name}: no key has more than {KEY_CHARACTERS_MAX} characters")
    return part.encode()


def _given(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RequestFault("Malformed query: not UTF-8") from None

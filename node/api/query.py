"""What stands in a URL behind the question mark.

Only clients of the course's interface may write there what they like. Elsewhere nothing is passed over: whoever
misspells an option would be answered something that he has not asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from difflib import get_close_matches
from urllib.parse import parse_qsl

from aiohttp import web

from node.api.shapes.words import KEY_CHARACTERS_MAX
from node.errors import RequestFault

TRUTH = {"true": True, "false": False}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def options_of(query: str, known: Collection[str]) -> dict[str, str]:
    """`query`: as it was sent. Raises RequestFault unless each of its options is one of `known`, and stands there
    once."""
    given = _given(query)
    demand_known("option", dict(given), set(known))
    if len(dict(given)) < len(given):
        raise RequestFault("Malformed query: an option stands there twice")
    return dict(given)


def without_options(handler: Handler) -> Handler:
    """The handler of a route that takes none."""

    async def handle(request: web.Request) -> web.StreamResponse:
        options_of(request.rel_url.raw_query_string, ())
        return await handler(request)

    return handle


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


def truth_of(options: Mapping[str, str], name: str, absent: bool) -> bool:
    """`absent`: if the option is not there. Raises RequestFault if it is neither true nor false."""
    value = options.get(name, "true" if absent else "false")
    if value not in TRUTH:
        raise RequestFault(f"Malformed {name}: neither true nor false")
    return TRUTH[value]


def demand_known(kind: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises RequestFault."""
    for name in sorted(set(names) - set(known)):
        meant = get_close_matches(name.replace("_", "-").lower(), sorted(known), 1, 0.5)
        others = f"known are {', '.join(sorted(known))}" if known else "there is none here"
        hint = f"did you mean {meant[0]}?" if meant else others
        raise RequestFault(f"Unknown {kind} {name}: {hint}")


def _given(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RequestFault("Malformed query: not UTF-8") from None

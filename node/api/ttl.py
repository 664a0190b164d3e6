"""How long a value is to stay, in seconds, as clients say it and are told it."""

from __future__ import annotations

import msgspec

from node.errors import RequestFault

TTL_S_MAX = 315_360_000
"""Ten years. What is to stay for longer may stay."""
BAD_TTL = f"Malformed ttl: not a number of seconds above 0, up to {TTL_S_MAX}"


def ttl_ms_of(ttl: msgspec.Raw) -> int:
    """In milliseconds, one at least. Raises RequestFault if it is not what may be asked for."""
    text = bytes(ttl)
    if text[:1].isdigit() and 0 < (ttl_s := float(text)) <= TTL_S_MAX:
        return max(1, round(1000 * ttl_s))
    raise RequestFault(BAD_TTL)


def seconds(left_ms: int) -> bytes:
    """As a JSON number, whole where it is."""
    whole_s, rest_ms = divmod(left_ms, 1000)
    return b"%d.%03d" % (whole_s, rest_ms) if rest_ms else b"%d" % whole_s

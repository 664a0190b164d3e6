"""Listing keys, a page at a time.

Pages after one another may come from different nodes, for all list the same store. Nothing is kept but the page at
hand, so a store of any size can be listed.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlencode

from kvs.answers import body_in, no_result
from kvs.asking import Asker, Request
from kvs.errors import BadRequest, Unreachable
from kvs.http import Reply
from kvs.repeating import Effect
from kvs.responses import EntriesPage, ErrorBody, KeysPage
from kvs.values import prefix_of

Page = TypeVar("Page", KeysPage, EntriesPage)

PAGE_KEYS_MAX = 10_000
"""The store gives no more at once, and no more than 8 MiB. Small pages cost it as much as large ones: each is merged
from all partitions."""
PAGE_S = 10.0
"""For a node to make a page of what it collects from all others."""


async def pages(asker: Asker, kind: type[Page], prefix: str = "", limit: int | None = None) -> AsyncIterator[Page]:
    """All keys that begin with `prefix`, or the first `limit` of them. Raises KvsError."""
    prefix = prefix_of(prefix)
    if limit is not None and limit < 0:
        raise BadRequest(f"no fewer keys than 0 can be listed, not {limit!r}")
    after, left = None, sys.maxsize if limit is None else limit
    while left > 0:
        found, node = await asker.ask(request_for(kind, prefix, after, min(left, PAGE_KEYS_MAX)))
        yield found
        if found.next is None:
            return
        if after is not None and found.next <= after:  # Strings compare as their UTF-8 does.
            raise Unreachable({node: "its listing does not get on"})
        after, left = found.next, left - len(found.listed)


def request_for(kind: type[Page], prefix: str, after: str | None, limit: int) -> Request[Page]:
    """Raises BadRequest."""
    values = "true" if kind is EntriesPage else None
    asked = {"prefix": prefix or None, "after": after, "limit": str(limit), "values": values}
    try:
        query = urlencode({name: value for name, value in asked.items() if value is not None}, quote_via=quote, safe="")
    except UnicodeEncodeError:
        raise BadRequest("the prefix has half of a surrogate pair, which no UTF-8 can hold") from None
    return Request("GET", f"/kvs/keys?{query}", partial(_page_in, kind), Effect.NONE, node_s=PAGE_S)


def _page_in(kind: type[Page], reply: Reply) -> Page:
    if reply.status == 200:
        return body_in(reply, kind)
    refusal = body_in(reply, ErrorBody)
    if reply.status >= 500:
        raise no_result(reply, refusal)
    raise BadRequest(refusal.line, reply.status)

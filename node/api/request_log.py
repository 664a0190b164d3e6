"""Which requests are worth a line in the log, and the id by which client and log mean the same one.

An id comes from the client, in `X-Request-Id`, or is made here for what gets a line: what took long, and what ended in
an error that is not the client's. It is in the answer too. Failures come by the thousand, so there is a line of each
kind every ten seconds at most, which tells how many there were; at the level of debugging there is one for each.

The clients' own ids cost those their short way in, see `fastpath`: every other request costs nothing but, if it takes
time anyway, two looks at a clock.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping

import msgspec

from node.api import hints
from node.api.data import HttpAnswer

HEADER = "X-Request-Id"
EVERY_S = 10.0
"""Between two lines of one kind."""

_SANE = re.compile(r"[\x21-\x7e]{1,64}")

log = logging.getLogger(__name__)


def id_of(headers: Mapping[str, str]) -> str | None:
    """The id of a request with these headers; None if it has none. One that is no printable word of up to 64
    characters is replaced."""
    given = headers.get(HEADER)
    return None if given is None else given if _SANE.fullmatch(given) else new_id()


def new_id() -> str:
    return secrets.token_hex(8)


class RequestLog:
    """`monotonic`: seconds. `slow_s`: a request that takes as long is slow; 0: none is."""

    def __init__(self, monotonic: Callable[[], float], slow_s: float) -> None:
        self.now = monotonic
        self._slow_s = slow_s or float("inf")
        self._not_before: dict[str, float] = {}
        """When the next line of a kind may come."""
        self._left_out: dict[str, int] = {}
        """How many of a kind got no line since its last one."""

    def is_worth_it(self, status: int, took_s: float) -> bool:
        """Whether `note` is to be told of a request that was answered so."""
        return status >= 500 or took_s >= self._slow_s

    def noted(self, method: str, path: str, answer: HttpAnswer, took_s: float) -> HttpAnswer:
        """The answer to a request that is worth it, and is logged now, with the id that is made for it."""
        id_ = self.note(method, path, answer.status, took_s, answer.headers, None)
        return msgspec.structs.replace(answer, headers={**answer.headers, HEADER: id_})

    def note(
        self, method: str, path: str, status: int, took_s: float, headers: Mapping[str, str], id_: str | None
    ) -> str:
        """Log a request that is worth it. `headers`: those of its answer; `id_`: None if it has none. Returns the id
        that the answer is to carry."""
        id_ = id_ or new_id()
        kind = str(status) if status >= 500 else "slow"
        now = self.now()
        is_due = now >= self._not_before.get(kind, now)
        if not is_due:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            if not log.isEnabledFor(logging.DEBUG):
                return id_
        else:
            self._not_before[kind] = now + EVERY_S
        others = self._left_out.pop(kind, 0) if is_due else 0
        why = headers.get(hints.HEADER, "")
        fields = {"request-id": id_, "method": method, "path": path, "status": status, "seconds": round(took_s, 3)}
        log.log(
            logging.WARNING if is_due else logging.DEBUG,
            "%s %s: %s after %.2f s%s, request %s%s",
            method,
            path,
            status,
            took_s,
            f" ({why})" if why else "",
            id_,
            f"; and {others} like it before" if others else "",
            extra={"fields": fields},
        )
        return id_

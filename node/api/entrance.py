"""Which new connection a client may have, and who makes room for it; the sockets are those of `fastpath`.

Where there are too many, whoever comes may still be another node, or ask for health, and says so at once. So it is
listened to, on probation; if too many of these say nothing, the oldest is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

from node.api.admission import Admission, Dropped, Visit

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0
"""That there are not enough descriptors is logged no more often."""
LOOKED_AT = 128
"""Of so many connections, the oldest, the one that has been idle for longest makes room: a new client costs no more
than this look."""
PROBATION_MAX = 256
SHORT_PROBATION_MAX = 8
"""While descriptors are short: what is kept for other nodes is not for those who say nothing."""


class Connection(Protocol):
    """One that is on the short way."""

    swept: int
    """How long it has been idle."""

    @property
    def is_idle(self) -> bool: ...

    def end(self) -> None:
        """Close it."""

    def drop(self, why: Dropped) -> None:
        """Cut it off."""


class Entrance:
    """`descriptors`: clients get numbers below this, and other nodes the rest."""

    def __init__(self, admission: Admission, descriptors: int, now: Callable[[], float]) -> None:
        self._admission = admission
        self._descriptors = descriptors
        self._now = now
        self._said_at = float("-inf")
        """When it was last logged that there are not enough."""
        self._on_probation: dict[Connection, None] = {}
        """The oldest first."""

    def admit(self, transport: asyncio.Transport, others: Iterable[Connection]) -> Visit | None:
        """Whether a client may have this new connection; None: not if its address has too many, nor if there are too
        many in all, or its descriptor is one of those that are kept for other nodes, unless one of the others, the
        oldest first, that has been idle for long makes room."""
        number: int = transport.get_extra_info("socket").fileno()
        address, admission = str((transport.get_extra_info("peername") or ("",))[0]), self._admission
        if admission.has_too_many(address):
            return None
        is_short = number >= self._descriptors
        if is_short:
            self._say_no_descriptors()
        elif not admission.is_full:
            return admission.arrive(address)
        idle = [other for other in islice(others, LOOKED_AT) if other.is_idle]
        if not idle:
            admission.no_connection(is_said=is_short)
            return None
        max(idle, key=lambda other: other.swept).end()
        return admission.arrive(address)

    def put_on_probation(self, connection: Connection, transport: asyncio.Transport) -> None:
        number: int = transport.get_extra_info("socket").fileno()
        most = PROBATION_MAX if number < self._descriptors else SHORT_PROBATION_MAX
        if len(self._on_probation) >= most:
            next(iter(self._on_probation)).drop(Dropped.SILENT)
        self._on_probation[connection] = None

    def has_spoken(self, connection: Connection) -> None:
        """Or it has gone."""
        self._on_probation.pop(connection, None)

    def sweep(self) -> None:
        for connection in [connection for connection in self._on_probation if connection.swept]:
            connection.drop(Dropped.SILENT)

    def _say_no_descriptors(self) -> None:
        if self._now() - self._said_at > SAY_EVERY_S:
            self._said_at = self._now()
            log.warning("clients have all %d descriptors that they may have: raise 'ulimit -n'", self._descriptors)

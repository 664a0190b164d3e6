"""What the names of peers lead to, and at which of its addresses a peer is dialled first.

Where the name server is silent, the system takes many seconds over a name, and cannot be told to give up. If look-ups
shared threads, as those of an event loop do, a few such names would hold up all others: two nodes that are alive would
never find each other again, and the end of the process would wait for them too. So each has a thread of its own, which
nobody waits for; and there is never more than one for a name, however often whoever wanted it has given up.

Nor does a dial wait for it if it has anywhere else to go. A peer is known by what it says when it is dialled, not by
its IP address: so where it was found last is tried first, while its name is looked up again. If it is not found there,
that look-up decides, once it has an answer: the name may lead elsewhere by now. That it fails is no answer, for a name
server forgets a name sooner than a peer moves. And whoever was not found, but has dialled this node since, is sought
where it dialled from before anywhere else: a peer that has come back elsewhere is found before the name server knows.
It need not be there, as where addresses are translated on the way: then all goes on as if it had not dialled, and who
is there instead says nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from gossip.view import Address, host_of

log = logging.getLogger(__name__)

Lookup: TypeAlias = Callable[[str], Iterable[str]]
"""The IP addresses of a host. May take for ever. Raises OSError, or UnicodeError."""
Found: TypeAlias = tuple[str, ...] | OSError
"""What has come of a look-up: IP addresses, in the order in which to try them, or why there are none."""

LOOKUPS_MAX = 100
"""Each has a thread of its own."""
_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def look_up(host: str, flags: int = 0) -> tuple[str, ...]:
    """What the system says, in its order. `flags`: `AI_…`, of the system's look-up."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    return tuple(dict.fromkeys(socket.getnameinfo(address, _NUMERIC)[0] for *_, address in found))


def look_up_for_links(host: str) -> tuple[str, ...]:
    """Of IPv4 and IPv6, only what this machine has: it is not to wait for what it cannot dial."""
    return look_up(host, socket.AI_ADDRCONFIG)


def begin(lookup: Lookup, host: str, tell: Callable[[Found], None]) -> None:
    """Look `host` up in a thread of its own, which the end of the process does not wait for. `tell` is called in that
    thread; in this one only if the system has no thread left."""

    def find() -> None:
        try:
            found: Found = tuple(lookup(host)) or OSError(f"{host} has no address")
        except OSError as error:
            found = error
        except UnicodeError as error:
            found = OSError(str(error))
        tell(found)

    try:
        threading.Thread(target=find, name=f"look-up of {host}", daemon=True).start()
    except RuntimeError as error:
        tell(OSError(str(error)))


async def faults_of(hosts: Iterable[str], patience_s: float, lookup: Lookup = look_up_for_links) -> dict[str, str]:
    """Of those hosts that are names, those that lead nowhere now, and why."""
    loop = asyncio.get_running_loop()
    asked: dict[str, asyncio.Future[Found]] = {}

    def note(answer: asyncio.Future[Found], found: Found) -> None:
        if not answer.done():
            answer.set_result(found)

    def tell(answer: asyncio.Future[Found], found: Found) -> None:
        with suppress(RuntimeError):  # The loop may be closed by now.
            loop.call_soon_threadsafe(note, answer, found)

    for host in sorted(host for host in hosts if not _is_ip(host))[:LOOKUPS_MAX]:
        answer = asked[host] = loop.create_future()
        begin(lookup, host, partial(tell, answer))
    if asked:
        await asyncio.wait(asked.values(), timeout=patience_s)
    faults: dict[str, str] = {}
    for host, answer in asked.items():
        if not answer.done():
            faults[host] = f"no answer in {patience_s:g} s"
        elif isinstance(found := answer.result(), OSError):
            faults[host] = found.strerror or str(found)
    return faults


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


class Names(AbstractResolver):
    """The resolver of all that one node dials; aiohttp does not ask it about IP addresses. Needs a running loop."""

    def __init__(self, slow_s: float, lookup: Lookup = look_up_for_links) -> None:
        """`slow_s`: a look-up that takes longer, and is wanted, is reported."""
        self._loop = asyncio.get_running_loop()
        self._slow_s = slow_s
        self._lookup = lookup
        self._under_way: dict[str, _UnderWay] = {}
        self._ways: dict[Address, _Way] = {}
        self._slow: set[str] = set()
        """Hosts that were reported, and not found since."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Where to dial now, best first. Waits only if nothing is known yet. Each call is a new dial: unless `found_at`
        was called since, the one before it is taken to have failed. Raises OSError."""
        way = self._ways.setdefault(f"{host}:{port}", _Way())
        way.dial()
        lookup = way.lookup = self._lookup_of(host)
        if not way.order:
            found = await asyncio.shield(lookup)
            if isinstance(found, OSError):
                raise found
            way.addresses = way.addresses or found
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in way.order
        ]

    def found_at(self, peer: Address, ip: str | None) -> None:
        """It was `peer` that answered at `ip`; None: not known which that was. Nothing is done about a peer whose
        address has no name in it."""
        if (way := self._ways.get(peer)) is not None:
            way.found_at(ip)

    def dialled_from(self, peer: Address, ip: str | None) -> None:
        """Who is `peer`, as far as is known, has dialled this node from `ip`."""
        if (way := self._ways.get(peer)) is not None:
            way.dialled_from = ip

    def is_guess(self, peer: Address) -> bool:
        """Whether the last dial of `peer` began where it had dialled from: its name may have nothing to do with who is
        there."""
        way = self._ways.get(peer)
        return way is not None and way.guess is not None

    def forget(self, peer: Address) -> None:
        """Nobody wants it any more."""
        self._ways.pop(peer, None)
        self._slow.discard(host_of(peer))

    async def close(self) -> None:
        """Waits for nothing: what is under way goes on by itself, and nobody hears of it."""

    def _lookup_of(self, host: str) -> asyncio.Future[Found]:
        """The one that is under way; else a new one."""
        now = self._loop.time()
        if (under_way := self._under_way.get(host)) is not None:
            if now - under_way.began > self._slow_s and host not in self._slow:
                self._slow.add(host)
                log.warning("%s: no answer to its look-up in %.1f s: is the name server there?", host, self._slow_s)
            return under_way.lookup
        lookup: asyncio.Future[Found] = self._loop.create_future()
        self._under_way[host] = _UnderWay(now, lookup)
        begin(self._lookup, host, partial(self._tell, host))
        return lookup

    def _tell(self, host: str, found: Found) -> None:
        with suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(self._end, host, found)

    def _end(self, host: str, found: Found) -> None:
        began, lookup = self._under_way.pop(host)
        lookup.set_result(found)
        if host in self._slow and not isinstance(found, OSError):
            self._slow.discard(host)
            log.info("%s: looked up again, in %.1f s", host, self._loop.time() - began)


class _UnderWay(NamedTuple):
    """The one look-up of a host that has not ended."""

    began: float
    lookup: asyncio.Future[Found]


class _Way:
    """What decides where one peer is dialled."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        """Best first; none if the name was never looked up."""
        self.lookup: asyncio.Future[Found] | None = None
        """That of the last dial."""
        self.dialled_from: str | None = None
        """Where the peer itself has dialled from, if it has since it was found last or was sought there."""
        self.guess: str | None = None
        """The same of the last dial, which has begun there."""
        self._is_found = False
        """Whether the last dial found the peer."""

    @property
    def order(self) -> tuple[str, ...]:
        """Where to dial now."""
        return self.addresses if self.guess is None else _first(self.guess, self.addresses)

    def dial(self) -> None:
        """Once more. If the last one did not find it, what its look-up has answered by now counts; if that is nothing
        new, the next address comes first, for who is at the first one may be somebody else, or silent. Before all of
        them comes, once, where the peer has dialled from."""
        self.guess = None
        if not self._is_found:
            found = self.lookup.result() if self.lookup is not None and self.lookup.done() else ()
            if isinstance(found, OSError) or set(found) in (set(), set(self.addresses)):
                found = (*self.addresses[1:], *self.addresses[:1])
            self.addresses = found
            self.guess, self.dialled_from = self.dialled_from, None
        self._is_found = False

    def found_at(self, ip: str | None) -> None:
        self._is_found, self.dialled_from = True, None
        if ip is not None and ip in self.order:
            self.addresses = _first(ip, self.addresses)


def _first(ip: str, addresses: Iterable[str]) -> tuple[str, ...]:
    return (ip, *(other for other in addresses if other != ip))

"""Which IP addresses a node's name has, without waiting long for a name server that is silent.

The system takes many seconds over a name then, and cannot be told to give up. So a look-up has a thread of its own,
which the end of the program does not wait for; a loop waits for its own threads.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import suppress


class Names:
    def __init__(self, patience_s: float) -> None:
        """`patience_s`: a name that takes longer has no address for now."""
        self._patience_s = patience_s
        self._under_way: dict[str, asyncio.Future[tuple[str, ...]]] = {}
        """The one look-up of each host that has not ended."""

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Its IP addresses; an IP address has itself. Raises OSError."""
        if _is_address(host):
            return (host,)
        try:
            async with asyncio.timeout(self._patience_s):
                addresses = await asyncio.shield(self._under_way.get(host) or self._begin(host))
        except TimeoutError:
            raise OSError(errno.ETIMEDOUT, f"{host} is not looked up in time") from None
        if not addresses:
            raise OSError(errno.EHOSTUNREACH, f"{host} has no address")
        return addresses

    def _begin(self, host: str) -> asyncio.Future[tuple[str, ...]]:
        loop = asyncio.get_running_loop()
        lookup = self._under_way[host] = loop.create_future()

        def end(addresses: tuple[str, ...]) -> None:
            del self._under_way[host]
            lookup.set_result(addresses)

        def find() -> None:
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except (OSError, UnicodeError):
                found = []
            numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
            addresses = tuple(dict.fromkeys(socket.getnameinfo(address, numeric)[0] for *_, address in found))
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(end, addresses)

        threading.Thread(target=find, name=f"look-up of {host}", daemon=True).start()
        return lookup


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return True
    return False

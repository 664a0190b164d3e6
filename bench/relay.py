"""Relays between nodes that count what passes, in a thread of their own.

A relay listens at the address by which a node is known, and hands each connection on to where the node really listens.
Where nobody does, it ends the connection.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import cast

import uvloop

from gossip.view import host_of, port_of

MASK_BYTES = 4
"""Whoever dials masks what it sends with so many bytes, over and over (RFC 6455, 5.3)."""


class Count:
    """What all relays of one block have handed on; may be read in any thread. `run`: how many equal bytes, one after
    the other, each value holds that is to be counted, and nothing else does; None: none is."""

    def __init__(self, run: int | None = None) -> None:
        self.passed_bytes = 0
        self.passed_values = 0
        self._window = 0 if run is None else run + 2
        """A value is known by this many bytes: the run, and one on either side that ends it."""
        alike = self._window - 2 - MASK_BYTES
        self._pattern = re.compile(rb"[^\0]\0{%d}(?=[^\0])" % alike) if run is not None else None

    def note(self, data: bytes, before: bytes) -> bytes:
        """`data` passes in one direction, after what this returned for the piece before it."""
        self.passed_bytes += len(data)
        if self._pattern is None:
            return b""
        data = before + data
        self.passed_values += len(self._pattern.findall(_differences(data)))
        return data[-self._window + 1 :]


def _differences(data: bytes) -> bytes:
    """Each byte against the one that is masked alike next: a run of equal bytes is one of zeros, masked or not."""
    later, earlier = data[MASK_BYTES:], data[:-MASK_BYTES]
    return (int.from_bytes(later) ^ int.from_bytes(earlier)).to_bytes(len(earlier))


class _Side(asyncio.Protocol):
    """One end of a connection: what arrives here leaves at the other."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._ahead: list[bytes] = []
        """What arrived before there was another end."""
        self._transport: asyncio.Transport | None = None
        self._last = b""
        """The end of what has arrived: a value may have begun in it."""
        self.other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._last = self._count.note(data, self._last)
        if self.other is None:
            self._ahead.append(data)
        else:
            self.other.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.abort()

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def join(self, other: _Side) -> None:
        self.other = other
        for data in self._ahead:
            other.send(data)


class _Front(_Side):
    """The end at which somebody has dialled."""

    def __init__(self, count: Count, target: str) -> None:
        super().__init__(count)
        self._target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        back = _Side(self._count)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: back, host_of(self._target), port_of(self._target)
            )
        except OSError:
            self.abort()
            return
        back.other = self
        self.join(back)
        assert self._transport is not None
        if self._transport.is_closing():
            back.abort()


@contextmanager
def relays(targets: Mapping[str, str], run: int | None = None) -> Iterator[Count]:
    """While the block runs, each of the addresses that are the keys leads to its value. `run`: see `Count`."""
    count, loop = Count(run), uvloop.new_event_loop()
    sockets = {
        socket.create_server((host_of(address), port_of(address))): target for address, target in targets.items()
    }

    def serve() -> None:
        for bound, target in sockets.items():
            loop.run_until_complete(loop.create_server(partial(_Front, count, target), sock=bound))
        loop.run_forever()

    thread = Thread(target=serve)
    thread.start()
    try:
        yield count
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

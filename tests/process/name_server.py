"""A name server of a test's own, and processes that ask it and nobody else.

For these it is the machine's: each has a mount namespace in which `/etc/resolv.conf` names it. That, and its port, take
root.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from gossip.view import Address, host_of
from tests.cluster import NODE, NodeProcess
from tests.commands import run

DOMAIN = "kvs.test"
PORT = 53
_HEADER = struct.Struct(">6H")
_ANSWERED, _NO_SUCH_NAME = 0x8180, 0x8183
_A, _IN, _TTL_S = 1, 1, 1
_POINTER_TO_QUESTION = 0xC00C
LOOKUP_S = 60
"""How long the system waits for an answer: longer than any test does."""

_BECOME = """
mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/hosts" /etc/hosts || exit 1
if [ -e /etc/nsswitch.conf ]; then mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf || exit 1; fi
shift; exec "$@"
"""


class Names(asyncio.DatagramProtocol):
    """A name server that knows names of `DOMAIN`, by their first labels."""

    def __init__(self, ip: str) -> None:
        """Where it is to listen."""
        self.ip = ip
        self.addresses: dict[str, str] = {}
        self.silent: set[str] = set()
        """These get no answer."""
        self.asked: Counter[str] = Counter()
        self._transport: asyncio.DatagramTransport | None = None
        """Once it is open."""

    async def listen(self) -> None:
        """Raises OSError if this machine does not allow it."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (self.ip, PORT))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # The protocol: RFC 1035, one question in each message.

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        assert self._transport is not None
        number, *_ = _HEADER.unpack_from(data)
        labels, at = [], _HEADER.size
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        question = data[_HEADER.size : at + 5]
        (kind,) = struct.unpack_from(">H", data, at + 1)
        name = labels[0]
        self.asked[name] += 1
        if name in self.silent:
            return
        ip = self.addresses.get(name) if ".".join(labels[1:]) == DOMAIN else None
        answer = b""
        if ip is not None and kind == _A:
            answer = struct.pack(">3HIH", _POINTER_TO_QUESTION, _A, _IN, _TTL_S, 4) + socket.inet_aton(ip)
        flags = _NO_SUCH_NAME if ip is None else _ANSWERED
        self._transport.sendto(_HEADER.pack(number, flags, 1, bool(answer), 0, 0) + question + answer, addr)


class NameServer(Names):
    """Asked by processes of this machine."""

    def __init__(self, address: Address, directory: Path) -> None:
        """`address`: of the subnet in which it is to listen."""
        super().__init__(f"{host_of(address).rpartition('.')[0]}.53")
        self._files = directory / "name server"

    async def open(self) -> None:
        """Raises OSError if this machine does not allow it."""
        self._files.mkdir()
        (self._files / "resolv.conf").write_text(f"nameserver {self.ip}\noptions timeout:{LOOKUP_S} attempts:1\n")
        (self._files / "nsswitch.conf").write_text("hosts: files dns\n")
        (self._files / "hosts").write_text("127.0.0.1 localhost\n")
        await self.listen()
        self.addresses["probe"] = self.ip
        question = f"import socket; print(socket.gethostbyname('probe.{DOMAIN}'))"
        done = await run(*self._in_namespace(sys.executable, "-c", question))
        if done.out != self.ip:
            raise OSError(f"no mount namespace in which there is another name server: {done.errors}")

    def serve(self, process: NodeProcess) -> None:
        """It asks this server from its next start on."""
        become = self._in_namespace(sys.executable, *(process.program or NODE))
        process.program = ("-c", f"import os; os.execvp({become[0]!r}, {become!r})")

    def _in_namespace(self, *command: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", _BECOME, "sh", str(self._files), *command]

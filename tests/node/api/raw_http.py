"""HTTP as no client library would send it."""

from __future__ import annotations

import asyncio

from gossip.view import Address, host_of, port_of


async def ask_raw(node: Address, request: bytes, is_all: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes; the first answer: status, headers with their names in lower case, body. `is_all`: say that
    nothing more will be sent."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host_of(node), port_of(node))
        try:
            writer.write(request)
            if is_all:
                writer.write_eof()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            return int(status_line.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.close()

"""Secrets that two nodes have, a stranger that has none, and what is said of whom."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from node.config import CLUSTER_DEFAULT
from node.net.frames import Call, CallFrame, encode
from node.net.handshake import url_of
from node.net.messages import Read
from node.net.proof import CHALLENGE_BYTES
from node.net.proving import CHALLENGE_HEADER
from node.timing.clock import Clocks
from tests.node.net.links import Links
from tests.node.net.two_ends import PATIENT_S, VIEW_ID

ONE, OTHER, THIRD = "one" * 16, "other" * 16, "third" * 16
A, B = "a:1", "b:1"
BOTH = (ONE, ONE)

CHALLENGE = {CHALLENGE_HEADER: "00" * CHALLENGE_BYTES}
"""Of a stranger that has drawn none."""
CALL = encode(CallFrame(Clocks(0, 0), (Call(1, VIEW_ID, 1000, Read(b"stolen")),), ()))


async def dialled(links: Links, headers: dict[str, str], frames: list[bytes]) -> list[bytes]:
    """What B sends to a stranger that calls itself A, after these frames."""
    url = url_of(links.b.address, links.a.address, CLUSTER_DEFAULT)
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as socket:
        for frame in frames:
            await socket.send_bytes(frame)
        async with asyncio.timeout(PATIENT_S):
            return [message.data async for message in socket if message.type is aiohttp.WSMsgType.BINARY]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return sorted(record.getMessage() for record in caplog.records if record.name == "node.net.handshake")

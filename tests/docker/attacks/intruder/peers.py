"""Posing as a node: dialling links, frames before anything is proven, proofs that are recorded or reflected."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
from collections.abc import Sequence
from typing import NamedTuple

from gossip.view import ViewId
from node.net.frames import Call, CallFrame, encode
from node.net.handshake import url_of
from node.net.messages import Read
from node.net.proof import CHALLENGE_BYTES, Meeting, Side, proof_of
from node.net.proving import CHALLENGE_HEADER, PROOF_HEADER
from node.timing.clock import Clocks
from tests.docker.attacks.intruder.wire import (
    CANARY,
    Attempt,
    Got,
    Place,
    Streams,
    Target,
    ask,
    counted,
    dial,
    say,
    status_of,
)

UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)
CHALLENGE = bytes(CHALLENGE_BYTES)
QUIET_S = 2.0
ALONE = "a link to a node with a secret alone"
BINARY, TEXT, PING, CLOSE = 0x2, 0x1, 0x9, 0x8


class Greeted(NamedTuple):
    """By a node that asks for a proof now."""

    streams: Streams
    challenge: bytes
    proof: bytes


def frame(payload: bytes, opcode: int = BINARY, length: int | None = None, masked: bool = True) -> bytes:
    """Of a WebSocket. `length`: what it says of itself, if not the truth."""
    told = len(payload) if length is None else length
    first = bytes([0x80 | opcode])
    mask_bit = 0x80 if masked else 0
    if told < 126:
        size = bytes([mask_bit | told])
    elif told < 1 << 16:
        size = bytes([mask_bit | 126]) + struct.pack(">H", told)
    else:
        size = bytes([mask_bit | 127]) + struct.pack(">Q", told)
    return first + size + (bytes(4) if masked else b"") + payload  # A mask of zeros changes nothing.


def path_of(target: Target, sender: str, cluster: str = "kvs", **query: str) -> str:
    return str(url_of(target.address, sender, cluster).update_query(query).relative())


def upgrade(target: Target, sender: str, extra: Sequence[tuple[str, str]] = (), **query: str) -> bytes:
    lines = [("Host", target.address), *UPGRADE, (CHALLENGE_HEADER, CHALLENGE.hex()), *extra]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"GET {path_of(target, sender, **query)} HTTP/1.1\r\n{text}\r\n".encode()


async def greeted(target: Target, sender: str) -> Greeted:
    """Raises OSError and TimeoutError, ValueError if it is refused."""
    reader, writer = await dial(target)
    writer.write(upgrade(target, sender, protocols="1-2"))
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    if " 101 " not in head:
        writer.transport.abort()
        raise ValueError(head)
    told = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    return Greeted((reader, writer), bytes.fromhex(told[CHALLENGE_HEADER]), bytes.fromhex(told[PROOF_HEADER]))


async def heard_after(link: Greeted, sent: bytes) -> bytes:
    """All that a node says after this."""
    reader, writer = link.streams
    heard = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(QUIET_S):
            while data := await reader.read(65536):
                heard += data
    except (OSError, TimeoutError):
        pass
    writer.transport.abort()
    return heard


STEAL = encode(CallFrame(Clocks(0, 0), (Call(1, ViewId(0, 0), 1000, Read(CANARY.encode())),), ()))


async def without_certificate(place: Place) -> Got:
    """As each node, and as nobody, with and without a challenge, from a browser, and for another node."""
    sent = []
    for node in place.nodes:
        for sender in (*(other.address for other in place.nodes), f"{place.me}:13800", "stranger.example:1"):
            sent.append(say(node, upgrade(node, sender, protocols="1-2"), QUIET_S))
        sent.append(say(node, upgrade(node, place.nodes[0].address, [("Origin", "https://evil.example")]), QUIET_S))
        sent.append(say(node, upgrade(place.nodes[0], place.nodes[1].address), QUIET_S))
        sent.append(ask(node, "GET", path_of(node, "not an address"), patience_s=QUIET_S))
    replies = await asyncio.gather(*sent)
    return Got(counted([reply.status for reply in replies]), any(reply.status == 101 for reply in replies))


async def with_own_certificate(place: Place) -> Got:
    """One of the intruder's own CA, for its own IP."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(place.own / "cert.pem", place.own / "key.pem")
    seen = []
    for node in place.nodes:
        try:
            reader, writer = await dial(node, context)
            writer.write(upgrade(node, f"{place.me}:13800"))
            heard = await asyncio.wait_for(reader.read(65536), QUIET_S)
            writer.transport.abort()
            seen.append(status_of(heard))
        except (OSError, TimeoutError):
            seen.append(0)
    return Got(counted(seen), 101 in seen)


async def unproven(place: Place, sent: Sequence[bytes]) -> Got:
    """To the node without TLS, which greets whoever dials: what it says before anything is proven."""
    heard = []
    for each in sent:
        try:
            heard.append(await heard_after(await greeted(place.clear, f"{place.me}:13800"), each))
        except (OSError, TimeoutError, ValueError) as error:
            heard.append(b"")
            if isinstance(error, ValueError):
                return Got(f"refused: {str(error)[:80]}")
    has_told = any(each and each[0] & 0x0F < CLOSE for each in heard)  # Frames of control say nothing.
    return Got(f"{len(heard)} links, {sum(map(len, heard))} bytes heard", has_told)


def before_proof(name: str, *sent: bytes) -> Attempt:
    async def make(place: Place) -> Got:
        return await unproven(place, sent)

    return Attempt(f"{ALONE}: {name}", "broken off, nothing said", make)


async def reflect(place: Place) -> Got:
    """Its own proof, and one for another challenge; and what it has said to one link, said to another."""
    try:
        recorded = await greeted(place.clear, f"{place.me}:13800")
        recorded.streams[1].transport.abort()
        heard = []
        for played in (recorded.proof, None):
            link = await greeted(place.clear, f"{place.me}:13800")
            heard.append(await heard_after(link, frame(played or link.proof) + frame(STEAL)))
        guess = await greeted(place.clear, f"{place.me}:13800")
        meeting = Meeting(2, "kvs", f"{place.me}:13800", place.clear.address, CHALLENGE, guess.challenge)
        guesses = b"".join(frame(proof_of(secret, Side.DIALLER, meeting)) for secret in (b"", b"secret", bytes(32)))
        heard.append(await heard_after(guess, guesses + frame(STEAL)))
    except (OSError, TimeoutError, ValueError) as error:
        return Got(f"broken off: {str(error)[:80]!r}")
    return Got(f"{len(heard)} links, {sum(map(len, heard))} bytes heard", any(heard))


async def without_challenge(place: Place) -> Got:
    lines = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
    paths = [
        path_of(place.clear, f"{place.me}:13800"),
        path_of(place.clear, place.clear.address),
        path_of(place.clear, f"{place.me}:13800", cluster="other"),
        path_of(place.clear, f"{place.me}:13800", protocols="0-999999"),
        path_of(place.clear, f"{place.me}:13800", protocols="x" * 4000),
        path_of(place.clear, f"{place.me}:13800", process="0"),
    ]
    replies = [await say(place.clear, f"GET {path} HTTP/1.1\r\nHost: n\r\n{lines}\r\n".encode(), 1) for path in paths]
    return Got(counted([reply.status for reply in replies]), any(reply.status == 101 for reply in replies))


ATTEMPTS = [
    Attempt("a link, as each node and as none, without a certificate", "403, 421 or 400 each", without_certificate),
    Attempt("a link, with a certificate of one's own CA", "no TLS each", with_own_certificate),
    Attempt(
        f"{ALONE}: no challenge, other clusters, other protocols",
        "403 each",
        without_challenge,
    ),
    Attempt(f"{ALONE}: proofs recorded, reflected, guessed", "broken off", reflect),
    before_proof(
        "calls before any proof", frame(STEAL), frame(b"") + frame(STEAL), frame(os.urandom(32)) + frame(STEAL)
    ),
    before_proof(
        "frames of 2^63, of 8 MiB, truncated, unmasked, of text, of no kind",
        frame(b"x", length=(1 << 63) - 1),
        frame(bytes(32), length=8 << 20),
        frame(bytes(1 << 20), length=9 << 20),
        frame(bytes(32), masked=False),
        frame(b"x" * 32, TEXT),
        frame(bytes(32), 0xB),
        frame(bytes(200), PING) + frame(bytes(125), CLOSE),
        bytes([0x02]) + frame(b"x")[1:] + bytes([0x00]) + frame(b"y")[1:] * 1000,
        bytes([0xC2]) + frame(os.urandom(64))[1:],
        b"\xff" * 100_000,
    ),
]

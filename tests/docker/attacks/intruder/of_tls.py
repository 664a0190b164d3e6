"""Against the layer below HTTP: in the clear, older versions, weak ciphers, renegotiation, and what is no TLS."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import warnings

from tests.docker.attacks.intruder.wire import (
    CANARY,
    Attempt,
    Got,
    Place,
    Target,
    ask,
    dial,
    dial_bare,
    exchange,
    head,
    trusting,
)

QUIET_S = 2.0
HELLO = bytes.fromhex("16030100")


async def in_the_clear(place: Place) -> Got:
    seen, has_told = [], False
    for method in ("GET", "PUT", "POST", "PRI"):
        reply = await ask(place.nodes[0]._replace(tls=False), method, f"/kvs/keys/{CANARY}", patience_s=QUIET_S)
        has_told |= reply.tells or reply.status in (200, 201)
        seen.append(str(reply.status))
    return Got(", ".join(seen), has_told)


async def version_of(target: Target, context: ssl.SSLContext) -> str:
    """What is agreed on, or why nothing is."""
    try:
        _, writer = await dial(target, context)
    except (OSError, TimeoutError) as error:
        return f"none: {getattr(error, 'reason', None) or type(error).__name__}"
    encrypted: ssl.SSLObject = writer.get_extra_info("ssl_object")
    told = f"{encrypted.version()} {(encrypted.cipher() or ('no cipher',))[0]} {encrypted.selected_alpn_protocol()}"
    writer.transport.abort()
    return told


async def downgrade(place: Place) -> Got:
    seen = []
    for highest in (ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = trusting()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = highest
        seen.append(await version_of(place.nodes[0], context))
    return Got("; ".join(seen), not all(told.startswith("none") for told in seen))


async def weaken(place: Place) -> Got:
    seen = []
    for ciphers in ("eNULL", "aNULL", "RC4:DES:3DES:EXP", "kRSA", "PSK"):
        context = trusting()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        except ssl.SSLError:
            continue  # Nor does this client have any.
        seen.append(f"{ciphers}: {await version_of(place.nodes[0], context)}")
    weak = [told for told in seen if ": none" not in told and not told.startswith("kRSA")]
    return Got("; ".join(seen), bool(weak))


async def offer_others(place: Place) -> Got:
    context = trusting()
    context.set_alpn_protocols(["h2", "spdy/3"])
    told = await version_of(place.nodes[0], context)
    return Got(told, "h2" in told)


async def renegotiate(place: Place) -> Got:
    """Anew and anew, on one connection of TLS 1.2."""
    program = shutil.which("openssl")
    if program is None:
        return Got("not tried: there is no openssl in the image")
    node = place.nodes[0]
    process = await asyncio.create_subprocess_exec(
        *(program, "s_client", "-tls1_2", "-legacy_renegotiation", "-connect", node.address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    try:
        await asyncio.sleep(0.5)
        process.stdin.write(b"R\n")
        await process.stdin.drain()
        await asyncio.sleep(1)
        process.stdin.write(b"R\n")
        out, _ = await asyncio.wait_for(process.communicate(), 5)
    except (OSError, TimeoutError):
        process.kill()
        out, _ = await process.communicate()
    refused = b"no renegotiation" in out or b"alert" in out or out.count(b"RENEGOTIATING") < 2 or b"closed" in out
    return Got("refused" if refused else out[-200:].decode(errors="replace"), not refused)


async def garbage(place: Place) -> Got:
    """Records that say too much of themselves, hellos cut short or of nothing, alerts, heartbeats, and noise."""
    sent = [
        HELLO + b"\xff",
        bytes.fromhex("160301ffff") + os.urandom(65535),
        bytes.fromhex("16030100050100000001") * 100,
        bytes.fromhex("1603010200010001fc0303") + os.urandom(500),
        bytes.fromhex("15030100020100"),
        bytes.fromhex("180302000301ffff"),
        bytes.fromhex("80430103010000"),
        b"\x16" + b"\0" * 100_000,
        os.urandom(100_000),
        b"",
    ]
    heard = []
    for each in sent:
        try:
            heard.append(len(await exchange(await dial_bare(place.nodes[0]), each, 0.7)))
        except (OSError, TimeoutError):
            heard.append(0)
    return Got(f"bytes heard: {heard}", any(each > 2048 for each in heard))


async def bad_record_inside(place: Place) -> Got:
    """After a handshake in order, bytes that are not encrypted, on the same connection."""
    reader, writer = await dial(place.nodes[0])
    raw = writer.get_extra_info("socket").fileno()
    writer.write(head("GET", "/livez"))
    first = await asyncio.wait_for(reader.read(4096), QUIET_S)
    os.write(raw, b"\x17\x03\x03\x40\x00" + os.urandom(0x4000))
    try:
        after = await asyncio.wait_for(reader.read(4096), QUIET_S)
    except (OSError, TimeoutError):
        after = b""
    writer.transport.abort()
    return Got(f"{len(first)} bytes before, {len(after)} after", len(after) > 0)


ATTEMPTS = [
    Attempt("HTTP in the clear to the port of TLS", "400, or broken off", in_the_clear),
    Attempt("SSL 3, TLS 1.0 and TLS 1.1", "none each", downgrade),
    Attempt("ciphers that are null, anonymous or broken", "none each", weaken),
    Attempt("HTTP/2 by ALPN", "not chosen", offer_others),
    Attempt("renegotiation of TLS 1.2", "refused", renegotiate),
    Attempt("garbage in place of a handshake", "an alert, or broken off", garbage),
    Attempt("garbage after a handshake", "broken off", bad_record_inside),
]

"""What a node says of its own health, asked in a way that costs next to nothing.

Docker and others start a process for each look, every few seconds, so this goes without an event loop and without the
client: one request on one connection. Must not import asyncio, nor anything that does; nor ssl, before it is needed.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

from kvs.endpoints import HTTPS, addresses_of, are_secure, endpoints_of, host_and_port
from kvs.http import Malformed, Missing, Reply, reply_in, request

if TYPE_CHECKING:
    from kvs.tls import CaFile

TIMEOUT_S = 2.0
"""A node answers at once, or it is not well."""
PATH = "/readyz?verbose"

_LINE = re.compile(r"\[([-+!])\](\S+) (.+)")
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""Where to ask a node that listens everywhere."""

State: TypeAlias = Literal["ok", "noted", "failed"]
_STATES: Mapping[str, State] = {"+": "ok", "!": "noted", "-": "failed"}


class Check(msgspec.Struct, frozen=True):
    name: str
    state: State
    reason: str
    """Empty if all is well."""


class Health(msgspec.Struct, frozen=True):
    address: str
    ready: bool
    checks: tuple[Check, ...]
    """Of a node that gives no answer, the only one is `answer`."""


class Place(NamedTuple):
    """Where, and how, a node is asked."""

    endpoint: str
    """With `https://` before it, if by TLS."""
    ca: CaFile | None = None
    """Who is believed; None: whom the system believes."""
    name: str | None = None
    """What its certificate is for; None: the host."""


def own_node(environment: Mapping[str, str]) -> Place | None:
    """Where the node with this environment can be asked from its own machine; None: it is that of no node. Raises
    BadRequest."""
    address, bind = environment.get("ADDRESS", "").strip(), environment.get("BIND", "").strip().strip("[]")
    if not address:
        return None
    host, port = host_and_port(*endpoints_of(address))
    if not bind:
        bind = host if host == "::1" or host.startswith("127.") else "0.0.0.0"
    shown = _LOOPBACK_OF.get(bind) or (f"[{bind}]" if ":" in bind else bind)
    ca = environment.get("TLS_CA", "").strip()
    return Place(f"{HTTPS}{shown}:{port}", ca, host) if ca else Place(f"{shown}:{port}")


def look_at(place: Place, timeout_s: float = TIMEOUT_S) -> Health:
    """What the node there says; that it says nothing, or what makes no sense, is a fault too. Raises BadRequest if the
    file of the CAs is none."""
    (node,) = addresses_of([place.endpoint])
    try:
        reply = _ask(node, place, timeout_s)
    except TimeoutError:
        return _without_answer(node, f"none within {timeout_s:g} s")
    except OSError as fault:
        return _without_answer(node, _reason_of(place, fault))
    except Malformed as fault:
        return _without_answer(node, str(fault))
    lines = map(_LINE.fullmatch, reply.body.decode(errors="replace").splitlines())
    checks = tuple(
        Check(line[2], state, _reason(state, line[3])) for line in lines if line for state in [_STATES[line[1]]]
    )
    if reply.status not in (200, 503) or not checks:
        return _without_answer(node, f"status {reply.status}, without checks: its release knows of none")
    return Health(node, reply.status == 200, checks)


def _reason_of(place: Place, fault: OSError) -> str:
    if are_secure([place.endpoint]):
        from kvs.tls import reason_of

        return reason_of(fault)
    return (fault.strerror or str(fault)).lower()


def _reason(state: State, text: str) -> str:
    return "" if state == "ok" else text


def _without_answer(node: str, reason: str) -> Health:
    return Health(node, False, (Check("answer", "failed", reason),))


def _ask(node: str, place: Place, timeout_s: float) -> Reply:
    """Raises OSError, Malformed, BadRequest."""
    until = time.monotonic() + timeout_s
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(host_and_port(node), timeout_s))
        if are_secure([place.endpoint]):
            from kvs.tls import context_of

            name = place.name or host_and_port(node)[0]
            connection = stack.enter_context(context_of(place.ca).wrap_socket(connection, server_hostname=name))
        connection.sendall(request(node, "GET", PATH, {"Connection": "close"}, None))
        data = b""
        while isinstance(reply := reply_in(data), Missing):
            connection.settimeout(max(0.001, until - time.monotonic()))
            more = connection.recv(65536)
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "the connection broke")
            data += more
        return reply

"""What a node says of its own health, asked in a way that costs next to nothing.

Docker and others start a process for each look, every few seconds, so this goes without an event loop and without the
client: one request on one connection. Must not import asyncio, nor anything that does.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from kvs.endpoints import endpoints_of, host_and_port
from kvs.http import Malformed, Missing, Reply, reply_in, request

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


def own_node(environment: Mapping[str, str]) -> str | None:
    """Where the node with this environment can be asked from its own machine; None: it is that of no node. Raises
    BadRequest."""
    address, bind = environment.get("ADDRESS", "").strip(), environment.get("BIND", "").strip().strip("[]")
    if not address:
        return None
    host, port = host_and_port(*endpoints_of(address))
    if not bind:
        bind = host if host == "::1" or host.startswith("127.") else "0.0.0.0"
    shown = _LOOPBACK_OF.get(bind) or (f"[{bind}]" if ":" in bind else bind)
    return f"{shown}:{port}"


def look_at(node: str, timeout_s: float = TIMEOUT_S) -> Health:
    """What `node` says; that it says nothing, or what makes no sense, is a fault too."""
    try:
        reply = _ask(node, timeout_s)
    except TimeoutError:
        return _without_answer(node, f"none within {timeout_s:g} s")
    except OSError as fault:
        return _without_answer(node, (fault.strerror or str(fault)).lower())
    except Malformed as fault:
        return _without_answer(node, str(fault))
    lines = map(_LINE.fullmatch, reply.body.decode(errors="replace").splitlines())
    checks = tuple(
        Check(line[2], state, _reason(state, line[3])) for line in lines if line for state in [_STATES[line[1]]]
    )
    if reply.status not in (200, 503) or not checks:
        return _without_answer(node, f"status {reply.status}, without checks: its release knows of none")
    return Health(node, reply.status == 200, checks)


def _reason(state: State, text: str) -> str:
    return "" if state == "ok" else text


def _without_answer(node: str, reason: str) -> Health:
    return Health(node, False, (Check("answer", "failed", reason),))


def _ask(node: str, timeout_s: float) -> Reply:
    """Raises OSError, Malformed."""
    until = time.monotonic() + timeout_s
    with socket.create_connection(host_and_port(node), timeout_s) as connection:
        connection.sendall(request(node, "GET", PATH, {"Connection": "close"}, None))
        data = b""
        while isinstance(reply := reply_in(data), Missing):
            connection.settimeout(max(0.001, until - time.monotonic()))
            more = connection.recv(65536)
            if not more:
                raise OSError("the connection broke")
            data += more
        return reply

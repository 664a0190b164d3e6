"""A client of the store: `kvs.Client`, `kvs.AsyncClient`, and what they give and raise; and the `kvs` command.

What is named here is all that a program may rely on. Each name is imported when it is first used: the command begins
with this module too, and its help must not wait for what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvs.blocking import Client, Counter, Lock, Session
    from kvs.client import AsyncClient
    from kvs.counter import AsyncCounter
    from kvs.errors import (
        BadRequest,
        ConditionFailed,
        Contended,
        KvsError,
        Locked,
        LockLost,
        Misuse,
        NotAllowed,
        OutcomeUnknown,
        Unreachable,
    )
    from kvs.lock import AsyncLock
    from kvs.operations import Delete, Get, Put
    from kvs.session import AsyncSession
    from kvs.values import Copies, Entry, Exported, Found, Json, Stored, Unchanged
    from kvs.watch import Gap, HasExpired, WasDeleted, WasPut

__all__ = [
    "AsyncClient",
    "AsyncCounter",
    "AsyncLock",
    "AsyncSession",
    "BadRequest",
    "Client",
    "ConditionFailed",
    "Contended",
    "Copies",
    "Counter",
    "Delete",
    "Entry",
    "Exported",
    "Found",
    "Gap",
    "Get",
    "HasExpired",
    "Json",
    "KvsError",
    "Lock",
    "LockLost",
    "Locked",
    "Misuse",
    "NotAllowed",
    "OutcomeUnknown",
    "Put",
    "Session",
    "Stored",
    "Unchanged",
    "Unreachable",
    "WasDeleted",
    "WasPut",
]

_HOMES = {
    "kvs.blocking": ("Client", "Counter", "Lock", "Session"),
    "kvs.client": ("AsyncClient",),
    "kvs.counter": ("AsyncCounter",),
    "kvs.errors": (
        *("BadRequest", "ConditionFailed", "Contended", "KvsError"),
        *("LockLost", "Locked", "Misuse", "NotAllowed", "OutcomeUnknown", "Unreachable"),
    ),
    "kvs.lock": ("AsyncLock",),
    "kvs.operations": ("Delete", "Get", "Put"),
    "kvs.session": ("AsyncSession",),
    "kvs.values": ("Copies", "Entry", "Exported", "Found", "Json", "Stored", "Unchanged"),
    "kvs.watch": ("Gap", "HasExpired", "WasDeleted", "WasPut"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

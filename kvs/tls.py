"""Whom a client believes by TLS, and what is wrong where it does not."""

from __future__ import annotations

import os
import ssl
from typing import TypeAlias

from kvs.errors import BadRequest

CaFile: TypeAlias = str | os.PathLike[str]


def context_of(ca: CaFile | None) -> ssl.SSLContext:
    """For connections to nodes. `ca`: a file with the CAs that are believed; None: those of the system. Raises
    BadRequest."""
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise BadRequest(f"{os.fspath(ca or '')}: it has no certificates in PEM form, or one is broken") from None
    except OSError as error:
        raise BadRequest(f"{os.fspath(ca or '')}: {(error.strerror or 'it cannot be read').lower()}") from None


def reason_of(error: OSError) -> str:
    """Why there is no connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS ({(error.reason or 'no reason given').lower().replace('_', ' ')})"
    return os.strerror(error.errno).lower() if error.errno else "no connection"

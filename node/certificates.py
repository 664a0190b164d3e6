"""The certificate of this node, its key, and whose certificates it believes, as `TLS_CERT`, `TLS_KEY` and `TLS_CA` say.

Whether all that fits together is not worked out here: the node shakes hands with itself, in memory, as any other node
will with it. So whatever would be refused later, a certificate that has expired, that is for another host or purpose,
or that nobody in `TLS_CA` has signed, is found before the node serves, and when the files are read again.

What was read stands in contexts that nobody changes: new files make new ones, for the connections that come after.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn

from node.config import TlsFiles
from node.errors import BadEnvironment
from node.secret_files import content_of

log = logging.getLogger(__name__)

CERT, KEY, CA = "TLS_CERT", "TLS_KEY", "TLS_CA"
PROTOCOLS = ["http/1.1"]
"""All that is spoken inside."""

_FLIGHTS = 8
"""More than either side of a handshake has something to say."""
_FOR_THE_HOST = "it must be for the host of ADDRESS"
_SIGNED = "it must be signed by a CA in TLS_CA, with those between them in TLS_CERT"
_RIGHT: Mapping[int, str] = {
    9: "is the clock of this machine right?",
    10: "renew it",
    18: _SIGNED,
    19: _SIGNED,
    20: _SIGNED,
    21: _SIGNED,
    26: "its extended key usage must have both serverAuth and clientAuth, or be left out",
    62: _FOR_THE_HOST,
    64: _FOR_THE_HOST,
}
"""By the number of X509_V_ERR_…, as `openssl verify` has it."""


class Contexts(NamedTuple):
    server: ssl.SSLContext
    """Takes clients without a certificate, and nodes with one; never one that is not believed."""
    client: ssl.SSLContext
    expires_s: float
    """Wall time, since 1970."""


class Certificates:
    """`now`: as the files were last found in order. `host`: that of `ADDRESS`. Raises BadEnvironment."""

    def __init__(self, files: TlsFiles, host: str) -> None:
        self._files = files
        self._host = host.strip("[]")
        self.now = self._read()

    async def renew(self) -> None:
        try:
            self.now = await asyncio.to_thread(self._read)
        except BadEnvironment as fault:
            log.error("%s; what was read before stays in force", fault)
        else:
            until = datetime.fromtimestamp(self.now.expires_s, UTC)
            log.info("%s %s: read again; it is valid until %s", CERT, self._files.cert, until.isoformat(" ", "minutes"))

    def _read(self) -> Contexts:
        cert, key, ca = self._files
        believed = _certificates_in(CA, ca)
        _certificates_in(CERT, cert)
        content_of(KEY, key)
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        server.verify_mode = ssl.CERT_OPTIONAL
        server.options |= ssl.OP_NO_RENEGOTIATION
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(PROTOCOLS)
            context.load_verify_locations(cadata=believed)
            _load_own(context, self._files)
        try:
            return Contexts(server, client, _expiry_s(server, client, self._host))
        except ssl.SSLCertVerificationError as error:
            right = _RIGHT.get(error.verify_code, "correct it")
            told = f"{CERT} {cert}: no other node would accept it: {error.verify_message.rstrip('.')}: {right}"
            raise BadEnvironment(told) from None
        except ssl.SSLError as error:
            raise BadEnvironment(f"{CERT} {cert}: no other node could use it: {error.reason}") from None


def _certificates_in(variable: str, path: Path) -> str:
    """The file, as text. Raises BadEnvironment unless it has certificates, and nothing broken."""
    try:
        text = content_of(variable, path, is_secret=False).decode()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (UnicodeDecodeError, ssl.SSLError):
        raise BadEnvironment(f"{variable} {path}: it has no certificates in PEM form, or one is broken") from None
    return text


def _load_own(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Raises BadEnvironment."""
    cert, key, _ = files
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except _Encrypted:
        raise BadEnvironment(f"{KEY} {key}: it has a password, which nobody could give: decrypt it") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadEnvironment(f"{KEY} {key}: it is not the key of the first certificate in {CERT} {cert}") from None
        raise BadEnvironment(f"{KEY} {key}: it has no private key in PEM form, or it is broken") from None
    except OSError as error:
        raise BadEnvironment(f"{KEY} {key}: {(error.strerror or 'it cannot be read').lower()}") from None


class _Encrypted(Exception):
    """A key has a password."""


def _refuse_password() -> NoReturn:
    """Else the system would ask for it at the terminal."""
    raise _Encrypted


def _expiry_s(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> float:
    """Until when the certificate is valid with which a handshake of the two succeeds. Raises SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    dialler = client.wrap_bio(to_client, to_server, server_hostname=host)
    answerer = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_FLIGHTS):
        for end in (dialler, answerer):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    certificate = answerer.getpeercert()
    assert certificate, "who dials has shown its certificate"
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))

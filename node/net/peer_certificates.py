"""Whose certificate two nodes accept of each other, and how it is said that it is not so.

Where a node has certificates, no link of it is ever in the clear. Who dials demands one that is for the address that it
has dialled, and who answers one that is for the address which the other one gives as its own: so a node that was broken
into, and its key stolen, is not all nodes. That a certificate is signed by a CA in `TLS_CA`, and still valid, is found
out before, by the handshake of TLS, where nobody has said yet who is calling: so only who dials can say of that what is
wrong, and since each node dials each other one, it is said on both sides.

A node with certificates and one without refuse each other, and each says so.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from gossip.view import Address, host_of
from node.certificates import Certificates

TLS_HEADER, TLS_ONLY, NO_CERTIFICATE = "Kvs-TLS", "required", "certificate"
"""In which who refuses tells why: what was dialled in the clear, or a certificate is missing, or is for another."""

ALL_OR_NONE = "all nodes of a cluster have TLS_CERT, or none has"
THEY_LACK_IT = f"it does not speak TLS, and this node does: {ALL_OR_NONE}"
WE_LACK_IT = f"it speaks TLS, and this node does not: {ALL_OR_NONE}"
NOT_ITS_OWN = "its certificate is not for the host of its address"
NOT_SHOWN = "it shows no certificate"
NOT_ACCEPTED = "it wants a certificate of this node that is for the host of its ADDRESS"

_NOT_FOR_HOST = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH"""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})


class PeerCertificates:
    """Of one node. `certificates`: None: it has none, and speaks in the clear. `refuse` is told whom it turns away, and
    why."""

    def __init__(self, certificates: Certificates | None, refuse: Callable[[Address, str], None]) -> None:
        self._certificates = certificates
        self._refuse = refuse

    @property
    def scheme(self) -> str:
        return "http" if self._certificates is None else "https"

    @property
    def dialling(self) -> ssl.SSLContext | bool:
        """With what the next link is dialled, as aiohttp wants it: True says nothing."""
        return True if self._certificates is None else self._certificates.now.client

    def dial_failed(self, peer: Address, error: BaseException) -> None:
        why = _why(error)
        if why:
            self._refuse(peer, why)

    def refused(self, peer: Address, told: Mapping[str, str]) -> None:
        """`peer`, which was dialled, has refused with these headers."""
        why = told.get(TLS_HEADER)
        if why == TLS_ONLY and self._certificates is None:
            self._refuse(peer, WE_LACK_IT)
        elif why == NO_CERTIFICATE:
            self._refuse(peer, NOT_ACCEPTED)

    def admits(self, peer: Address, shown: Mapping[str, Any] | None) -> bool:
        """Whether `peer`, which has dialled, may be who it says it is. `shown`: its certificate, as `getpeercert` tells
        it."""
        if self._certificates is None or (shown and is_for(shown, host_of(peer))):
            return True
        self._refuse(peer, NOT_ITS_OWN if shown else NOT_SHOWN)
        return False


def is_for(certificate: Mapping[str, Any], host: str) -> bool:
    """Whether it is for this name or IP address, as OpenSSL judges that where a node dials."""
    host = host.strip("[]").lower()
    ip = _ip(host)
    names: Iterable[tuple[str, str]] = certificate.get("subjectAltName", ())
    if ip is not None:
        return any(kind == "IP Address" and _ip(name.strip()) == ip for kind, name in names)
    return any(kind == "DNS" and (name.lower() == host or _stands_for(name.lower(), host)) for kind, name in names)


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _stands_for(pattern: str, host: str) -> bool:
    """`*` is the first part of a name, whole and alone, and two more follow at least."""
    first, _, rest = host.partition(".")
    return bool(first) and "." in rest and pattern == f"*.{rest}"


def _why(error: BaseException | None) -> str:
    """What a dial that failed tells about certificates; empty if that was not why."""
    within = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if within is not None:  # aiohttp's, which pass for errors of ssl as well.
        return _why(within)
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NOT_FOR_HOST:
            return NOT_ITS_OWN
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}"
    return THEY_LACK_IT if isinstance(error, ssl.SSLError) and getattr(error, "reason", "") in _NO_TLS else ""

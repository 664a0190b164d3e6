"""Whose certificate is accepted of a node, and what is said of one that is not."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from gossip.view import Address
from node.certificates import Certificates
from node.net.peer_certificates import (
    ALL_OR_NONE,
    NO_CERTIFICATE,
    NOT_ACCEPTED,
    NOT_ITS_OWN,
    NOT_SHOWN,
    TLS_HEADER,
    TLS_ONLY,
    PeerCertificates,
    is_for,
)
from tests.node.certs import issue

PEER = "10.0.0.2:13800"


def shown(*names: tuple[str, str]) -> dict[str, Any]:
    """A certificate for them, as `getpeercert` tells it."""
    return {"subjectAltName": names}


class Refused(list[tuple[Address, str]]):
    def note(self, peer: Address, why: str) -> None:
        self.append((peer, why))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(issue(tmp_path, trustme.CA(), "127.0.0.1"), "127.0.0.1")


@pytest.mark.parametrize(
    ("certificate", "host", "expected"),
    [
        (shown(("IP Address", "10.0.0.2")), "10.0.0.2", True),
        (shown(("DNS", "10.0.0.2")), "10.0.0.2", False),
        (shown(("IP Address", "10.0.0.20")), "10.0.0.2", False),
        (shown(("IP Address", "0:0:0:0:0:0:0:1")), "::1", True),
        (shown(("DNS", "Node1.Example")), "node1.example", True),
        (shown(("DNS", "*.kvs.example")), "node1.kvs.example", True),
        (shown(("DNS", "*.kvs.example")), "a.node1.kvs.example", False),
        (shown(("DNS", "*.kvs.example")), ".kvs.example", False),
        (shown(("DNS", "*.kvs.example")), "kvs.example", False),
        (shown(("DNS", "*.example")), "node1.example", False),
        (shown(("DNS", "*")), "node1", False),
        (shown(("DNS", "*.0.0.2")), "10.0.0.2", False),
        (shown(("URI", "node1"), ("email", "node1")), "node1", False),
        (shown(("DNS", "a"), ("DNS", "b")), "b", True),
        ({"subject": ((("commonName", "node1"),),)}, "node1", False),
        ({}, "node1", False),
    ],
)
def test_peer_certificate_is_for_a_host(certificate: dict[str, Any], host: str, expected: bool) -> None:
    assert is_for(certificate, host) == expected


def test_peer_certificates_of_a_node_that_has_none_admit_all_and_dial_in_the_clear() -> None:
    refused = Refused()
    none = PeerCertificates(None, refused.note)
    assert (none.scheme, none.dialling) == ("http", True)
    assert none.admits(PEER, None)
    none.refused(PEER, {})
    none.dial_failed(PEER, ConnectionRefusedError())
    assert refused == []
    none.refused(PEER, {TLS_HEADER: TLS_ONLY})
    assert refused == [(PEER, f"it speaks TLS, and this node does not: {ALL_OR_NONE}")]


def test_peer_certificates_admit_who_is_who_it_says(certificates: Certificates) -> None:
    refused = Refused()
    own = PeerCertificates(certificates, refused.note)
    assert (own.scheme, own.dialling) == ("https", certificates.now.client)
    assert own.admits(PEER, shown(("IP Address", "10.0.0.2")))
    assert refused == []
    assert not own.admits(PEER, shown(("IP Address", "10.0.0.3")))
    assert not own.admits(PEER, {})
    assert not own.admits(PEER, None)
    own.refused(PEER, {TLS_HEADER: NO_CERTIFICATE})
    assert [why for _, why in refused] == [NOT_ITS_OWN, NOT_SHOWN, NOT_SHOWN, NOT_ACCEPTED]


def verifying(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def of_aiohttp(error: OSError) -> Exception:
    key = aiohttp.client_reqrep.ConnectionKey("10.0.0.2", 13800, True, True, None, None, None)
    if isinstance(error, ssl.SSLCertVerificationError):
        return aiohttp.ClientConnectorCertificateError(key, error)
    kind = aiohttp.ClientConnectorSSLError if isinstance(error, ssl.SSLError) else aiohttp.ClientConnectorError
    return kind(key, error)


def wrong_version() -> ssl.SSLError:
    error = ssl.SSLError(1, "wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (verifying(62, "Hostname mismatch, certificate is not valid for 'b'."), [NOT_ITS_OWN]),
        (verifying(64, "IP address mismatch, certificate is not valid for '::1'."), [NOT_ITS_OWN]),
        (verifying(10, "certificate has expired"), ["its certificate is not accepted: certificate has expired"]),
        (wrong_version(), [f"it does not speak TLS, and this node does: {ALL_OR_NONE}"]),
        (ConnectionRefusedError(111, "refused"), []),
        (ssl.SSLError(1, "it broke"), []),
    ],
)
def test_peer_certificates_name_what_a_dial_has_found_wrong(
    certificates: Certificates, error: OSError, why: list[str]
) -> None:
    for told in (error, of_aiohttp(error)):
        refused = Refused()
        PeerCertificates(certificates, refused.note).dial_failed(PEER, told)
        assert [why for _, why in refused] == why

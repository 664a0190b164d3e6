"""Certificates as the tests need them, made by a CA of their own."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from node.config import TlsFiles


def issue(directory: Path, ca: trustme.CA, *hosts: str, believed: trustme.CA | None = None) -> TlsFiles:
    """Files with a certificate of `ca` for these hosts, and with whom it believes: `ca` too, unless told otherwise."""
    return write(directory, ca.issue_cert(*hosts), believed or ca)


def write(directory: Path, issued: trustme.LeafCert, believed: trustme.CA) -> TlsFiles:
    directory.mkdir(parents=True, exist_ok=True)
    files = files_in(directory)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    files.key.write_bytes(issued.private_key_pem.bytes())
    files.ca.write_bytes(believed.cert_pem.bytes())
    files.key.chmod(0o600)
    for public in (files.cert, files.ca):
        public.chmod(0o644)
    return files


def files_in(directory: Path) -> TlsFiles:
    """How they are called there."""
    return TlsFiles(directory / "cert.pem", directory / "key.pem", directory / "ca.pem")


def variables(files: TlsFiles) -> dict[str, str]:
    return {"TLS_CERT": str(files.cert), "TLS_KEY": str(files.key), "TLS_CA": str(files.ca)}


def believing(ca: trustme.CA) -> ssl.SSLContext:
    """A client's, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context

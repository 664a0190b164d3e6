"""The files of TLS: what is wrong is one line that names the file, and what was read before stays in force."""

from __future__ import annotations

import datetime
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from node.certificates import Certificates
from node.config import TlsFiles
from node.errors import BadEnvironment
from tests.node.certs import issue, write

HOST = "127.0.0.1"
LONG_AGO, AGES_HENCE = datetime.datetime(2001, 1, 1), datetime.datetime(2999, 1, 1)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, ca: trustme.CA) -> TlsFiles:
    return issue(tmp_path, ca, HOST)


def fault_of(files: TlsFiles, host: str = HOST) -> str:
    with pytest.raises(BadEnvironment) as caught:
        Certificates(files, host)
    (line,) = caught.value.faults
    return line


@pytest.mark.parametrize(
    ("identity", "host"),
    [(HOST, HOST), ("::1", "[::1]"), ("node1.example", "node1.example"), ("*.kvs.example", "node1.kvs.example")],
)
def test_certificates_for_the_host_of_the_address_are_taken(
    tmp_path: Path, ca: trustme.CA, identity: str, host: str
) -> None:
    made = Certificates(issue(tmp_path, ca, identity), host).now
    assert made.server.verify_mode is ssl.CERT_OPTIONAL, "a client needs none"
    assert made.client.verify_mode is ssl.CERT_REQUIRED and made.client.check_hostname
    assert made.server.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert made.expires_s == ssl.cert_time_to_seconds("Jan  1 00:00:00 3000 GMT")


def test_certificates_through_a_ca_between_are_taken(tmp_path: Path, ca: trustme.CA) -> None:
    between = ca.create_child_ca()
    assert Certificates(write(tmp_path, between.issue_cert(HOST), ca), HOST).now


def broken(part: str, content: bytes = b"-----BEGIN CERTIFICATE-----\nbm9uZQ==\n") -> Callable[[TlsFiles], None]:
    return lambda files: getattr(files, part).write_bytes(content)


def opened(part: str, mode: int) -> Callable[[TlsFiles], None]:
    return lambda files: getattr(files, part).chmod(mode)


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (
            opened("key", 0o644),
            "TLS_KEY {key}: others may read or change it: chmod 640, or 600; it is 644",
        ),
        (opened("cert", 0o664), "TLS_CERT {cert}: others may change it: chmod 644; it is 664"),
        (opened("ca", 0o646), "TLS_CA {ca}: others may change it: chmod 644; it is 646"),
        (
            lambda files: files.key.unlink(),
            "TLS_KEY {key}: no such file or directory: it must be a file that this node may read",
        ),
        (broken("cert"), "TLS_CERT {cert}: it has no certificates in PEM form, or one is broken"),
        (broken("ca"), "TLS_CA {ca}: it has no certificates in PEM form, or one is broken"),
        (
            broken("ca", b"\xff\xfe"),
            "TLS_CA {ca}: it has no certificates in PEM form, or one is broken",
        ),
        (broken("key"), "TLS_KEY {key}: it has no private key in PEM form, or it is broken"),
        (
            lambda files: files.key.write_bytes(trustme.CA().issue_cert(HOST).private_key_pem.bytes()),
            "TLS_KEY {key}: it is not the key of the first certificate in TLS_CERT {cert}",
        ),
        (
            lambda files: files.ca.write_bytes(trustme.CA().cert_pem.bytes()),
            "TLS_CERT {cert}: no other node would accept it: unable to get local issuer certificate: "
            "it must be signed by a CA in TLS_CA, with those between them in TLS_CERT",
        ),
    ],
)
def test_certificates_bad_file_is_one_line_that_names_it(
    files: TlsFiles, harm: Callable[[TlsFiles], None], line: str
) -> None:
    harm(files)
    assert fault_of(files) == line.format(**files._asdict())


def test_certificates_key_with_a_password_is_named_and_nobody_is_asked(files: TlsFiles) -> None:
    """The key of such a file would be asked for at the terminal."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"hunter2"))
    )
    assert fault_of(files) == f"TLS_KEY {files.key}: it has a password, which nobody could give: decrypt it"


@pytest.mark.parametrize(
    ("dates", "why"),
    [
        ({"not_after": LONG_AGO}, "certificate has expired: renew it"),
        ({"not_before": AGES_HENCE}, "certificate is not yet valid: is the clock of this machine right?"),
    ],
)
def test_certificates_out_of_date_are_found_before_anybody_else_does(
    tmp_path: Path, ca: trustme.CA, dates: dict[str, datetime.datetime], why: str
) -> None:
    files = write(tmp_path, ca.issue_cert(HOST, **dates), ca)  # type: ignore[arg-type]
    assert fault_of(files) == f"TLS_CERT {files.cert}: no other node would accept it: {why}"


@pytest.mark.parametrize("host", ["127.0.0.2", "node1", "[::1]"])
def test_certificates_for_another_host_are_named(files: TlsFiles, host: str) -> None:
    line = fault_of(files, host)
    assert line.startswith(f"TLS_CERT {files.cert}: no other node would accept it: ")
    assert f"certificate is not valid for '{host.strip('[]')}'" in line
    assert line.endswith(": it must be for the host of ADDRESS")


async def test_certificates_read_again_are_others_and_say_until_when(
    files: TlsFiles, tmp_path: Path, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    certificates = Certificates(files, HOST)
    before = certificates.now
    write(tmp_path, ca.issue_cert(HOST, not_after=AGES_HENCE), ca)
    await certificates.renew()
    assert certificates.now.server is not before.server
    assert [record.getMessage() for record in caplog.records] == [
        f"TLS_CERT {files.cert}: read again; it is valid until 2999-01-01 00:00+00:00"
    ]


async def test_certificates_that_are_bad_by_now_change_nothing_and_are_one_line(
    files: TlsFiles, tmp_path: Path, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(files, HOST)
    before = certificates.now
    write(tmp_path, ca.issue_cert(HOST, not_after=LONG_AGO), ca)
    await certificates.renew()
    assert certificates.now is before
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        f"TLS_CERT {files.cert}: no other node would accept it: certificate has expired: renew it; "
        "what was read before stays in force"
    )

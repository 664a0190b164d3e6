"""A node is asked for its health where it listens, and what it says is taken apart."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from kvs.errors import BadRequest
from kvs.health import Check, Health, Place, look_at, own_node
from tests.cluster import ROOT
from tests.kvs.command import NOWHERE

IN_DOCKER = "10.10.0.4:13800"


@pytest.mark.parametrize(
    ("address", "bind", "expected"),
    [
        (IN_DOCKER, "", "127.0.0.1:13800"),
        (IN_DOCKER, "0.0.0.0", "127.0.0.1:13800"),
        (IN_DOCKER, "10.10.0.4", "10.10.0.4:13800"),
        (IN_DOCKER, "::", "[::1]:13800"),
        (IN_DOCKER, "[fd00::4]", "[fd00::4]:13800"),
        ("127.0.0.7:80", "", "127.0.0.7:80"),
        ("127.0.0.7:80", "127.0.0.9", "127.0.0.9:80"),
        ("[::1]:80", "", "[::1]:80"),
        ("node1:80", "", "127.0.0.1:80"),
    ],
)
def test_health_is_asked_where_the_node_listens(address: str, bind: str, expected: str) -> None:
    assert own_node({"ADDRESS": address, "BIND": bind}) == Place(expected)


def test_health_of_a_node_that_speaks_tls_is_asked_by_its_name() -> None:
    """Its certificate is for its address, which is not where it is asked."""
    told = {"ADDRESS": "node1:80", "TLS_CA": " /run/ca.pem "}
    assert own_node(told) == Place("https://127.0.0.1:80", "/run/ca.pem", "node1")


def test_health_in_the_environment_of_no_node() -> None:
    assert own_node({"BIND": "0.0.0.0"}) is None


def test_health_in_the_environment_of_a_node_that_cannot_be() -> None:
    with pytest.raises(BadRequest):
        own_node({"ADDRESS": "node1:x"})


@contextmanager
def answering(*parts: bytes) -> Iterator[str]:
    """A server that sends these to whoever comes, once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as connection:
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def reply(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def test_health_takes_the_lines_apart_whatever_parts_they_come_in() -> None:
    whole = reply(b"503 Unready", b"[+]loop ok\n[-]disk hangs: badly\n[!]peers cannot be reached: b:1\nnot ready\n")
    with answering(whole[:9], whole[9:80], whole[80:]) as node:
        assert look_at(Place(node)) == Health(
            node,
            False,
            (
                Check("loop", "ok", ""),
                Check("disk", "failed", "hangs: badly"),
                Check("peers", "noted", "cannot be reached: b:1"),
            ),
        )


def test_health_of_a_node_that_is_ready() -> None:
    with answering(reply(b"200 OK", b"[+]loop ok\nok\n")) as node:
        assert look_at(Place(node)) == Health(node, True, (Check("loop", "ok", ""),))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-x\r\n\r\n", "its answer is not that of a store"),
        (reply(b"404 Not Found", b"{}"), "status 404, without checks: its release knows of none"),
        (reply(b"200 OK", b"hello"), "status 200, without checks: its release knows of none"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the connection broke"),
    ],
)
def test_health_of_what_is_no_node_is_not_ready(answer: bytes, reason: str) -> None:
    with answering(answer) as node:
        assert look_at(Place(node)) == Health(node, False, (Check("answer", "failed", reason),))


def test_health_where_nobody_listens() -> None:
    assert look_at(Place(NOWHERE)).checks == (Check("answer", "failed", "connection refused"),)


def test_health_of_a_node_that_says_nothing_is_known_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (check,) = look_at(Place(f"127.0.0.1:{listening.getsockname()[1]}"), 0.05).checks
    assert check.reason == "none within 0.05 s"


def test_health_is_asked_without_an_event_loop() -> None:
    """Each look starts a process, every few seconds."""
    code = "import sys, kvs.health_command, kvs.health; print({'asyncio', 'rich', 'ssl'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def serve_by_tls(listening: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError), context.wrap_socket(listening, server_side=True).accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(reply(b"200 OK", b"[+]loop ok\nok\n"))


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("node1", (Check("loop", "ok", ""),)),
        (
            "node2",
            (
                Check(
                    "answer",
                    "failed",
                    "its certificate is not accepted: Hostname mismatch, certificate is not valid for 'node2'",
                ),
            ),
        ),
    ],
)
def test_health_by_tls_believes_the_name_and_the_ca(tmp_path: Path, name: str, checks: tuple[Check, ...]) -> None:
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("node1").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=serve_by_tls, args=(listening, context))
        thread.start()
        assert look_at(Place(f"https://{address}", tmp_path / "ca.pem", name)) == Health(
            address, name == "node1", checks
        )
        thread.join()


def test_health_by_tls_without_a_file_of_cas_is_no_fault_of_the_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(BadRequest, match="no such file"):
        look_at(Place(f"https://127.0.0.1:{listening.getsockname()[1]}", tmp_path / "none"))

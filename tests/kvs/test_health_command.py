"""`kvs health`: which nodes are asked, what is said, and the exit status."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from kvs.cli import kvs
from kvs.health import Health
from tests.cluster import ROOT
from tests.kvs.command import NOWHERE, Kvs
from tests.kvs.fake_store import FakeStore


def says(store: FakeStore, status: int, text: str) -> None:
    store.fault = lambda method, path: web.Response(status=status, text=text) if path == "/readyz?verbose" else None


@pytest.mark.parametrize(
    ("status", "text", "exit_code", "lines"),
    [
        (200, "[+]loop ok\n[+]disk ok\nok\n", 0, ["{node}: ready"]),
        (200, "[!]peers cannot be reached: b:1\nok\n", 0, ["{node}: peers cannot be reached: b:1", "{node}: ready"]),
        (
            503,
            "[+]loop ok\n[-]room is used up\n[-]gate is closed\nnot ready\n",
            1,
            ["{node}: room is used up", "{node}: gate is closed"],
        ),
    ],
)
def test_health_says_a_line_for_each_check_that_is_not_ok(
    store: FakeStore, endpoint: str, run: Kvs, status: int, text: str, exit_code: int, lines: list[str]
) -> None:
    says(store, status, text)
    result = run("health")
    assert result.exit_code == exit_code
    assert result.stdout.splitlines() == [line.format(node=endpoint) for line in lines]


def test_health_json_has_every_check_of_every_node(store: FakeStore, endpoint: str, run: Kvs) -> None:
    says(store, 503, "[+]loop ok\n[-]room is used up\nnot ready\n")
    result = run("health", f"{endpoint},{NOWHERE}", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "nodes": [
            {
                "address": endpoint,
                "ready": False,
                "checks": [
                    {"name": "loop", "state": "ok", "reason": ""},
                    {"name": "room", "state": "failed", "reason": "is used up"},
                ],
            },
            {
                "address": NOWHERE,
                "ready": False,
                "checks": [{"name": "answer", "state": "failed", "reason": "connection refused"}],
            },
        ]
    }


def test_health_of_several_is_1_if_one_is_not_ready(store: FakeStore, endpoint: str, run: Kvs) -> None:
    says(store, 200, "[+]loop ok\nok\n")
    assert run("health", endpoint).exit_code == 0
    assert run("health", f"{endpoint},{NOWHERE}").exit_code == 1


def invoke(*arguments: str, **environment: str | None) -> Result:
    return CliRunner(env={"KVS_ENDPOINTS": None, "ADDRESS": None, "BIND": None, "TLS_CA": None} | environment).invoke(
        kvs, arguments
    )


def test_health_in_the_environment_of_a_node_asks_that_one(store: FakeStore, endpoint: str) -> None:
    says(store, 200, "[+]loop ok\nok\n")
    port = endpoint.rpartition(":")[2]
    result = invoke("health", ADDRESS=f"10.10.0.4:{port}")
    assert (result.exit_code, result.stdout) == (0, f"127.0.0.1:{port}: ready\n")


def test_health_endpoints_that_were_given_go_before_the_environment_of_a_node(store: FakeStore, endpoint: str) -> None:
    says(store, 200, "[+]loop ok\nok\n")
    for arguments, environment in ((("-e", endpoint, "health"), {}), (("health",), {"KVS_ENDPOINTS": endpoint})):
        result = invoke(*arguments, ADDRESS=NOWHERE, **environment)
        assert (result.exit_code, result.stdout) == (0, f"{endpoint}: ready\n")


def test_health_without_either_asks_the_default_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvs.health.look_at", lambda place: Health(place.endpoint, True, ()))
    result = invoke("health")
    assert result.stdout.splitlines() == [f"127.0.0.{host}:13800: ready" for host in range(2, 6)]


def test_health_malformed_address_in_the_environment_is_1() -> None:
    result = invoke("health", ADDRESS="node1:x")
    assert result.exit_code == 1 and "ADDRESS: " in result.output


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml"])
def test_health_is_what_the_image_and_compose_ask(file: str) -> None:
    assert '["kvs", "health"]' in (ROOT / Path(file)).read_text().replace('"CMD", ', "")


def test_health_in_the_environment_of_a_node_that_speaks_tls_names_what_is_wrong(tmp_path: Path) -> None:
    result = invoke("health", ADDRESS="127.0.0.1:1", TLS_CA=str(tmp_path / "none"))
    assert (result.exit_code, result.output) == (1, "127.0.0.1:1: answer connection refused\n")
    (tmp_path / "ca.pem").write_text("hello")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        node = f"127.0.0.1:{listening.getsockname()[1]}"
        result = invoke("health", ADDRESS=node, TLS_CA=str(tmp_path / "ca.pem"))
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path}/ca.pem: it has no certificates in PEM form, or one is broken\n"

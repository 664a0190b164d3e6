"""What the environment may say, and which faults are reported of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from gossip.view import host_of
from node.environment import read_environment
from node.errors import BadEnvironment
from tests.node.certs import issue, variables
from tests.node.tokens import tokens_file, write_secret

A, B = "10.0.0.1:13800", "10.0.0.2:13800"
GOOD = {"ADDRESS": A, "VIEW": f"{A},{B}"}


def faults_of(**environment: str) -> tuple[str, ...]:
    with pytest.raises(BadEnvironment) as caught:
        read_environment(GOOD | environment)
    assert caught.value.status == 2
    return caught.value.faults


def test_environment_least_environment_defaults() -> None:
    config = read_environment(GOOD)
    assert (config.address, config.view) == (A, (A, B))
    assert (config.repl_factor, config.bind, config.zone, config.cluster) == (None, None, "", "kvs")
    assert config.data_dir == Path("data") / A
    assert (config.round_trip_ms, config.silence_s) == (50, 0.45)


def test_environment_every_variable_taken() -> None:
    more = {"REPL_FACTOR": "2", "DATA_DIR": "/somewhere", "BIND": "0.0.0.0", "ROUND_TRIP_MS": " 200 "}
    config = read_environment(GOOD | more | {"ZONE": " rack-1 ", "CLUSTER": " Prod-2.eu_1 "})
    assert (config.repl_factor, config.data_dir, config.bind) == (2, Path("/somewhere"), "0.0.0.0")
    assert (config.zone, config.cluster) == ("rack-1", "Prod-2.eu_1")
    assert (config.round_trip_ms, config.silence_s) == (200, 1.05)


def test_environment_of_the_log() -> None:
    config = read_environment(GOOD)
    assert (config.log_level, config.log_format, config.slow_request_ms) == ("info", "text", 1000)
    config = read_environment(GOOD | {"LOG_LEVEL": " Debug", "LOG_FORMAT": "JSON", "SLOW_REQUEST_MS": "0"})
    assert (config.log_level, config.log_format, config.slow_request_ms) == ("debug", "json", 0)


def test_environment_of_the_log_faults_are_told_with_all_others() -> None:
    assert faults_of(LOG_LEVEL="loud", LOG_FORMAT="xml", SLOW_REQUEST_MS="-1", REPL_FACTOR="0") == (
        "REPL_FACTOR: '0' is not a whole number of 1 or more",
        "LOG_LEVEL: 'loud' is none of debug, info, warning, error",
        "LOG_FORMAT: 'xml' is none of text, json",
        "SLOW_REQUEST_MS: '-1' is not a whole number from 0 to 3600000",
    )


def test_environment_view_may_omit_address() -> None:
    assert read_environment({"ADDRESS": A, "VIEW": B}).view == (B,)


def test_environment_addresses_are_made_canonical() -> None:
    config = read_environment({"ADDRESS": " Node1.Example:13800 ", "VIEW": "[0:0::1]:1 , node1.example:13800"})
    assert (config.address, config.view) == ("node1.example:13800", ("[::1]:1", "node1.example:13800"))


@pytest.mark.parametrize(
    ("address", "bind", "expected"),
    [
        ("127.0.0.2:13800", "", "127.0.0.2"),
        ("[::1]:13800", "", "::1"),
        ("10.0.0.1:13800", "", None),
        ("localhost:13800", "", None),
        ("127.0.0.2:13800", "0.0.0.0", "0.0.0.0"),
        ("127.0.0.2:13800", "[::]", "::"),
        ("10.0.0.1:13800", " 10.0.0.9 ", "10.0.0.9"),
    ],
)
def test_environment_bind_loopback_alone_by_default(address: str, bind: str, expected: str | None) -> None:
    assert read_environment({"ADDRESS": address, "VIEW": address, "BIND": bind}).bind == expected


@pytest.mark.parametrize(
    ("variable", "text", "entry"),
    [
        ("ADDRESS", "", "missing: the HOST:PORT by which"),
        ("ADDRESS", " ", "missing"),
        ("ADDRESS", "10.0.0.1", "'10.0.0.1'"),
        ("ADDRESS", "10.0.0.1:", "'10.0.0.1:'"),
        ("ADDRESS", ":13800", "':13800'"),
        ("ADDRESS", "10.0.0.1:0", "'10.0.0.1:0'"),
        ("ADDRESS", "10.0.0.1:65536", "'10.0.0.1:65536'"),
        ("ADDRESS", "10.0.0.256:13800", "'10.0.0.256:13800'"),
        ("ADDRESS", "::1:13800", "'::1:13800'"),
        ("ADDRESS", "[::g]:13800", "'[::g]:13800'"),
        ("ADDRESS", "http://10.0.0.1:13800", "'http://10.0.0.1:13800'"),
        ("ADDRESS", "a b:13800", "'a b:13800'"),
        ("ADDRESS", f"{A},{B}", repr(f"{A},{B}")),
        ("VIEW", "", "missing: the first nodes of the store"),
        ("VIEW", f"{A},,{B}", "empty"),
        ("VIEW", f"{A},", "empty"),
        ("VIEW", f"{A},nonsense", "'nonsense'"),
        ("VIEW", f"{A};{B}", repr(f"{A};{B}")),
        ("VIEW", f"{A},{B},{A}", f"duplicate address '{A}'"),
        ("REPL_FACTOR", "0", "'0'"),
        ("REPL_FACTOR", "-1", "'-1'"),
        ("REPL_FACTOR", "1.5", "'1.5'"),
        ("REPL_FACTOR", "two", "'two'"),
        ("REPL_FACTOR", "²", "'²'"),
        ("REPL_FACTOR", "9" * 5000, "999"),
        ("ROUND_TRIP_MS", "0", "'0'"),
        ("ROUND_TRIP_MS", "-50", "'-50'"),
        ("ROUND_TRIP_MS", "2001", "from 1 to 2000"),
        ("ROUND_TRIP_MS", "0.5", "'0.5'"),
        ("ROUND_TRIP_MS", "50ms", "'50ms'"),
        ("ROUND_TRIP_MS", "²", "'²'"),
        ("ROUND_TRIP_MS", "9" * 5000, "999"),
        ("CLUSTER", "two words", "'two words'"),
        ("CLUSTER", "-x", "'-x'"),
        ("CLUSTER", "", "leave the variable out"),
        ("CLUSTER", " ", "leave the variable out"),
        ("CLUSTER", "späti", "'späti'"),
        ("CLUSTER", "a/b", "'a/b'"),
        ("CLUSTER", "x" * 65, "xxx"),
        ("BIND", "everywhere", "'everywhere'"),
        ("BIND", "127.0.0.1:80", "'127.0.0.1:80'"),
        ("ZONE", "rack 1", "'rack 1'"),
        ("ZONE", "rack1,rack2", "'rack1,rack2'"),
        ("ZONE", "a\x00", r"'a\x00'"),
        ("ZONE", "z" * 5000, "zzz"),
    ],
)
def test_environment_fault_names_variable_and_entry(variable: str, text: str, entry: str) -> None:
    (fault,) = faults_of(**{variable: text})
    assert fault.startswith(f"{variable}: ") and entry in fault
    assert "\n" not in fault


def test_environment_all_faults_at_once() -> None:
    rest = {"REPL_FACTOR": "0", "ROUND_TRIP_MS": "x", "BIND": "w", "ZONE": ",", "CLUSTER": "?"}
    faults = faults_of(ADDRESS="x", VIEW=f"y,{A},z,{A}", **rest)
    variables = ["ADDRESS", "VIEW", "VIEW", "VIEW", "REPL_FACTOR", "ROUND_TRIP_MS", "CLUSTER", "BIND", "ZONE"]
    assert [fault.partition(":")[0] for fault in faults] == variables


def test_environment_line_breaks_stay_in_one_line() -> None:
    broken = {"BIND": "e\nf", "ROUND_TRIP_MS": "5\n0", "ZONE": "g\nh", "CLUSTER": "i\nj"}
    for fault in faults_of(ADDRESS="a\nb", VIEW="c\r\nd", REPL_FACTOR="1\n2", **broken):
        assert len(fault.splitlines()) == 1


def test_environment_names_files_that_are_in_order(tmp_path: Path) -> None:
    tokens, secret = tokens_file(tmp_path), write_secret(tmp_path / "secret", "s" * 32)
    config = read_environment(GOOD | {"TOKENS_FILE": f" {tokens} "})
    assert (config.tokens_file, config.cluster_secret_file, config.reads_files) == (tokens, None, True)
    config = read_environment(GOOD | {"CLUSTER_SECRET_FILE": f" {secret} "})
    assert (config.tokens_file, config.cluster_secret_file, config.reads_files) == (None, secret, True)


@pytest.mark.parametrize("text", ["", " "])
def test_environment_without_files_reads_none(text: str) -> None:
    config = read_environment(GOOD | {"TOKENS_FILE": text, "CLUSTER_SECRET_FILE": text})
    assert (config.tokens_file, config.cluster_secret_file, config.reads_files) == (None, None, False)


def test_environment_names_files_of_tls_that_are_in_order(tmp_path: Path) -> None:
    files = issue(tmp_path, trustme.CA(), host_of(GOOD["ADDRESS"]))
    config = read_environment(GOOD | variables(files))
    assert (config.tls, config.reads_files) == (files, True)
    assert read_environment(GOOD | dict.fromkeys(variables(files), " ")).tls is None


def test_environment_files_of_tls_go_together(tmp_path: Path) -> None:
    told = variables(issue(tmp_path, trustme.CA(), host_of(GOOD["ADDRESS"])))
    for variable in told:
        (fault,) = faults_of(**{other: path for other, path in told.items() if other != variable})
        assert fault == f"{variable}: missing: TLS_CERT, TLS_KEY and TLS_CA go together"
    assert len(faults_of(TLS_CA=told["TLS_CA"])) == 2


def test_environment_bad_file_of_tls_is_a_fault_beside_the_others(tmp_path: Path) -> None:
    files = issue(tmp_path, trustme.CA(), host_of(GOOD["ADDRESS"]))
    files.key.chmod(0o604)
    zone, key = faults_of(ZONE="a b", **variables(files))
    assert zone.startswith("ZONE")
    assert key == f"TLS_KEY {files.key}: others may read or change it: chmod 640, or 600; it is 604"
    (address,) = faults_of(ADDRESS="nowhere", **variables(files))
    assert address.startswith("ADDRESS: "), "for which host it must be cannot be told"


def test_environment_bad_files_are_faults_beside_the_others(tmp_path: Path) -> None:
    file = write_secret(tmp_path / "file", "read me\n")
    zone, tokens, secret = faults_of(TOKENS_FILE=str(file), CLUSTER_SECRET_FILE=str(file), ZONE="a b")
    assert zone.startswith("ZONE")
    assert tokens.startswith(f"TOKENS_FILE {file}, line 1: a line is a role (read, write or admin)")
    assert secret.startswith(f"CLUSTER_SECRET_FILE {file}, line 1: a secret is a line of 32 or more random characters")

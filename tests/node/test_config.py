"""What the environment may say, and what a node answers to the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from node.config import Config
from node.errors import BadEnvironment

A, B = "10.0.0.1:13800", "10.0.0.2:13800"
GOOD = {"ADDRESS": A, "VIEW": f"{A},{B}"}


def faults_of(**environment: str) -> tuple[str, ...]:
    with pytest.raises(BadEnvironment) as caught:
        Config.from_env(GOOD | environment)
    assert caught.value.status == 2
    return caught.value.faults


def test_config_least_environment_defaults() -> None:
    config = Config.from_env(GOOD)
    assert (config.address, config.view) == (A, (A, B))
    assert (config.repl_factor, config.bind) == (None, None)
    assert config.data_dir == Path("data") / A


def test_config_every_variable_taken() -> None:
    more = {"REPL_FACTOR": "2", "DATA_DIR": "/somewhere", "BIND": "0.0.0.0"}
    config = Config.from_env(GOOD | more)
    assert (config.repl_factor, config.data_dir, config.bind) == (2, Path("/somewhere"), "0.0.0.0")


def test_config_view_may_omit_address() -> None:
    assert Config.from_env({"ADDRESS": A, "VIEW": B}).view == (B,)


def test_config_addresses_are_made_canonical() -> None:
    config = Config.from_env({"ADDRESS": " Node1.Example:13800 ", "VIEW": "[0:0::1]:1 , node1.example:13800"})
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
def test_config_bind_loopback_alone_by_default(address: str, bind: str, expected: str | None) -> None:
    assert Config.from_env({"ADDRESS": address, "VIEW": address, "BIND": bind}).bind == expected


@pytest.mark.parametrize(
    ("variable", "text", "entry"),
    [
        ("ADDRESS", "", "missing"),
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
        ("VIEW", "", "missing"),
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
        ("BIND", "everywhere", "'everywhere'"),
        ("BIND", "127.0.0.1:80", "'127.0.0.1:80'"),
    ],
)
def test_config_fault_names_variable_and_entry(variable: str, text: str, entry: str) -> None:
    (fault,) = faults_of(**{variable: text})
    assert fault.startswith(f"{variable}: ") and entry in fault
    assert "\n" not in fault


def test_config_all_faults_at_once() -> None:
    faults = faults_of(ADDRESS="x", VIEW=f"y,{A},z,{A}", REPL_FACTOR="0", BIND="w")
    assert [fault.partition(":")[0] for fault in faults] == ["ADDRESS", "VIEW", "VIEW", "VIEW", "REPL_FACTOR", "BIND"]


def test_config_line_breaks_stay_in_one_line() -> None:
    for fault in faults_of(ADDRESS="a\nb", VIEW="c\r\nd", REPL_FACTOR="1\n2", BIND="e\nf"):
        assert len(fault.splitlines()) == 1


@pytest.mark.parametrize(
    "bent",
    [
        {"heartbeat_s": 0.14},
        {"owing_s": 0.41},
        {"lease_s": 0.45},
        {"relay_s": 0.9},
        {"relay_s": 0.45},
        {"stream_retry_s": 0.1},
    ],
    ids=str,
)
def test_config_times_of_replication_that_contradict_each_other_are_refused(bent: dict[str, float]) -> None:
    with pytest.raises(AssertionError):
        replace(Config.from_env(GOOD), **bent)

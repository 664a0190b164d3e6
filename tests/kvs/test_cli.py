"""How the command is used, and misused."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

import kvs.cli
from tests.kvs.command import Kvs
from tests.kvs.fake_store import FakeStore


@pytest.mark.parametrize(
    "arguments",
    [
        ["get"],
        ["get", ""],
        ["get", "k", "-o", "yaml"],
        ["frobnicate"],
        ["-e", "https://a:1,http://b:1", "status"],
        ["-e", "ftp://a:1", "status"],
        ["-e", "http://a:1/kvs", "status"],
        ["-e", "a:", "status"],
        ["-e", "a,a:13800", "status"],
        ["completion", "tcsh"],
        ["-e", "a:1,a:1", "status"],
        ["load", "no-such-file"],
        ["keys", "--limit", "0"],
        ["keys", "a", "b"],
        ["keys", "\udcff"],
        ["view-change", "--dry-run"],
        ["view-change", "--no-wait"],
        ["view-change", "--dry-run", "--no-wait", "--add", "a:1"],
        ["view-change", "--to", "a:1", "--add", "b:1"],
        ["view-change", "--add", "a:1", "--remove", "a:1"],
        ["view-change", "--add", "a"],
        ["view-change", "--to", "a:1,,b:1"],
        ["view-change", "--repl-factor", "0"],
        ["view-change", "--force"],
        ["view-change", "--undo", "--add", "a:1"],
        ["view-change", "--undo", "--to", "a:1"],
        ["view-change", "--undo", "--repl-factor", "2"],
        ["view-change", "--to", "a:1", "--replace", "10.0.0.1:80", "b:1"],
        ["view-change", "--replace", "10.0.0.1:80"],
        ["view-change", "--replace", "10.0.0.1:80", "b"],
        ["view-change", "--remove", "10.0.0.1:80,10.0.0.2:80"],
    ],
)
def test_bad_usage_exits_2(run: Kvs, store: FakeStore, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not any(method in ("PUT", "DELETE") for method, _ in store.asked)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["get"], "Error: Missing argument 'KEY'. See kvs get --help."),
        (["frobnicate"], "Error: No such command 'frobnicate'. See kvs --help."),
        (
            ["view-change", "--add", "n1"],
            "Error: Invalid value for '--add': malformed address 'n1': it is an IP or a name, a colon, and a port from "
            "1 to 65535. See kvs view-change --help.",
        ),
        (
            ["view-change", "--to", "a:1", "--add", "b:1"],
            "Error: --to names all nodes: it goes with none of --add, --remove and --replace. See kvs view-change "
            "--help.",
        ),
    ],
)
def test_main_bad_usage_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["kvs", *arguments])
    with pytest.raises(SystemExit) as end:
        kvs.cli.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_version_is_that_of_the_distribution(run: Kvs) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"kvs {version('kvs-sharded')}\n")


@pytest.mark.parametrize("shell", kvs.cli.SHELLS)
def test_completion_tells_the_shell_whom_to_ask(run: Kvs, shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_KVS_COMPLETE={shell}_complete" in result.stdout
    assert ('COMP_WORDBREAKS="${COMP_WORDBREAKS//:}"' in result.stdout) == (shell == "bash"), "an address is one word"


def test_completion_of_what_is_typed() -> None:
    asked = {**os.environ, "_KVS_COMPLETE": "bash_complete", "COMP_WORDS": "kvs st", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "kvs.cli"]
    done = subprocess.run(command, env=asked, timeout=20, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("plain,status\n", "")


def test_help_imports_neither_http_nor_tables() -> None:
    code = "import sys, kvs.cli; sys.exit(any(name in sys.modules for name in ('kvs.client', 'rich', 'asyncio')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0


def test_main_interrupted_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_of_main(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "Interrupted"


def test_main_own_fault_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_of_main(monkeypatch, ZeroDivisionError("oh")) == 70
    assert capsys.readouterr().err == "Error: this is a fault of kvs itself: ZeroDivisionError: oh\n"


def _exit_of_main(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> object:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(kvs.cli, "run", fail)
    monkeypatch.setattr(sys, "argv", ["kvs", "status"])
    with pytest.raises(SystemExit) as exit:
        kvs.cli.main()
    return exit.value.code

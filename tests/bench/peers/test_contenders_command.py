"""What `make bench-peers` says where something is missing, or does not start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.peers.contenders import PROGRAMS
from bench.servers import ROOT

PYTHON = [sys.executable, "-m", "bench.peers"]
INSTALL = [shutil.which("sh") or "/bin/sh", str(ROOT / "bench" / "peers" / "install.sh")]


def program(directory: Path, name: str, script: str) -> None:
    file = directory / name
    file.write_text(f"#!{INSTALL[0]}\n{script}\n")
    file.chmod(0o755)


def run(path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """With only the programs in `path`."""
    env = {**os.environ, "PATH": str(path)}
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=env, check=False, text=True, timeout=50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where all that is to be installed is, as far as one can see."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in PROGRAMS:
        program(directory, name, "echo 1.2.3")
    return directory


def test_programs_that_are_missing_are_told_with_the_packages_that_bring_them(path: Path) -> None:
    (path / "etcd").unlink()
    (path / "redis-benchmark").unlink()
    done = run(path, *PYTHON, "--quick")
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert line.endswith(
        "no redis-benchmark, etcd found: apt-get install --no-install-recommends etcd-server redis-tools"
    )


@pytest.mark.parametrize("options", [["--rounds", "0"], ["--rounds", "x"], ["--rounds", "-1"], ["--dir"], ["--fast"]])
def test_options_that_mean_nothing_are_refused(path: Path, options: Sequence[str]) -> None:
    done = run(path, *PYTHON, *options)
    assert done.returncode == 2 and "error: " in done.stderr.splitlines()[-1]


def test_directory_that_is_a_file_is_one_line(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(path, *PYTHON, "--dir", str(tmp_path / "file"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("bench.peers: ") and line.endswith(f"'{tmp_path}/file'")


@pytest.mark.process
def test_contender_that_does_not_start_is_one_line(path: Path, tmp_path: Path) -> None:
    program(path, "redis-server", "echo 'Redis 1.2.3'; echo 'out of something' >&2; exit 1")
    done = run(path, *PYTHON, "--quick", "--dir", str(tmp_path / "data"))
    assert done.returncode == 1
    *before, line = done.stderr.splitlines()
    assert before == ["round 1 of 1"]
    assert line.startswith("bench.peers: redis-server at 127.0.0.1:") and line.endswith("out of something")
    assert not list((tmp_path / "data").iterdir()), "nothing is left on the disk"


def test_install_says_nothing_where_nothing_is_missing(path: Path) -> None:
    done = run(path, *INSTALL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_install_by_somebody_who_may_not_tells_the_command(path: Path) -> None:
    for name in ("redis-server", "wrk"):
        (path / name).unlink()
    program(path, "id", "echo 1000")
    done = run(path, *INSTALL)
    assert done.returncode == 1 and done.stdout == ""
    command = "apt-get install --yes --no-install-recommends redis-server wrk"
    assert done.stderr == f"make: not found: redis-server wrk: {command}\n"


def test_install_and_the_bench_look_for_the_same() -> None:
    script = Path(INSTALL[1]).read_text()
    assert all(f"{name}:{package}" in script for name, package in PROGRAMS.items())

"""The unit for systemd: systemd understands all of it, and finds next to nothing that the node may do and need not."""

from __future__ import annotations

import configparser
import shutil

import pytest

from tests.cluster import ROOT
from tests.commands import run

UNIT = ROOT / "deploy" / "systemd" / "kvs.service"
EXPOSURE_MAX = 12
"""In tenths of what `systemd-analyze security` counts, from 0 to 10.0."""
SIGTERM_S = 5

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")


@needs_systemd
async def test_systemd_understands_the_unit() -> None:
    done = await run("systemd-analyze", "verify", str(UNIT))
    assert (done.status, done.out, done.errors) == (0, "", [])


@needs_systemd
async def test_systemd_finds_little_that_the_node_may_do() -> None:
    done = await run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(UNIT))
    assert done.status == 0, done.out


def test_systemd_leaves_the_node_time_to_end_and_starts_it_again_unless_its_environment_is_wrong() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert int(service["TimeoutStopSec"]) > SIGTERM_S
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2")
    assert service["ExecStart"].endswith(" -m node")

"""Is the checker awake? Each safety rule is switched off in turn, and somebody has to notice: `make ablations`.

First a test that tells just the story of the rule, if there is one, then seeds. `ONLY=fence,leases` picks those with
one of these in their name, `SEEDS` and `FIRST` the seeds, `RECORD=1` writes who noticed into docs/testing.md.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.sim.ablations.all import ABLATIONS, SEEDS, named
from tests.sim.ablations.record import read_record, write_record
from tests.sim.ablations.switch import Ablation, switched_off
from tests.sim.simulation import quieten, simulate

STORIES = Path(__file__).parents[1]


class Catch(NamedTuple):
    """Who noticed, empty: nobody; and what that one said."""

    by: str
    what: str
    took_s: float


def catch(name: str, seeds: range) -> Catch:
    ablation = named(name)
    began = time.process_time()
    if ablation.story is not None and (fault := tell(ablation.story)) is not None:
        raise AssertionError(f"{ablation.story} fails with the rule too: {fault}")
    with switched_off(ablation):
        by, what = _first_to_notice(ablation, seeds)
    return Catch(by, what, time.process_time() - began)


class _Ear:
    """Hears how tests end."""

    def __init__(self) -> None:
        self.passed = 0
        self.fault: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.fault = str(getattr(report.longrepr, "reprcrash", report.longrepr)).splitlines()[0]
        self.passed += report.when == "call" and report.passed


def tell(story: str) -> str | None:
    """Run that test in this process. Returns how it failed; None: it did not."""
    ear = _Ear()
    gc.collect()  # What a seed that was broken off has left, collected while Python compiles a test, breaks that.
    with redirect_stdout(StringIO()):
        pytest.main(["-q", "-p", "no:cacheprovider", str(STORIES / story)], plugins=[ear])
    if ear.fault is None and ear.passed != 1:
        raise LookupError(f"{story} is not one test")
    return ear.fault


def _first_to_notice(ablation: Ablation, seeds: range) -> tuple[str, str]:
    if ablation.story is not None and (fault := tell(ablation.story)) is not None:
        return f"`{ablation.story}`", fault
    for seed in seeds:
        result = simulate(seed)
        if result.fault is not None:
            return str(seed), result.fault
    return "", ""


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "tests.sim.ablations"], {**os.environ, "PYTHONHASHSEED": "0"})
    first = int(os.environ.get("FIRST") or 1)
    seeds = range(first, first + int(os.environ.get("SEEDS") or SEEDS))
    picked = os.environ.get("ONLY", "").split(",")
    names = [ablation.name for ablation in ABLATIONS if any(part in ablation.name for part in picked)]
    caught_by: dict[str, str] = {}
    with ProcessPoolExecutor(initializer=quieten) as pool:
        for name, caught in zip(names, pool.map(catch, names, [seeds] * len(names)), strict=True):
            caught_by[name] = caught.by
            print(f"{name}: {caught.by or 'NOBODY'}, in {caught.took_s:.1f} s: {caught.what}", flush=True)
    missed = [name for name, by in caught_by.items() if not by]
    print(f"{len(names)} ablations, {len(missed)} not noticed: {', '.join(missed) or 'none'}")
    if os.environ.get("RECORD"):
        write_record(ABLATIONS, {**read_record(), **caught_by})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

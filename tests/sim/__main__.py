"""`make sim SEEDS=n FIRST=s`: seeds on all cores; with `STEP`, each so many-th, which is how those of one workload are
run alone. `TRACE=1` with one seed prints every message and fault of it."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.sim.simulation import Result, quieten, simulate


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":  # The order of sets of strings is part of a run.
        os.execve(sys.executable, [sys.executable, "-m", "tests.sim"], {**os.environ, "PYTHONHASHSEED": "0"})
    count = int(os.environ.get("SEEDS") or 100)
    first = int(os.environ.get("FIRST") or random.randrange(1, 2**31))
    step = int(os.environ.get("STEP") or 1)
    quieten()
    if os.environ.get("TRACE"):
        return _report([simulate(first, trace=print)])
    began = time.monotonic()
    print(f"{count} seeds from {first}{f', each {step}th' if step > 1 else ''}", flush=True)
    results: list[Result] = []
    with ProcessPoolExecutor(initializer=quieten) as pool:
        for result in pool.map(simulate, range(first, first + count * step, step)):
            results.append(result)
            if len(results) % 100 == 0:
                print(f"{len(results)} done", flush=True)
            if result.fault is not None:
                print(f"seed {result.seed}: {result.fault}", flush=True)
                print(f"  replay: make sim FIRST={result.seed} SEEDS=1 TRACE=1", flush=True)
    status = _report(results)
    _report_speed(results, time.monotonic() - began)
    return status


def _report(results: list[Result]) -> int:
    """What happened, the same whenever these seeds are run. Returns the exit status."""
    seen: Counter[str] = sum((result.seen for result in results), Counter())
    for what, times in sorted(seen.items()):
        print(f"{times:10,d} {what}")
    failed = [result for result in results if result.fault is not None]
    for result in failed:
        print(f"seed {result.seed}: {result.fault}")
    return 1 if failed else 0


def _report_speed(results: list[Result], took_s: float) -> None:
    virtual_s = sum(result.virtual_s for result in results)
    cpu_s = sum(result.cpu_s for result in results)
    failed = sum(result.fault is not None for result in results)
    print(
        f"{len(results)} seeds in {took_s:.0f} s: {len(results) / took_s:.2f} seeds/s, "
        f"{virtual_s / took_s:.0f} virtual seconds a second, {virtual_s / cpu_s:.0f} a second of one core; "
        f"{failed} failed"
    )


if __name__ == "__main__":
    sys.exit(main())

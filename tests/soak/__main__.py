"""`make soak MINUTES=60`: the simulator on one core, a store in containers on the other, both under every trouble.

Prints a report: what was done, what went wrong, and what replays it. Exit status 1: something did. `MINUTES` is 3 if it
is not given; `FIRST` the first seed, else one of chance; `REPL_FACTOR` 2. With
`LOCKED=1`, nodes and clients have all that keeps strangers out.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.cluster import client
from tests.docker.containers import Containers, clear_away, unusable
from tests.locks import is_asked, locked_if, way_in
from tests.sim.simulation import Result
from tests.soak.seeds import simulate_until
from tests.soak.store import Store


class Seeds:
    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.failed: list[Result] = []
        self.count = 0
        self.virtual_s = 0.0

    def note(self, result: Result) -> None:
        self.count += 1
        self.virtual_s += result.virtual_s
        self.seen += result.seen
        if result.fault is not None:
            self.failed.append(result)
            print(f"seed {result.seed}: {result.fault}", flush=True)


async def soak(minutes: float, first: int, copies: int) -> int:
    """The exit status."""
    if fault := await unusable():
        print(f"make: {fault}", file=sys.stderr)
        return 2
    directory, seeds = Path(tempfile.mkdtemp(prefix="kvs-soak-")), Seeds()
    until = asyncio.get_running_loop().time() + 60 * minutes
    async with locked_if(is_asked()) as locks, client(way=way_in(locks)) as http:
        containers = Containers(http, locks)
        store = Store(http, containers, directory, copies, first)
        simulating = asyncio.create_task(simulate_until(until, first, seeds.note))
        broke = ""
        try:
            async with store.open():
                try:
                    await store.go_through(until)
                except AssertionError as error:  # What was waited for did not come.
                    broke = str(error)
                if broke or store.found:
                    await containers.tell(lines=200)
            await simulating
        finally:
            simulating.cancel()
            await clear_away()
    _report(seeds, first, store, broke)
    if broke or store.found:
        return 1
    shutil.rmtree(directory)
    return 1 if seeds.failed else 0


def _report(seeds: Seeds, first: int, store: Store, broke: str) -> None:
    print(f"\nsimulator: {seeds.count} seeds from {first}, {seeds.virtual_s:,.0f} virtual seconds")
    _print_counts(seeds.seen)
    print(f"containers: {sum(times for what, times in store.seen.items() if ':' not in what):,} operations")
    _print_counts(store.seen)
    print(f"violations: {len(seeds.failed) + len(store.found) + bool(broke)}")
    for result in seeds.failed:
        print(f"  seed {result.seed}: {result.fault}\n    replay: make sim FIRST={result.seed} SEEDS=1 TRACE=1")
    for found in store.found:
        print(f"  {found.what[:500]}\n    replay: python -m tests.linearizability {found.file}")
    if broke:
        print(f"  containers: {broke}")


def _print_counts(counts: Counter[str]) -> None:
    for what, times in sorted(counts.items()):
        print(f"{times:10,d} {what}")


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":  # The order of sets of strings is part of a simulated run.
        os.execve(sys.executable, [sys.executable, "-m", "tests.soak"], {**os.environ, "PYTHONHASHSEED": "0"})
    try:
        minutes = float(os.environ.get("MINUTES") or 3)
    except ValueError:
        print("make: MINUTES is a number", file=sys.stderr)
        return 2
    first = int(os.environ.get("FIRST") or random.randrange(1, 2**31))
    began = time.monotonic()
    print(f"{minutes:g} minutes, seeds from {first}", flush=True)
    status = asyncio.run(soak(minutes, first, int(os.environ.get("REPL_FACTOR") or 2)))
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return status


if __name__ == "__main__":
    sys.exit(main())

"""All targets by atheris, or some, in the time that there is: see docs/testing.md, "Fuzzing".

What reaches new code is kept in `build/fuzz`, so that the next run begins where this one ended.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.all import TARGETS

DIRECTORY = Path("build/fuzz")
MINUTES = 10.0
SECONDS_MIN = 5
"""Of one target: less does not even get through what is kept."""


class BadWish(Exception):
    """What was asked for cannot be done; one line."""


class Wish(NamedTuple):
    seconds: float
    names: Sequence[str]
    jobs: int
    again: Path | None
    """An input that is to be looked at once, and nothing else."""


def wish_in(environment: Mapping[str, str]) -> Wish:
    """Raises BadWish."""
    names = environment.get("ONLY", "").split() or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            raise BadWish(f"ONLY={name}: there is no such target, but {', '.join(TARGETS)}")
    minutes = _number(environment, "MINUTES", MINUTES)
    jobs = max(1, int(_number(environment, "JOBS", os.cpu_count() or 1)))
    again = environment.get("AGAIN")
    if again and (len(names) != 1 or not Path(again).is_file()):
        raise BadWish(f"AGAIN={again}: it takes the file of an input, and ONLY with the name of its target")
    return Wish(60 * minutes, names, min(jobs, len(names)), Path(again) if again else None)


def _number(environment: Mapping[str, str], name: str, absent: float) -> float:
    text = environment.get(name) or str(absent)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) <= 0:
        raise BadWish(f"{name}={text}: it is a number above 0")
    return float(text)


def lanes(names: Sequence[str], jobs: int) -> list[list[str]]:
    """So many lists, with about the same share of the time each: the targets of a list have their turns one by one."""
    dealt: list[list[str]] = [[] for _ in range(jobs)]
    for name in sorted(names, key=lambda name: -TARGETS[name].share):
        min(dealt, key=_share).append(name)
    return dealt


def _share(lane: Sequence[str]) -> int:
    return sum(TARGETS[name].share for name in lane)


async def run_lane(lane: Sequence[str], seconds: float) -> int:
    """How many faults were found."""
    found = 0
    for name in lane:
        found += await run(name, max(SECONDS_MIN, int(seconds * TARGETS[name].share / _share(lane))))
    return found


async def run(name: str, seconds: int) -> int:
    directory = DIRECTORY / name
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "log"
    before = _kept(directory)
    with log.open("wb") as file:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fuzz.worker", name, str(seconds), str(directory)),
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        try:
            told, _ = await worker.communicate()
        except asyncio.CancelledError:
            worker.kill()
            raise
    found = _kept(directory) - before
    text = log.read_text(errors="replace")
    tried = re.search(r"number_of_executed_units: *(\d+)", text)
    covered = re.findall(r" cov: (\d+)", text)
    reached = f"{int(tried[1]) if tried else 0:,} inputs, {covered[-1] if covered else 0} places reached"
    print(f"{name}: {seconds} s, {reached}, {len(found)} faults{told.decode(errors='replace')}", flush=True)
    for path in sorted(found):
        if path.name.startswith(("crash-", "timeout-", "oom-")):
            print(f"fault in {name}, of which the process has died or hung: {path}; see {log}", flush=True)
    if worker.returncode and not found:
        print(f"{name}: it ended with status {worker.returncode}, see {log}", flush=True)
    return len(found) + bool(worker.returncode and not found)


def _kept(directory: Path) -> set[Path]:
    return {path for path in (directory / "found").glob("*") if not path.name.startswith("slow-unit-")}


async def run_all(wish: Wish) -> int:
    print(f"{len(wish.names)} targets in {wish.seconds / 60:g} minutes, {wish.jobs} at a time", flush=True)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run_lane(lane, wish.seconds)) for lane in lanes(wish.names, wish.jobs)]
    return sum(lane.result() for lane in running)


def main() -> int:
    try:
        wish = wish_in(os.environ)
    except BadWish as fault:
        print(f"make fuzz: {fault}", file=sys.stderr)
        return 2
    if wish.again is not None:
        TARGETS[wish.names[0]].check(wish.again.read_bytes())
        print("nothing is wrong with it")
        return 0
    try:
        found = asyncio.run(run_all(wish))
    except KeyboardInterrupt:
        return 130
    print(f"{found} faults" if found else "nothing was found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make attack MINUTES=60`: somebody on the network of a locked store, with its source and without its secrets.

Four containers with everything on that keeps strangers out (see `tests.locks`), clients with a token, and an intruder
in a container of its own on the same network. It makes every attempt once, and then floods, for as long as is asked:
each flood as long as the clients are left alone before it, so that both can be compared. Prints what came of each as a
table, and how slow clients were alone and beside. `ONLY=words` takes what has these in its name. Exit status 1: an
attempt has succeeded, a node has ended, failed or told a secret, clients were failed, or slowed down to more than three
times of their p99 alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster import client
from tests.docker.attacks.report import Report
from tests.docker.attacks.siege import Siege
from tests.docker.attacks.stage import staged
from tests.docker.containers import Containers, clear_away, unusable
from tests.locks import locked_if, way_in


async def attack(minutes: float, only: str) -> int:
    """The exit status."""
    if fault := await unusable():
        print(f"make: {fault}", file=sys.stderr)
        return 2
    report = Report()
    async with locked_if(True) as locks, client(way=way_in(locks)) as http:
        assert locks is not None
        containers = Containers(http, locks)
        await containers.open()
        try:
            with tempfile.TemporaryDirectory(prefix="kvs-intruder-") as directory:
                async with staged(containers, http, locks, Path(directory)) as stage:
                    await Siege(stage, report).go_through(60 * minutes, only)
            if report.faults:
                await containers.tell(lines=40)
        finally:
            await clear_away()
    report.tell()
    return 1 if report.faults else 0


def main() -> int:
    try:
        minutes = float(os.environ.get("MINUTES") or 10)
    except ValueError:
        print("make: MINUTES is a number", file=sys.stderr)
        return 2
    return asyncio.run(attack(minutes, os.environ.get("ONLY") or ""))


if __name__ == "__main__":
    sys.exit(main())

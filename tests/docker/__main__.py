"""`make chaos KINDS="kill cut" SECONDS=180 NODES=4 REPL_FACTOR=2 LOCKED=0`: a store at work in docker, and what is
done to it. With LOCKED=1, nodes and clients have all that keeps strangers out.

Nodes know each other by their names. Prints what its clients saw, a line for each kind of harm: some of keys of their
own, eight that contend for the same twelve. Exit status 1: something failed, was lost or was stale, or what was told of
a contended key is not linearizable. Where operations began late, the machine had no time for the clients
themselves, and the rest says little about the store.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster import client
from tests.docker.chaos import KINDS, Outcome, named, one_after_the_other
from tests.docker.containers import SPOTS, Containers, clear_away, unusable
from tests.linearizability import dump
from tests.locks import is_asked, locked_if, way_in

COLUMNS = "{:6} {:>6} {:>10} {:>8} {:>8} {:>6} {:>5} {:>10}  {:>14} {:>8} {:>11}  {}"


async def run(kinds: list[str], seconds: float, nodes: int, copies: int) -> bool:
    """Whether all was well."""
    if fault := await unusable():
        print(f"make: {fault}", file=sys.stderr)
        return False
    how = "locked, " if is_asked() else ""
    print(f"{nodes} nodes, {copies} copies, {how}{seconds:.0f} s of each kind, the client's one retry included")
    titles = (
        "harm",
        "times",
        "operations",
        "retries",
        "failures",
        "stale",
        "lost",
        "not atomic",
        "p99, max ms",
        "late ms",
        "alike s",
        "retried",
    )
    print(COLUMNS.format(*titles), flush=True)
    return all([await once(kind, seconds, nodes, copies) for kind in kinds])


async def once(kind: str, seconds: float, nodes: int, copies: int) -> bool:
    async with locked_if(is_asked()) as locks, client(way=way_in(locks)) as http:
        containers = Containers(http, locks)
        await containers.open()
        well = False
        try:
            outcome = await one_after_the_other(containers, http, kind, named(SPOTS[:nodes]), copies, seconds)
            report(kind, outcome)
            well = not outcome.clients.failures and not outcome.violations
        except AssertionError as fault:  # What was waited for did not come.
            print(f"{kind}: {fault}", flush=True)
        finally:
            if not well:
                await containers.tell(lines=2000)
            await clear_away()
    return well


def report(kind: str, outcome: Outcome) -> None:
    clients = outcome.clients
    kinds = [failure.what for failure in clients.failures]
    stale, lost = kinds.count("stale read"), kinds.count("lost write")
    latencies_ms = sorted(1e3 * latency_s for latency_s in clients.latencies_s)
    p99_ms = latencies_ms[len(latencies_ms) * 99 // 100]
    print(
        COLUMNS.format(
            kind,
            outcome.harms,
            f"{clients.operations:,}",
            clients.retries.total(),
            len(kinds) - stale - lost,
            stale,
            lost,
            len(outcome.violations),
            f"{p99_ms:.0f}, {latencies_ms[-1]:,.0f}",
            f"{1e3 * clients.late_s_max:.0f}",
            f"{max(outcome.alike_s[:-1]):.2f}, {outcome.alike_s[-1]:.2f}",
            ", ".join(f"{why} {times}" for why, times in clients.retries.most_common()),
        ),
        flush=True,
    )
    for failure in clients.failures:
        print(f"  {failure.at} {failure.what}: {failure.key} {failure.seen or ''}", flush=True)
    for violation in outcome.violations:
        file = Path(tempfile.mkdtemp(prefix="kvs-chaos-")) / f"{violation.key}.json"
        file.write_text(dump(violation.history))
        print(f"  {violation}\n    replay: python -m tests.linearizability {file}", flush=True)


def main() -> int:
    kinds = (os.environ.get("KINDS") or " ".join(KINDS)).split()
    if unknown := set(kinds) - set(KINDS):
        print(f"make: no such harm: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}", file=sys.stderr)
        return 2
    seconds = float(os.environ.get("SECONDS") or 180)
    nodes = int(os.environ.get("NODES") or len(SPOTS))
    copies = int(os.environ.get("REPL_FACTOR") or 2)
    if not 2 <= copies <= nodes <= len(SPOTS):
        print(f"make: two copies or more, on that many nodes or more, and {len(SPOTS)} at most", file=sys.stderr)
        return 2
    return 0 if asyncio.run(run(kinds, seconds, nodes, copies)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The course of an attack: every attempt once, then floods and rests in turn, with clients at work all the while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from tests.docker.attacks.intruder.wire import CANARY, CANARY_VALUE, PLANTED
from tests.docker.attacks.newcomers import Newcomers
from tests.docker.attacks.report import Report, p99
from tests.docker.attacks.stage import MIB, NEVER_LOGGED, Look, Stage
from tests.docker.clients import Clients
from tests.docker.containers import SPOTS, view_held

LATE_S = 0.5
"""From here on, what clients saw says little of the store."""
RATE_PER_S = 100
"""Of the clients' operations: what two processors can do beside four nodes."""
SETTLE_S = 2.0
"""From the end of a flood until what follows counts as rest."""
FLOOD_S_MIN = 4.0
LEAK_BYTES = 96 * MIB
"""A node may have so much more after all that it had before: it gives back what it does not use from 64 MiB on, and the
rooms of tables that were full once stay."""
GIVEN_BACK_S = 12.0
"""A node looks for what it may give back every ten seconds."""
PEAK_BYTES = 512 * MIB
"""So much more during a flood: `memory-mib`, and what connections within the limits take."""
LINES_MAX = 100
"""Of a node's log, for one attempt or flood of half a minute; for longer ones in proportion. Of strangers that are
turned away there are 64 at once."""
LINES_PERIOD_S = 30.0


class Siege:
    def __init__(self, stage: Stage, report: Report) -> None:
        self._stage = stage
        self._report = report
        self._clients = Clients(stage.http, SPOTS, rate_per_s=RATE_PER_S)
        self._newcomers = Newcomers(stage.http.way)
        self._failures_seen = self._turned_away_seen = 0

    async def go_through(self, seconds: float, only: str) -> None:
        """`only`: words that the names of attempts and floods have to have."""
        stage, report = self._stage, self._report
        attempts = [each for each in stage.intruder.attempts if only in each[0]]
        floods = [each for each in stage.intruder.floods if only in each[0]]
        await self._clients.fill()
        await asyncio.sleep(SETTLE_S)
        before = [watched.look() for watched in stage.watched]
        views = [await view_held(stage.http, spot) for spot in SPOTS]
        loop = asyncio.get_running_loop()
        async with self._clients.running(), self._newcomers.coming(), self._looking():
            end = loop.time() + seconds
            for name, expected in attempts:
                await self._attempt(name, expected)
            rounds = 2 * len(floods) + 1
            each_s = max(FLOOD_S_MIN, (end - loop.time() - SETTLE_S * len(floods)) / rounds)
            alone = await self._rest(each_s)
            for name, expected in floods:
                alone = await self._flood(name, expected, each_s, alone)
        await asyncio.sleep(GIVEN_BACK_S)
        await self._judge_end(before, views)
        report.judge()

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[None]:
        """At each node, several times a second, for what it has at most."""

        async def look() -> None:
            while True:
                for watched in self._stage.watched:
                    with suppress(OSError):  # One that has ended is noticed by who asks whether it is the same.
                        watched.look()
                await asyncio.sleep(0.3)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _attempt(self, name: str, expected: str) -> None:
        got = await self._stage.intruder.make(name)
        lines, faults = await self._faults(got.has_succeeded, 0)
        self._report.add(name, expected, got.seen, f"{lines} lines" if lines else "", faults)

    async def _rest(self, seconds: float) -> list[float]:
        """How long the clients' operations took."""
        began = len(self._clients.latencies_s)
        await asyncio.sleep(seconds)
        taken = self._clients.latencies_s[began:]
        self._report.alone_s += taken
        return taken

    async def _flood(self, name: str, expected: str, seconds: float, alone: list[float]) -> list[float]:
        """Returns what the rest after it was like."""
        stage = self._stage
        for watched in stage.watched:
            watched.begin()
        calm = [watched.look() for watched in stage.watched]
        began, retries = len(self._clients.latencies_s), self._clients.retries.total()
        came, began_at = len(self._newcomers.took_s), asyncio.get_running_loop().time()
        got = await stage.intruder.make(name, seconds)
        beside, newcomers = self._clients.latencies_s[began:], self._newcomers.took_s[came:]
        took_s = asyncio.get_running_loop().time() - began_at
        busy = max(each.busy_s() - look.busy_s for each, look in zip(stage.watched, calm, strict=True)) / took_s
        self._report.beside_s += beside
        grown = max(each.memory_max - look.memory for each, look in zip(stage.watched, calm, strict=True))
        descriptors = max(each.descriptors_max for each in stage.watched)
        lines, faults = await self._faults(got.has_succeeded, seconds)
        if grown > PEAK_BYTES:
            faults.append(f"a node took {grown // MIB} MiB more")
        retried = self._clients.retries.total() - retries
        await asyncio.sleep(SETTLE_S)
        after = await self._rest(seconds)
        times = p99(beside) / p99(alone + after)
        told = f"p99 {1e3 * p99(alone + after):.0f} -> {1e3 * p99(beside):.0f} ms, {times:.1f} x; {retried} retries; "
        told += f"new clients {1e3 * max(newcomers, default=0):.0f} ms at most; a node {100 * busy:.0f}% busy; "
        told += f"+{grown // MIB} MiB, {descriptors:,} descriptors, {lines} lines"
        self._report.add(name, expected, got.seen, told, faults)
        return after

    async def _faults(self, has_succeeded: bool, seconds: float) -> tuple[int, list[str]]:
        """How many lines were logged meanwhile, and what is wrong, since this was asked before."""
        faults, lines_seen = ["it has succeeded"] if has_succeeded else [], 0
        lines_max = LINES_MAX * max(1.0, seconds / LINES_PERIOD_S)
        for watched in self._stage.watched:
            name = watched.spot.name
            if not await watched.is_the_same():
                faults.append(f"{name} has ended, or was started again")
            lines = await watched.new_lines()
            lines_seen += len(lines)
            if len(lines) > lines_max:
                faults.append(f"{name} has logged {len(lines)} lines, such as {lines[-1][:200]}")
            faults += [f"{name} has logged {line[:200]}" for line in lines if "Traceback" in line]
            if any(secret in line for line in lines for secret in NEVER_LOGGED):
                faults.append(f"{name} has logged a secret")
        return lines_seen, faults + self._failures()

    def _failures(self) -> list[str]:
        """Of clients, since this was asked before."""
        fresh = self._clients.failures[self._failures_seen :]
        self._failures_seen += len(fresh)
        turned_away = self._newcomers.turned_away - self._turned_away_seen
        self._turned_away_seen += turned_away
        of_newcomers = [f"{turned_away} new clients were not served"] if turned_away else []
        return of_newcomers + [
            f"{failure.what} of a client: {failure.key} {failure.seen or ''}" for failure in fresh[:5]
        ]

    async def _judge_end(self, before: Sequence[Look], views: Sequence[object]) -> None:
        """Nothing has changed, and nothing is left of it all."""
        stage, faults = self._stage, []
        grown = [
            (watched.spot.name, (watched.look().memory - look.memory) // MIB)
            for watched, look in zip(stage.watched, before, strict=True)
        ]
        faults += [f"{name} has {mib} MiB more than before" for name, mib in grown if mib * MIB > LEAK_BYTES]
        if [await view_held(stage.http, spot) for spot in SPOTS] != views:
            faults.append("the view has changed")
        for spot in SPOTS:
            reply = await stage.http.get(spot.published, CANARY)
            if reply.status != 200 or reply.json["value"] != CANARY_VALUE:
                faults.append(f"the canary is {reply.status} through {spot.name}")
            if (await stage.http.get(spot.published, PLANTED)).status != 404:
                faults.append(f"there is a key that nobody inside has written, through {spot.name}")
        await self._clients.check_all()
        faults += self._failures()
        seen = f"{self._clients.operations:,} operations of clients, {self._clients.retries.total()} retries"
        beside = "memory " + ", ".join(f"{name} {mib:+} MiB" for name, mib in grown)
        self._report.add("all together", "view, keys and processes as before", seen, beside, faults)
        if self._clients.late_s_max > LATE_S:
            self._report.notes.append(
                f"clients began up to {1e3 * self._clients.late_s_max:.0f} ms late: the machine had no time for them"
            )

"""Ten processes that contend for one counter, and for one lock, while one container after the other is killed and comes
back: each increment counts once, and there are never two inside.

`KVS_TIMES=1000` has each process count so often, and take the lock a twentieth as often.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.cluster import ROOT, Client
from tests.commands import run
from tests.docker.chaos import kill_by_turns
from tests.docker.containers import NODE1, SPOTS, Containers, expect_content
from tests.docker.contending import BY_HAND, COUNTER, LOCK, Told

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

PROCESSES, TIMES = 10, int(os.environ.get("KVS_TIMES") or 50)
CONTENDING_S = 1100.0


async def contend(way: str, directory: Path, times: int) -> list[Told]:
    """What each of the processes was told."""
    endpoints = ",".join(spot.address for spot in SPOTS)
    command = (sys.executable, "-m", "tests.docker.contending", way, str(times), endpoints)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = await asyncio.gather(
        *(run(*command, environment=environment, directory=directory, timeout_s=CONTENDING_S) for _ in range(PROCESSES))
    )
    assert [done.errors for done in ended] == [[]] * PROCESSES
    return [Told(*json.loads(done.out)) for done in ended]


@pytest.mark.parametrize("way", [COUNTER, BY_HAND])
async def test_contention_each_increment_counts_once_while_containers_are_killed(
    containers: Containers, http: Client, tmp_path: Path, way: str
) -> None:
    await containers.start(*SPOTS, view=SPOTS, repl_factor=2)
    await containers.serving(*SPOTS)
    if way == BY_HAND:
        assert (await http.put(NODE1.published, BY_HAND, 0)).status == 201
    told = await contend_while_killing(containers, way, tmp_path, TIMES)
    counted = sorted(number for one in told for number in one.counted)
    unknown = sum(one.unknown for one in told)
    assert len(set(counted)) == len(counted) == PROCESSES * TIMES, "two were told that they had made the same number"
    value = (await http.get(NODE1.published, way)).json["value"]
    last = value["count"] if way == COUNTER else value
    print(f"{way}: {last}, acknowledged {len(counted)}, unknown {unknown}")
    assert len(counted) <= last <= len(counted) + unknown
    if way == BY_HAND:
        await expect_content(http, {BY_HAND: last}, *SPOTS)


async def test_contention_never_two_have_the_lock_while_containers_are_killed(
    containers: Containers, tmp_path: Path
) -> None:
    await containers.start(*SPOTS, view=SPOTS, repl_factor=2)
    await containers.serving(*SPOTS)
    told = await contend_while_killing(containers, LOCK, tmp_path, times := max(TIMES // 20, 1))
    tokens = sorted(token for one in told for token in one.counted)
    assert len(set(tokens)) == len(tokens) == PROCESSES * times, "two had the same token"


async def contend_while_killing(containers: Containers, way: str, directory: Path, times: int) -> list[Told]:
    killing = asyncio.create_task(kill_by_turns(SPOTS))
    try:
        told = await contend(way, directory, times)
    finally:
        killing.cancel()
    await containers.revive(*SPOTS)
    return told

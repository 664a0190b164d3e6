"""A third node started beside two that serve: it takes nothing before the view change, and its share after it."""

from __future__ import annotations

import pytest

from tests.cluster import Client, eventually
from tests.docker.containers import (
    KEYS,
    NODE3,
    PAIR,
    TRIO,
    Containers,
    Spot,
    counts,
    expect_content,
    holders,
    view_change,
    view_held,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]


async def expect_no_reshard(containers: Containers, http: Client, content: dict[str, int], before: list[int]) -> None:
    """The newcomer knows the old view, follows it, and nothing has moved."""

    async def newcomer_follows() -> bool:
        return await view_held(http, NODE3) == (0, set(PAIR))

    await eventually(newcomer_follows, "the newcomer holding the view of the two")
    assert [await view_held(http, spot) for spot in PAIR] == [(0, set(PAIR))] * 2
    for spot in TRIO:
        shards = (await http.ask(spot.published, "GET", "/kvs/shards")).json["shards"]
        assert shards == ["1", "2"]
    await containers.serving(*TRIO)
    await expect_content(http, content, *TRIO)
    assert await counts(http, *TRIO) == [*before, 0]


async def expect_reshard(http: Client, content: dict[str, int], answered: dict[Spot, int]) -> None:
    """The answer's counts are those of the nodes, of the keys found there, and fair."""
    assert sum(answered.values()) == len(content)
    assert await counts(http, *TRIO) == list(answered.values())
    for spot in TRIO:
        assert {held: len(keys) for held, keys in (await holders(http, content, spot)).items()} == answered
        epoch, nodes = await view_held(http, spot)
        assert epoch >= 1
        assert nodes == set(TRIO)
        assert len((await http.ask(spot.published, "GET", "/kvs/shards")).json["shards"]) == 3
    assert min(answered.values()) > KEYS / 3 * 0.7
    await expect_content(http, content, *TRIO)


@pytest.mark.parametrize("taker", TRIO, ids=[spot.name for spot in TRIO])
async def test_newcomer_started_last_waits_for_the_view_change(
    containers: Containers, http: Client, taker: Spot
) -> None:
    await containers.start(*PAIR, view=PAIR)
    content = await containers.load(*PAIR)
    before = await counts(http, *PAIR)
    assert sum(before) == KEYS

    await containers.start(NODE3, view=TRIO)
    await expect_no_reshard(containers, http, content, before)
    await expect_reshard(http, content, await view_change(http, taker, *TRIO))


@pytest.mark.parametrize("taker", TRIO, ids=[spot.name for spot in TRIO])
async def test_newcomer_started_first_waits_for_the_view_change(
    containers: Containers, http: Client, taker: Spot
) -> None:
    await containers.start(NODE3, view=TRIO)
    await containers.start(*PAIR, view=PAIR)
    content = await containers.load(*PAIR)
    before = await counts(http, *PAIR)
    assert sum(before) == KEYS

    await expect_no_reshard(containers, http, content, before)
    await expect_reshard(http, content, await view_change(http, taker, *TRIO))


async def test_newcomer_started_first_brings_along_what_it_took_before(containers: Containers, http: Client) -> None:
    """Alone, it owns a third of the keys of the view that it was told; the two others then have another one."""
    await containers.start(NODE3, view=TRIO)
    attempts = {f"early{number}": number for number in range(30)}
    early: dict[str, int] = {}
    for key, value in attempts.items():
        reply = await http.put(NODE3.published, key, value)
        assert reply.status in (201, 503)
        if reply.status == 201:
            early[key] = value
    assert early

    await containers.start(*PAIR, view=PAIR)
    content = early | await containers.load(*PAIR)

    async def all_moved() -> bool:
        return (await counts(http, NODE3))[0] == 0 and sum(await counts(http, *PAIR)) == len(content)

    await eventually(all_moved, "the early keys being with their owners")
    await expect_no_reshard(containers, http, content, await counts(http, *PAIR))
    await expect_reshard(http, content, await view_change(http, NODE3, *TRIO))

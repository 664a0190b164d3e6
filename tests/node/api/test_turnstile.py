"""Who has sent requests ahead goes on in turns, some in each turn of the loop, in order."""

from __future__ import annotations

import asyncio
from collections import Counter

from node.api.turnstile import A_TURN, Turnstile


async def test_turnstile_lets_some_go_on_in_each_turn_in_order() -> None:
    turnstile, turn, gone = Turnstile(), 0, list[tuple[int, int]]()
    crowd = 3 * A_TURN + 1
    for number in range(crowd):
        turnstile.wait(lambda number=number: gone.append((turn, number)))  # type: ignore[misc]
    assert not gone, "not in this turn"
    while len(gone) < crowd and turn < 100:
        turn += 1
        await asyncio.sleep(0)
    assert [number for _, number in gone] == list(range(crowd))
    assert max(Counter(turn for turn, _ in gone).values()) == A_TURN


async def test_turnstile_whoever_waits_again_goes_to_the_end() -> None:
    turnstile, gone = Turnstile(), list[str]()

    async def go(name: str) -> None:
        for _ in range(2):
            await turnstile.passed()
            gone.append(name)

    names = [f"{number}" for number in range(2 * A_TURN)]
    await asyncio.gather(*map(go, names))
    assert gone == names * 2


async def test_turnstile_who_has_given_up_stops_nobody() -> None:
    turnstile = Turnstile()
    first, second = asyncio.create_task(turnstile.passed()), asyncio.create_task(turnstile.passed())
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(5):
        await second

"""Who waits on an outbox is told what has come of it, once and in time.

The law, against a dumb oracle: whoever waits for a confirmation is told True only if what it put in has arrived, and
nobody who did not give up still waits once all of it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings

from node.replication import outbox as module
from node.replication.confirmations import Confirmations, all_of
from node.replication.outbox import Outbox
from tests.node.parts import on_virtual_time
from tests.node.replication.oracle import HARD, HISTORIES, Play, Written


def filled(*keys: bytes) -> tuple[Outbox, Confirmations]:
    outbox = Outbox()
    for key in keys:
        outbox.append(key, 0.0)
    return outbox, Confirmations(outbox)


async def waiting(confirmations: Confirmations, *positions: int) -> list[asyncio.Task[bool]]:
    """Those who wait for these positions, when they do."""
    tasks = [asyncio.create_task(confirmations.wait_for(position)) for position in positions]
    await asyncio.sleep(0.001)
    return tasks


async def told(tasks: Sequence[asyncio.Task[bool]]) -> list[bool | None]:
    """What they have been told; None: nothing yet."""
    await asyncio.sleep(0.001)
    return [task.result() if task.done() else None for task in tasks]


@on_virtual_time
async def test_confirmations_are_told_when_what_they_wait_for_is_confirmed() -> None:
    outbox, confirmations = filled(b"a", b"b", b"c")
    tasks = await waiting(confirmations, 3, 2, 1, 1)
    outbox.confirm(2)
    confirmations.settle()
    assert await told(tasks) == [None, True, True, True]


@on_virtual_time
async def test_confirmations_of_all_are_told_once_the_last_one_is_or_one_is_given_up() -> None:
    pairs = [filled(b"a"), filled(b"a")]
    (first, of_first), (second, of_second) = pairs
    waits = [all_of([confirmations.confirmation(1) for _, confirmations in pairs]) for _ in range(2)]
    first.confirm(1)
    of_first.settle()
    await asyncio.sleep(0.001)
    assert not any(wait.done() for wait in waits)
    waits[1].cancel()
    second.confirm(1)
    of_second.settle()
    assert await waits[0] and waits[1].cancelled()
    third, of_third = filled(b"a")
    given_up = all_of([of_third.confirmation(1), filled(b"a")[1].confirmation(1), of_third.confirmation(1)])
    of_third.give_up()
    assert not await given_up and not third.is_confirmed(1)


@on_virtual_time
async def test_confirmations_who_come_after_the_confirmation_do_not_wait() -> None:
    outbox, confirmations = filled(b"a", b"b")
    outbox.confirm(1)
    assert await told(await waiting(confirmations, 1, 2)) == [True, None]


@on_virtual_time
async def test_confirmations_are_told_when_a_comparison_ends() -> None:
    outbox, confirmations = filled(b"a")
    outbox.begin_comparison()
    tasks = await waiting(confirmations, 1, outbox.append(b"a", 1.0))
    outbox.end_comparison()
    confirmations.settle()
    assert await told(tasks) == [True, None]


@on_virtual_time
async def test_confirmations_give_up_tells_all_who_wait_and_keeps_what_is_in_the_outbox() -> None:
    outbox, confirmations = filled(b"a", b"b")
    tasks = await waiting(confirmations, 1, 2)
    confirmations.give_up()
    assert await told(tasks) == [False, False]
    assert len(outbox) == 2
    again = await waiting(confirmations, 1)
    assert await told(again) == [None]
    outbox.confirm(2)
    confirmations.settle()
    assert await told(again) == [True]


@on_virtual_time
async def test_confirmations_one_that_goes_away_is_no_fault_and_is_forgotten() -> None:
    outbox, confirmations = filled(b"a", b"b")
    gone, left, alone = await waiting(confirmations, 1, 1, 2)
    gone.cancel(), alone.cancel()
    assert await told([left]) == [None]
    assert {position: len(those) for position, those in confirmations._waiting.items()} == {1: 1}
    outbox.confirm(1)
    confirmations.settle()
    assert await told([left]) == [True]
    assert not confirmations._waiting


@on_virtual_time
async def test_confirmations_stream_sleeps_until_something_is_put_in() -> None:
    outbox, confirmations = filled()
    stream = asyncio.create_task(confirmations.something_to_send())
    await asyncio.sleep(1)
    assert not stream.done()
    outbox.append(b"a", 0.0)
    confirmations.notify()
    await stream
    await confirmations.something_to_send()


@on_virtual_time
async def test_confirmations_stream_sleeps_on_when_a_comparison_has_taken_over_what_was_put_in() -> None:
    outbox, confirmations = filled()
    stream = asyncio.create_task(confirmations.something_to_send())
    await asyncio.sleep(0.001)
    outbox.append(b"a", 0.0)
    confirmations.notify()
    outbox.begin_comparison()
    await asyncio.sleep(1)
    assert not stream.done()
    outbox.append(b"b", 0.0)
    confirmations.notify()
    await stream


@settings(max_examples=200)
@given(HISTORIES)
@example(HARD[0])
@example(HARD[1])
def test_confirmations_law_told_true_if_it_has_arrived_and_only_then(steps: list[tuple[Any, ...]]) -> None:
    @on_virtual_time
    async def run() -> None:
        with patch.object(module, "ENTRIES_MAX", 3):
            await play_out(steps)

    run()


async def play_out(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    confirmations = Confirmations(play.outbox)
    those: list[tuple[asyncio.Task[bool], Written]] = []
    for name, *arguments in steps:
        match name:
            case "wait" if play.written:
                written = play.written[arguments[0] % len(play.written)]
                those.append((asyncio.create_task(confirmations.wait_for(written.position)), written))
            case "give up":
                confirmations.give_up()
            case _:
                play.step(name, *arguments)
                confirmations.settle()
        await asyncio.sleep(0.001)
        for task, written in those:
            assert not (task.done() and task.result()) or play.has_arrived(written)
        those = [(task, written) for task, written in those if not task.done()]
    play.finish()
    confirmations.settle()
    async with asyncio.timeout(1):
        assert all([await task for task, _ in those])

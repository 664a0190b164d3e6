"""What the loop delivers is never older than the turns say."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections import deque

import pytest

from node.timing.turns import Turns

TICK_S = 0.005
SENDS = 400


def work_for(seconds: float) -> None:
    """The loop does nothing else meanwhile."""
    time.sleep(seconds)


class Reader(asyncio.Protocol):
    """Notes, of each byte, how long before the bound it was sent. `sent_at`: of the bytes on their way, in order; a
    time after the kernel had the byte."""

    def __init__(self, turns: Turns, sent_at: deque[float]) -> None:
        self.turns = turns
        self.sent_at = sent_at
        self.too_old_by: list[float] = []
        self.left = SENDS
        self.all_read: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        for _ in data:
            while not self.sent_at:  # The other thread has sent it, and is about to say when.
                time.sleep(0)
            self.too_old_by.append(self.turns.delivered_until - self.sent_at.popleft())
        self.left -= len(data)
        if not self.left:
            self.all_read.set_result(None)


async def test_turns_whatever_arrived_before_the_bound_has_been_delivered_however_long_a_turn_takes() -> None:
    ours, theirs = socket.socketpair()
    rng, sent_at = random.Random(1), deque[float]()

    def send() -> None:
        for _ in range(SENDS):
            theirs.send(b"x")
            sent_at.append(time.monotonic())
            time.sleep(0.0005)

    turns = Turns(TICK_S, time.monotonic)
    loop = asyncio.get_running_loop()
    transport, reader = await loop.create_connection(lambda: Reader(turns, sent_at), sock=ours)
    sender = threading.Thread(target=send)
    sender.start()
    async with asyncio.timeout(60):
        while not reader.all_read.done():
            work_for(rng.choice([0.0, 0.002, 0.02]))
            await asyncio.sleep(0)
    sender.join()
    turns.close()
    transport.close()
    theirs.close()
    assert max(reader.too_old_by) <= 0
    assert turns.delivered_until > float("-inf")


async def test_turns_bound_follows_the_ticks_and_stays_behind_the_last_but_one() -> None:
    now = 10.0
    turns = Turns(3600.0, lambda: now)
    assert turns.delivered_until == float("-inf"), "nothing is known before two ticks"
    turns._tick()
    assert turns.delivered_until == 10.0
    now = 15.0
    turns._tick()
    now = 16.0
    turns._tick()
    assert turns.delivered_until == 15.0
    turns.close()


async def test_turns_end_with_their_owner() -> None:
    turns = Turns(TICK_S, time.monotonic)
    turns.close()
    before = turns.delivered_until
    await asyncio.sleep(4 * TICK_S)
    assert turns.delivered_until == before


@pytest.mark.parametrize("tick_s", [0.001, 0.01])
async def test_turns_of_a_punctual_loop_leave_little_open(tick_s: float) -> None:
    turns = Turns(tick_s, time.monotonic)
    async with asyncio.timeout(10):
        while turns.delivered_until == float("-inf"):
            await asyncio.sleep(tick_s)
    turns.close()
    assert turns.delivered_until <= time.monotonic()


async def test_turns_tell_how_late_each_tick_is_from_the_second_on() -> None:
    now = 10.0
    turns = Turns(0.5, lambda: now)
    now = 11.25
    turns._tick()
    assert turns.lag.worst_s(now) == 0.75
    assert sum(turns.lag.ticks.counts) == 1
    turns.close()

"""The thread that commits: one work at a time, told in the loop's thread or to who waits."""

from __future__ import annotations

import asyncio
import threading

from node.storage.committer import Committer, Done, Work
from node.storage.reserve import Span


async def test_committer_has_room_set_aside_in_its_own_thread_and_tells_the_loops() -> None:
    threads: list[threading.Thread] = []
    told: asyncio.Future[Done] = asyncio.get_running_loop().create_future()

    def allocate(span: Span) -> int:
        threads.append(threading.current_thread())
        return span.stop - 1

    def done(outcome: Done) -> None:
        assert threading.current_thread() is threading.main_thread()
        told.set_result(outcome)

    committer = Committer(asyncio.get_running_loop(), allocate, done)
    committer.take(Work(Span(1, 9), None))
    assert await told == Done(Span(1, 9), 8, None)
    assert threads and threads[0] is not threading.main_thread()
    committer.close()


async def test_committer_that_is_waited_for_tells_nobody_else() -> None:
    told: list[Done] = []
    committer = Committer(asyncio.get_running_loop(), lambda span: span.stop, told.append)
    committer.take(Work(None, None))
    assert committer.wait(20.0) == Done(None, 0, None)
    assert committer.wait(0.0) is None
    await asyncio.sleep(0.05)
    assert not told
    committer.close()


async def test_committer_outlives_whatever_goes_wrong_in_its_work() -> None:
    def allocate(span: Span) -> int:
        raise OSError("no such device")

    committer = Committer(asyncio.get_running_loop(), allocate, lambda _: None)
    for _ in range(2):
        committer.take(Work(Span(1, 9), None))
        done = committer.wait(20.0)
        assert done is not None and done.allocated == 1 and isinstance(done.fault, OSError)
    committer.close()

"""What is logged of a full disk, and that it is asked again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing
from pathlib import Path

import pytest

from node.storage.data_dir import DataDir
from node.storage.reserve import Span
from node.storage.room import ROOM_AGAIN_S, Room
from tests.node.parts import on_virtual_time

KEPT = 64 * 1024


@on_virtual_time
async def test_room_says_once_when_the_disk_is_full_and_once_when_that_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.storage.room")
    with closing(DataDir(tmp_path)) as directory:
        room = Room(directory, KEPT, asyncio.get_running_loop(), lambda: None)
        asked = Span(0, 2 * KEPT)
        for allocated in (0, 0, 1000, 2 * KEPT):
            room.note_allocated(asked, allocated)
            room.note_end(0, lambda: 0)
        assert not room.is_full
        room.close()
    assert [(record.levelname, record.message.partition(":")[0]) for record in caplog.records] == [
        ("ERROR", "the disk is full"),
        ("INFO", "the disk has room again"),
    ]


@on_virtual_time
async def test_room_asks_a_full_disk_again_and_one_with_room_no_more(tmp_path: Path) -> None:
    asked = 0

    def probe() -> None:
        nonlocal asked
        asked += 1
        room.note_allocated(Span(0, 2 * KEPT), 2 * KEPT if asked == 3 else 0)

    with closing(DataDir(tmp_path)) as directory:
        room = Room(directory, KEPT, asyncio.get_running_loop(), probe)
        room.note_allocated(Span(0, 2 * KEPT), 0)
        await asyncio.sleep(10 * ROOM_AGAIN_S)
        assert asked == 3
        room.close()


def test_room_is_set_aside_in_the_store_file(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    with closing(DataDir(tmp_path)) as directory:
        room = Room(directory, KEPT, loop, lambda: None)
        before = (tmp_path / "store.lmdb").stat()
        assert room.allocate(Span(KEPT, 3 * KEPT)) == 3 * KEPT
        after = (tmp_path / "store.lmdb").stat()
        assert after.st_size == before.st_size and after.st_blocks * 512 >= before.st_blocks * 512 + 2 * KEPT
    loop.close()

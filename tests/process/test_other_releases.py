"""Processes on directories of other releases: refused with one line and untouched, or killed while they migrate."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import closing
from pathlib import Path

import pytest

from node.storage.data_dir import DataDir
from node.storage.forms import FORMATS
from node.storage.keys import Setting, setting_place
from tests.cluster import Client, Processes, fresh_addresses, run_to_its_end
from tests.golden.data_dir import unpack
from tests.node.storage.items import items_of_3_0, view_of_3_0

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

FORM = setting_place(Setting.FORMAT)
START_S = 0.5
"""What a start takes, about, on an idle machine."""


def note_form(path: Path, form: bytes) -> None:
    with closing(DataDir(path)) as directory, directory.open() as environment, environment.begin(write=True) as writer:
        writer.put(FORM, form)


async def test_process_on_a_disk_of_a_later_release_is_one_line_and_leaves_it_untouched(tmp_path: Path) -> None:
    unpack(tmp_path)
    note_form(tmp_path, b"4")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    (address,) = fresh_addresses(1)
    done = await run_to_its_end({"ADDRESS": address, "VIEW": address, "DATA_DIR": str(tmp_path)})
    assert done.status == 2
    (line,) = done.errors
    assert line.startswith(
        f"DATA_DIR {tmp_path}: written by another release of this program, in the form '4', and this"
    )
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before


async def test_process_killed_while_it_starts_on_a_disk_of_3_0_finds_all_at_the_next_start(
    processes: Processes, http: Client
) -> None:
    """Wherever it was: before, in, or after the migration."""
    (address,) = fresh_addresses(1)
    process = processes.make(address, [address])
    process.data_dir.mkdir()
    view = view_of_3_0(((address,),), epoch=0)
    with (
        closing(DataDir(process.data_dir, 2**20)) as directory,
        directory.open() as environment,
        environment.begin(write=True) as writer,
    ):
        for place, value in items_of_3_0(view).items():
            if place[:1] != b"\0":
                writer.put(place, value)
    rng = random.Random(1)
    for _ in range(10):
        await process.spawn()
        await asyncio.sleep(rng.uniform(0.0, START_S))
        process.signal(signal.SIGKILL)
        await process.ended()
    await process.start()
    assert (await http.put(address, "k", 1)).status == 201
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    with (
        closing(DataDir(process.data_dir)) as directory,
        directory.open() as environment,
        environment.begin() as reader,
    ):
        assert reader.get(FORM) in FORMATS

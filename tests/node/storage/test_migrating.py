"""On real files: a migration is there whole or not at all, whenever its process is killed; what is refused stays."""

from __future__ import annotations

import errno
import os
import random
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import lmdb
import pytest

from node.errors import BadDataDir, UnknownForm
from node.storage import migrating
from node.storage.data_dir import META_PAGES, PAGE_BYTES, DataDir
from node.storage.forms import migrate, must_migrate
from node.storage.keys import FORMAT, Setting, setting_place
from node.storage.migrating import LmdbItems, bring_up_to_date
from tests.golden.data_dir import unpack
from tests.node.storage.items import Items, items_of_3_0
from tests.node.storage.opening import MAP_BYTES, open_in

FORM = setting_place(Setting.FORMAT)
NEW = items_of_3_0()
migrate(NEW)


def write(path: Path, items: dict[bytes, bytes]) -> Path:
    """A store with these items alone; its file."""
    with (
        closing(DataDir(path, MAP_BYTES)) as directory,
        directory.open() as environment,
        environment.begin(write=True) as writer,
    ):
        for place, value in items.items():
            writer.put(place, value)
    return path / "store.lmdb"


def read(path: Path) -> dict[bytes, bytes]:
    with (
        closing(DataDir(path)) as directory,
        directory.open() as environment,
        environment.begin() as reader,
        reader.cursor() as cursor,
    ):
        return dict(cursor)


def bring(path: Path) -> None:
    with closing(DataDir(path)) as directory:
        bring_up_to_date(directory, path)


def test_migrating_leaves_what_the_migration_says(tmp_path: Path) -> None:
    write(tmp_path, items_of_3_0())
    bring(tmp_path)
    assert read(tmp_path) == NEW


def test_migrating_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "node.storage.migrating")
    write(tmp_path, items_of_3_0())
    for _ in range(3):
        bring(tmp_path)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"DATA_DIR {tmp_path}: brought from an earlier form")


def test_migrating_what_is_new_or_up_to_date_writes_nothing(tmp_path: Path) -> None:
    for directory in (tmp_path / "new", tmp_path / "old"):
        directory.mkdir()
    DataDir(tmp_path / "new", MAP_BYTES).close()
    unpack(tmp_path / "old")
    for directory in (tmp_path / "new", tmp_path / "old"):
        before = (directory / "store.lmdb").read_bytes()
        bring(directory)
        assert (directory / "store.lmdb").read_bytes() == before


@pytest.mark.parametrize(
    "spoil", [lambda items: items.put(FORM, b"4"), lambda items: items.put(setting_place(Setting.VIEW), b"garbage")]
)
async def test_migrating_what_is_unknown_is_refused_and_not_touched(
    tmp_path: Path, spoil: Callable[[Items], None]
) -> None:
    items = items_of_3_0()
    spoil(items)
    file = write(tmp_path, items)
    before, stat = file.read_bytes(), file.stat()
    for _ in range(2):  # Nor does it stay locked.
        with pytest.raises(UnknownForm, match=f"^DATA_DIR {tmp_path}: written by another release"):
            open_in(tmp_path)
    after = file.stat()
    assert file.read_bytes() == before
    assert (after.st_size, after.st_blocks, after.st_mtime_ns) == (stat.st_size, stat.st_blocks, stat.st_mtime_ns)


def test_migrating_finds_room_in_a_map_that_is_full(tmp_path: Path) -> None:
    items = items_of_3_0()
    file = write(tmp_path, items)
    with (
        closing(DataDir(tmp_path)) as directory,
        directory.open() as environment,
        pytest.raises(lmdb.MapFullError),
    ):
        for number in range(100_000):
            with environment.begin(write=True) as writer:
                place, value = b"\0\1k%d" % number, random.Random(number).randbytes(200)
                writer.put(place, value)
            items[place] = value
    before = file.stat().st_size
    bring(tmp_path)
    migrate(items)
    assert read(tmp_path) == items
    assert file.stat().st_size > before


def test_migrating_without_room_on_the_disk_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, items_of_3_0())

    def refuse(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(migrating, "migrate", refuse)
    with pytest.raises(BadDataDir, match=r"is as it was: .*No space left on device") as caught:
        bring(tmp_path)
    assert caught.value.status == 1
    assert read(tmp_path) == items_of_3_0()


# Killed in the middle


def test_migrating_killed_at_any_step_leaves_the_one_form_or_the_other(tmp_path: Path) -> None:
    """At each read and write of the migration, before and after its commit."""
    forms: list[bytes | None] = []
    for step in range(1000):
        path = tmp_path / str(step)
        path.mkdir()
        write(path, items_of_3_0())
        is_over = ends_by_itself(path, step)
        left = read(path)
        assert left == items_of_3_0() or left == NEW
        forms.append(left.get(FORM))
        bring(path)
        assert read(path) == NEW
        if is_over:
            break
    assert forms == [None] * (len(forms) - 1) + [FORMAT] and len(forms) > 20


def ends_by_itself(path: Path, steps: int) -> bool:
    """Whether a process that is killed at the step after so many has no step left for that."""
    child = os.fork()
    if child == 0:
        left = steps

        def step(act: Callable[..., object]) -> Callable[..., object]:
            def counted(*arguments: object) -> object:
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return act(*arguments)

            return counted

        class Counted(LmdbItems):
            def __init__(self, transaction: lmdb.Transaction[bytes]) -> None:
                super().__init__(transaction)
                for name in ("get", "put", "delete", "scan"):
                    setattr(self, name, step(getattr(self, name)))

        migrating.LmdbItems = Counted  # type: ignore[misc]
        try:
            bring(path)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


def test_migrating_killed_while_its_pages_are_written_leaves_the_form_before(tmp_path: Path) -> None:
    """The meta page comes last: whatever of the other pages is on the disk by then, nobody reads it."""
    before = write(tmp_path, items_of_3_0()).read_bytes()
    bring(tmp_path)
    after = (tmp_path / "store.lmdb").read_bytes()
    pages = range(META_PAGES, len(after) // PAGE_BYTES)
    changed = [at * PAGE_BYTES for at in pages if page(before, at * PAGE_BYTES) != page(after, at * PAGE_BYTES)]
    assert changed
    for seed in range(20):
        rng, torn = random.Random(seed), bytearray(before)
        for at in rng.sample(changed, rng.randint(1, len(changed))):
            torn[at : at + PAGE_BYTES] = page(after, at)
        path = tmp_path / str(seed)
        path.mkdir()
        (path / "store.lmdb").write_bytes(torn)
        assert read(path) == items_of_3_0()
        bring(path)
        assert read(path) == NEW


def page(content: bytes, at: int) -> bytes:
    return content[at : at + PAGE_BYTES]


def test_migrating_reads_in_the_order_of_places(tmp_path: Path) -> None:
    items = items_of_3_0()
    write(tmp_path, items)
    with closing(DataDir(tmp_path)) as directory, directory.open() as environment, environment.begin() as reader:
        found = LmdbItems(reader)
        assert must_migrate(found)
        for start, stop in [(b"\0", b"\xff" * 9), (b"\xfe", b"\xff"), (b"\xfe", b"\xfe"), (b"\xff" * 9, b"\xff" * 10)]:
            assert list(found.scan(start, stop)) == list(items.scan(start, stop))

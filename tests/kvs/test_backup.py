"""A backup as a file: there as a whole or not at all, and looked at as a whole before it is used."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from kvs import backup
from kvs.backup import check, whole_file
from kvs.load_input import BadInput
from kvs.manifest import Sum

LINE = b'{"key":"a","value":1}\n'


@pytest.mark.parametrize("name", ["b", "b.gz"])
def test_whole_file_has_its_name_once_it_is_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("before")
    with whole_file(path) as file:
        file.write(LINE)
        assert path.read_text() == "before"
    data = path.read_bytes()
    assert (gzip.decompress(data) if name.endswith(".gz") else data) == LINE
    assert (os.listdir(tmp_path), path.stat().st_mode & 0o777) == ([name], 0o600)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_whole_file_that_fails_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "b"
    path.write_text("before")
    with pytest.raises(error), whole_file(path) as file:
        file.write(LINE)
        raise error
    assert (os.listdir(tmp_path), path.read_text()) == (["b"], "before")


@pytest.mark.parametrize("size", [1, 10, 22, 23, 1000])
def test_check_counts_entries_and_goes_back_to_the_begin(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "READ_BYTES", size)
    told = Sum()
    told.add(LINE * 7, 7, 0)
    whole = LINE * 7 + told.line("now")
    file = io.BytesIO(whole)
    assert (check(file, "b"), file.tell()) == (7, 0)
    file = io.BytesIO(gzip.compress(whole))
    assert (check(file, "b.gz"), file.tell()) == (7, 0)
    for cut in range(1, len(whole)):
        with pytest.raises(BadInput):
            check(io.BytesIO(whole[:cut]), "b")

"""Secret files are refused if others may see or change them, and what stands in them is never repeated."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from node.errors import BadEnvironment
from node.secret_files import BYTES_MAX, BadLine, Line, SecretFile
from tests.node.tokens import write_secret

SECRET = "hunter2"


def parse(lines: Iterable[Line]) -> tuple[Line, ...]:
    """All lines but those of two words."""
    found = tuple(lines)
    for line in found:
        if " " in line.text:
            raise BadLine("a line is one word", line.number)
    if not found:
        raise BadLine("it has no word")
    return found


def read(path: Path) -> SecretFile[tuple[Line, ...]]:
    return SecretFile("WORDS_FILE", path, parse)


def fault_of(path: Path) -> str:
    with pytest.raises(BadEnvironment) as caught:
        read(path)
    assert caught.value.status == 2
    (fault,) = caught.value.faults
    prefix = f"WORDS_FILE {path}"
    assert fault.startswith(prefix) and "\n" not in fault and SECRET not in fault
    return fault.removeprefix(prefix)


def test_secret_file_blanks_and_comments_are_passed_over_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = write_secret(tmp_path / "f", f"# who\r\n\n  {SECRET}\t\r\n #{SECRET} two\nlast")
    assert read(path).now == (Line(3, SECRET), Line(5, "last"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"a\n\nhunter2 too\n", ", line 3: a line is one word"),
        (b"# none\n", ": it has no word"),
        (b"", ": it has no word"),
        (b"a\nhunter2\xff\n", ", line 2: it is not plain ASCII text"),
        (b"a" * (BYTES_MAX + 1), ": it has more than 64 KiB"),
    ],
)
def test_secret_file_malformed_is_one_line_that_says_where(tmp_path: Path, content: bytes, fault: str) -> None:
    path = write_secret(tmp_path / "f", "")
    path.write_bytes(content)
    assert fault_of(path) == fault


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o660, 0o666, 0o777])
def test_secret_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_secret(tmp_path / "f", SECRET)
    path.chmod(mode)
    assert fault_of(path) == f": others may read or change it: chmod 640, or 600; it is {mode:o}"


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640, 0o700])
def test_secret_file_of_owner_and_group_is_read(tmp_path: Path, mode: int) -> None:
    path = write_secret(tmp_path / "f", SECRET)
    path.chmod(mode)
    assert read(path).now == (Line(1, SECRET),)


def test_secret_file_missing_directory_or_pipe_is_named_and_waited_for_by_nobody(tmp_path: Path) -> None:
    assert fault_of(tmp_path / "f") == ": no such file or directory: it must be a file that this node may read"
    assert fault_of(tmp_path) == ": is a directory: it must be a file that this node may read"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert fault_of(tmp_path / "pipe") == ": it is no ordinary file"


async def test_secret_file_renewed_says_what_stands_in_it_now(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = read(write_secret(tmp_path / "f", SECRET))
    write_secret(tmp_path / "f", "new")
    assert file.now == (Line(1, SECRET),)
    await file.renew()
    assert file.now == (Line(1, "new"),)
    assert [record.getMessage() for record in caplog.records] == [f"WORDS_FILE {tmp_path}/f: read again"]


@pytest.mark.parametrize("content", ["", f"{SECRET} too", None])
async def test_secret_file_that_is_bad_by_now_changes_nothing_and_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    file = read(write_secret(tmp_path / "f", "old"))
    (tmp_path / "f").unlink() if content is None else write_secret(tmp_path / "f", content)
    await file.renew()
    assert file.now == (Line(1, "old"),)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"WORDS_FILE {tmp_path}/f") and SECRET not in caplog.text
    assert record.getMessage().endswith("; what was read before stays in force")

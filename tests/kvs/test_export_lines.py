"""Blocks and cursors: an export cut anywhere, and what of a broken one is thrown away."""

from __future__ import annotations

import pytest

from kvs.export_lines import ExportReader, entries_in, expiring_in
from kvs.http import Malformed
from kvs.repeating import Failed
from kvs.values import Exported

A, B, C = (b'{"key":"%b","value":"\\n{\\"cursor\\":\\"x\\"}"}\n' % key for key in (b"a", b"b", b"c"))
CURSOR, END = b'{"cursor":"c%d"}\n', b'{"end":true}\n'
WHOLE = A + B + CURSOR % 1 + C + CURSOR % 2 + END


@pytest.mark.parametrize("size", range(1, len(WHOLE) + 1))
def test_export_blocks_are_the_same_wherever_the_stream_is_cut(size: int) -> None:
    reader, blocks = ExportReader(), list[bytes]()
    for begin in range(0, len(WHOLE), size):
        blocks += reader.feed(WHOLE[begin : begin + size])
    assert blocks == [A + B, C]
    assert (reader.cursor, reader.end()) == ("c2", b"")


def test_export_lines_after_the_last_cursor_count_if_it_ends_well() -> None:
    reader = ExportReader()
    assert reader.feed(A + CURSOR % 1 + B + C + END) == [A]
    assert reader.end() == B + C


def test_export_of_nothing_is_an_end() -> None:
    reader = ExportReader()
    assert reader.feed(CURSOR % 1 + END) == []
    assert (reader.cursor, reader.end()) == ("c1", b"")
    reader = ExportReader()
    reader.feed(END)
    assert reader.end() == b""


@pytest.mark.parametrize("rest", [b"", B, B[:5], CURSOR[:9], b'{"end":false}\n', b"nonsense\n"])
def test_export_that_is_cut_short_is_no_end(rest: bytes) -> None:
    reader = ExportReader()
    assert reader.feed(A + CURSOR % 1 + rest) == [A]
    with pytest.raises(Failed, match="cut short"):
        reader.end()
    assert reader.cursor == "c1"


def test_export_that_cannot_go_on_says_why() -> None:
    reader = ExportReader()
    reader.feed(A + CURSOR % 1 + B + b'{"error":"Unable","unreachable":["a:1"]}\n')
    with pytest.raises(Failed, match=r"^Unable: a:1$"):
        reader.end()


def test_export_cursor_that_is_none_is_refused() -> None:
    with pytest.raises(Malformed):
        ExportReader().feed(A + b'{"cursor":"x",}\n')


@pytest.mark.parametrize(
    ("line", "expires"),
    [
        (b'{"key":"a","value":1,"expires":1796000000.123}\n', True),
        (b'{"key":"a","value":1}\n', False),
        (b'{"key":"a","value":{"b":1,"expires":1796000000.123}}\n', False),
        (b'{"key":"a","value":"\\",\\"expires\\":1.0}"}\n', False),
        (b'{"key":",\\"expires\\":1.0}","value":1}\n', False),
    ],
)
def test_export_entries_that_expire_are_counted_without_parsing(line: bytes, expires: bool) -> None:
    assert expiring_in(line) == expires
    assert expiring_in(line * 3 + A) == 3 * expires
    assert [entry.expires is not None for entry in entries_in(line)] == [expires]


def test_export_entries_are_typed() -> None:
    block = b'{"key":"\\u00fc","value":1.50}\n{"key":"b","value":null,"expires":7.250}\n'
    entries = list(entries_in(block))
    assert entries == [Exported("ü", b"1.50"), Exported("b", b"null", 7.25)]
    assert [entry.value for entry in entries] == [1.5, None]
    with pytest.raises(Malformed):
        list(entries_in(b"nonsense\n"))

"""What is read of an input: both forms, wherever it is cut; what is no entry; and manifests."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any, TypeAlias

import pytest

from kvs import load_input
from kvs.load_input import NO_ENTRY, TWO_TIMES, BadInput, BadLine, Source
from kvs.manifest import Sum

LINES = b'{"key":"a","value":1.50}\n{"value":"\xc3\xbc","key":"\\u00fc"}\n{"key":"c","value":null}\n'
PUTS = [
    b'{"op":"put","key":"a","value":1.50}\n',
    '{"op":"put","key":"ü","value":"ü"}\n'.encode(),
    b'{"op":"put","key":"c","value":null}\n',
]


Numbered: TypeAlias = list[tuple[int, bytes]]


async def read(data: bytes, name: str = "-", **options: Any) -> tuple[Source, Numbered, list[BadLine]]:
    """The source, its puts and its bad lines, each with its number."""
    source = Source(io.BytesIO(data), name, **options)
    await source.open()
    puts, bad = [], []
    async for block in source.blocks():
        puts += [(slot.number, slot.line) for slot in block.puts]
        bad += block.bad
    return source, puts, bad


@pytest.mark.parametrize("chunk", [1, 7, 30, 1000])
async def test_input_of_lines_is_read_wherever_it_is_cut(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_input, "CHUNK_BYTES", chunk)
    for data in (LINES, LINES[:-1]):
        source, puts, bad = await read(data)
        assert puts == list(enumerate(PUTS, 1)) and bad == []
        assert (source.unit, source.numbers, source.fault) == ("line", 3, None)


async def test_input_numbers_lines_as_an_editor_does() -> None:
    _, puts, bad = await read(
        b"\n" + LINES[:25] + b"\n \r\nnonsense\n" + LINES[25:] + b'{"key":7,"value":1}', "f.jsonl"
    )
    assert [number for number, _ in puts] == [2, 6, 7]
    assert bad == [(5, NO_ENTRY), (8, NO_ENTRY)]


async def test_input_of_one_object_is_numbered_by_its_members() -> None:
    data = json.dumps({f"k{n}": [n] for n in range(600)}, indent=1).encode()
    source, puts, _ = await read(data)
    assert [number for number, _ in puts] == list(range(1, 601))
    assert puts[7][1].startswith(b'{"op":"put","key":"k7","value":[') and puts[7][1].count(b"\n") == 1
    assert (source.unit, source.size, source.done) == ("entry", 600, 600)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 9])
async def test_input_passes_over_what_is_stored_already(after: int) -> None:
    source, puts, bad = await read(LINES, after=after)
    assert puts == list(enumerate(PUTS, 1))[after:] and bad == []
    assert source.numbers == 3
    members = json.dumps(dict.fromkeys("abc", 1)).encode()
    assert [number for number, _ in (await read(members, after=after))[1]] == [1, 2, 3][after:]


async def test_input_entries_expire_after_a_while_or_at_a_time() -> None:
    data = (
        b'{"key":"a","value":1,"ttl":2.5}\n{"key":"b","value":1,"expires":1007.250}\n'
        b'{"key":"c","value":1,"expires":1000}\n{"key":"d","value":1,"expires":9e9,"ttl":1}\n'
    )
    source = Source(io.BytesIO(data), "-", now=lambda: 1000.0)
    await source.open()
    (block,) = [block async for block in source.blocks()]
    source.date(block.puts)
    assert [slot.line for slot in block.puts] == [
        b'{"op":"put","key":"a","value":1,"ttl":2.5}\n',
        b'{"op":"put","key":"b","value":1,"ttl":7.25}\n',
    ]
    assert (block.expired, block.bad) == (1, [(4, TWO_TIMES)])


def manifest(data: bytes) -> bytes:
    told = Sum()
    told.add(data, data.count(b"\n"), data.count(b"expires"))
    return told.line("now")


@pytest.mark.parametrize("chunk", [5, 1000])
async def test_input_is_checked_against_its_manifest(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_input, "CHUNK_BYTES", chunk)
    expiring = b'{"key":"x","value":1,"expires":9999999999.000}\n'
    for before in (LINES, LINES + expiring, b""):
        data = before + manifest(before)
        for after in (0, 1, 9):
            source, _, bad = await read(data, after=after)
            assert (source.fault, bad) == (None, [])
        assert (await read(data + data))[0].fault is None, "one after the other"
    for changed in (LINES.replace(b"1.50", b"1.51"), LINES[25:], LINES + expiring):
        source, puts, _ = await read(changed + manifest(LINES) + LINES + manifest(LINES))
        assert source.fault is not None
        assert len(puts) == changed.count(b"\n") + 3


async def test_input_packed_is_unpacked_and_one_cut_short_is_bad() -> None:
    packed = gzip.compress(LINES * 1000)
    source, puts, _ = await read(packed, "f.jsonl.gz")
    assert (len(puts), source.size) == (3000, None)
    for cut in (packed[:-9], packed[:100] + b"x" * 100, b"nonsense"):
        with pytest.raises(BadInput, match="cannot be read"):
            await read(cut, "f.jsonl.gz")


async def test_input_of_a_known_number_of_lines_is_measured_by_them() -> None:
    source, _, _ = await read(LINES, lines=3)
    assert (source.size, source.done) == (3, 3)

"""Lines of JSON: of batches, which are the same however they arrive, and each of which gets an answer of one line; and
of what the command loads and was told, which is read or refused."""

from __future__ import annotations

import asyncio
import io
import json
from random import Random
from typing import Any

import xxhash

from kvs.export_lines import ExportReader, entries_in, expiring_in
from kvs.http import Malformed
from kvs.load_input import BadInput, Block, Source
from kvs.manifest import Sum, manifest_in
from kvs.repeating import Failed
from node.api.answers import HttpAnswer
from node.api.batch_lines import LINE_BYTES_MAX, Cutter, Line, parse, render
from node.api.data import PathKey
from tests.fuzz.http import pieces_of
from tests.fuzz.target import Target

NOW_S = 1e9
NAMES = ("-", "x.json", "x.jsonl", "x.jsonl.gz")


def check_batch(data: bytes) -> None:
    whole, pieces = Cutter(), Cutter()
    lines = whole.cut(data) + whole.end()
    parts = pieces_of(data, Random(xxhash.xxh3_64_intdigest(data)))
    assert [line for part in parts for line in pieces.cut(part)] + pieces.end() == lines
    assert lines == [line for line in data.split(b"\n") if line.strip()], "an oracle that holds all at once"
    for text in lines:
        line = parse(text)
        if line.answer is not None:
            check_answer(line, line.answer)
        else:
            assert line.asked is not None and line.method in ("GET", "PUT", "DELETE")
            assert PathKey.of(line.asked.key).fault is None
            check_answer(line, HttpAnswer(200, b'{"value":%b}' % (line.asked.value or b"null")))
            assert json.loads(line.key) == _loaded(text)["key"] == line.asked.key.decode()


def check_answer(line: Line, answer: HttpAnswer) -> None:
    told = render(line.key, answer)
    assert told.endswith(b"\n") and told.count(b"\n") == 1 and b"\r" not in told and len(told) < 2 * LINE_BYTES_MAX
    assert _loaded(told)["status"] == str(answer.status)


def _loaded(text: bytes) -> Any:
    """Of numbers the digits: Python makes no number of very many."""
    return json.loads(text, parse_int=str)


_PUT = b'{"op":"put","key":"k","value": {"a": [1, 2.5e3, null, "\\u00e9\\ud83d\\ude00"]},"ttl":1.5}'
_WORDS = (
    *(b"\n", b"\r\n", b"\r", b" ", b"\t", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1e400"),
    *(b"-0", b"1" * 400, b"NaN", b"\\ud800", b"\\u0000", b"\xff", b"\xc3\xa9", b"[" * 600, b'"op"', b'"key"'),
    *(b'"get"', b'"put"', b'"delete"', b'"ttl"', b'"expires"', b'"if-match"', b'"if-none-match"', b'"causal-context"'),
    *(b'"value"', b'"*"', b'"W/\\"x\\""', b"k" * 51),
)
BATCHES = Target(
    "batches",
    check_batch,
    [
        _PUT + b"\n" + b'{"op":"get","key":"/%"}\r\n\n \n{"op":"delete","key":"\xd0\xba","if-match":"*"}',
        b'{"op":"put","key":"k","value":1,"if-none-match":"\\"00112233445566778899aabbccddeeff\\", W/\\"x\\""}\n',
        b'{"op":"get","key":"k","if-none-match":"*"}\n{"op":"drop","key":"k"}\n{"key":1}\nnonsense\n"\xff"',
    ],
    _WORDS,
    examples=200,
)


# What the command reads


def check_load(data: bytes) -> None:
    """The first byte says under which name."""
    asyncio.run(_load(data[1:], NAMES[data[0] % len(NAMES)] if data else "-"))


async def _load(data: bytes, name: str) -> None:
    source = Source(io.BytesIO(data), name, now=lambda: NOW_S)
    try:
        await source.open()
        async for block in source.blocks():
            check_block(block)
    except BadInput as fault:
        assert "\n" not in str(fault)


def check_block(block: Block) -> None:
    assert all(number >= 1 and fault for number, fault in block.bad)
    for put in block.puts:
        assert put.line.endswith(b"\n") and put.line.count(b"\n") == 1
        line = parse(put.line)
        assert line.method == "PUT" and json.loads(line.key).encode() == put.key


def check_export(data: bytes) -> None:
    whole, pieces = ExportReader(), ExportReader()
    parts = pieces_of(data, Random(xxhash.xxh3_64_intdigest(data)))
    assert _told(whole, [data]) == _told(pieces, parts)
    for line in data.splitlines(keepends=True):
        if (manifest := manifest_in(line)) is not None:
            Sum().fault(manifest)


def _told(reader: ExportReader, parts: list[bytes]) -> tuple[bytes, object]:
    blocks: list[bytes] = []
    try:
        for part in parts:
            blocks += reader.feed(part)
        end = reader.end()
    except Malformed:
        return b"", "malformed"
    except Failed as fault:
        return b"".join(blocks), str(fault)
    for block in (*blocks, end):
        try:
            expiring = sum(entry.expires is not None for entry in entries_in(block))
        except Malformed:
            continue
        assert expiring_in(block) >= 0 and expiring >= 0
    return b"".join([*blocks, end]), reader.cursor


def _exported() -> bytes:
    lines, known = b'{"key":"a","value":{"b":1}}\n{"key":"\xd0\xba","value":"v","expires":2000000000.5}\n', Sum()
    known.add(lines, 2, 1)
    return lines + known.line("2026-11-01T00:00:00Z")


LOADS = Target(
    "loads",
    check_load,
    [
        *(bytes([form]) + _exported() for form in range(3)),
        b'\1{"a": 1, "b": {"value": [1, 2]}}',
        b'\0{"key":"k","value":1,"ttl":5}\n\n{"key":"k","value":1,"ttl":5,"expires":1e10}\r\n{"key":"k"}',
    ],
    _WORDS,
)
EXPORTS = Target(
    "exports",
    check_export,
    [
        b'{"key":"a","value":1}\n{"cursor":"AQ"}\n{"key":"b","value":"\\n{"}\n{"cursor":"Ag"}\n{"end":true}\n',
        b'{"key":"a","value":1,"expires":1.5}\n{"cursor":"AQ"}\n{"error":"Unable","unreachable":["b:1"]}\n',
        _exported(),
    ],
    (*_WORDS, b'\n{"cursor":"', b'{"end":true}\n', b'{"manifest":'),
    examples=200,
)

"""What travels, and what is kept of a key, is byte for byte what it always was: nodes of two releases talk to each
other while one takes the other's place."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import gossip.messages
from node.net import messages as wire
from node.net.frames import Ping
from node.values.context import Context
from tests.golden.samples import ANSWERS, CASTS, FILE, FORMER_FILE, REQUESTS, SAMPLES, members

GOLDEN: dict[str, str] = json.loads(FILE.read_text())
FORMER: dict[str, str] = json.loads(FORMER_FILE.read_text())


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_sample_has_the_same_bytes(name: str) -> None:
    sample = SAMPLES[name]
    assert sample.encode(sample.what).hex() == GOLDEN[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_bytes_are_the_same_sample(name: str) -> None:
    sample = SAMPLES[name]
    again = sample.decode(bytes.fromhex(GOLDEN[name]))
    assert again == sample.what
    assert type(again) is type(sample.what)


@pytest.mark.parametrize("name", FORMER)
def test_golden_former_bytes_are_the_same_sample(name: str) -> None:
    assert FORMER[name] != GOLDEN[name]
    assert SAMPLES[name].decode(bytes.fromhex(FORMER[name])) == SAMPLES[name].what


@pytest.mark.parametrize("message", [*REQUESTS.values(), *ANSWERS.values(), *CASTS.values()], ids=repr)
def test_golden_message_without_its_last_fields_has_their_defaults(message: msgspec.Struct) -> None:
    """As who knows of fewer fields sends it."""
    defaults = message.__struct_defaults__
    if defaults:
        names = message.__struct_fields__[-len(defaults) :]
        plain = replace(message, **dict(zip(names, defaults, strict=True)))
        fields = msgspec.msgpack.decode(msgspec.msgpack.encode(plain))
        shorter = msgspec.msgpack.encode(fields[: -len(names)])
        assert msgspec.msgpack.decode(shorter, type=type(message)) == plain


def with_one_more(what: Any) -> Any:
    """As a later release may send it: each message, and each record within one, has a field more."""
    if isinstance(what, tuple):
        return [with_one_more(each) for each in what]
    if not isinstance(what, msgspec.Struct) or isinstance(what, Context):
        return what
    config = what.__struct_config__
    fields = [with_one_more(getattr(what, name)) for name in what.__struct_fields__]
    further = [] if config.forbid_unknown_fields else [{"more": [1, None]}]
    return [*([] if config.tag is None else [config.tag]), *fields, *further]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.split(":")[0] in ("call", "reply", "cast")])
def test_golden_message_with_one_more_field_is_the_same_without_it(name: str) -> None:
    sample = SAMPLES[name]
    longer = msgspec.msgpack.encode(with_one_more(sample.what))
    assert len(longer) > len(bytes.fromhex(GOLDEN[name]))
    assert sample.decode(longer) == sample.what


@pytest.mark.parametrize("name", ["frame: no calls", "view: epoch 0", "context: on disk"])
def test_golden_what_is_understood_as_a_whole_has_no_field_more(name: str) -> None:
    """Of what else is garbage told? A view of which a part is unknown has no digest that others agree on, and a context
    would depend on less."""
    sample = SAMPLES[name]
    fields = msgspec.msgpack.decode(bytes.fromhex(GOLDEN[name]))
    with pytest.raises(ValueError):
        sample.decode(msgspec.msgpack.encode([*fields, 1]))


def test_golden_file_holds_nothing_else() -> None:
    assert GOLDEN.keys() == SAMPLES.keys()


UNIONS: list[tuple[Collection[Any], set[Any]]] = [
    (REQUESTS.values(), {*members(wire.Request), Ping}),
    (ANSWERS.values(), {*members(wire.Answer)}),
    (CASTS.values(), {*members(gossip.messages.Message)}),
]


@pytest.mark.parametrize(("samples", "types"), UNIONS, ids=["requests", "answers", "casts"])
def test_golden_samples_are_of_every_type(samples: Collection[Any], types: set[Any]) -> None:
    assert {type(message) for message in samples} == types


@pytest.mark.parametrize(("samples", "types"), UNIONS, ids=["requests", "answers", "casts"])
def test_golden_samples_fill_every_default_and_leave_it(samples: Collection[Any], types: set[Any]) -> None:
    for message_type in types:
        defaults = message_type.__struct_defaults__
        if not defaults:
            continue
        names = message_type.__struct_fields__[-len(defaults) :]
        filled = [
            [getattr(message, name) != default for name, default in zip(names, defaults, strict=True)]
            for message in samples
            if type(message) is message_type
        ]
        assert any(map(all, filled)), f"no {message_type.__name__} with every field filled"
        assert not all(map(any, filled)), f"no {message_type.__name__} with defaults alone"

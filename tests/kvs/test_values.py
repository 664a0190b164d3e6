"""Values: what Python makes of JSON and the other way round, and the texts for whoever needs each digit."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvs.errors import BadRequest
from kvs.values import Entry, Found, Json, encoded

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aü😀\n\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_value_comes_back_as_it_was(value: Any) -> None:
    assert Found(encoded(value), '"1"').value == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**30, b"1000000000000000000000000000000"),
        ("ü", '"ü"'.encode()),
        ((1, 2), b"[1,2]"),
        ({"b": 1, "a": [None, True]}, b'{"b":1,"a":[null,true]}'),
        (Json("1.50"), b"1.50"),
        (Json(b'{"b": 1, "a": 2}'), b'{"b": 1, "a": 2}'),
    ],
)
def test_value_as_json(value: object, text: bytes) -> None:
    assert encoded(value) == text


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        math.nan,
        math.inf,
        b"bytes",
        "\ud800",
        nested(100_000),
        Json(""),
        Json("1, 2"),
        Json('1},"causal-context":{"a":1'),
        Json("{"),
        Json(b'"\xff"'),
        Json('"\ud800"'),
        Json("NaN"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_that_is_no_json_is_refused_in_one_line(value: object) -> None:
    with pytest.raises(BadRequest, match=r"JSON|UTF-8") as refusal:
        encoded(value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("found", [Found(b'{"a": 1.50}', '"1"'), Entry("k", b'{"a": 1.50}', '"1"')])
def test_found_has_the_text_beside_the_value_and_does_not_change(found: Found | Entry) -> None:
    before = copy.copy(found)
    assert found.value == {"a": 1.5}
    assert found.value is found.value
    assert found.raw == b'{"a": 1.50}'
    assert found == before
    with pytest.raises(AttributeError):
        found.version = '"2"'  # type: ignore[misc]

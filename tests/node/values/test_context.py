"""The laws of causal contexts: merging, bounds, folding, and that only what this store made is taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.values.context import (
    ANYBODY,
    EMPTY,
    ENTRIES_MAX,
    OWNERS_MAX,
    BadContext,
    Context,
    Sight,
    decode,
    encode,
    from_json,
    owner_id,
    to_json,
)
from node.values.record import Record, decode_record
from node.values.version import CLOCK_MAX, Version, clock_of, make_version

HASHES = st.integers(0, 2**64 - 1) | st.integers(0, 5)
CLOCKS = st.integers(1, CLOCK_MAX - 1) | st.integers(1, 20)
VERSIONS = st.builds(make_version, CLOCKS, st.integers(0, 3))
SIGHTS = st.builds(Sight, VERSIONS, st.integers(1, 5))
CONTEXTS = st.builds(
    Context, st.dictionaries(HASHES, SIGHTS, max_size=8), st.dictionaries(st.integers(0, 5), CLOCKS, max_size=3)
)
LARGE = st.builds(
    lambda first, count, owners: Context(
        {key: Sight(make_version(key + 1, 1), key % owners + 1) for key in range(first, first + count)}
    ),
    st.integers(0, 80),
    st.integers(0, ENTRIES_MAX),
    st.integers(1, 90),
)
ANY = CONTEXTS | LARGE


def v(clock: int) -> Version:
    return make_version(clock, 1)


def covers(context: Context, key: int, sight: Sight) -> bool:
    """Whether a reader of the key is held to this sight, or more."""
    needed = context.needed(key)
    folded = max(context.folded.get(sight.owner, 0), context.folded.get(ANYBODY, 0))
    return (needed is not None and needed >= sight.version) or folded >= clock_of(sight.version)


@given(ANY, ANY)
def test_merge_commutes(one: Context, other: Context) -> None:
    assert one.merge(other) == other.merge(one)


@given(ANY, ANY)
def test_merge_idempotent(one: Context, other: Context) -> None:
    merged = one.merge(other)
    assert one.merge(one) == one
    assert merged.merge(other) == merged.merge(one) == merged.merge(merged) == merged


def test_merge_again_changes_nothing_though_the_newer_sight_of_a_key_was_folded() -> None:
    """The older one would come back as an entry, and fold into the clock of an owner of its own."""
    full = Context({key: Sight(make_version(10 + key, 2), 1) for key in range(ENTRIES_MAX)})
    other = Context({0: Sight(make_version(10, 1), 2), ENTRIES_MAX: Sight(make_version(99, 1), 3)})
    merged = full.merge(other)
    assert merged.folded == {1: 10, 2: 10}
    assert merged.merge(other) == merged == other.merge(full)


@given(ANY, ANY)
def test_merge_covers_both_and_stays_bounded(one: Context, other: Context) -> None:
    merged = one.merge(other)
    assert len(merged.entries) <= ENTRIES_MAX and len(merged.folded) <= OWNERS_MAX
    for context in (one, other):
        assert all(covers(merged, key, sight) for key, sight in context.entries.items())
        for owner, clock in context.folded.items():
            assert max(merged.folded.get(owner, 0), merged.folded.get(ANYBODY, 0)) >= clock
    assert merged.newest == max(one.newest, other.newest)


@given(ANY, HASHES, SIGHTS, HASHES, SIGHTS)
def test_with_entry_covers_commutes_and_is_idempotent(
    context: Context, key: int, sight: Sight, other_key: int, other: Sight
) -> None:
    one = context.with_entry(key, *sight)
    assert covers(one, key, sight)
    assert one.with_entry(key, *sight) == one
    both = one.with_entry(other_key, *other)
    assert covers(both, key, sight) and covers(both, other_key, other)
    if len(context.entries) < ENTRIES_MAX - 1:
        assert both == context.with_entry(other_key, *other).with_entry(key, *sight)


@given(CONTEXTS, CONTEXTS, CLOCKS)
def test_without_stable_idempotent_and_commutes_with_merge(one: Context, other: Context, clock: int) -> None:
    def left(context: Context) -> Context:
        return context.without_stable(lambda _: clock, lambda _: clock, CLOCK_MAX)

    assert left(left(one)) == left(one)
    assert left(one.merge(other)) == left(one).merge(left(other))


def test_without_stable_keeps_what_is_above_and_drops_what_no_clock_can_have_stamped() -> None:
    context = Context({1: Sight(v(5), 1), 2: Sight(v(6), 1), 3: Sight(v(90), 1)}, {1: 5, 2: 6, 3: 90})
    left = context.without_stable(lambda _: 5, lambda _: 5, 80)
    assert left == Context({2: Sight(v(6), 1)}, {2: 6})
    assert left.without_stable(lambda key: 6 if key == 2 else 0, lambda owner: 6 if owner == 2 else 0, 80) == EMPTY


def test_without_drops_a_key_unless_it_needs_newer() -> None:
    context = Context({1: Sight(v(5), 1)}, {9: 9})
    assert context.without(1, v(4)) == context
    assert context.without(2, v(9)) == context
    assert context.without(1, v(5)) == Context({}, {9: 9})


def test_fold_oldest_entries_into_their_owners_clocks() -> None:
    context = EMPTY
    for key in range(ENTRIES_MAX + 3):
        context = context.with_entry(key, v(key + 1), owner_id(f"n{key % 2}:1"))
    assert len(context.entries) == ENTRIES_MAX
    assert 2 not in context.entries and 3 in context.entries
    assert context.folded == {owner_id("n0:1"): 3, owner_id("n1:1"): 2}
    assert context.names("n0:1") and context.names("n1:1") and not context.names("n2:1")


def test_fold_too_many_owners_into_anybody() -> None:
    context = EMPTY
    for owner in range(1, OWNERS_MAX + 3):
        context = context.merge(Context({}, {owner: owner}))
    assert len(context.folded) == OWNERS_MAX
    assert context.folded[ANYBODY] == 3
    assert context.names("whoever:1")


def test_needed_is_per_key() -> None:
    context = EMPTY.with_entry(1, v(5), 1)
    assert (context.needed(1), context.needed(2), context.names("a:1")) == (v(5), None, False)
    assert not EMPTY and context and EMPTY.newest == 0


# As JSON


@given(ANY)
def test_json_round_trip(context: Context) -> None:
    text = json.dumps(to_json(context))
    assert from_json(json.loads(text), CLOCK_MAX) == context
    assert (text == "{}") == (not context)


@pytest.mark.parametrize("empty", [None, "", "{}", {}])
def test_json_empty_forms(empty: Any) -> None:
    assert from_json(empty, 0) is EMPTY or from_json(empty, 0) == EMPTY


KEY, SIGHT, CLOCK = "0" * 16, v(7).hex() + "0" * 15 + "1", "0" * 15 + "7"
GOOD = {"v": 1, "k": {KEY: SIGHT}, "s": {KEY: CLOCK}}


def test_json_good_is_good() -> None:
    assert from_json(GOOD, 7) == Context({0: Sight(v(7), 1)}, {0: 7})


@pytest.mark.parametrize(
    "bad",
    [
        *([], 0, 1, False, True, 1.5, " ", "null", "x", [{}], [GOOD], json.dumps(GOOD)),
        *({"a": 1}, {"v": 1}, {"k": {}}, {"v": 1, "k": {}}, {"v": 1, "s": {}}, GOOD | {"x": 1}, GOOD | {"k": {}}),
        *(GOOD | {"v": 2}, GOOD | {"v": True}, GOOD | {"v": 1.0}, GOOD | {"v": "1"}, GOOD | {"v": None}),
        *({"k": {KEY: SIGHT}}, GOOD | {"k": None}, GOOD | {"k": []}, GOOD | {"k": [SIGHT]}, GOOD | {"s": 1}),
        *(GOOD | {"k": {KEY: 1}}, GOOD | {"k": {KEY: None}}, GOOD | {"k": {KEY: SIGHT[1:]}}),
        *(GOOD | {"k": {KEY: SIGHT + "0"}}, GOOD | {"k": {KEY[1:]: SIGHT}}, GOOD | {"k": {"0" + KEY: SIGHT}}),
        *(GOOD | {"k": {"": SIGHT}}, GOOD | {"k": {"-" + KEY[1:]: SIGHT}}, GOOD | {"k": {"f" * 17: SIGHT}}),
        *(GOOD | {"k": {KEY: "-" + SIGHT[1:]}}, GOOD | {"k": {KEY: "-1" + SIGHT[2:]}}, GOOD | {"k": {KEY: " " * 48}}),
        *(GOOD | {"k": {KEY: "0_" * 24}}, GOOD | {"k": {KEY: "0x" + SIGHT[2:]}}, GOOD | {"k": {KEY: "g" * 48}}),
        *(GOOD | {"k": {KEY: "F" * 48}}, GOOD | {"k": {"A" * 16: SIGHT}}, GOOD | {"s": {KEY: "\u0660" * 16}}),
        GOOD | {"k": {f"{number:016x}": SIGHT for number in range(ENTRIES_MAX + 1)}},
        GOOD | {"s": {f"{number:016x}": CLOCK for number in range(OWNERS_MAX + 1)}},
    ],
    ids=lambda bad: repr(bad)[:60],
)
def test_json_that_is_not_ours_is_bad(bad: Any) -> None:
    with pytest.raises(BadContext):
        from_json(bad, CLOCK_MAX)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v", "k", "s", KEY]) | st.text(max_size=4), inner, max_size=3)
    ),
)


@given(JSONS | st.builds(lambda k, s: {"v": 1, "k": k, "s": s}, JSONS, JSONS))
def test_json_garbage_gives_one_exception(value: Any) -> None:
    try:
        context = from_json(value, CLOCK_MAX)
    except BadContext:
        return
    assert value in (None, "", "{}") or value == to_json(context)


@pytest.mark.parametrize("field", ["k", "s"])
def test_json_of_a_time_to_come_is_bad(field: str) -> None:
    only = {"v": 1, field: GOOD[field]}
    assert from_json(only, 7).newest == 7
    with pytest.raises(BadContext):
        from_json(only, 6)
    with pytest.raises(BadContext):
        from_json({"v": 1, "s": {KEY: f"{CLOCK_MAX:x}"}}, 2**64)


# On disk


@given(ANY, st.none() | st.binary(max_size=20), st.booleans())
def test_record_keeps_context(context: Context, value: bytes | None, replaced: bool) -> None:
    record = Record(v(3), value, replaced, encode(context) if context else b"")
    assert decode_record(record.encode()) == record
    assert decode(record.context) == context
    assert not context or record.encode() != record._replace(context=b"").encode()


def test_record_without_context_is_what_it_was() -> None:
    assert Record(v(3), b"1", True).encode() == v(3) + b"\x02" + b"1"
    assert Record(v(3), None, False).encode() == v(3) + b"\x01"


@pytest.mark.parametrize("rest", [b"\x04", b"\x04\x00", b"\x04\x00\x00", b"\x04\x00\x03ab", b"\x08", b"\x05\xff\xff"])
def test_record_with_cut_context_is_none(rest: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        decode_record(v(3) + rest)


@given(st.binary(min_size=1))
def test_decode_garbage_gives_one_exception(data: bytes) -> None:
    try:
        decode(data)
    except BadContext:
        return

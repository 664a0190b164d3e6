"""What the two headers of a condition say."""

from __future__ import annotations

import pytest

from node.api.conditions import NO_CONDITIONS, Given, condition_of, etag_of
from node.errors import RequestFault
from node.values.condition import NO_CONDITION, Condition, Versions
from node.values.version import make_version

HELD, OTHER = make_version(7, 1), make_version(7, 2)
TAG, ANOTHER = etag_of(HELD).decode(), etag_of(OTHER).decode()


def test_etag_is_a_quoted_text_that_tells_versions_apart() -> None:
    assert TAG == '"00000000000000070000000000000001"' and TAG != ANOTHER


@pytest.mark.parametrize(
    ("text", "named", "named_weakly"),
    [
        (TAG, (HELD,), (HELD,)),
        (f"{ANOTHER}, {TAG}", (OTHER, HELD), (OTHER, HELD)),
        (f"{ANOTHER},{TAG}", (OTHER, HELD), (OTHER, HELD)),
        (f" {TAG} ,{ANOTHER} ", (HELD, OTHER), (HELD, OTHER)),
        (f"W/{TAG}", (), (HELD,)),
        (f"{ANOTHER}, W/{TAG}", (OTHER,), (OTHER, HELD)),
        ('"not-one-of-ours"', (), ()),
        (TAG.replace("7", "A"), (), ()),
        (TAG[:-1] + '0"', (), ()),
        ('"*"', (), ()),
        ('""', (), ()),
    ],
)
def test_conditions_name_versions(text: str, named: tuple[bytes, ...], named_weakly: tuple[bytes, ...]) -> None:
    assert condition_of(Given(if_match=text)) == Condition(one_of=Versions(False, named))
    assert condition_of(Given(if_none_match=text)) == Condition(none_of=Versions(False, named_weakly))


def test_conditions_name_whatever_there_is() -> None:
    assert condition_of(Given(if_match="*")) == Condition(one_of=Versions(True))
    assert condition_of(Given(if_none_match="*")) == Condition(none_of=Versions(True))


def test_conditions_both_hold_if_both_are_given() -> None:
    both = Condition(Versions(True), Versions(False, (HELD,)))
    assert condition_of(Given("*", TAG)) == both


def test_conditions_that_were_not_given_demand_nothing() -> None:
    assert condition_of(NO_CONDITIONS) is NO_CONDITION


@pytest.mark.parametrize(
    "text", ["", " ", "x", TAG[1:-1], TAG[:-1], f"{TAG} {TAG}", f"w/{TAG}", f"*, {TAG}", f"{TAG}, *", ",", '"a\tb"']
)
def test_conditions_malformed(text: str) -> None:
    with pytest.raises(RequestFault, match="Malformed If-Match: neither"):
        condition_of(Given(if_match=text))
    with pytest.raises(RequestFault, match="Malformed If-None-Match: neither"):
        condition_of(Given("*", text))

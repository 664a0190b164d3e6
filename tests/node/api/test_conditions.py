"""What the two headers of a condition say, and whether they hold."""

from __future__ import annotations

import pytest

from node.api.conditions import Given, etag_of, is_known, is_refused
from node.errors import RequestFault
from node.values.version import make_version

HELD, OTHER = make_version(7, 1), make_version(7, 2)
TAG, ANOTHER = etag_of(HELD).decode(), etag_of(OTHER).decode()


def test_etag_is_a_quoted_text_that_tells_versions_apart() -> None:
    assert TAG == '"00000000000000070000000000000001"' and TAG != ANOTHER


@pytest.mark.parametrize(
    ("text", "matches", "matches_weakly"),
    [
        (TAG, True, True),
        ("*", True, True),
        (f"{ANOTHER}, {TAG}", True, True),
        (f"{ANOTHER},{TAG}", True, True),
        (f" {TAG} ,{ANOTHER} ", True, True),
        (f"W/{TAG}", False, True),
        (f"{ANOTHER}, W/{TAG}", False, True),
        (ANOTHER, False, False),
        ('"not-one-of-ours"', False, False),
        ('"*"', False, False),
        ('""', False, False),
    ],
)
def test_conditions_name_versions(text: str, matches: bool, matches_weakly: bool) -> None:
    assert is_refused(Given(if_match=text), HELD) is not matches
    assert is_known(Given(if_none_match=text), HELD) is matches_weakly


@pytest.mark.parametrize("text", ["*", TAG, f"W/{TAG}"])
def test_conditions_of_what_there_is_not(text: str) -> None:
    assert is_refused(Given(if_match=text), None)
    assert not is_known(Given(if_none_match=text), None)


def test_conditions_that_were_not_given_hold() -> None:
    for version in (HELD, None):
        assert not is_refused(Given(if_none_match=ANOTHER), version)
        assert not is_known(Given(if_match=TAG), version)


@pytest.mark.parametrize(
    "text", ["", " ", "x", TAG[1:-1], TAG[:-1], f"{TAG} {TAG}", f"w/{TAG}", f"*, {TAG}", ",", '"a\tb"']
)
def test_conditions_malformed(text: str) -> None:
    """Whether there is anything or not: else a client would learn of its mistake late."""
    for version in (HELD, None):
        with pytest.raises(RequestFault, match="Malformed If-Match: neither"):
            is_refused(Given(if_match=text), version)
        with pytest.raises(RequestFault, match="Malformed If-None-Match: neither"):
            is_known(Given(if_none_match=text), version)

"""What is demanded of the version that a key has, and what meets it."""

from __future__ import annotations

import pytest

from node.values.condition import NO_CONDITION, Condition, Versions
from node.values.version import Version, make_version

ONE, OTHER, THIRD = (make_version(clock, 1) for clock in (1, 2, 3))
ANY, NONE, BOTH = Versions(True), Versions(False), Versions(False, (ONE, OTHER))


@pytest.mark.parametrize(
    ("versions", "version", "expected"),
    [
        (ANY, ONE, True),
        (ANY, None, False),
        (BOTH, ONE, True),
        (BOTH, OTHER, True),
        (BOTH, THIRD, False),
        (BOTH, None, False),
        (NONE, ONE, False),
        (NONE, None, False),
    ],
)
def test_versions_have(versions: Versions, version: Version | None, expected: bool) -> None:
    assert versions.have(version) is expected


@pytest.mark.parametrize(
    ("condition", "version", "expected"),
    [
        (NO_CONDITION, None, True),
        (NO_CONDITION, ONE, True),
        (Condition(one_of=ANY), ONE, True),
        (Condition(one_of=ANY), None, False),
        (Condition(one_of=BOTH), OTHER, True),
        (Condition(one_of=BOTH), THIRD, False),
        (Condition(one_of=BOTH), None, False),
        (Condition(one_of=NONE), ONE, False),
        (Condition(one_of=NONE), None, False),
        (Condition(none_of=ANY), ONE, False),
        (Condition(none_of=ANY), None, True),
        (Condition(none_of=BOTH), ONE, False),
        (Condition(none_of=BOTH), THIRD, True),
        (Condition(none_of=BOTH), None, True),
        (Condition(none_of=NONE), ONE, True),
        (Condition(ANY, ANY), ONE, False),
        (Condition(ANY, ANY), None, False),
        (Condition(ANY, BOTH), THIRD, True),
        (Condition(ANY, BOTH), ONE, False),
        (Condition(BOTH, Versions(False, (ONE,))), OTHER, True),
        (Condition(BOTH, Versions(False, (ONE,))), ONE, False),
    ],
)
def test_condition_is_met(condition: Condition, version: Version | None, expected: bool) -> None:
    assert condition.is_met(version) is expected

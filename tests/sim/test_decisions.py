"""The check of conditional writes finds what does not make sense, and nothing else."""

from __future__ import annotations

import pytest

from node.values.condition import Condition, Versions
from node.values.version import Version, make_version
from tests.sim.decisions import Decision, check_history
from tests.sim.registers import Violation

V1, V2, V3, V4 = (make_version(reading, 7) for reading in (1, 2, 3, 4))
NOTHING = Condition(none_of=Versions(True))


def on(version: Version) -> Condition:
    return Condition(one_of=Versions(False, (version,)))


def made(condition: Condition, version: Version, at: float, deletes: bool = False) -> Decision:
    return Decision(condition, deletes, at, at + 0.5, made=version, tried=[version])


def refused(condition: Condition, seen: Version | None, at: float, tried: Version = V4) -> Decision:
    return Decision(condition, False, at, at + 0.5, refused=True, seen=seen, tried=[tried])


def unknown(condition: Condition, version: Version, at: float, deletes: bool = False) -> Decision:
    return Decision(condition, deletes, at, tried=[version])


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([made(NOTHING, V1, 0), made(on(V1), V2, 1), refused(on(V1), V2, 2)], id="one after the other"),
        pytest.param([made(NOTHING, V1, 0), refused(NOTHING, V1, 0), made(on(V1), V2, 0.2)], id="at once"),
        pytest.param([made(NOTHING, V1, 0), unknown(on(V1), V2, 1), refused(on(V1), V2, 9)], id="unknown, and seen"),
        pytest.param([made(NOTHING, V1, 0), unknown(on(V1), V2, 1), made(on(V1), V3, 2)], id="unknown, and not made"),
        pytest.param([unknown(NOTHING, V1, 0), made(on(V1), V2, 1)], id="unknown, and replaced"),
        pytest.param(
            [made(NOTHING, V1, 0), made(on(V1), V2, 1, deletes=True), refused(on(V1), None, 2), made(NOTHING, V3, 3)],
            id="deleted, and made anew",
        ),
        pytest.param(
            [
                made(NOTHING, V1, 0),
                unknown(on(V1), V2, 1, deletes=True),
                refused(on(V1), None, 2),
                made(NOTHING, V3, 3),
            ],
            id="deleted, as it turns out",
        ),
        pytest.param(
            [made(NOTHING, V1, 0), unknown(on(V1), V2, 1, deletes=True), refused(NOTHING, V1, 2)],
            id="not deleted, or not yet",
        ),
        pytest.param(
            [
                made(NOTHING, V1, 0),
                unknown(on(V1), V2, 1),
                unknown(on(V2), V3, 2, deletes=True),
                refused(on(V1), None, 3),
                made(NOTHING, V4, 4),
            ],
            id="replaced and deleted, as it turns out",
        ),
        pytest.param([refused(on(V3), None, 0, V3), made(NOTHING, V1, 1)], id="nothing at first"),
    ],
)
def test_history_that_makes_sense(history: list[Decision]) -> None:
    check_history(history)


@pytest.mark.parametrize(
    ("history", "what"),
    [
        pytest.param([made(NOTHING, V1, 0), made(NOTHING, V2, 1)], "but there was", id="made twice"),
        pytest.param(
            [made(NOTHING, V1, 0), made(on(V1), V2, 1), made(on(V1), V3, 1)], "but there was", id="two of a kind"
        ),
        pytest.param(
            [made(NOTHING, V1, 0), unknown(on(V1), V2, 1), refused(on(V1), V2, 2), made(on(V1), V3, 3)],
            "but there was",
            id="one that was seen, and one besides",
        ),
        pytest.param(
            [made(NOTHING, V1, 0), made(on(V1), V2, 1), refused(on(V2), V1, 2)], "was told of", id="back in time"
        ),
        pytest.param([made(NOTHING, V1, 0), refused(on(V1), None, 1)], "nothing was seen", id="gone"),
        pytest.param([refused(on(V3), V1, 0, V3), made(NOTHING, V1, 5)], "before it was asked for", id="too early"),
        pytest.param([refused(on(V3), V2, 0, V3)], "nobody has written", id="from nowhere"),
        pytest.param(
            [made(NOTHING, V1, 0), refused(on(V1), V1, 1, V2), refused(on(V1), V2, 2)],
            "was told that it is not made",
            id="made after all",
        ),
        pytest.param(
            [made(NOTHING, V1, 0), unknown(on(V3), V2, 1, deletes=True), refused(on(V1), None, 2)],
            "nothing was seen",
            id="deleted by one whose condition was not met",
        ),
    ],
)
def test_history_that_makes_none(history: list[Decision], what: str) -> None:
    with pytest.raises(Violation, match=what):
        check_history(history)

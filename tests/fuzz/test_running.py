"""What `make fuzz` is asked for, and how the time is shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import MINUTES, BadWish, Wish, lanes, wish_in
from tests.fuzz.all import TARGETS


def test_fuzz_wish_is_what_the_environment_says_or_all(tmp_path: Path) -> None:
    names = ("MINUTES", "ONLY", "AGAIN")
    assert wish_in({**dict.fromkeys(names, ""), "JOBS": "2"}) == Wish(60 * MINUTES, list(TARGETS), 2, None)
    assert wish_in({"MINUTES": "0.5", "ONLY": "views http", "JOBS": "9"}) == Wish(30.0, ["views", "http"], 2, None)
    (tmp_path / "x").touch()
    assert wish_in({"ONLY": "views", "AGAIN": str(tmp_path / "x")}).again == tmp_path / "x"


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"MINUTES": "ten"}, "MINUTES=ten: it is a number above 0"),
        ({"JOBS": "0"}, "JOBS=0: it is a number above 0"),
        ({"ONLY": "nothing"}, "ONLY=nothing: there is no such target, but http, "),
        ({"ONLY": "views", "AGAIN": "/no/such"}, "AGAIN=/no/such: it takes the file of an input"),
        ({"AGAIN": "/dev/null"}, "AGAIN=/dev/null: it takes the file of an input"),
    ],
)
def test_fuzz_wish_that_cannot_be_is_one_line(environment: dict[str, str], fault: str) -> None:
    with pytest.raises(BadWish) as caught:
        wish_in(environment)
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_fuzz_lanes_have_each_target_once_and_about_the_same_share(jobs: int) -> None:
    dealt = lanes(list(TARGETS), jobs)
    assert sorted(name for lane in dealt for name in lane) == sorted(TARGETS)
    shares = [sum(TARGETS[name].share for name in lane) for lane in dealt]
    assert max(shares) - min(shares) <= max(target.share for target in TARGETS.values())

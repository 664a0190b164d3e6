"""Each target by Hypothesis: what is in order passes, and so does what is made of it; and what was found once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.all import TARGETS
from tests.fuzz.faults import Faults
from tests.fuzz.target import BYTES_MAX, Target


@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_seeds_pass(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].check(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_what_is_made_of_seeds_passes(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=target.examples)
    @given(st.sampled_from(target.seeds), st.integers(0, 2**32 - 1))
    def passes(seed: bytes, number: int) -> None:
        target.check(target.varied(seed, random.Random(number)))

    passes()


@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_what_is_nothing_passes(name: str) -> None:
    @settings(max_examples=10)
    @given(st.binary(max_size=64))
    def passes(data: bytes) -> None:
        TARGETS[name].check(data)

    passes()


def _fails_on_x(data: bytes) -> None:
    if b"x" in data:
        raise ZeroDivisionError(data.decode())
    if b"y" in data:
        assert len(data) < 3, "too long"


def test_fuzz_varied_is_something_else_and_the_same_for_the_same_number() -> None:
    target = Target("plain", _fails_on_x, [b"abc", b"def" * 3000], [b"word"])
    made = [target.varied(b"abc", random.Random(number)) for number in range(50)]
    assert made == [target.varied(b"abc", random.Random(number)) for number in range(50)]
    assert len(set(made)) > 30 and max(map(len, made)) <= BYTES_MAX


def _hangs_on_h(data: bytes) -> None:
    while b"h" in data:
        pass


def test_fuzz_input_that_never_ends_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults(Target("endless", _hangs_on_h, [b""]), None, hangs_s=0.05)
    for data in (b"abc", b"xh", b"hx"):
        faults.look(data)
    assert [found.data for found in faults.found] == [b"h"]
    assert "Hangs: it takes more than 0.05 s" in capsys.readouterr().out


def test_fuzz_fault_is_told_once_and_by_the_shortest_input_that_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults(Target("plain", _fails_on_x, [b""]), None)
    for data in (b"abc", b"axc", b"aaaxaaa", b"ayyyyc", b"yyyyyyyyy"):
        faults.look(data)
    x, y = (found.data for found in faults.found)
    assert x == b"x" and len(y) == 3 and b"y" in y
    told = capsys.readouterr().out
    assert told.count("fault in plain") == 2 and "found by: b'x'" in told

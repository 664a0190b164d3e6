"""What may be read of a key after writes without answer, and after such as were acknowledged below an earlier one."""

from __future__ import annotations

from node.values.version import make_version
from tests.sim.registers import SPENT_S, Attempt, Register

LOW, HIGH, HIGHER = (make_version(clock, 1) for clock in (1 << 16, 2 << 16, 3 << 16))


def test_register_write_without_answer_is_possible_until_it_can_only_be_spent() -> None:
    register = Register()
    register.attempts.append(Attempt(b"lost", 5.0))
    for since, possible in [(5.0, {b"1", b"lost"}), (4.9 + SPENT_S, {b"1", b"lost"}), (5.0 + SPENT_S, {b"1"})]:
        register.acknowledge(Attempt(b"1", since), LOW, "a:1", since)
        assert register.possible == possible


def test_register_write_that_was_passed_over_may_win_until_one_is_acknowledged_above_it() -> None:
    """However long those who have it are away (seed 462 once)."""
    register = Register()
    register.attempts.append(Attempt(b"above", 5.0, HIGH))
    for since, version, possible in [
        (6.0, LOW, {b"1", b"above"}),
        (60.0, LOW, {b"1", b"above"}),
        (61.0, None, {b"1", b"above"}),
        (62.0, HIGHER, {b"1"}),
    ]:
        register.acknowledge(Attempt(b"1", since), version, "a:1", since)
        assert register.possible == possible

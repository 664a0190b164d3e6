"""No sequence of events leads a link out of its rules."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.errors import PeerLost, PeerRefused
from tests.node.net.link_driver import CONFIG, HURRIED_S, PATIENT_S, TELLING_S, Driver


class AnyEvents(RuleBasedStateMachine):
    """Whatever happens in whatever order: `check` holds, every call ends once, and how it ends tells the truth."""

    is_bulk = False

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(is_bulk=self.is_bulk)
        self.called: set[str] = set()
        self.cancelled: set[str] = set()
        self.resets: set[str] = set()

    @rule(timeout_s=st.sampled_from([HURRIED_S, TELLING_S, CONFIG.silence_s, 1.8, PATIENT_S]), attempt=st.booleans())
    def call(self, timeout_s: float, attempt: bool) -> None:
        name = f"call {len(self.called)}"
        was_down = self.driver.state.is_down
        try:
            self.driver.call(name, timeout_s, attempt)
        except PeerRefused:
            assert was_down
        else:
            assert not was_down
            self.called.add(name)

    @rule()
    def cast(self) -> None:
        assert self.driver.state.cast(self.driver.now, 0) is not self.driver.state.is_down
        self.driver.attend()

    @precondition(lambda self: self.driver.names)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.driver.names)))
        if self.driver.state.is_waiting(id_):
            self.driver.state.cancelled(id_)
            self.cancelled.add(self.driver.names[id_])

    @precondition(lambda self: self.driver.is_dialling)
    @rule()
    def connect(self) -> None:
        self.driver.connect()

    @precondition(lambda self: self.driver.is_dialling)
    @rule()
    def fail_to_dial(self) -> None:
        self.driver.fail_to_dial()

    @precondition(lambda self: self.driver.is_up)
    @rule(count=st.integers(1, 3))
    def send(self, count: int) -> None:
        self.driver.send(count)

    @precondition(lambda self: self.driver.is_up and self.driver.sent)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.driver.answer(data.draw(st.sampled_from(sorted(self.driver.sent))))

    @precondition(lambda self: self.driver.is_up)
    @rule()
    def lose(self) -> None:
        self.driver.lose()

    @rule()
    def doubted(self) -> None:
        self.driver.doubted()
        assert not self.driver.state.is_down

    @rule()
    def reset(self) -> None:
        ended = set(self.driver.fates)
        self.driver.reset()
        self.resets |= self.driver.fates.keys() - ended
        assert not self.driver.state.is_down

    @rule(seconds=st.sampled_from([0.01, HURRIED_S, 0.3, CONFIG.silence_s, 6.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.driver.wait(seconds)

    @rule(seconds=st.sampled_from([HURRIED_S, CONFIG.silence_s, 6.0]))
    def be_late(self, seconds: float) -> None:
        """The process was busy: it is woken later than it wanted to be."""
        self.driver.now += seconds
        self.driver.attend()

    @invariant()
    def holds(self) -> None:
        self.driver.state.check()
        for name, (fault, was_sent) in self.driver.fates.items():
            assert fault is not PeerRefused or not was_sent, f"{name} was refused, and may be executed"
            assert fault is not PeerLost or was_sent or name in self.resets, f"{name} was never sent, and is lost"

    def teardown(self) -> None:
        """Nothing waits for ever, though nobody answers from now on."""
        self.driver.wait(2 * PATIENT_S)
        assert self.called == self.driver.fates.keys() | self.cancelled
        assert not self.driver.fates.keys() & self.cancelled
        self.driver.close()
        assert not self.driver.try_to_call() and self.driver.state.wake_at == inf


class AnyEventsBulk(AnyEvents):
    """The same of a link for transfers, which sends no pings."""

    is_bulk = True

    @invariant()
    def sends_no_pings(self) -> None:
        assert self.driver.pings == 0


for machine in (AnyEvents, AnyEventsBulk):
    machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyEvents, TestAnyEventsBulk = AnyEvents.TestCase, AnyEventsBulk.TestCase

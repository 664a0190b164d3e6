"""A driver of a `LinkState` without sockets or tasks: its connection is a flag, its clock is moved by hand."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from node.config import Config
from node.errors import PeerFault, PeerRefused
from node.net.link_output import Output, Phase
from node.net.link_state import LinkState

CONFIG = Config(address="a:1", view=("a:1", "b:1"), data_dir=Path("/nowhere"))
PATIENT_S = 10.0
HURRIED_S = 0.1
TELLING_S = CONFIG.silent_share * CONFIG.silence_s
"""The least that a call must have been given to say something about its peer."""
MOMENT_S = 1e-6


class Fate(NamedTuple):
    """How a call ended: `fault` None means that it was answered."""

    fault: type[PeerFault] | None
    was_sent: bool


class Driver:
    """Drives a state as a link does, with a connection that is only a flag. Keeps what became of each call, and holds
    the state to what any driver builds on."""

    def __init__(self, config: Config = CONFIG, is_bulk: bool = False) -> None:
        self.state: LinkState[str] = LinkState(config, "b:1", is_bulk)
        self.now = 1000.0
        self.is_dialling = self.is_up = False
        self.queue: list[int] = []
        self.sent: set[int] = set()
        self.names: dict[int, str] = {}
        self.fates: dict[str, Fate] = {}
        self.pings = 0
        self.dials = self.aborts = 0

    def call(self, name: str, timeout_s: float = PATIENT_S, attempt: bool = False) -> None:
        id_ = self.state.call(name, self.now, timeout_s, attempt)
        self.names[id_] = name
        self.queue.append(id_)
        self.attend()

    def try_to_call(self) -> bool:
        """False: refused."""
        try:
            self.call("probe")
        except PeerRefused:
            return False
        return True

    def send(self, count: int | None = None) -> None:
        """The first in the queue, or all."""
        assert self.is_up
        frame = self.queue[:count]
        del self.queue[: len(frame)]
        if frame:
            self.state.sent(frame[-1])
            self.sent |= set(frame)

    def answer(self, id_: int) -> None:
        if (name := self.state.answered(id_)) is None:
            self.state.trips.note_answer(id_, self.now)
        else:
            self._end(name, None, id_ in self.sent)

    def answer_pings(self) -> None:
        """All that are not answered yet, at once."""
        self.send()
        for id_ in sorted(self.sent - self.names.keys()):
            self.answer(id_)

    def connect(self) -> None:
        assert self.is_dialling
        self.is_dialling, self.is_up = False, True
        self.state.connected(self.now)
        self.attend()

    def fail_to_dial(self) -> None:
        assert self.is_dialling
        self.is_dialling = False
        self.do(self.state.dial_failed(self.now, "nobody listens"))

    def lose(self) -> None:
        assert self.is_up
        self.is_up = False
        self.do(self.state.lost(self.now))

    def doubted(self) -> None:
        self.do(self.state.doubted(self.now))

    def reset(self) -> None:
        self.do(self.state.reset(self.now))

    def close(self) -> None:
        self.do(self.state.close())

    def wait(self, seconds: float) -> None:
        """Let time pass, and wake the state whenever it wants to be."""
        until = self.now + seconds
        while self.state.wake_at <= until:
            self.now = max(self.now, self.state.wake_at)
            self.attend()
        self.now = until

    def attend(self) -> None:
        if self.state.wake_at <= self.now:
            self.do(self.state.wake(self.now))
            assert self.state.wake_at > self.now, "it wants to be woken for ever"
        self.state.check()

    def do(self, output: Output[str]) -> None:
        if output.abort:
            assert self.is_dialling or self.is_up, "there is nothing to abort"
            self.is_dialling = self.is_up = False
            self.aborts += 1
        for name, fault in output.failed:
            (id_,) = (id_ for id_, name_ in self.names.items() if name_ == name)
            self._end(name, type(fault), id_ in self.sent)
        self.queue = [id_ for id_ in self.queue if self.state.is_waiting(id_)]
        if output.dial:
            assert not self.is_dialling and not self.is_up, "there is a connection"
            self.is_dialling = True
            self.dials += 1
        if output.ping:
            self.queue.append(output.ping)
            self.pings += 1
        self.attend()

    def _end(self, name: str, fault: type[PeerFault] | None, was_sent: bool) -> None:
        assert name not in self.fates, f"{name} ends twice"
        self.fates[name] = Fate(fault, was_sent)


def driver_in(phase: Phase) -> Driver:
    """One in this phase, with the call "sent" under way and "unsent" in its queue where there may be calls."""
    driver = Driver()
    if phase is Phase.IDLE:
        return driver
    if phase is Phase.CLOSED:
        driver.close()
        return driver
    if phase is Phase.UP:
        driver.call("sent")
        driver.connect()
        driver.send()
        driver.call("unsent")
        return driver
    driver.call("unsent" if phase is Phase.DIALLING else "first")
    if phase in (Phase.DOWN, Phase.REDIALLING):
        driver.fail_to_dial()
    if phase is Phase.REDIALLING:
        driver.wait(CONFIG.redial_s)
    assert driver.state.phase is phase
    driver.fates.clear()
    driver.dials = driver.aborts = 0
    return driver


def up() -> Driver:
    """Connected, near, and with nothing under way: the pings that tell how far the peer is have been answered."""
    driver = Driver()
    driver.call("first")
    driver.connect()
    driver.send()
    driver.answer(1)
    while driver.state.trips.is_in_doubt:
        driver.answer_pings()
        driver.wait(CONFIG.ping_s)
    assert driver.state.wake_at > driver.now + CONFIG.unwanted_s, "something is due"
    driver.pings = 0
    return driver

"""A history of one outbox, played against a deliberately dumb oracle: what is held here, and what the co-owner has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from node.replication.outbox import Outbox

STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([b"a", b"b", b"c", b"d"])),
    st.tuples(st.just("wait"), st.integers(0, 9)),
    st.tuples(st.just("send"), st.integers(1, 3)),
    *(st.tuples(st.just(name)) for name in ("confirm", "lose", "give up", "begin comparison", "end comparison")),
)
"""Of a history. To wait and to give up is for who waits on the outbox."""

HISTORIES = st.lists(STEPS, max_size=40)

HARD: list[list[tuple[Any, ...]]] = [
    [("write", b"a"), ("begin comparison",), ("write", b"b"), ("send", 3), ("confirm",), ("end comparison",)],
    [("write", b"a"), ("send", 1), ("write", b"a"), ("begin comparison",), ("end comparison",), ("confirm",)],
]


class Written(NamedTuple):
    position: int
    key: bytes
    version: int


class Play:
    """Versions are counted, and a later one is as good."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.written: list[Written] = []
        self._held: dict[bytes, int] = {}
        self._there: dict[bytes, int] = {}
        self._under_way: tuple[int, Mapping[bytes, int]] | None = None
        self._comparing: Mapping[bytes, int] | None = None

    def has_arrived(self, written: Written) -> bool:
        """Whether the co-owner has what was written, or something later."""
        return self._there.get(written.key, 0) >= written.version

    def step(self, name: str, *arguments: Any) -> None:
        outbox = self.outbox
        match name:
            case "write":
                (key,) = arguments
                version = self._held[key] = len(self.written) + 1
                self.written.append(Written(outbox.append(key, 0.0), key, version))
            case "send" if self._under_way is None and (head := outbox.head(arguments[0])):
                outbox.mark_sent(head[-1].position)
                self._under_way = head[-1].position, {entry.key: self._held[entry.key] for entry in head}
            case "confirm" if self._under_way is not None:
                position, versions = self._under_way
                self._arrive(versions)
                outbox.confirm(position)
                self._under_way = None
            case "lose":
                self._under_way = None
            case "begin comparison":
                self._comparing = dict(self._held)
                outbox.begin_comparison()
            case "end comparison" if self._comparing is not None and not outbox.has_overflowed:
                self._arrive(self._comparing)
                outbox.end_comparison()
                self._comparing = None

    def finish(self) -> None:
        """The co-owner is well, and gets all there is."""
        self.step("lose")
        if self.outbox.has_overflowed:
            self.step("begin comparison")
        self.step("end comparison")
        while self.outbox:
            self.step("send", 2)
            self.step("confirm")

    def _arrive(self, versions: Mapping[bytes, int]) -> None:
        for key, version in versions.items():
            self._there[key] = max(version, self._there.get(key, 0))

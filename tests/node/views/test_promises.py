"""What the promises say of the view that the next one is built on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from gossip.view import Address, Electors
from node.net.messages import Answer, Busy, Foreign, NoRoom, Promised
from node.views.promises import Promises
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D, environment

START = environment(A, B, C)
OLD = replace(successor(START, A, B), electors=(Electors(START.id, (A, B, C)),))
OWN = Electors(OLD.id, (A, B))


def test_promises_tell_who_waits_who_is_silent_and_who_is_of_another_cluster() -> None:
    promises = Promises()
    promises.add({A: Promised(), B: None})
    promises.add({C: Foreign(), D: Busy(1, A, "t"), "e:1": NoRoom()})
    assert (promises.promised, promises.silent, promises.foreign) == ({A}, {B}, {C})


@pytest.mark.parametrize(
    ("replies", "can_tell"),
    [
        pytest.param({A: Promised(), B: Promised(), C: Promised()}, False, id="nobody holds it"),
        pytest.param({A: Promised(True)}, False, id="too few"),
        pytest.param({A: Promised(True), D: Promised(True)}, False, id="one that is no elector"),
        pytest.param({A: Promised(True), B: Promised(), C: None}, False, id="the other one has held a rival"),
        pytest.param({A: Promised(True), C: Promised(True)}, True, id="a quorum"),
        pytest.param({C: Promised(True, True)}, True, id="one of them knows"),
    ],
)
def test_promises_electors_of_the_next_view(replies: Mapping[Address, Answer | None], can_tell: bool) -> None:
    promises = Promises()
    for node, answer in replies.items():
        promises.add({node: answer})
    assert promises.electors_of_next(OLD) == ((OWN,) if can_tell else (*OLD.electors, OWN))

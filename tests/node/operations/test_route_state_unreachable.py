"""Who was missing for an operation, as far as the answers tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import PeerFault, PeerLost, PeerRefused, TooManyCalls
from node.net.messages import Answer, Foreign, MayBeStored, Unable, Unheard
from node.operations.route_state import RouteState

A, B, C, D = "a:1", "b:1", "c:1", "d:1"
VIEW = ViewId(1, 1)
CONFIG = Config(address=A, view=(A, B, C), data_dir=Path("/nowhere"))
LOST, REFUSED = PeerLost("reset"), PeerRefused("no connection")


def after(*answers: Answer | PeerFault) -> RouteState:
    """A is asked again and again, and answers like that."""
    route = RouteState(CONFIG, CONFIG.request_s, True, lambda _: False)
    for answer in answers:
        route.begin(VIEW, (A,), 0.0)
        route.hear(answer, VIEW, 0.0)
    return route


@pytest.mark.parametrize(
    ("answers", "unreachable"),
    [
        ([], ()),
        ([Unable()], ()),
        ([Foreign()], ()),
        ([TooManyCalls("too many")], ()),
        ([REFUSED], (A,)),
        ([LOST], (A,)),
        ([Unheard((C, D))], (C, D)),
        ([MayBeStored()], ()),
        ([MayBeStored((C, D))], (C, D)),
        ([LOST, Unheard((C,))], (C,)),
        ([REFUSED, Unable()], ()),
        ([Unheard((C,)), REFUSED], (A, C)),
        ([Unheard((C,)), MayBeStored((D,))], (C, D)),
    ],
)
def test_unreachable_are_those_that_were_named_and_an_owner_whose_last_question_failed(
    answers: Sequence[Answer | PeerFault], unreachable: Sequence[Address]
) -> None:
    assert after(*answers).unreachable == set(unreachable)


def test_unreachable_of_several_owners_are_those_of_each() -> None:
    route = RouteState(CONFIG, CONFIG.request_s, True, lambda _: False)
    route.begin(VIEW, (A, B), 0.0)
    route.hear(LOST, VIEW, 0.0)
    route.hear(Unheard((D,)), VIEW, 0.0)
    assert route.unreachable == {A, D}


def test_hint_names_those_that_an_owner_cannot_hear() -> None:
    assert after(Unheard((C, D))).hint == "a:1 cannot hear c:1, d:1"
    assert after(MayBeStored((C,))).hint == "a:1 cannot tell whether it is done"

"""What a promise keeps out, and what of it is kept."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import ViewId
from node.net.messages import Busy
from node.views.promisee import NOBODY, Promisee

BASE = ViewId(3, 7)


@pytest.mark.parametrize(
    ("view_id", "expected"),
    [
        (ViewId(2, 9), False),
        (BASE, False),
        (ViewId(3, 8), True),
        (ViewId(4, 1), True),
        (ViewId(5, 1), False),
    ],
)
def test_promisee_keeps_out_what_lies_between_its_base_and_its_epoch(view_id: ViewId, expected: bool) -> None:
    promisee = Promisee(5, "a:1", "t", BASE)
    assert promisee.keeps_out(view_id) == expected
    assert not promisee.given_back().keeps_out(view_id) and not NOBODY.keeps_out(view_id)


def test_promisee_whose_base_nobody_knows_keeps_out_all_below() -> None:
    assert Promisee(5, "a:1", "t").keeps_out(ViewId(4, 1)) and not Promisee(5, "a:1", "t").keeps_out(ViewId(5, 1))


def test_promisee_on_disk_is_without_its_base() -> None:
    promisee = Promisee(5, "a:1", "t", BASE)
    assert msgspec.msgpack.decode(promisee.encoded(), type=Promisee) == promisee._replace(base=None)
    assert promisee.as_busy == Busy(5, "a:1", "t")

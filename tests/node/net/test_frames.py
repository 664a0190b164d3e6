"""What may travel in one frame."""

from __future__ import annotations

import pytest

from gossip.view import ViewId
from node.net.frames import (
    FRAME_BYTES_MAX,
    MESSAGES_PER_FRAME,
    Call,
    CallFrame,
    Ping,
    Reply,
    ReplyFrame,
    encode,
    take_frame,
)
from node.net.messages import (
    LARGE_BYTES,
    Adopt,
    Answer,
    Compare,
    Fetched,
    Heartbeat,
    Hello,
    Offer,
    Push,
    Read,
    ReadResult,
    Replicate,
    Request,
    Unable,
    ViewIs,
    Write,
    Wrote,
)
from node.timing.clock import Clocks

VIEW_ID = ViewId(3, 4)
VERSION = b"v" * 16
SMALL, LARGE = b"x" * LARGE_BYTES, b"x" * (LARGE_BYTES + 1)
VALUE_MAX = b"x" * 1024 * 1024


def call(id_: int, request: Request | Ping) -> Call:
    return Call(id_, VIEW_ID, 1000, request)


@pytest.mark.parametrize(
    ("request_", "is_bulky"),
    [
        (Ping(), False),
        (Read(b"k"), False),
        (Write(b"k", VERSION, None), False),
        (Write(b"k", VERSION, SMALL), False),
        (Write(b"k", VERSION, LARGE), True),
        (Heartbeat(1, False), False),
        (Compare(b"", b""), False),
        (Push((), b""), True),
        (Offer(()), True),
        (Replicate((), False), True),
        (Hello(SMALL), False),
        (Hello(LARGE), True),
        (Adopt(LARGE), True),
    ],
)
def test_request_says_whether_it_is_bulky(request_: Request | Ping, is_bulky: bool) -> None:
    assert call(1, request_).is_bulky() is is_bulky


@pytest.mark.parametrize(
    ("answer", "is_bulky"),
    [
        (Unable(), False),
        (Wrote(True), False),
        (ReadResult(None), False),
        (ReadResult(SMALL), False),
        (ReadResult(LARGE), True),
        (Fetched(None), False),
        (Fetched(SMALL), False),
        (Fetched(LARGE), True),
        (ViewIs(SMALL), False),
        (ViewIs(LARGE), True),
    ],
)
def test_answer_says_whether_it_is_bulky(answer: Answer, is_bulky: bool) -> None:
    assert Reply(1, answer).is_bulky() is is_bulky
    assert is_bulky or answer.carried_bytes() <= LARGE_BYTES, "what travels apart is the last of its frame"


def test_frame_small_messages_share_it_up_to_a_number() -> None:
    queue = [call(number, Read(b"k")) for number in range(MESSAGES_PER_FRAME + 3)]
    first, second = take_frame(queue), take_frame(queue)
    assert [call.id for call in first + second] == list(range(MESSAGES_PER_FRAME + 3))
    assert (len(first), len(second), queue) == (MESSAGES_PER_FRAME, 3, [])


def test_frame_ends_with_the_first_bulky_message() -> None:
    queue = [call(1, Read(b"k")), call(2, Write(b"k", VERSION, LARGE)), call(3, Read(b"k"))]
    assert [[call.id for call in take_frame(queue)] for _ in range(2)] == [[1, 2], [3]]


def test_frame_each_batch_of_a_transfer_has_one_of_its_own() -> None:
    batches = [call(number, Push(((b"k", VALUE_MAX),), b"")) for number in range(8)]
    assert [len(take_frame(batches)) for _ in range(8)] == [1] * 8


def test_frame_of_what_is_largest_stays_within_the_bound() -> None:
    small = [call(number, Write(b"k", VERSION, SMALL)) for number in range(MESSAGES_PER_FRAME - 1)]
    queue = [*small, call(MESSAGES_PER_FRAME, Write(b"k", VERSION, VALUE_MAX))]
    frame = CallFrame(Clocks(5, 6), take_frame(queue), ())
    assert queue == [] and len(encode(frame)) < FRAME_BYTES_MAX


def test_frame_of_refusals_by_a_large_view_stays_within_the_bound() -> None:
    """Each call under the view before is refused with the whole one in force: of hundreds of nodes, it is 33 KiB."""
    queue = [Reply(number, ViewIs(b"x" * 33 * 1024)) for number in range(MESSAGES_PER_FRAME)]
    while queue:
        assert len(encode(ReplyFrame(Clocks(5, 6), take_frame(queue)))) < FRAME_BYTES_MAX

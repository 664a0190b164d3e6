"""What a batch has under way: order, bounds, and what is repeated of a chunk."""

from __future__ import annotations

import random

import pytest

from kvs import batch_state
from kvs.batch_state import CHUNK_OPERATIONS_MAX, LANES_MAX, Chunk, Lane, Window, lanes_by
from kvs.connections import CONNECTIONS_MAX
from kvs.errors import BadRequest, OutcomeUnknown, Unreachable
from kvs.http import Malformed
from kvs.operations import AnswerLine, Delete, Get, Operation, Put, Slot, slot_of
from kvs.repeating import Effect, Failed

OK = b'{"status":201,"replaced":false,"etag":"\\"1\\""}\n'
MISSING = b'{"status":404,"doesExist":false,"error":"Key does not exist"}\n'
BUSY = b'{"key":"k","status":503,"error":"busy"}\n'
CUT = Failed("the connection broke", sent=True)


def begun(*operations: Operation) -> tuple[Window, Chunk, list[Slot]]:
    window, slots = Window(), [slot_of(each) for each in operations]
    for slot in slots:
        window.add(slot)
    chunk = Chunk(slots, window)
    chunk.request("node:1")
    return window, chunk, slots


def outcome(slot: Slot) -> object:
    """A status, the type of an error, or None if there is none yet."""
    if isinstance(slot.outcome, AnswerLine):
        return slot.outcome.status
    return None if slot.outcome is None else type(slot.outcome)


def test_window_gives_results_in_the_order_of_the_operations_whatever_came_first() -> None:
    window, chance = Window(), random.Random(1)
    slots = [Slot(b"%d" % n, b"line\n", "PUT", number=n) for n in range(100)]
    for slot in slots:
        window.add(slot)
    taken = []
    for slot in chance.sample(slots, len(slots)):
        assert not window.has_results or window.head is None or window.head.outcome is not None
        window.settle(slot, AnswerLine(status=200))
        taken += [each.number for each in window.take()]
    assert taken == list(range(100))
    assert (window.unsettled, window.head) == (0, None)


def test_window_is_full_by_number_and_by_bytes_until_results_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_state, "OPERATIONS_MAX", 3)
    monkeypatch.setattr(batch_state, "BYTES_MAX", 200)
    window = Window()
    slots = [Slot(b"%d" % n, b"x" * 10, "GET") for n in range(3)]
    for slot in slots:
        assert not window.is_full
        window.add(slot)
    assert window.is_full
    window.settle(slots[0], AnswerLine(status=404))
    window.take()
    assert not window.is_full
    value = batch_state.answer_lines(b'{"status":200,"value":"%b"}' % (b"x" * 200))[0]
    window.settle(slots[1], value)
    assert window.is_full, "a value that was read takes room too"
    window.take()
    assert not window.is_full
    window.add(Slot(b"k", b"x" * 200, "PUT"))
    assert window.is_full


def test_lane_gives_chunks_bounded_by_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane()
    lane.waiting.extend(Slot(b"%d" % n, b"x" * 10, "PUT") for n in range(CHUNK_OPERATIONS_MAX + 1))
    assert lane.is_ready
    assert [len(lane.next_chunk()), len(lane.next_chunk())] == [CHUNK_OPERATIONS_MAX, 1]
    monkeypatch.setattr(batch_state, "CHUNK_BYTES_MAX", 25)
    lane.waiting.extend(Slot(b"%d" % n, b"x" * size, "PUT") for n, size in enumerate([10, 10, 10, 50, 10]))
    assert [len(lane.next_chunk()) for _ in range(4)] == [2, 1, 1, 1]


def test_lane_has_no_key_twice_in_a_chunk() -> None:
    """Or a repeated first write of it could undo the second."""
    lane = Lane()
    lane.waiting.extend(Slot(key, b"x", "PUT", number=n) for n, key in enumerate([b"a", b"b", b"a", b"c", b"a"]))
    chunks = [[slot.number for slot in lane.next_chunk()] for _ in range(3)]
    assert chunks == [[0, 1], [2, 3], [4]]


def test_lanes_are_shared_by_partitions_of_the_same_owners() -> None:
    lanes = lanes_by([("a",), ("a",), ("b",), ("a",), ("a",)])
    assert lanes[1] is lanes[3] and lanes[0] is lanes[4]
    assert len({id(lane) for lane in lanes}) == 3


@pytest.mark.parametrize(("shards", "count"), [(1, 2), (3, 6), (32, 64), (33, 33), (200, 64)])
def test_lanes_are_never_more_than_their_bound(shards: int, count: int) -> None:
    lanes = lanes_by([(str(partition // 5 % shards),) for partition in range(4096)])
    assert len({id(lane) for lane in lanes}) == count
    assert LANES_MAX <= CONNECTIONS_MAX / 2


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunk_takes_an_answer_cut_anywhere(size: int) -> None:
    window, chunk, slots = begun(Put("a", 1), Get("b"), Put("c", 1))
    answer = OK + MISSING + OK
    for begin in range(0, len(answer), size):
        assert chunk.came(answer[begin : begin + size]) is None
    chunk.ended()
    assert [outcome(slot) for slot in slots] == [201, 404, 201]
    assert (chunk.left, window.unsettled) == ([], 0)


def test_chunk_tells_of_a_key_that_another_node_serves() -> None:
    _, chunk, _ = begun(Put("a", 1), Put("b", 1))
    assert chunk.came(OK + OK.replace(b"}", b',"address":"b:1"}')) == b"b"


def test_chunk_repeats_what_no_node_could_do_and_nothing_else() -> None:
    _, chunk, slots = begun(Put("a", 1), Put("b", 1), Delete("c"), Get("d"), Put("e", 1, must_not_exist=True))
    chunk.came(OK + BUSY * 4)
    with pytest.raises(Failed, match="busy"):
        chunk.ended()
    assert chunk.left == slots[1:4]
    assert [outcome(slot) for slot in slots] == [201, None, None, None, OutcomeUnknown]
    assert chunk.request("node:2") == slots[1].line + slots[2].line + slots[3].line
    chunk.came(OK + MISSING + MISSING)
    chunk.ended()
    assert chunk.left == []


def test_chunk_that_broke_repeats_the_rest_but_for_writes_on_a_condition() -> None:
    operations = Put("a", 1), Put("b", 1), Put("c", 1, if_version='"1"'), Delete("d", '"1"'), Delete("e")
    window, chunk, slots = begun(*operations)
    chunk.came(BUSY + OK + b'{"status":2')
    chunk.broke(CUT)
    assert chunk.left == [slots[0], slots[4]]
    assert [outcome(slot) for slot in slots[1:4]] == [201, OutcomeUnknown, OutcomeUnknown]
    assert isinstance(slots[2].outcome, OutcomeUnknown)
    assert slots[2].outcome.reasons == {"node:1": "the connection broke"}
    assert window.unsettled == 2
    chunk.request("node:2")
    chunk.came(OK + MISSING)
    chunk.ended()
    assert [outcome(slots[0]), outcome(slots[4])] == [201, 404]


@pytest.mark.parametrize("status", [408, 503])
def test_chunk_that_the_node_ends_repeats_all_that_it_has_not_answered(status: int) -> None:
    """Conditions too: what a node that stops has begun, it answers."""
    _, chunk, slots = begun(Put("a", 1), Put("b", 1), Put("c", 1, must_not_exist=True))
    with pytest.raises(Failed, match="This node is stopping") as failed:
        chunk.came(OK + b'{"status":%d,"error":"This node is stopping"}\n' % status)
    chunk.broke(failed.value)
    assert chunk.left == slots[1:]


def test_chunk_that_was_not_sent_repeats_all_of_it() -> None:
    _, chunk, slots = begun(Put("a", 1, must_not_exist=True), Get("b"))
    chunk.broke(Failed("connection refused", sent=False))
    assert chunk.left == slots


def test_chunk_whose_answer_ends_early_is_a_failure() -> None:
    _, chunk, slots = begun(Put("a", 1), Put("b", 1), Put("c", 1, must_not_exist=True))
    chunk.came(OK)
    with pytest.raises(Failed, match="cut short"):
        chunk.ended()
    assert chunk.left == [slots[1]]
    assert outcome(slots[2]) is OutcomeUnknown


def test_chunk_that_is_given_up_tells_of_each_what_is_known() -> None:
    _, chunk, slots = begun(Put("a", 1), Get("b"), Delete("c"))
    chunk.give_up(OutcomeUnknown({"node:1": "it broke"}))
    assert [outcome(slot) for slot in slots] == [OutcomeUnknown, Unreachable, OutcomeUnknown]
    for fault in (Unreachable({}), BadRequest("no", 401)):
        _, chunk, slots = begun(Put("a", 1), Get("b"))
        chunk.give_up(fault)
        assert [outcome(slot) for slot in slots] == [type(fault)] * 2


@pytest.mark.parametrize("data", [b"nonsense\n", b'{"status":201}\n', b"[]\n", OK + OK])
def test_chunk_takes_no_answer_for_one_that_is_none(data: bytes) -> None:
    _, chunk, slots = begun(Put("a", 1))
    with pytest.raises(Malformed):
        chunk.came(data)
    assert slots[0].outcome is None


def test_chunk_of_reads_alone_goes_round_owners() -> None:
    assert begun(Get("a"), Get("b"))[1].effect is Effect.NONE
    assert begun(Get("a"), Put("b", 1))[1].effect is Effect.SAME


def test_chunk_pauses_unless_all_wait_for_it() -> None:
    window, first, _ = begun(Get("a"), Get("b"))
    later = [slot_of(Get("c")), slot_of(Get("d"))]
    for slot in later:
        window.add(slot)
    second = Chunk(later, window)
    second.request("node:1")
    assert [first.may_pause, second.may_pause] == [False, True]
    first.came(MISSING)
    window.take()
    assert [first.may_pause, second.may_pause] == [False, True]
    first.came(MISSING)
    window.take()
    assert not second.may_pause
    assert not first.may_pause, "nothing of its answer is left, and its lane has to go on"


def test_chunk_does_not_pause_over_what_it_has_to_ask_again() -> None:
    window, chunk, _ = begun(Get("a"), Get("b"), Get("c"))
    chunk.came(BUSY + MISSING)
    window.take()
    assert not chunk.may_pause


def test_chunk_with_a_condition_does_not_pause() -> None:
    window, _, _ = begun(Get("a"))
    slots = [slot_of(Get("b")), slot_of(Put("c", 1, must_not_exist=True))]
    for slot in slots:
        window.add(slot)
    assert not Chunk(slots, window).may_pause

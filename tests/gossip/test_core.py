from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import TypeVar

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossip.core import Gossip, Output
from gossip.membership import State
from gossip.messages import (
    MESSAGE_BYTES_MAX,
    MESSAGE_BYTES_MIN,
    Delta,
    Digest,
    Held,
    Message,
    PingAck,
    PingReq,
    Record,
    Rumour,
    encode,
)
from gossip.settings import Settings
from gossip.view import Address, Stamp, parse_address
from tests.gossip.network import SETTINGS, Network, addresses

STAMP = Stamp(3, 30)
NODES = frozenset(["a:1", "b:1", "c:1", "d:1"])
STEP_S = SETTINGS.interval_s

M = TypeVar("M", bound=Message)


def record(address: Address, incarnation: int = 1, version: int = 0, store_id: int = 7) -> Record:
    return Record(address, incarnation, version, store_id, settled_epoch=3, key_count=5)


def ping(address: Address, *rumours: Rumour, view: Stamp = STAMP) -> Digest:
    return Digest(view, record(address), rumours, ())


def gossip(settings: Settings = SETTINGS, nodes: frozenset[Address] = NODES, known: str = "bcd") -> Gossip:
    """Node a:1, which has already heard of the `known` ones."""
    node = Gossip("a:1", store_id=7, incarnation=4, settings=settings, now=0.0)
    node.set_view(STAMP, nodes)
    for name in known:
        node.receive(f"{name}:1", Delta(STAMP, record(f"{name}:1"), (), (), ()), 0.0)
    return node


def sent(output: Output, to: Address, kind: type[M]) -> M:
    found = [message for address, message in output.sends if address == to and isinstance(message, kind)]
    assert len(found) == 1, output
    return found[0]


def states(node: Gossip) -> dict[Address, State]:
    return {address: member.state for address, member in node.members.items()}


# One node


@pytest.mark.parametrize(
    ("ours", "theirs", "fetches"),
    [
        (Stamp(0, 5), Stamp(1, 1), True),
        (Stamp(1, 1), Stamp(1, 2), True),
        (Stamp(1, 9), Stamp(2, 1), True),
        (Stamp(1, 1), Stamp(1, 1), False),
        (Stamp(1, 2), Stamp(1, 1), False),
        (Stamp(2, 1), Stamp(1, 9), False),
        (Stamp(0, 1), Stamp(0, 2), False),
        (Stamp(1, 1), Stamp(0, 2), False),
    ],
)
@pytest.mark.parametrize("kind", ["digest", "delta", "ping-req", "ping-ack"])
def test_view_is_fetched_from_whoever_has_a_newer_one(ours: Stamp, theirs: Stamp, fetches: bool, kind: str) -> None:
    node = gossip()
    node.set_view(ours, NODES)
    kinds: dict[str, Message] = {
        "digest": Digest(theirs, record("b:1"), (), ()),
        "delta": Delta(theirs, record("b:1"), (), (), ()),
        "ping-req": PingReq(theirs, record("b:1"), (), "c:1"),
        "ping-ack": PingAck(theirs, record("b:1"), (), "c:1"),
    }
    assert node.receive("b:1", kinds[kind], 0.0).fetch_view_from == ("b:1" if fetches else None)


def test_every_message_bears_the_stamp_of_the_view_now_held() -> None:
    node = gossip()
    node.set_view(Stamp(9, 9), NODES)
    sends = node.start_round(STEP_S, Random(1)).sends + node.receive("b:1", ping("b:1"), STEP_S).sends
    assert sends and all(message.view == (9, 9) for _, message in sends)


def test_digest_is_answered_with_what_is_newer_and_what_is_lacked() -> None:
    node = gossip(known="bc")
    held = (Held("c:1", 0, 0), Held("d:1", 2, 0), Held("x:1", 1, 1), Held("b:1", 1, 0), Held("y:1", 0, 0))
    output = node.receive("b:1", Digest(STAMP, record("b:1"), (), held), 0.0)
    delta = sent(output, "b:1", Delta)
    assert delta.records == (record("c:1"),)
    assert delta.wants == ("d:1", "x:1")
    assert delta.record == node.record


def test_delta_brings_records_and_is_answered_only_with_what_it_wants() -> None:
    node = gossip(known="bc")
    news = record("d:1", incarnation=2)
    delta = Delta(STAMP, record("b:1"), (), (news,), ("c:1", "x:1"))
    answer = sent(node.receive("b:1", delta, 0.0), "b:1", Delta)
    assert node.members["d:1"] == (State.ALIVE, news)
    assert (answer.records, answer.wants) == ((record("c:1"),), ())
    assert node.receive("b:1", Delta(STAMP, record("b:1"), (), (), ()), 0.0).sends == ()


def test_update_is_in_the_next_message() -> None:
    node = gossip()
    node.update(settled_epoch=3, key_count=42)
    told = sent(node.receive("b:1", ping("b:1"), 0.0), "b:1", Delta).record
    assert (told.version, told.settled_epoch, told.key_count) == (1, 3, 42)
    node.update(settled_epoch=3, key_count=42)
    assert node.record.version == 1


def test_message_in_anothers_name_is_ignored() -> None:
    node = gossip()
    before = dict(node.members)
    message = ping("b:1", Rumour("d:1", 9, dead=True), view=Stamp(9, 9))
    assert node.receive("c:1", message, 0.0) == Output()
    assert dict(node.members) == before


def test_own_address_in_use_elsewhere_is_outbid_but_not_answered() -> None:
    node = gossip()
    output = node.receive("a:1", Digest(Stamp(9, 9), record("a:1", incarnation=6), (), ()), 0.0)
    assert output == Output(incarnation=7)


def test_message_from_an_unknown_node_makes_it_known() -> None:
    node = gossip()
    node.receive("x:1", ping("x:1"), 0.0)
    assert node.members["x:1"].state is State.ALIVE
    targets = {to for i in range(1, 9) for to, _ in node.start_round(i * STEP_S, Random(i)).sends}
    assert "x:1" in targets


def test_emptied_node_is_told_of_the_rival_that_it_was() -> None:
    node = gossip()
    node.receive("b:1", Digest(STAMP, record("b:1", incarnation=8), (), ()), 0.0)
    emptied = Digest(STAMP, record("b:1", incarnation=1, store_id=99), (), ())
    answer = sent(node.receive("b:1", emptied, 0.0), "b:1", Delta)
    assert answer.records == (record("b:1", incarnation=8),)
    reborn = Gossip("b:1", store_id=99, incarnation=1, settings=SETTINGS, now=0.0)
    assert reborn.receive("a:1", answer, 0.0).incarnation == 9
    node.receive("b:1", Digest(STAMP, reborn.record, (), ()), 0.0)
    assert node.members["b:1"].record == reborn.record


@pytest.mark.parametrize("dead", [False, True])
def test_rumour_against_oneself_is_denied_in_the_answer(dead: bool) -> None:
    node = gossip()
    output = node.receive("b:1", ping("b:1", Rumour("a:1", 4, dead)), 0.0)
    assert output.incarnation == 5
    assert sent(output, "b:1", Delta).record.incarnation == 5
    assert node.receive("b:1", ping("b:1", Rumour("a:1", 4, dead)), 0.0).incarnation is None


def test_rumour_is_told_first_to_the_one_it_is_about() -> None:
    node = gossip()
    rumours = [Rumour(address, 1, dead=True) for address in ("c:1", "d:1", "b:1")]
    answer = sent(node.receive("b:1", ping("b:1", *rumours), 0.0), "b:1", Delta)
    assert answer.rumours[0] == Rumour("b:1", 1, dead=True)
    assert node.members["b:1"].state is State.ALIVE, "it has just spoken"


def test_heard_elsewhere_overrules_and_has_the_node_told_next_round() -> None:
    node = gossip()
    node.receive("b:1", ping("b:1", Rumour("d:1", 1, dead=True)), 0.0)
    assert states(node)["d:1"] is State.DEAD
    node.heard("d:1")
    node.heard("nobody:1")
    assert states(node)["d:1"] is State.ALIVE
    sends = node.start_round(STEP_S, Random(1)).sends
    assert any(to == "d:1" and Rumour("d:1", 1, dead=True) in message.rumours for to, message in sends)


def test_rumour_is_told_a_bounded_number_of_times() -> None:
    node = gossip()
    rumour = Rumour("d:1", 1, dead=True)
    node.receive("b:1", ping("b:1", rumour), 0.0)
    answers = [sent(node.receive("c:1", ping("c:1"), 0.0), "c:1", Delta) for _ in range(50)]
    told = 1 + sum(rumour in answer.rumours for answer in answers)
    assert told == SETTINGS.tellings_max(len(node.members))


def silent_rounds(node: Gossip, start_s: float, count: int) -> list[Output]:
    return [node.start_round(start_s + i * STEP_S, Random(i)) for i in range(1, count + 1)]


def test_probe_direct_then_with_helpers_then_suspect_then_dead() -> None:
    node = gossip(nodes=frozenset(["a:1", "b:1", "c:1", "d:1", "e:1"]), known="bcde")
    asked_for_b: set[Address] = set()
    seen: list[State] = []
    for i in range(1, 30):
        now = i * STEP_S
        output = node.start_round(now, Random(i))
        asked_for_b |= {to for to, message in output.sends if isinstance(message, PingReq)}
        for peer in ("c:1", "d:1", "e:1"):
            node.receive(peer, Delta(STAMP, record(peer), (), (), ()), now)
        state = node.members["b:1"].state
        if not seen or seen[-1] is not state:
            seen.append(state)
    assert asked_for_b == {"c:1", "d:1", "e:1"}
    assert seen == [State.ALIVE, State.SUSPECT, State.DEAD]
    assert [a for a, state in states(node).items() if state is not State.ALIVE] == ["b:1"]


def test_ping_req_is_run_and_its_success_reported_once() -> None:
    node = gossip()
    output = node.receive("b:1", PingReq(STAMP, record("b:1"), (), "c:1"), 0.0)
    assert sent(output, "c:1", Digest).held == ()
    answer = node.receive("c:1", Delta(STAMP, record("c:1"), (), (), ()), 0.1)
    assert sent(answer, "b:1", PingAck).target == "c:1"
    assert node.receive("c:1", Delta(STAMP, record("c:1"), (), (), ()), 0.1).sends == ()


def test_ping_req_answered_too_late_is_not_reported() -> None:
    node = gossip()
    node.receive("b:1", PingReq(STAMP, record("b:1"), (), "c:1"), 0.0)
    assert node.receive("c:1", Delta(STAMP, record("c:1"), (), (), ()), 99.0).sends == ()


@pytest.mark.parametrize("target", ["a:1", "nobody:1"])
def test_ping_req_for_oneself_or_an_unknown_node_is_ignored(target: Address) -> None:
    assert gossip().receive("b:1", PingReq(STAMP, record("b:1"), (), target), 0.0).sends == ()


def test_ping_req_errands_are_bounded() -> None:
    node = gossip(replace(SETTINGS, errands_max=2))
    requesters = [f"{name}:1" for name in "bdef"]
    outputs = [node.receive(r, PingReq(STAMP, record(r), (), "c:1"), 0.0) for r in requesters]
    assert [len(output.sends) for output in outputs] == [1, 1, 0, 0]
    node.check()


def test_ping_ack_that_nobody_waits_for_is_stale() -> None:
    node = gossip()
    node.receive("b:1", ping("b:1", Rumour("c:1", 1, dead=True)), 0.0)
    node.receive("b:1", PingAck(STAMP, record("b:1"), (), "c:1"), 0.0)
    node.receive("b:1", PingAck(STAMP, record("b:1"), (), "nobody:1"), 0.0)
    assert node.members["c:1"].state is State.DEAD


def rounds_until_suspicion(settings: Settings, standstill_after: int, standstill_s: float) -> int:
    """Two nodes, the other silent: rounds until it is suspected, of which one comes late."""
    node = gossip(settings, nodes=frozenset(["a:1", "b:1"]), known="b")
    now = 0.0
    for i in range(1, 100):
        now += STEP_S + (standstill_s if i == standstill_after else 0.0)
        node.start_round(now, Random(i))
        if node.members["b:1"].state is State.SUSPECT:
            return i
    raise AssertionError("never suspected")


def test_standstill_of_ones_own_makes_nobody_a_suspect() -> None:
    undisturbed = rounds_until_suspicion(SETTINGS, 0, 0.0)
    assert rounds_until_suspicion(SETTINGS, undisturbed - 1, 1.0) >= 2 * (undisturbed - 1)


def test_standstill_of_ones_own_would_without_that_rule() -> None:
    careless = replace(SETTINGS, late_rounds=1e9)
    undisturbed = rounds_until_suspicion(careless, 0, 0.0)
    assert rounds_until_suspicion(careless, undisturbed - 1, 1.0) == undisturbed - 1


@pytest.mark.parametrize(("late_rounds", "state"), [(2.0, State.SUSPECT), (1e9, State.DEAD)])
def test_standstill_of_ones_own_does_not_ripen_a_suspicion(late_rounds: float, state: State) -> None:
    node = gossip(replace(SETTINGS, late_rounds=late_rounds))
    node.start_round(STEP_S, Random(1))
    node.receive("c:1", ping("c:1", Rumour("b:1", 1, dead=False)), STEP_S)
    node.start_round(STEP_S + 5.0, Random(2))
    assert node.members["b:1"].state is state


names = st.sampled_from(["a:1", "b:1", "c:1", "x:1", "y:1", "z:1"])
counts = st.integers(0, 5)
some_records = st.builds(Record, names, counts, counts, counts, counts, counts)
openings = (st.builds(Stamp, counts, counts), some_records)
some_rumours = st.lists(st.builds(Rumour, names, counts, st.booleans()), max_size=3).map(tuple)
some_held = st.lists(st.builds(Held, names, counts, counts), max_size=4).map(tuple)
several = st.lists(some_records, max_size=4).map(tuple)
messages = st.one_of(
    st.builds(Digest, *openings, some_rumours, some_held),
    st.builds(Delta, *openings, some_rumours, several, st.lists(names, max_size=3).map(tuple)),
    st.builds(PingReq, *openings, some_rumours, names),
    st.builds(PingAck, *openings, some_rumours, names),
)


@given(st.lists(messages | st.floats(0.0, 100.0), max_size=25))
def test_any_messages_and_rounds_keep_the_invariants(events: list[Message | float]) -> None:
    node = gossip(replace(SETTINGS, strangers_max=2))
    now, rng = 0.0, Random(1)
    for event in events:
        if isinstance(event, float):
            now += event
            output = node.start_round(now, rng)
        else:
            output = node.receive(event.record.address, event, now)
        node.check()
        assert all(to != "a:1" and encode(message) for to, message in output.sends)
        assert node.members["a:1"].state is State.ALIVE
        assert output.incarnation in (None, node.record.incarnation)


@given(messages)
@example(
    Delta(
        Stamp(0, 0),
        Record("b:1", 1, 0, 2, 0, 0),
        rumours=(Rumour("x:1", 1, dead=False),),
        records=(Record("x:1", 1, 0, 3, 0, 0),),
        wants=(),
    )
)
def test_any_message_again_changes_nothing(message: Message) -> None:
    node = gossip()
    sender = message.record.address
    node.receive(sender, message, 0.0)
    before = msgspec.msgpack.encode(dict(node.members))
    assert node.receive(sender, message, 0.0).incarnation is None
    assert msgspec.msgpack.encode(dict(node.members)) == before


# The bound


def test_messages_are_bounded_at_ten_thousand_members_and_what_changed_comes_first() -> None:
    everybody = addresses(10_000)
    node = gossip(nodes=frozenset([*everybody, "a:1"]), known="")
    sizes: list[int] = []

    def largest(output: Output) -> None:
        sizes.append(max((len(encode(message)) for _, message in output.sends), default=0))

    largest(node.start_round(STEP_S, Random(1)))
    # All of it changes at once, which no real message could bring.
    rumours = tuple(Rumour(address, 1, dead=True) for address in everybody[5000:])
    teacher = record("b:1")
    node.receive("b:1", Delta(STAMP, teacher, rumours, tuple(map(record, everybody)), ()), STEP_S)
    latest = record(everybody[17], incarnation=2)
    node.receive("b:1", Delta(STAMP, teacher, (), (latest,), ()), STEP_S)
    output = node.start_round(2 * STEP_S, Random(2))
    largest(output)
    digest = next(message for _, message in output.sends if isinstance(message, Digest))
    assert digest.held[0] == Held(everybody[17], 2, 0)
    assert len(digest.held) > 300 and len(digest.rumours) > 100

    ignorant = tuple(Held(address, 0, 0) for address in everybody)
    largest(node.receive("b:1", Digest(STAMP, teacher, (), ignorant), 1.0))
    ahead = tuple(Held(address, 9, 9) for address in everybody)
    largest(node.receive("b:1", Digest(STAMP, teacher, (), ahead), 1.0))
    largest(node.receive("b:1", Delta(STAMP, teacher, (), (), tuple(everybody)), 1.0))
    node.check()
    assert max(sizes) <= MESSAGE_BYTES_MAX
    assert min(sizes) > MESSAGE_BYTES_MAX // 4, "the room is used"


def test_digest_goes_quiet_when_nothing_has_changed_for_long() -> None:
    everybody = addresses(1000)
    node = gossip(nodes=frozenset([*everybody, "a:1"]), known="")
    node.receive("b:1", Delta(STAMP, record("b:1"), (), tuple(map(record, everybody)), ()), 0.0)
    output = node.start_round(1000.0, Random(1))
    digest = next(message for _, message in output.sends if isinstance(message, Digest))
    assert len(digest.held) == SETTINGS.digest_sample


def test_smallest_bound_has_room_for_the_longest_addresses() -> None:
    long = [".".join(["x" * 61] * 4 + [f"{i:05}"]) + ":65535" for i in range(4)]
    assert all(len(parse_address(address)) == 259 for address in long)
    top = 2**62
    node = Gossip(long[0], 2**64 - 1, top, replace(SETTINGS, message_bytes_max=MESSAGE_BYTES_MIN), 0.0)
    node.set_view(Stamp(2**63 - 1, 2**64 - 1), frozenset(long))
    huge = [Record(address, top, 2**64 - 1, 2**64 - 1, 2**63, 2**63) for address in long]
    rumours = tuple(Rumour(address, top, dead=True) for address in long[1:])
    node.receive(long[1], Delta(Stamp(1, 1), huge[1], rumours, tuple(huge), ()), 0.0)
    held = (Held(long[2], 0, 0), Held("new:1", 1, 1), Held(long[3], top, 0))
    output = node.receive(long[1], Digest(Stamp(1, 1), huge[1], (), held), 0.0)
    delta = sent(output, long[1], Delta)
    assert delta.records and delta.wants and delta.rumours
    assert len(encode(delta)) <= MESSAGE_BYTES_MIN
    for _, message in node.start_round(STEP_S, Random(1)).sends:
        assert len(encode(message)) <= MESSAGE_BYTES_MIN


# Many nodes


@pytest.mark.parametrize(("count", "seed"), [(2, 1), (4, 2), (10, 3), (30, 4), (100, 5)])
def test_new_view_reaches_all_in_log_n_rounds(count: int, seed: int) -> None:
    net = Network(count, seed, loss=0.1)
    everybody = addresses(count)
    net.adopt(Stamp(2, 5), everybody, everybody[:1])
    net.until(lambda: all(stamp == (2, 5) for stamp in net.stamps.values()), within=3 * math.log2(count) + 1)


@pytest.mark.parametrize(("count", "seed"), [(4, 2), (10, 3), (30, 4), (100, 5)])
def test_death_is_known_to_all_in_log_n_rounds_and_nobody_else_dies(count: int, seed: int) -> None:
    net = Network(count, seed, loss=0.1, by_wire=count < 100)
    net.introduce()
    net.run(5)
    victim = addresses(count)[-1]
    net.down.add(victim)
    net.until(lambda: net.all_see(victim, State.DEAD), within=max(15, 6 * math.log2(count)))
    others = [address for address in addresses(count) if address != victim]
    assert all(net.all_see(address, State.ALIVE) for address in others)


@pytest.mark.parametrize("seed", range(3))
def test_loss_of_messages_kills_nobody(seed: int) -> None:
    net = Network(10, seed, loss=0.1)
    net.introduce()
    for _ in range(150):
        net.round()
        assert State.DEAD not in {state for node in net.up() for state in states(node).values()}


def test_change_of_a_record_reaches_all_in_log_n_rounds() -> None:
    net = Network(60, seed=1, loss=0.1)
    net.introduce()
    net.run(30)
    changed = net.nodes[addresses(60)[7]]
    changed.update(settled_epoch=1, key_count=123)
    net.until(
        lambda: all(n.members[changed.record.address].record == changed.record for n in net.up()),
        within=3 * math.log2(60),
    )


def test_cluster_started_cold_gets_to_know_itself() -> None:
    net = Network(100, seed=1, loss=0.1)
    net.until(
        lambda: all(set(states(node).values()) == {State.ALIVE} for node in net.up()),
        within=3 * math.log2(100),
    )
    assert net.largest <= MESSAGE_BYTES_MAX


def test_suspicion_of_a_node_that_lives_is_denied_for_all() -> None:
    net = Network(30, seed=3, loss=0.1)
    net.introduce()
    accuser, accused = addresses(30)[:2]
    net.nodes[accuser].receive(
        accuser,
        Delta(Stamp(1, 1), net.nodes[accuser].record, (Rumour(accused, 1, dead=False),), (), ()),
        net.now,
    )
    assert net.nodes[accuser].members[accused].state is State.SUSPECT
    net.until(
        lambda: (
            all(n.members[accused].record == net.nodes[accused].record for n in net.up())
            and net.nodes[accused].record.incarnation == 2
        ),
        within=4 * math.log2(30),
    )
    assert net.all_see(accused, State.ALIVE)


@pytest.mark.parametrize(
    ("incarnation", "store_id", "ends_at"),
    [(2, 7, 2), (1, 99, 2), (1, 7, 1)],
    ids=["restart", "emptied", "cut"],
)
def test_dead_node_that_returns_is_alive_for_all(incarnation: int, store_id: int, ends_at: int) -> None:
    net = Network(10, seed=1)
    net.introduce()
    back = addresses(10)[3]
    net.down.add(back)
    net.until(lambda: net.all_see(back, State.DEAD), within=20)
    net.start(back, incarnation, store_id).set_view(Stamp(1, 1), net.views[Stamp(1, 1)])
    net.until(lambda: net.all_see(back, State.ALIVE), within=8)
    net.run(8)
    record = net.nodes[back].record
    assert record.store_id == store_id and record.incarnation >= ends_at
    assert all(node.members[back].record == record for node in net.up())


def test_node_that_only_one_cannot_reach_is_not_suspected() -> None:
    net = Network(6, seed=1)
    net.introduce()
    one, other = addresses(6)[:2]
    net.deaf |= {(one, other), (other, one)}
    for _ in range(100):
        net.round()
        assert net.all_see(other, State.ALIVE)


def test_node_that_only_one_cannot_reach_would_be_without_helpers() -> None:
    net = Network(6, seed=1, settings=replace(SETTINGS, probe_helpers=0))
    net.introduce()
    one, other = addresses(6)[:2]
    net.deaf |= {(one, other), (other, one)}
    net.until(lambda: net.nodes[one].members[other].state is State.SUSPECT, within=100)


def test_cut_and_healed_halves_find_each_other_again() -> None:
    net = Network(8, seed=1)
    net.introduce()
    left, right = addresses(8)[:4], addresses(8)[4:]
    net.deaf |= {(a, b) for a in left for b in right} | {(b, a) for a in left for b in right}
    net.until(
        lambda: (
            all(net.nodes[a].members[b].state is State.DEAD for a in left for b in right)
            and all(net.nodes[b].members[a].state is State.DEAD for a in left for b in right)
        ),
        within=60,
    )
    net.adopt(Stamp(2, 1), left + right, left)
    net.deaf.clear()
    net.until(
        lambda: (
            all(stamp == (2, 1) for stamp in net.stamps.values())
            and all(net.all_see(address, State.ALIVE) for address in net.nodes)
        ),
        within=12,
    )


@pytest.mark.parametrize("round_first", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_node_paused_for_a_second_suspects_nobody_and_is_not_suspected(seed: int, round_first: bool) -> None:
    net = Network(5, seed)
    net.introduce()
    net.run(6)
    slow = addresses(5)[2]
    net.pause(slow)
    net.run(4)
    net.resume(slow, round_first=round_first)
    for _ in range(12):
        assert all(set(states(node).values()) == {State.ALIVE} for node in net.up())
        net.round()


@pytest.mark.parametrize("knows_others", [True, False])
def test_removed_node_learns_the_new_view_when_it_returns(knows_others: bool) -> None:
    net = Network(5, seed=1, loss=0.1)
    net.introduce()
    removed, *rest = addresses(5)
    net.down.add(removed)
    net.until(lambda: net.all_see(removed, State.DEAD), within=20)
    net.adopt(Stamp(2, 1), rest, rest)
    net.run(400)
    assert net.all_see(removed, State.DEAD), "unsettled, so it is not forgotten"
    net.start(removed, incarnation=2).set_view(Stamp(1, 1), rest if knows_others else ())
    net.until(lambda: net.stamps[removed] == (2, 1), within=8)
    net.until(lambda: net.all_see(removed, State.ALIVE), within=8)


def test_removed_node_that_settled_and_died_is_forgotten_by_all_for_good() -> None:
    net = Network(5, seed=1, settings=replace(SETTINGS, forget_settled_s=5.0))
    net.introduce()
    removed, *rest = addresses(5)
    net.adopt(Stamp(2, 1), rest, net.nodes)
    net.nodes[removed].update(settled_epoch=2, key_count=0)
    net.run(10)
    assert net.all_see(removed, State.ALIVE), "as long as it lives"
    net.down.add(removed)
    net.until(lambda: all(removed not in node.members for node in net.up()), within=60)
    for _ in range(60):
        net.round()
        assert all(removed not in node.members for node in net.up())


def test_stale_messages_of_a_whole_run_change_nothing() -> None:
    net = Network(6, seed=1, loss=0.1)
    net.introduce()
    everything: list[tuple[Address, Address, Message]] = []
    net.tap = everything
    net.run(20)
    net.tap = None
    net.nodes[addresses(6)[0]].update(settled_epoch=1, key_count=9)
    net.run(6)
    before = {address: dict(node.members) for address, node in net.nodes.items()}
    for sender, to, message in everything:
        output = net.nodes[to].receive(sender, message, net.now)
        assert (output.incarnation, output.fetch_view_from) == (None, None)
    assert {address: dict(node.members) for address, node in net.nodes.items()} == before


def test_same_seed_same_run() -> None:
    def trace(seed: int) -> list[tuple[Address, Address, Message]]:
        net = Network(8, seed, loss=0.2)
        net.tap = []
        net.run(30)
        return net.tap

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)

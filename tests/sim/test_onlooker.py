"""The onlooker must notice what the store must not do, and excuse no more than it has to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from node.errors import Unavailable
from node.net.messages import ReadResult
from node.operations import sightings
from node.storage.keys import Setting, setting_place
from node.values.record import Record
from node.values.version import make_version
from ring.hashing import partition_of
from tests.node.samples import successor
from tests.sim.ablations.switch import Ablation, Edit, switched_off
from tests.sim.changing import change
from tests.sim.cluster import Cluster, NoAnswer
from tests.sim.losses import has_caught_up, is_spared
from tests.sim.onlooker import RECOVERY_S, Onlooker
from tests.sim.peace import read
from tests.sim.registers import Attempt, Register, Violation
from tests.sim.steps import Snare, Step

KEY = b"k"
A, B, C = "n1:1", "n2:1", "n3:1"
OLD, NEW, LATER = (make_version(clock, 1) for clock in (1, 2, 3))


class Scene:
    """Three nodes, two copies of the one shard on A and B or three, at peace."""

    def __init__(self, copies: int = 3) -> None:
        self.cluster = Cluster(seed=1, size=3, members=copies, repl_factor=copies)
        self.register = Register()
        self.seen: Counter[str] = Counter()
        self.onlooker = Onlooker(self.cluster, {KEY: self.register}, self.seen)

    def play(self, act: Callable[[], None]) -> None:
        async def live() -> None:
            for machine in self.cluster.machines.values():
                machine.start()
            await asyncio.sleep(RECOVERY_S + 5.0)
            act()

        work: Coroutine[Any, Any, None] = live()
        self.cluster.loop.run(work)

    def lay(self, address: str, version: bytes, value: bytes | None) -> None:
        """On the disk of `address`, unknown to its node."""
        place = partition_of(KEY).to_bytes(2) + KEY
        self.cluster.machines[address].disk.items[place] = Record(version, value, False).encode()

    def write(self, value: bytes | None, version: bytes, *addresses: str) -> None:
        """Acknowledged, and on these disks."""
        for address in addresses:
            self.lay(address, version, value)
        self.register.history.append(value)
        now = self.cluster.loop.now
        self.register.acknowledge(Attempt(value, now), version, addresses[0] if addresses else A, now)

    def read(self, owner: str, value: bytes | None) -> None:
        self.onlooker.check_read(self.onlooker.glance(KEY, owner), owner, value)


def test_onlooker_read_of_an_older_value_is_a_violation_while_its_owner_reaches_a_holder() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A, B, C)
        scene.write(b"2", NEW, B, C)
        scene.cluster.cut(A, B)
        with pytest.raises(Violation, match="possible"):
            scene.read(A, b"1")
        scene.cluster.cut(A, C)
        scene.read(A, b"1")
        assert scene.seen["reads excused"] == 1

    scene.play(act)


def test_onlooker_backlog_that_has_just_reached_another_owner_is_excused_for_a_lease() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A, B, C)
        scene.write(b"2", NEW, C)
        scene.cluster.cut(A, C)
        scene.lay(B, NEW, b"2")
        with pytest.raises(Violation, match="possible"):
            scene.read(A, b"1")
        place = partition_of(KEY).to_bytes(2) + KEY
        scene.register.acknowledged_at -= 1.0
        scene.cluster.machines[B].stored_at[place] = scene.cluster.loop.now - 0.1
        scene.read(A, b"1")

    scene.play(act)


def test_onlooker_trouble_of_the_owner_that_answers_excuses_nothing() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A, B)
        scene.write(b"2", NEW, B)
        scene.cluster.fault("A has just come back", scene.cluster.machines[A])
        with pytest.raises(Violation, match="possible"):
            scene.read(A, b"1")

    scene.play(act)


def test_onlooker_write_without_an_answer_must_not_come_back_once_it_was_passed() -> None:
    scene = Scene()

    def act() -> None:
        scene.register.attempts.append(Attempt(b"lost", scene.cluster.loop.now))
        scene.register.history.append(b"lost")
        scene.lay(A, OLD, b"lost")
        scene.read(A, b"lost")
        scene.write(b"2", NEW, B)
        with pytest.raises(Violation, match="possible"):
            scene.read(A, b"lost")

    scene.play(act)


def test_onlooker_value_that_nobody_wrote_is_a_violation() -> None:
    scene = Scene()

    def act() -> None:
        with pytest.raises(Violation, match="nobody has written"):
            scene.read(A, b"1")

    scene.play(act)


def test_onlooker_acknowledged_write_on_no_disk_is_a_violation() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A)
        scene.write(b"2", NEW)
        with pytest.raises(Violation, match="on no disk"):
            scene.onlooker.glance(KEY, A)

    scene.play(act)


def test_onlooker_deletion_may_be_forgotten_after_the_grace_but_its_key_must_not_come_back() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A, B, C)
        scene.write(None, NEW)
        with pytest.raises(Violation, match="on no disk"):
            scene.onlooker.glance(KEY, A)
        scene.register.since -= 25 * 3600.0
        for machine in scene.cluster.machines.values():
            machine.disk.items.pop(partition_of(KEY).to_bytes(2) + KEY)
        scene.read(A, None)
        with pytest.raises(Violation, match="possible"):
            scene.read(A, b"1")

    scene.play(act)


def test_onlooker_write_acknowledged_below_another_is_a_violation_unless_clocks_and_a_cut_are_to_blame() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"2", NEW, B, C)
        glance = scene.onlooker.glance(KEY, A)
        assert scene.onlooker.check_order(glance, A, LATER)
        with pytest.raises(Violation, match="below the version"):
            scene.onlooker.check_order(glance, A, OLD)
        scene.cluster.cut(A, B)
        scene.cluster.cut(A, C)
        assert not scene.onlooker.check_order(glance, A, OLD)
        scene.register.acknowledged_at -= 3600.0
        with pytest.raises(Violation, match="clocks"):
            scene.onlooker.check_order(scene.onlooker.glance(KEY, A), A, OLD)

    scene.play(act)


def test_onlooker_acknowledged_write_must_be_on_every_owner_that_can_be_reached() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A, B)
        with pytest.raises(Violation, match="not on the disk of n3"):
            scene.onlooker.check_copies(scene.onlooker.glance(KEY, A), A, OLD)
        scene.cluster.cut(A, C, both_ways=False)
        scene.onlooker.check_copies(scene.onlooker.glance(KEY, A), A, OLD)

    scene.play(act)


def test_onlooker_well_node_must_answer_in_time_and_tell_what_a_well_owner_holds() -> None:
    scene = Scene()

    def act() -> None:
        scene.write(b"1", OLD, A, B)
        glance = scene.onlooker.glance(KEY, C)
        scene.onlooker.check_time(glance, C)
        with pytest.raises(Violation, match="to answer"):
            scene.onlooker.check_time(glance._replace(began=glance.began - 2.1), C)
        with pytest.raises(Violation, match="while n1:1 holds it"):
            scene.onlooker.check_failure(glance, C, Unavailable(), is_write=False)
        scene.cluster.cut(A, B)
        scene.onlooker.check_failure(glance, C, Unavailable(), is_write=False)
        scene.cluster.fault("C was paused", scene.cluster.machines[C])
        scene.onlooker.check_time(glance._replace(began=glance.began - 2.1), C)

    scene.play(act)


def test_disk_is_spared_only_while_another_owner_or_a_former_one_has_all_that_it_has() -> None:
    scene = Scene(copies=2)
    machines = scene.cluster.machines

    def act() -> None:
        assert is_spared(scene.cluster, machines[A])
        scene.lay(A, NEW, b"2")
        scene.lay(B, OLD, b"1")
        assert not is_spared(scene.cluster, machines[A])
        assert is_spared(scene.cluster, machines[B])
        scene.lay(C, NEW, b"2")
        assert is_spared(scene.cluster, machines[A]) and is_spared(scene.cluster, machines[C])
        scene.lay(C, LATER, b"3")
        assert not is_spared(scene.cluster, machines[C])
        scene.lay(B, NEW, b"2")
        assert is_spared(scene.cluster, machines[A])

    scene.play(act)


def test_disk_is_spared_only_while_its_view_is_known_elsewhere() -> None:
    """Nobody could tell that an acknowledged change was made, were the only disk lost that has its view."""
    scene = Scene(copies=2)
    machines = scene.cluster.machines

    def act() -> None:
        view = machines[A].disk.view()
        assert view is not None and is_spared(scene.cluster, machines[A])
        later = successor(view, A)
        machines[A].disk.items[setting_place(Setting.VIEW)] = later.encoded
        assert not is_spared(scene.cluster, machines[A])
        machines[B].disk.items[setting_place(Setting.VIEW)] = later.encoded
        assert is_spared(scene.cluster, machines[A])

    scene.play(act)


def test_machine_has_caught_up_once_it_holds_all_that_it_owns() -> None:
    scene = Scene(copies=2)
    machines = scene.cluster.machines

    def act() -> None:
        assert has_caught_up(scene.cluster, machines[A])
        scene.lay(B, NEW, b"2")
        assert not has_caught_up(scene.cluster, machines[A])
        assert has_caught_up(scene.cluster, machines[C])
        scene.lay(A, NEW, b"2")
        assert has_caught_up(scene.cluster, machines[A])

    scene.play(act)


def test_machine_that_lost_its_disk_gets_back_what_its_co_owner_has() -> None:
    cluster = Cluster(seed=1, size=2, members=2, repl_factor=2)
    one, other = cluster.machines.values()

    async def live() -> None:
        for machine in (one, other):
            machine.start()
        await asyncio.sleep(2.0)
        await one.ask(lambda node: node.router.write(KEY, b"1"))
        stamper = one.disk.items[b"\xffstore_id"]
        one.crash()
        one.lose_disk()
        one.start()
        await asyncio.sleep(2.0)
        assert one.disk.items[b"\xffstore_id"] != stamper
        assert one.disk.record(KEY) == other.disk.record(KEY) is not None

    cluster.loop.run(live())


@pytest.mark.parametrize("rule", [True, False], ids=["as it is", "without the rule"])
def test_onlooker_new_owner_that_could_ask_nobody_must_not_deny_a_key(rule: bool) -> None:
    """The earlier owner was killed as the view was made, and is still in it."""
    edit = Edit(sightings._is_complete, "donor in silent and donor not in asker.nodes", "donor in silent")
    cluster = Cluster(seed=1, size=2, members=1)
    old, new = cluster.machines["n1:1"], cluster.machines["n2:1"]
    registers = {b"k%d" % number: Register() for number in range(20)}
    onlooker = Onlooker(cluster, registers, Counter())

    async def live() -> Counter[str]:
        for machine in cluster.machines.values():
            machine.start()
        await asyncio.sleep(5.0)
        for key, register in registers.items():
            await old.ask(lambda node, key=key: node.router.write(key, b"1"))  # type: ignore[misc]
            attempt, record = Attempt(b"1", 0.0), onlooker.record(A, key)
            assert record is not None
            register.history.append(b"1")
            register.acknowledge(attempt, record.version, A, cluster.loop.now)
        Snare(cluster, new, Step.STORED, old.crash)
        with suppress(NoAnswer):
            await new.ask(lambda node: change(node, [A, B]))
        await asyncio.sleep(RECOVERY_S + 1.0)
        said: Counter[str] = Counter()
        assert new.node is not None
        for key in [key for key in registers if new.node.views.ring.owners(partition_of(key)) == (B,)]:
            glance = onlooker.glance(key, B)
            try:
                outcome = await new.ask(lambda node, key=key: read(node, key))  # type: ignore[misc]
            except Unavailable:
                said["503"] += 1
                continue
            assert isinstance(outcome.answer, ReadResult)
            with pytest.raises(Violation, match="could ask none"):
                onlooker.check_read(glance, B, outcome.answer.value)
            said["404"] += 1
        return said

    with nullcontext() if rule else switched_off(Ablation("no 503", "", (edit,))):
        assert cluster.loop.run(live()).keys() == {"503" if rule else "404"}

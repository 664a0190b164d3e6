"""Keys that are watched: that everything is told, in order, or that there is a gap."""

from __future__ import annotations

from node.watching.follower import Follower, agreeing
from node.watching.hub import Hub
from node.watching.joint import Joint
from node.watching.owner_log import OwnerLog
from node.watching.watcher import Watcher
from tests.sim.ablations.switch import Ablation, Edit

FOLLOWER = "../node/watching/test_follower.py::"
HUB = "../node/watching/test_hub.py::"
JOINT = "../node/watching/test_joint.py::"

ABLATIONS = (
    Ablation(
        "no listening to every owner",
        "of each shard only one owner is listened to by those who are watched",
        (Edit(Follower.run, "agreeing(await self._open())", "dict([*agreeing(await self._open()).items()][:1])"),),
    ),
    Ablation(
        "no waiting for the others' logs",
        "what an owner has told is told on at once, whatever others have yet to tell",
        (Edit(Joint._to_tell, "batches[0].number <= passed", "passed >= 0"),),
    ),
    Ablation(
        "no gap where an owner is lost",
        "whoever watches is not told that an owner could not be heard, or is back",
        (Edit(Hub.follow, "self._tell_gap(why)", "pass"),),
    ),
    Ablation(
        "no gap under another view",
        "whoever watches is not told that keys may have moved",
        (Edit(Hub.follow, "self._tell_gap(MOVED)", "pass"),),
    ),
    Ablation(
        "no spreading before it is told",
        "an owner tells what other owners do not have yet",
        (Edit(OwnerLog._tell, "await self._spreading.spread(change for _, change in part.changes)", "set[Address]()"),),
        "../node/watching/test_owner_log.py::test_owner_tells_nothing_before_its_co_owner_has_it",
    ),
    Ablation(
        "no silence about what was heard first",
        "what is older than what stands before the beginning of another log is told",
        (Edit(Follower._hear_once, "event.order > self._untold.get(event.key, FIRST)", "event.order > FIRST"),),
        FOLLOWER + "test_what_is_older_than_what_was_heard_first_is_told_to_nobody",
    ),
    Ablation(
        "no parting with who was left out",
        "owners that have left each other out are listened to together",
        (Edit(agreeing, "kept.keys().isdisjoint(answer.left_out) and ", ""),),
        FOLLOWER + "test_owners_that_left_each_other_out_are_not_listened_to_together[left_out2-kept2]",
    ),
    Ablation(
        "no telling for who is missing",
        "what a lost owner had brought to another one, which has told nobody yet, is told by nobody",
        (Edit(Follower._tailed, "is_short, True)", "False, True)"),),
        FOLLOWER + "test_an_owner_that_is_lost_is_a_gap_and_another_one_when_it_is_back",
    ),
    Ablation(
        "no expiry of every owner",
        "whoever began after the first owner has told of an expiry is not told of it by the next one",
        (Edit(Hub.tell, " or first <= watcher.began", ""),),
        HUB + "test_an_expiry_is_told_once_and_by_the_next_owner_to_whoever_began_after_the_first",
    ),
    Ablation(
        "no holding back of positions",
        "whoever comes back is told an older version after a newer one, and not that one again",
        (Edit(Joint._to_tell, "not any(batch.is_torn for batch in untold)", "True"),),
        JOINT + "test_joint_tells_the_older_version_first_that_another_owner_had_taken",
    ),
    Ablation(
        "no bound to what waits for a client",
        "all that happens waits for a client that reads nothing",
        (Edit(Watcher.tell, "self._bytes > self._bytes_max", "self._bytes < 0"),),
        "../node/watching/test_watcher.py::test_watcher_that_reads_nothing_has_a_gap_and_ends",
    ),
)

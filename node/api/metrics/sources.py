"""What is shown, under which name, and which part knows it. Each name stands in the table of docs/metrics.md.

A part keeps its figures itself, as plain attributes; here they are only read. Nothing here waits, and what is summed up
is so over partitions and nodes, never over keys.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from gossip.membership import State
from node.api.admission import Admission, Limit
from node.api.metrics.families import counter, counters, gauge, gauges, histogram
from node.api.tally import KEY_ROUTE, Tally
from node.certificates import Certificates
from node.health import Check, Verdict, is_ready
from node.node import Node
from node.release import version
from node.timing.turns import Turns


def of_build() -> Iterator[Metric]:
    build = (version() or "unknown", platform.python_version())
    yield gauges("kvs_build_info", "Which release this is; always 1", ("version", "python"), [(build, 1)])


def of_requests(tally: Tally) -> Iterator[Metric]:
    answered = [((route, method, str(status)), count) for (route, method, status), count in tally.others.items()]
    for method, of_method in tally.keys.items():
        some = ((status, count) for status, count in enumerate(of_method.statuses) if count)
        answered += [((KEY_ROUTE, method, str(status)), count) for status, count in some]
    yield counters("kvs_requests_total", "Requests answered", ("route", "method", "status"), answered)
    yield histogram(
        "kvs_request_duration_seconds",
        "What requests for keys took, by whether this node answered them as an owner, or forwarded them",
        ("method", "served"),
        (
            ((method, served), found)
            for method, of_method in tally.keys.items()
            for served, found in (("owner", of_method.here), ("forwarded", of_method.forwarded))
        ),
    )
    reasons = (((reason.value,), count) for reason, count in tally.unavailable.items())
    yield counters("kvs_unavailable_total", "Answers of 503, by reason", ("reason",), reasons)


def of_limits(admission: Admission) -> Iterator[Metric]:
    rooms = admission.rooms
    shown = [limit for limit in rooms if limit is not Limit.PER_ADDRESS]
    most = (((limit.value,), room.most) for limit, room in rooms.items())
    yield gauges("kvs_client_limit", "What all clients together may take", ("limit",), most)
    used = (((limit.value,), rooms[limit].used) for limit in shown)
    yield gauges("kvs_client_limit_used", "What they take now", ("limit",), used)
    refused = (((limit.value,), room.refused) for limit, room in rooms.items())
    yield counters("kvs_client_limit_refused_total", "Who was refused for a limit", ("limit",), refused)
    dropped = (((why.value,), count) for why, count in admission.dropped.items())
    yield counters("kvs_clients_dropped_total", "Connections that were not waited for any longer", ("reason",), dropped)


def of_tls(tally: Tally, certificates: Certificates | None) -> Iterator[Metric]:
    failed = (((why.value,), count) for why, count in tally.handshakes_failed.items())
    yield counters("kvs_tls_handshakes_failed_total", "Connections that did not come to speak TLS", ("reason",), failed)
    expiry: list[tuple[tuple[str, ...], float]] = [] if certificates is None else [((), certificates.now.expires_s)]
    yield gauges("kvs_tls_certificate_expiry_timestamp_seconds", "Until when its certificate is valid", (), expiry)


def of_health(checks: Sequence[Check]) -> Iterator[Metric]:
    yield gauge("kvs_ready", "Whether this node would serve now, as /readyz says", is_ready(checks))
    failed = (((check.name,), check.verdict is Verdict.FAILED) for check in checks)
    yield gauges("kvs_check_failed", "Whether a check of /readyz fails", ("check",), failed)


def of_store(node: Node) -> Iterator[Metric]:
    store, disk = node.store, node.store.disk
    mine = store.occupied & node.views.ring.partitions_of(node.config.address)
    records = sum(store.stats(partition).records for partition in mine)
    yield gauge("kvs_keys", "Live keys that this node owns", node.own_keys.count)
    yield gauge("kvs_tombstones", "Deletions that are remembered of what this node owns", records - node.own_keys.count)
    yield gauge("kvs_keys_expiring", "Keys on this disk that will expire", store.expiries.count)
    if not disk.condition.hangs:  # Then it would not say.
        space = disk.space()
        yield gauge("kvs_store_bytes", "What the pages of the store take up that are in use", space.store)
        yield gauge("kvs_disk_free_bytes", "What the file system under the store has left", space.free)
    yield gauge(
        "kvs_disk_writable",
        "Whether the disk takes writes: it has room, and neither hangs nor fails",
        not any(disk.condition),
    )
    yield gauge(
        "kvs_disk_full",
        "Whether the disk has no more room than what is kept for what must go on",
        disk.condition.has_no_room,
    )
    figures = disk.figures
    yield histogram("kvs_commit_duration_seconds", "What durable commits took", (), [((), figures.commit_s)])
    yield histogram("kvs_commit_jobs", "How many jobs one commit had", (), [((), figures.commit_jobs)])
    yield gauge("kvs_commit_queue", "Jobs that wait for their commit to begin", disk.queued)
    yield counter("kvs_commits_refused_total", "Commits that the disk did not take", figures.refused)


def of_views(node: Node) -> Iterator[Metric]:
    view, ring, me = node.views.current, node.views.ring, node.config.address
    unserved = sum(all(peer != me and node.calls.is_down(peer) for peer in replicas) for replicas in view.shards)
    yield gauge("kvs_view_epoch", "That of the view in force", view.epoch)
    yield counter("kvs_view_changes_total", "Views that were taken since the start", node.views.lag.stored)
    yield gauge(
        "kvs_view_settled",
        "Whether this node has nothing to hand over, to wait for or to compare, as far as "
        "those can be reached who have a part in it",
        node.handoff.is_settled(),
    )
    yield gauge("kvs_view_nodes", "Nodes of the view", len(view.nodes))
    yield gauge("kvs_shards", "Shards of the view", len(view.shards))
    yield gauge("kvs_shards_unreachable", "Shards of which this node reaches no owner, nor is one", unserved)
    yield gauge("kvs_partitions_owned", "Partitions that this node owns, of 4096", len(ring.partitions_of(me)))
    yield gauge("kvs_keys_to_hand_over", "Keys here that this node does not own", node.handoff.to_hand_over())
    yield gauge(
        "kvs_keys_waiting_for_copies",
        "Those of them that are kept until more of their owners have a copy",
        node.handoff.kept(),
    )
    yield counter(
        "kvs_records_handed_over_total",
        "Records that were brought to their owners, and forgotten here",
        node.movement.handed_over,
    )


def of_members(node: Node) -> Iterator[Metric]:
    members, me = node.gossip.members, node.config.address
    states = Counter(member.state for member in members.values())
    peers = sorted({*members, *node.views.current.nodes} - {me})
    yield gauges(
        "kvs_members",
        "Known nodes, by what gossip takes them for",
        ("state",),
        (((state.value,), states[state]) for state in State),
    )
    yield counter("kvs_suspicions_total", "Probes of this node that another one left unanswered", node.gossip.suspected)
    yield gauges(
        "kvs_peer_up",
        "Whether a node can be reached from here",
        ("peer",),
        (((peer,), not node.calls.is_down(peer)) for peer in peers),
    )
    trips = (((peer,), trip) for peer in peers if (trip := node.transport.round_trip_s(peer)) is not None)
    yield gauges("kvs_peer_round_trip_seconds", "The quickest of the last pings to a node", ("peer",), trips)
    yield gauges(
        "kvs_peer_outbox_keys",
        "Changed keys that a co-owner has yet to confirm",
        ("peer",),
        (((state.address,), len(state.outbox)) for state in node.co_owners.all()),
    )
    offsets = (((peer,), ms / 1000) for peer, ms in sorted(node.clock.offsets_ms.items()))
    yield gauges(
        "kvs_peer_clock_offset_seconds", "By how much the clock of a node is ahead of this one's", ("peer",), offsets
    )


def of_loop(turns: Turns) -> Iterator[Metric]:
    yield histogram("kvs_loop_lag_seconds", "How late the loop was for each tick", (), [((), turns.lag.ticks)])

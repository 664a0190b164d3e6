"""`/livez` and `/readyz`: plain text, much as etcd's, for balancers, supervisors and `kvs health`.

`node.health` decides; here the facts are gathered, none of which takes any waiting.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from node.api.query import options_of, truth_of
from node.health import Check, Facts, Isolation, Verdict, checks_of, is_ready
from node.node import Node
from node.timing.turns import Turns
from node.timing.witnesses import Standing

HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


class HealthApi:
    def __init__(self, node: Node, turns: Turns) -> None:
        self._node = node
        self._turns = turns
        self._isolation = Isolation()

    async def live(self, request: web.Request) -> web.Response:
        """That it is answered says it all: the process and its loop run."""
        return _answer([Check("loop", Verdict.OK)], _is_verbose(request))

    async def ready(self, request: web.Request) -> web.Response:
        return _answer(self.checks(), _is_verbose(request))

    def checks(self) -> list[Check]:
        return checks_of(self._facts())

    def _facts(self) -> Facts:
        node, views = self._node, self._node.views
        disk, co_owners = node.store.disk.condition, node.co_owners
        peers = sorted(views.current.nodes - {node.config.address})
        unreachable = [peer for peer in peers if node.calls.is_down(peer)]
        return Facts(
            loop_late_s=self._turns.lag.worst_s(self._turns.now()),
            loop_late_s_max=node.config.late_s,
            has_asked_around=node.readiness.has_asked_around,
            lacks_view=views.lag.is_behind,
            clock_is_refused=node.clock.standing is Standing.REFUSED,
            disk_hangs=disk.hangs,
            disk_fails=disk.fails,
            disk_has_no_room=disk.has_no_room,
            is_to_be_filled=co_owners.is_waiting_to_be_filled(),
            is_owed=co_owners.is_catching_up(),
            keys_arrive=bool(views.donors.shares),
            peers=peers,
            unreachable=unreachable,
            is_returning=self._isolation.look(peers, unreachable, self._turns.now()),
        )


def _is_verbose(request: web.Request) -> bool:
    """Raises RequestFault."""
    given = options_of(request.rel_url.raw_query_string, {"verbose"})
    return given.get("verbose") == "" or truth_of(given, "verbose", False)


def _answer(checks: Sequence[Check], is_verbose: bool) -> web.Response:
    """Each check on a line, or only those that have failed; then the verdict."""
    passes = is_ready(checks)
    lines = [str(check) for check in checks if is_verbose or check.verdict is Verdict.FAILED]
    text = "".join(f"{line}\n" for line in [*lines, "ok" if passes else "not ready"])
    return web.Response(status=200 if passes else 503, body=text.encode(), headers=HEADERS)

"""What `GET /kvs/status` says is wrong, of real nodes: a clock an hour off, and nothing where all is well."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gossip.settings import Settings
from node.api.admin import told
from node.api.server import serving
from node.config import Config
from node.diagnosis.survey import Problem, Severity
from tests.cluster import client, eventually, fresh_addresses
from tests.node.api.two_nodes import TwoNodes
from tests.node.fakes.clocks import SteadyTime

HOUR_S = 3600


class AheadTime(SteadyTime):
    """That of a machine whose wall clock is an hour ahead."""

    def wall(self) -> float:
        return super().wall() + HOUR_S


@pytest.mark.asyncio(loop_scope="module")
async def test_status_of_a_store_that_is_well_has_no_problems(two: TwoNodes) -> None:
    async def is_well() -> bool:
        return bool((await two.http.ask(two.nodes[0], "GET", "/kvs/status")).json["problems"] == [])

    await eventually(is_well, "no problems")
    body = (await two.http.ask(two.nodes[0], "GET", "/kvs/status")).body
    assert body.endswith(b',"problems":[]}'), "what came before stays where it was"


async def test_status_names_the_clock_that_is_an_hour_ahead(tmp_path: Path) -> None:
    a, b, c = nodes = fresh_addresses(3)
    async with AsyncExitStack() as stack, client() as http:
        for node in nodes:
            time = AheadTime() if node == c else SteadyTime()
            config = Config.for_test(node, tuple(nodes), tmp_path / node)
            await stack.enter_async_context(serving(config, Settings.for_test(), time))

        async def told() -> list[Any]:
            problems = (await http.ask(a, "GET", "/kvs/status")).json["problems"]
            return [problem for problem in problems if problem["code"] == "clock-ahead"]

        (problem,) = await eventually(told, "a clock that is ahead")
        assert problem["nodes"] == [c] and problem["severity"] == "critical"
        assert problem["what"].startswith(f"the clock of {c} is 3,600 s ahead of all others: clients that ask {c} are ")
        assert (await http.put(c, "k", 1)).status == 503
        for number in range(12):
            assert (await http.put(b, f"k{number}", 1)).status == 201, "whosever it is"
            assert (await http.get(c, f"k{number}")).status == 200


def test_admin_told_leaves_out_what_is_not_known() -> None:
    problem = Problem("code", Severity.WARNING, "what", "do", ("a:1",))
    fields = '{"code":"code","severity":"warning","what":"what","do":"do","nodes":["a:1"]'
    assert msgspec.json.encode(told(problem)).decode() == fields + "}"
    known = problem._replace(keys=0, lasts_s=1.26)
    assert msgspec.json.encode(told(known)).decode() == fields + ',"keys":0,"for-seconds":1.3}'

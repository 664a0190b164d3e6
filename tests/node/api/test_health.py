"""What balancers and supervisors are answered."""

from __future__ import annotations

import pytest

from node.health import Check, Verdict
from node.views.lag import Lag
from tests.node.api.two_nodes import TwoNodes, fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("loop", "gate", "view", "clock", "disk", "room", "caught-up", "peers")
ALL_WELL = "".join(f"[+]{name} ok\n" for name in NAMES).encode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/livez", b"ok\n"),
        ("/livez?verbose", b"[+]loop ok\nok\n"),
        ("/readyz", b"ok\n"),
        ("/readyz?verbose", ALL_WELL + b"ok\n"),
        ("/readyz?verbose=true", ALL_WELL + b"ok\n"),
        ("/readyz?verbose=false", b"ok\n"),
    ],
)
async def test_health_golden_of_a_node_that_is_well(two: TwoNodes, path: str, body: bytes) -> None:
    for node in two.nodes:
        reply = await two.http.ask(node, "GET", path)
        assert (reply.status, reply.body) == (200, body)
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        head = await two.http.ask(node, "HEAD", path)
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(body)))


@pytest.fixture
def behind(two: TwoNodes) -> Lag:
    return two.cluster.nodes[two.nodes[0]].views.lag


async def test_health_one_check_that_fails_makes_503_and_is_named_also_where_not_all_are(
    two: TwoNodes, behind: Lag
) -> None:
    node = two.nodes[0]
    behind.note_refused()
    try:
        told = await two.http.ask(node, "GET", "/readyz")
        verbose = await two.http.ask(node, "GET", "/readyz?verbose")
        alive = await two.http.ask(node, "GET", "/livez?verbose")
    finally:
        behind.note_stored()
    line = b"[-]view is out of date: this node knows of a later one, and cannot store it\n"
    assert (told.status, told.body) == (503, line + b"not ready\n")
    assert (verbose.status, verbose.body) == (503, ALL_WELL.replace(b"[+]view ok\n", line) + b"not ready\n")
    assert (alive.status, alive.body) == (200, b"[+]loop ok\nok\n")
    assert (await two.http.ask(node, "GET", "/readyz")).status == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("verbos", "Unknown option verbos: did you mean verbose?"),
        ("exclude=disk", "Unknown option exclude: known are verbose"),
        ("verbose=perhaps", "Malformed verbose: neither true nor false"),
    ],
)
async def test_health_refuses_options_that_it_does_not_know(two: TwoNodes, path: str, query: str, error: str) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", f"{path}?{query}")
    assert (reply.status, reply.body) == (400, fault(error, "GET"))


async def test_health_check_as_a_line() -> None:
    assert str(Check("disk", Verdict.FAILED, "hangs")) == "[-]disk hangs"

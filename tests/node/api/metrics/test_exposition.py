"""`/metrics` of whole nodes: its form, what is counted by whichever way a request comes, and its documentation."""

from __future__ import annotations

import re

import pytest

from node.api.batch_lines import BATCH
from node.errors import Reason, TimedOut, Unavailable
from node.net.handshake import PATH
from tests.cluster import ROOT, Client
from tests.node.api.metrics.scraped import Scrape, scrape
from tests.node.api.raw_http import ask_raw
from tests.node.api.streams import line
from tests.node.api.two_nodes import A_VALUE, TwoNodes, fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "/kvs/keys/{key}"
DOCUMENTED = re.findall(r"^\| `((?:kvs|process)_\w+)", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)


async def test_metrics_are_in_the_text_format_and_any_client_may_ask_for_their_head(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", "/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.body.startswith(b"# HELP kvs_build_info ")
    assert (await two.http.ask(two.nodes[0], "HEAD", "/metrics")).status == 200


async def test_metrics_take_no_options(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", "/metrics?format=json")
    assert (reply.status, reply.body) == (400, fault("Unknown option format: known are none", "GET"))


async def test_metrics_stand_in_the_table_each_and_nothing_else_does(two: TwoNodes) -> None:
    found = await scrape(two.http, two.nodes[0])
    assert sorted(found.names) == sorted(DOCUMENTED)


async def test_metrics_are_named_as_prometheus_would_have_them(two: TwoNodes) -> None:
    found = await scrape(two.http, two.nodes[0])
    for name in found.names:
        assert re.fullmatch(r"(kvs|process)_[a-z_]+", name)
        assert not re.search(r"_(ms|us|millis|kb|mb|percent)(_|$)", name), "base units"
    assert all(family.documentation for family in found.families.values())


async def since(http: Client, node: str, before: Scrape, name: str, **labels: str) -> float:
    return (await scrape(http, node))(name, **labels) - before(name, **labels)


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}], ids=["the short way", "by aiohttp"])
async def test_metrics_count_requests_for_keys_whichever_way_they_come(two: TwoNodes, headers: dict[str, str]) -> None:
    node = two.owner("counted")
    other = two.other(node)
    await two.prepare("counted", b"1")
    before, before_there = await scrape(two.http, node), await scrape(two.http, other)
    for _ in range(3):
        assert (await two.http.ask(node, "GET", "/kvs/keys/counted", headers=headers)).status == 200
    assert (await two.http.ask(node, "PUT", "/kvs/keys/counted", A_VALUE, headers)).status == 200
    assert (await two.http.ask(node, "PUT", "/kvs/keys/counted", b"no", headers)).status == 400
    assert (await two.http.ask(other, "GET", "/kvs/keys/counted", headers=headers)).status == 200

    async def grown(name: str, **labels: str) -> float:
        return await since(two.http, node, before, name, **labels)

    assert await grown("kvs_requests_total", route=KEY, method="GET", status="200") == 3
    assert await grown("kvs_requests_total", route=KEY, method="PUT", status="200") == 1
    assert await grown("kvs_requests_total", route=KEY, method="PUT", status="400") == 1
    assert await grown("kvs_request_duration_seconds_count", method="GET", served="owner") == 3
    assert await grown("kvs_request_duration_seconds_count", method="PUT", served="owner") == 1
    assert await grown("kvs_request_duration_seconds_sum", method="PUT", served="owner") > 0
    assert await grown("kvs_request_duration_seconds_count", method="GET", served="forwarded") == 0
    forwarded = await since(
        two.http, other, before_there, "kvs_request_duration_seconds_count", method="GET", served="forwarded"
    )
    assert forwarded == 1


async def test_metrics_count_a_read_that_finds_nothing_new(two: TwoNodes) -> None:
    node = two.owner("tagged")
    await two.prepare("tagged", b"1")
    etag = (await two.http.get(node, "tagged")).headers["ETag"]
    before = await scrape(two.http, node)
    reply = await two.http.ask(node, "GET", "/kvs/keys/tagged", headers={"If-None-Match": etag})
    assert reply.status == 304
    assert await since(two.http, node, before, "kvs_requests_total", route=KEY, method="GET", status="304") == 1
    counted = await since(two.http, node, before, "kvs_request_duration_seconds_count", method="GET", served="owner")
    assert counted == 1


@pytest.mark.parametrize(
    ("method", "path", "route", "counted_as", "status"),
    [
        ("GET", "/kvs/key-count", "/kvs/key-count", "GET", "200"),
        ("GET", "/kvs/shards/77", "/kvs/shards/{id}", "GET", "404"),
        ("HEAD", "/kvs/keys/k", KEY, "HEAD", "404"),
        ("HEAD", "/kvs/watch", "/kvs/watch", "HEAD", "200"),
        ("GET", "/kvs/export?prefix=nobody", "/kvs/export", "GET", "200"),
        ("POST", BATCH, BATCH, "POST", "200"),
        ("GET", "/kvs/keys/k?wait=0.01", KEY + "?wait", "GET", "404"),
        ("HEAD", "/kvs/keys/k?wait=0", KEY + "?wait", "HEAD", "400"),
        ("DELETE", "/kvs/keys/k?wait=1", KEY, "DELETE", "404"),
        ("GET", "/nowhere/7", "other", "GET", "404"),
        ("PROPFIND", "/nowhere/8", "other", "other", "404"),
        ("POST", "/kvs/ring", "other", "POST", "405"),
    ],
)
async def test_metrics_count_other_requests_by_their_route_never_by_what_a_client_makes_up(
    two: TwoNodes, method: str, path: str, route: str, counted_as: str, status: str
) -> None:
    node = two.nodes[0]
    before = await scrape(two.http, node)
    assert (await two.http.ask(node, method, path)).status == int(status)
    labels = {"route": route, "method": counted_as, "status": status}
    assert await since(two.http, node, before, "kvs_requests_total", **labels) == 1


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}], ids=["the short way", "by aiohttp"])
@pytest.mark.parametrize("fault", [Unavailable().because(Reason.CLOCK), Unavailable(), TimedOut()])
async def test_metrics_count_why_a_request_was_unavailable(
    two: TwoNodes, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], fault: Unavailable
) -> None:
    async def refuse() -> None:
        raise fault

    node = two.nodes[0]
    before = await scrape(two.http, node)
    with monkeypatch.context() as patch:
        patch.setattr(two.cluster.nodes[node].clock, "stamp", refuse)
        assert (await two.http.ask(node, "PUT", "/kvs/keys/k", A_VALUE, headers)).status == 503
    for reason in Reason:
        grown = await since(two.http, node, before, "kvs_unavailable_total", reason=reason.value)
        assert grown == (reason is fault.reason)


async def test_metrics_count_why_other_requests_were_unavailable(
    two: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise Unavailable(unreachable=["a:1"])

    node = two.nodes[0]
    before = await scrape(two.http, node)
    with monkeypatch.context() as patch:
        patch.setattr(two.cluster.nodes[node].whole_store.lister, "page", refuse)
        assert (await two.http.ask(node, "GET", "/kvs/keys")).status == 503
    assert await since(two.http, node, before, "kvs_unavailable_total", reason="no-owner") == 1


async def test_metrics_count_why_lines_of_a_batch_were_unavailable(
    two: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise Unavailable().because(Reason.CLOCK)

    node = two.nodes[0]
    before = await scrape(two.http, node)
    with monkeypatch.context() as patch:
        patch.setattr(two.cluster.nodes[node].clock, "stamps", refuse)
        patch.setattr(two.cluster.nodes[node].clock, "stamp", refuse)
        lines = b"".join(line(op="put", key=f"k{number}", value=1) for number in range(3))
        assert (await two.http.ask(node, "POST", BATCH, lines)).status == 200
    for reason in Reason:
        grown = await since(two.http, node, before, "kvs_unavailable_total", reason=reason.value)
        assert grown == (3 if reason is Reason.CLOCK else 0)
    assert await since(two.http, node, before, "kvs_requests_total", route=BATCH, method="POST", status="200") == 1


async def test_metrics_take_no_time_of_a_read_that_waits(two: TwoNodes) -> None:
    node = two.owner("waited")
    etag = (await two.http.put(node, "waited", 1)).headers["ETag"]
    before = await scrape(two.http, node)
    headers = {"If-None-Match": etag}
    assert (await two.http.ask(node, "GET", "/kvs/keys/waited?wait=0.01", headers=headers)).status == 304
    for served in ("owner", "forwarded"):
        timed = await since(two.http, node, before, "kvs_request_duration_seconds_count", method="GET", served=served)
        assert timed == 0


async def test_metrics_of_links_between_nodes_are_no_requests(two: TwoNodes) -> None:
    assert not (await scrape(two.http, two.nodes[0])).has("kvs_requests_total", route=PATH, method="GET", status="101")


async def test_metrics_survive_what_is_no_http(two: TwoNodes) -> None:
    await ask_raw(two.nodes[0], b"hello\r\n\r\n")
    await scrape(two.http, two.nodes[0])

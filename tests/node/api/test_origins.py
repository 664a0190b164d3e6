"""Which pages may change something: those that this node itself has served."""

from __future__ import annotations

import pytest

from node.api.origins import is_foreign
from tests.node.api.streams import line
from tests.node.api.two_nodes import A_VALUE, TwoNodes

HOST = "10.10.0.4:13800"


@pytest.mark.parametrize(
    ("origin", "site", "foreign"),
    [
        (None, None, False),  # No browser.
        (f"http://{HOST}", None, False),
        (f"HTTP://{HOST.upper()}", None, False),
        ("http://10.10.0.4:80", None, True),
        ("http://evil.example", None, True),
        ("null", None, True),
        ("http://[", None, True),
        (f"http://{HOST}", "same-origin", False),
        ("https://store.example", "same-origin", False),  # A proxy has changed the Host.
        (f"http://{HOST}", "cross-site", True),
        (f"http://{HOST}", "same-site", True),
        (None, "none", False),
    ],
)
def test_origins_table(origin: str | None, site: str | None, foreign: bool) -> None:
    assert is_foreign(origin, site, HOST) is foreign


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/kvs/batch", line(op="put", key="stolen", value=1)),
        ("PUT", "/kvs/view-change", b'{"view":"a:1"}'),
        ("DELETE", "/kvs/view-change", b""),
        ("PUT", "/kvs/keys/stolen?x=1", A_VALUE),
        ("PUT", "/kvs/keys/stolen", A_VALUE),
        ("DELETE", "/kvs/keys/stolen", b""),
    ],
)
async def test_a_page_of_another_origin_changes_nothing(two: TwoNodes, method: str, path: str, body: bytes) -> None:
    node, evil = two.nodes[0], {"Origin": "http://evil.example"}
    reply = await two.http.ask(node, method, path, body, evil)
    error = "A page of another origin may change nothing here: http://evil.example"
    assert (reply.status, reply.json) == (403, {"error": error, "message": f"Error in {method}"})
    assert (await two.http.get(node, "stolen")).status == 404
    assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_of_this_node_may_write_and_no_browser_is_told_that_another_may(two: TwoNodes) -> None:
    node = two.nodes[0]
    body, own = line(op="put", key="own", value=1), {"Origin": f"http://{node}", "Sec-Fetch-Site": "same-origin"}
    assert (await two.http.ask(node, "POST", "/kvs/batch", body, own)).json["status"] == 201
    asks_before = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    for path in ("/kvs/keys/own", "/kvs/view-change", "/ui/stream"):
        reply = await two.http.ask(node, "OPTIONS", path, headers=asks_before)
        assert reply.status == 204 and not any(name.startswith("Access-Control") for name in reply.headers)

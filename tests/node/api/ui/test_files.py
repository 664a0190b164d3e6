"""The files of the page, and what their headers let in."""

from __future__ import annotations

import re

import pytest

from node.api.ui.files import POLICY, TYPES, read_files
from tests.node.api.two_nodes import TwoNodes

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|setTimeout\(['\"]")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=")
ELSEWHERE = re.compile(r"""(?:src|href|url|import|from|fetch)\s*[=(]?\s*["'(](?:[a-z]+:)?//""")


async def test_files_are_served_with_their_types_and_nothing_else_may_be_loaded(two: TwoNodes) -> None:
    files = read_files()
    assert {"index.html", "main.js", "style.css", "icon.svg"} <= files.keys()
    for path, file in [("/ui", files["index.html"]), *((f"/ui/{name}", file) for name, file in files.items())]:
        reply = await two.http.ask(two.nodes[0], "GET", path)
        assert (reply.status, reply.body) == (200, file.body)
        assert reply.headers["Content-Type"] == file.type and file.type in TYPES.values()
        assert reply.headers["Content-Security-Policy"] == POLICY
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("headers", "policy"), [({"Sec-Fetch-Site": "none"}, "same-origin"), ({}, None)])
async def test_files_are_kept_apart_from_who_opens_them_in_browsers_that_do_so_here(
    two: TwoNodes, headers: dict[str, str], policy: str | None
) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", "/ui", headers={"Accept": "text/html", **headers})
    assert reply.headers.get("Cross-Origin-Opener-Policy") == policy


async def test_files_policy_lets_in_what_is_its_own_and_nothing_inline() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert {rules[kind] for kind in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert "unsafe" not in POLICY and "*" not in POLICY


async def test_files_are_not_sent_again_to_who_has_them(two: TwoNodes) -> None:
    first = await two.http.ask(two.nodes[0], "GET", "/ui/main.js")
    for etag, status in [(first.headers["ETag"], 304), ('"other"', 200)]:
        reply = await two.http.ask(two.nodes[1], "GET", "/ui/main.js", headers={"If-None-Match": etag})
        assert (reply.status, reply.body) == (status, b"" if status == 304 else first.body)


@pytest.mark.parametrize("path", ["/ui/nothing.js", "/ui/__init__.py", "/ui/..%2Ffiles.py", "/ui/%2e%2e/files.py"])
async def test_files_beside_them_are_not_found(two: TwoNodes, path: str) -> None:
    assert (await two.http.ask(two.nodes[0], "GET", path)).status == 404


async def test_files_take_no_options(two: TwoNodes) -> None:
    reply = await two.http.ask(two.nodes[0], "GET", "/ui?key=k")
    assert (reply.status, reply.json["error"]) == (400, "Unknown option key: there is none here")


async def test_files_make_no_markup_of_texts_and_name_nothing_elsewhere() -> None:
    for name, file in read_files().items():
        text = file.body.decode()
        assert not MARKUP.search(text), name
        assert not ELSEWHERE.search(text), name
        assert name != "index.html" or not INLINE.search(text)
